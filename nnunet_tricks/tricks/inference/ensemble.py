"""One segmentation of several: a mean of probabilities, a vote of label maps, or stacking.

Zhang D. et al., "Deep Learning for Medical Image Segmentation: Tricks, Challenges and Future Directions",
section 3.5.2. Members may be of different configurations, trainers and seeds: all their predictions lie in the grid of
the image.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from batchgenerators.utilities.file_and_folder_operations import load_pickle, save_pickle
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from rich.progress import track

from nnunet_tricks.experiment.processes import die_with_parent
from nnunet_tricks.tricks.inference.doubt import doubts
from nnunet_tricks.tricks.inference.members import (
    DESCRIPTION,
    PLANS,
    Members,
    differing_readers,
    members,
    missing_probabilities,
    read_labels,
    read_probabilities,
)
from nnunet_tricks.tricks.inference.output_folder import OutputFolder
from nnunet_tricks.tricks.inference.stacking import stacked
from nnunet_tricks.tricks.inference.uncertainty import DISAGREEMENT, ENTROPY, maps_of_probabilities
from nnunet_tricks.tricks.inference.voting import majority, shares
from nnunet_tricks.tricks.inference.writing import partial_file, write_cases, write_map
from nnunet_tricks.utilities.files import write_atomically

METHODS = ("average", "vote", "weighted", "stack")


@dataclass(frozen=True, kw_only=True)
class EnsembleSettings:
    """What decides the result.

    Attributes:
        method: One of ``METHODS``.
        weights: Of the members; alike if empty. ``weighted`` is ``average`` with weights that were learned.
        by_output: For ``stack``: the members' weights and a constant for each output of the network.
        probabilities: Whether mean probabilities are written, too.
        uncertainty: Whether maps of uncertainty are written, too.
    """

    method: str = "average"
    weights: tuple[float, ...] = ()
    by_output: tuple[tuple[float, ...], ...] = ()
    probabilities: bool = False
    uncertainty: bool = False


@dataclass(frozen=True)
class EnsembleResult:
    """What was made.

    Attributes:
        cases: All cases.
        seconds: Time of the cases that were made now.
    """

    cases: tuple[str, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)


def ensemble(
    folders: Sequence[Path],
    output: Path,
    settings: EnsembleSettings,
    *,
    processes: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: bool = True,
) -> EnsembleResult:
    """Make one folder of predictions of several.

    Args:
        folders: Predictions of the same cases, a folder for each member.
        output: Where the result is written; none of the folders.
        settings: How.
        processes: How many cases are worked at.
        resume: Whether cases that are complete are kept.
        overwrite: Whether older results are deleted first.
        dry_run: Whether everything is checked and nothing written.
        progress: Whether there is a progress bar.

    Raises:
        ValueError: If the members do not go together, or ``output`` has results of other settings.
    """
    if settings.method not in METHODS:
        raise ValueError(f"method is '{settings.method}', and must be one of {', '.join(METHODS)}")
    group = members(folders)
    _check(group, settings, output)
    beside = (".npz", ".pkl") if settings.probabilities else ()
    maps = (ENTROPY, DISAGREEMENT) if settings.uncertainty else ()
    content = {
        "method": settings.method,
        "members": [str(folder.resolve()) for folder in group.folders],
        "weights": list(settings.weights),
        "by_output": [list(row) for row in settings.by_output],
        "probabilities": settings.probabilities,
        "uncertainty": settings.uncertainty,
    }
    folder = OutputFolder(output, content, group.ending, beside, maps, flag="--continue_ensemble")
    missing = folder.missing(group.files(), resume=resume, overwrite=overwrite)
    if dry_run:
        return EnsembleResult(group.cases)
    folder.begin(overwrite=overwrite)
    for name, data in ((DESCRIPTION, group.description), (PLANS, group.plans)):
        write_atomically(output / name, json.dumps(data, indent=1) + "\n")
    seconds: dict[str, float] = {}
    maker = _EnsembleMaker(group, output, settings)
    if processes == 1:
        for case in track(missing, "ensemble", disable=not progress):
            seconds[case] = maker(case)
    elif missing:
        with ProcessPoolExecutor(min(processes, len(missing)), get_context("spawn"), die_with_parent) as pool:
            made = pool.map(maker, missing)
            for case in track(missing, "ensemble", disable=not progress):
                seconds[case] = next(made)
    folder.end(seconds)
    if maps:
        write_cases(doubts(output, group.cases, maps, group.ending), output / "cases.csv")
    return EnsembleResult(group.cases, seconds)


def _check(group: Members, settings: EnsembleSettings, output: Path) -> None:
    if output.resolve() in {folder.resolve() for folder in group.folders}:
        raise ValueError(f"{output} is one of the members: give another folder for the result")
    if settings.weights:
        if len(settings.weights) != len(group.folders):
            raise ValueError(f"weights has {len(settings.weights)} numbers for {len(group.folders)} folders")
        if min(settings.weights) < 0 or not 0 < sum(settings.weights) < float("inf"):
            written = ", ".join(f"{weight:g}" for weight in settings.weights)
            raise ValueError(f"weights are {written}, and must be finite, not negative, and not all 0")
    if settings.method == "weighted" and not settings.weights:
        raise ValueError("weighted needs weights: learn them with --learn and give that file with --with")
    if settings.method == "stack" and {len(row) for row in settings.by_output} != {len(group.folders) + 1}:
        raise ValueError("stack needs weights of each member: learn them with --learn and give that file with --with")
    needed = settings.method != "vote" or settings.probabilities
    if needed and (lacking := missing_probabilities(group.folders, group.cases)):
        what = "--save_probabilities" if settings.method == "vote" else settings.method
        raise ValueError(
            f"{lacking} is missing, and {what} needs probabilities: predict with --save_probabilities, or take "
            "--method vote"
        )
    if needed and (readers := differing_readers(group.folders)):
        raise ValueError(
            f"the members were read differently ({readers}), so their probabilities have other axes: take --method vote"
        )


@dataclass(frozen=True)
class _EnsembleMaker:
    """Makes the ensemble of a case; travels to other processes."""

    group: Members
    output: Path
    settings: EnsembleSettings

    def __call__(self, case: str) -> float:
        begin = perf_counter()
        torch.set_num_threads(1)
        plans = PlansManager(self.group.plans)
        # nnU-Net says on stdout that old plans name no label manager, and a script reads our JSON there.
        with redirect_stdout(io.StringIO()):
            labels = plans.get_label_manager(self.group.description)
        reader = plans.image_reader_writer_class()
        ending = self.group.ending
        each: list[Any] = []
        mean = None
        if self.group.probabilities:
            stack = self.settings.method == "stack"
            each, mean = self._probabilities(case, keep=self.settings.uncertainty or stack)
            if stack:
                mean = stacked(each, self.settings.by_output, regions=labels.has_regions)
        if self.settings.method != "vote":
            segmentation = np.asarray(labels.convert_probabilities_to_segmentation(mean))
            properties = load_pickle(str(self.group.folders[0] / f"{case}.pkl"))
        else:
            votes = []
            for folder in self.group.folders:
                # nnU-Net's readers make float32 of labels: no two such volumes are held.
                labels_read, properties = read_labels(reader, folder / f"{case}{ending}")
                votes.append(labels_read.astype(np.uint8 if labels_read.max() < 256 else np.uint16))
            self._check_shapes(case, votes)
            # Regions overlap, so their probabilities are none of the labels'.
            chance = None if mean is None or labels.has_regions else mean
            segmentation = majority(votes, weights=self.settings.weights, probabilities=chance)
            if self.settings.uncertainty and not each:
                every = sorted(set().union(*(np.unique(vote).tolist() for vote in votes)))
                each = [shares([vote], every) for vote in votes]
        if self.settings.uncertainty:
            regions = labels.has_regions and self.group.probabilities
            maps = maps_of_probabilities([torch.from_numpy(np.asarray(member)) for member in each], regions=regions)
            for name, values in maps.items():
                write_map(values.numpy(), name, self.output / case, properties, reader, ending)
        self._write(case, segmentation, mean, properties, reader)
        return perf_counter() - begin

    def _probabilities(self, case: str, *, keep: bool) -> tuple[list[Any], Any]:
        """Those of each member, where they are kept, and their mean."""
        weights = self.settings.weights
        if len(set(weights)) <= 1:
            # Equal weights of any size are nnU-Net's mean, to the last digit.
            weights = (1.0,) * len(self.group.folders)
        each = []
        total = None
        for folder, weight in zip(self.group.folders, weights, strict=True):
            probabilities = read_probabilities(folder / f"{case}.npz")
            if total is not None and probabilities.shape != total.shape:
                raise ValueError(
                    f"{folder / case}.npz has the shape {probabilities.shape}, and that of {self.group.folders[0]} "
                    f"{total.shape}: they are not predictions of the same image by models of the same labels"
                )
            if keep:
                each.append(probabilities.copy())
            if weight != 1:
                probabilities = probabilities * np.float32(weight)
            total = probabilities if total is None else np.add(total, probabilities, out=total)
        return each, total / np.float32(sum(weights))

    def _check_shapes(self, case: str, votes: Sequence[Any]) -> None:
        for folder, vote in zip(self.group.folders, votes, strict=True):
            if vote.shape != votes[0].shape:
                raise ValueError(
                    f"{folder / case}{self.group.ending} has the shape {vote.shape}, and that of "
                    f"{self.group.folders[0]} {votes[0].shape}: they are not predictions of the same image"
                )

    def _write(self, case: str, segmentation: Any, mean: Any, properties: Any, reader: Any) -> None:
        partial = partial_file(self.output / case)
        written = {self.group.ending: f"{partial}{self.group.ending}"}
        if self.settings.probabilities:
            np.savez_compressed(f"{partial}.npz", probabilities=mean)
            save_pickle(properties, f"{partial}.pkl")
            written = {".npz": f"{partial}.npz", ".pkl": f"{partial}.pkl", **written}
        reader.write_seg(segmentation, written[self.group.ending], properties)
        for ending, file in written.items():
            Path(file).replace(self.output / f"{case}{ending}")
