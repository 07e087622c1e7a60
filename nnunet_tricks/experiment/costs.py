"""How long cells take and how much disk they fill: from cells of the same kind that are done, else from timed steps."""

from __future__ import annotations

import math
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from nnunet_tricks.catalogue.naming import DEFAULT_EPOCHS, IllegalName, parse
from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.inference_cells import Ensemble, Postprocess
from nnunet_tricks.experiment.nnunet_cells import Evaluate, Predict, Preprocess, Train
from nnunet_tricks.experiment.record import Record, last_epoch
from nnunet_tricks.nnunet.folders import is_json, read_json
from nnunet_tricks.nnunet.model import Model
from nnunet_tricks.nnunet.parts import Part
from nnunet_tricks.nnunet.plans_file import resolve
from nnunet_tricks.utilities.files import write_atomically
from nnunet_tricks.utilities.python import words_of_python

START = 20.0
"""Seconds that one of nnU-Net's commands needs before it works."""

EVALUATION = 15.0
CHECKPOINTS_KEPT = 2
"""``checkpoint_final.pth`` and ``checkpoint_best.pth``."""

OVERLAP = 0.5
"""nnU-Net's step between neighbouring tiles, in patches."""


@dataclass
class Costs:
    """What cells cost on this machine.

    Attributes:
        cells: All cells of an experiment.
        timings: Timed steps by group, as ``timed`` returns them.
    """

    cells: Sequence[Cell]
    timings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _recorded: dict[str, float] = field(init=False)
    _peaks: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Read what was measured while cells ran."""
        times: dict[str, list[float]] = {}
        self._peaks = {}
        for cell in self.cells:
            record = Record.read(cell.folder)
            if record.seconds is not None and cell.is_done():
                times.setdefault(_alike(cell), []).append(record.seconds)
            if record.memory is not None and cell.is_done():
                self._peaks[_alike(cell)] = max(record.memory, self._peaks.get(_alike(cell), 0))
        self._recorded = {alike: fmean(seconds) for alike, seconds in times.items()}

    def seconds(self, cell: Cell) -> float | None:
        """Seconds that the rest of a cell takes; None if they are not known."""
        whole = self._recorded.get(_alike(cell)) or self._from_steps(cell)
        if whole is None or not isinstance(cell, Train):
            return whole
        return whole * (1 - _share_done(cell))

    def memory(self, cell: Cell) -> int | None:
        """Peak memory of all processes of a cell together, in bytes; None if it is not known."""
        timing = self.timings.get(group(cell), {}) if isinstance(cell, Train | Predict) else {}
        return self._peaks.get(_alike(cell)) or timing.get("memory")

    def bytes(self, cell: Cell) -> int | None:
        """Bytes that a cell will leave on disk; None if they are not known."""
        if isinstance(cell, Train):
            timing = self.timings.get(group(cell))
            if timing is None:
                return None
            return CHECKPOINTS_KEPT * int(timing["checkpoint_bytes"]) + _label_bytes(cell.model)
        if isinstance(cell, Predict | Ensemble | Postprocess):
            return _label_bytes(cell.model)
        return None if isinstance(cell, Preprocess) else 0

    def _from_steps(self, cell: Cell) -> float | None:
        if isinstance(cell, Evaluate | Ensemble | Postprocess):
            return EVALUATION
        timing = self.timings.get(group(cell))
        if timing is None or not isinstance(cell, Train | Predict):
            return None
        if isinstance(cell, Predict):
            return START + _inference(cell.model, cell.part, timing)
        epoch = timing["steps_per_epoch"] * timing["step"]
        epoch += timing["validation_steps_per_epoch"] * timing["validation_step"]
        part = Part(cell.model.folders, cell.model.dataset, "validation", cell.model.fold)
        return float(START + epochs_of(cell.model.trainer) * epoch + _inference(cell.model, part, timing))


def epochs_of(trainer: str) -> int:
    """Number of epochs, as far as the trainer's name tells.

    Examples:
        >>> epochs_of("nnUNetTrainerTversky_100epochs"), epochs_of("nnUNetTrainerDA5_10epochs"), epochs_of("Mine")
        (100, 10, 1000)
    """
    try:
        return parse(trainer).epochs
    except IllegalName:
        match = re.search(r"_(\d+)ep", trainer)
        return int(match[1]) if match else DEFAULT_EPOCHS


def group(cell: Cell) -> str:
    """The group of a cell: data set, plans and configuration. Each group is timed once."""
    model = getattr(cell, "model", None)
    return f"{model.dataset}/{model.plans}__{model.configuration}" if model else ""


def timed(
    cells: Sequence[Cell], variables: Mapping[str, str] | None, *, steps: int = 20, machine: str | None = None
) -> dict[str, dict[str, Any]]:
    """Time training steps of each group that is preprocessed and still has trainings to do.

    Times are stored beside the cells, so that each group is timed once on a machine.

    Args:
        cells: All cells of an experiment.
        variables: The environment for nnU-Net; ``None`` to time nothing and only read stored times.
        steps: Number of steps.
        machine: Name under which times are stored; all nodes of a cluster share one.

    Returns:
        What ``timing`` measures, by group; groups that cannot be timed yet are left out.
    """
    timings: dict[str, dict[str, Any]] = {}
    done = {cell.key for cell in cells if cell.is_done()}
    for cell in cells:
        # Steps are timed on all cases, for which there is no training without labels to start from.
        if not isinstance(cell, Train) or cell.model.pretext or group(cell) in timings:
            continue
        file = cell.states / group(cell) / f"timing_{machine or platform.node()}_{cell.device}.json"
        if not is_json(file) and (variables is None or cell.key in done or not set(cell.after) <= done):
            continue
        if is_json(file) or (variables is not None and _time(cell, variables, file, steps)):
            timings[group(cell)] = dict(read_json(file))
    return timings


def _time(cell: Train, variables: Mapping[str, str], file: Path, steps: int) -> bool:
    model = cell.model
    words = [model.dataset, model.configuration, model.plans, model.trainer, cell.device]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "timing.json"
        done = subprocess.run(
            [*words_of_python("nnunet_tricks.experiment.timing"), *words, str(out), "--steps", str(steps)],
            env={**variables, "nnUNet_results": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        if not is_json(out):
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            print(f"note: {group(cell)} could not be timed: {last}", file=sys.stderr)
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, out.read_text(encoding="utf-8"))
    return True


def _alike(cell: Cell) -> str:
    """A key that is the same for cells that take about as long."""
    model = getattr(cell, "model", None)
    if model is None:
        return cell.key
    detail = epochs_of(model.trainer) if isinstance(cell, Train) else getattr(cell, "views", "")
    return f"{type(cell).__name__} {group(cell)} {detail}"


def _share_done(cell: Train) -> float:
    if cell.model.is_trained:
        return 0.9
    if not (cell.model.has("latest") or cell.model.has("best")):
        return 0.0
    seen = re.findall(r"\d+", last_epoch(cell.folder))
    return min(int(seen[0]) / epochs_of(cell.model.trainer), 0.9) if seen else 0.0


def _inference(model: Model, part: Part, timing: Mapping[str, Any]) -> float:
    """Seconds to predict a part: tiles of a median image, each in every mirroring."""
    plans = read_json(model.folders.preprocessed / model.dataset / f"{model.plans}.json")
    configuration = resolve(plans, model.configuration)
    patch, image = configuration["patch_size"], configuration["median_image_size_in_voxels"]
    tiles = math.prod(
        max(math.ceil((length - edge) / (edge * OVERLAP)), 0) + 1
        for length, edge in zip(image[-len(patch) :], patch, strict=True)
    )
    slices = image[0] if len(patch) < len(image) else 1
    return float(_count(model, part) * slices * tiles * 2 ** timing["mirrored_axes"] * timing["forward"])


def _count(model: Model, part: Part) -> int:
    with suppress(ValueError, OSError):
        return len(part.cases())
    training_cases = len(model.folders.cases(model.dataset, "Tr"))
    return training_cases if model.fold == "all" else training_cases // 5


def _label_bytes(model: Model) -> int:
    """Bytes of the predictions of a fold, estimated as those of its labels."""
    labels = model.folders.preprocessed / model.dataset / "gt_segmentations"
    sizes = [entry.stat().st_size for entry in os.scandir(labels)] if labels.is_dir() else []
    return sum(sizes) // 5


def size_in_words(count: float) -> str:
    """A number of bytes in words.

    Examples:
        >>> size_in_words(350e6), size_in_words(2.5e9), size_in_words(0)
        ('350 MB', '2.5 GB', '0 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
