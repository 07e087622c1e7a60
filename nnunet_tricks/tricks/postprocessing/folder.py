"""Post-processing of a folder of segmentations."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from rich.progress import track

from nnunet_tricks.experiment.processes import die_with_parent
from nnunet_tricks.tricks.inference.members import DESCRIPTION, PLANS, read_beside, read_labels
from nnunet_tricks.tricks.inference.output_folder import OutputFolder
from nnunet_tricks.tricks.inference.writing import partial_file
from nnunet_tricks.tricks.postprocessing.planned import PlannedStep, planned_steps
from nnunet_tricks.utilities.files import write_atomically

PICKLED, TEXT = "postprocessing.pkl", "postprocessing.json"
"""nnU-Net's names of stored post-processing."""


@dataclass(frozen=True)
class Postprocessed:
    """What was done.

    Attributes:
        cases: All cases.
        changed: From a case that was worked at now to the number of its voxels that changed.
        stored: Whether the output folder has a ``postprocessing.pkl``.
    """

    cases: tuple[str, ...]
    changed: Mapping[str, int] = field(default_factory=dict)
    stored: bool = False


def postprocess(
    folder: Path,
    output: Path,
    words: Sequence[str],
    *,
    processes: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: bool = True,
) -> Postprocessed:
    """Apply steps to all segmentations of a folder, and store them for ``nnUNetv2_apply_postprocessing``.

    Args:
        folder: Segmentations, with ``dataset.json`` and ``plans.json`` as nnU-Net leaves them there.
        output: Where the results are written; not ``folder``.
        words: Steps as they are written, in this order.
        processes: How many cases are worked at.
        resume: Whether cases that are there are kept.
        overwrite: Whether older results are deleted first.
        dry_run: Whether everything is checked and nothing written.
        progress: Whether there is a progress bar.

    Raises:
        ValueError: If a step is none, or a folder is not what it must be.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    if output.resolve() == folder.resolve():
        raise ValueError(f"{output} is the folder of the segmentations: give another one for the results")
    if not words:
        raise ValueError("--steps is empty: give at least one, such as KeepLargest")
    description, plans = read_beside(folder, DESCRIPTION), read_beside(folder, PLANS)
    steps = planned_steps(words, description)
    ending = str(description["file_ending"])
    cases = sorted(file.name.removesuffix(ending) for file in folder.glob(f"[!.]*{ending}"))
    if not cases:
        raise ValueError(f"{folder} has no segmentation that ends in {ending}")
    settings = {"steps": list(words), "of": str(folder.resolve())}
    target = OutputFolder(output, settings, ending, (), (), flag="--continue")
    sources = {case: [folder / f"{case}{ending}"] for case in cases}
    missing = target.missing(sources, resume=resume, overwrite=overwrite)
    if dry_run:
        return Postprocessed(tuple(cases))
    target.begin(overwrite=overwrite)
    for name, data in ((DESCRIPTION, description), (PLANS, plans)):
        write_atomically(output / name, json.dumps(data, indent=1) + "\n")
    maker = _StepsMaker(folder, output, tuple(words), description, plans)
    changed: dict[str, int] = {}
    if processes == 1:
        for case in track(missing, "post-processing", disable=not progress):
            changed[case] = maker(case)
    elif missing:
        with ProcessPoolExecutor(min(processes, len(missing)), get_context("spawn"), die_with_parent) as pool:
            counts = pool.map(maker, missing)
            for case in track(missing, "post-processing", disable=not progress):
                changed[case] = next(counts)
    return Postprocessed(tuple(cases), changed, store(steps, output))


def store(steps: Sequence[PlannedStep], folder: Path) -> bool:
    """Store steps as nnU-Net does. A size in mm^3 cannot be stored: nnU-Net hands its functions no spacing.

    Returns:
        Whether they were stored.
    """
    if any(step.mm3 for step in steps):
        return False
    functions, keywords = [step.function for step in steps], [step.arguments() for step in steps]
    write_atomically(folder / PICKLED, pickle.dumps((functions, keywords)))
    content = {
        "postprocessing_fns": [function.__name__ for function in functions],
        "postprocessing_kwargs": keywords,
    }
    write_atomically(folder / TEXT, json.dumps(content, indent=4) + "\n")
    return True


@dataclass(frozen=True)
class _StepsMaker:
    """Does the steps to a case; travels to other processes."""

    folder: Path
    output: Path
    words: tuple[str, ...]
    description: dict[str, Any]
    plans: dict[str, Any]

    def __call__(self, case: str) -> int:
        ending = str(self.description["file_ending"])
        reader = PlansManager(self.plans).image_reader_writer_class()
        labels, properties = read_labels(reader, self.folder / f"{case}{ending}")
        segmentation = labels.astype(np.int16 if labels.max() < 2**15 else np.int32)
        result = segmentation
        for step in planned_steps(self.words, self.description):
            result = step(result, float(np.prod(properties["spacing"])))
        partial = partial_file(self.output / case, ending)
        reader.write_seg(result, str(partial), properties)
        partial.replace(self.output / f"{case}{ending}")
        return int(np.count_nonzero(result != segmentation))
