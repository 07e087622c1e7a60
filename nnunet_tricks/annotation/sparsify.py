"""Make a data set with some annotated slices from a dense one, as if an annotator had painted no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from nnunet_tricks import __version__
from nnunet_tricks.annotation import labels, moved_plans, recorded, selection
from nnunet_tricks.annotation.moved_plans import Preprocessed
from nnunet_tricks.annotation.raw_data import RawData, SparseLabel, sha256, target_name
from nnunet_tricks.annotation.scans import VolumeFile, same_shape
from nnunet_tricks.annotation.selection import ChosenSlices, SelectionSettings
from nnunet_tricks.annotation.split import labelled_fold
from nnunet_tricks.nnunet import plans_file
from nnunet_tricks.nnunet.folders import Case, Folders
from nnunet_tricks.utilities.progress import shown


@dataclass
class SparsifiedReport:
    """What was made.

    Attributes:
        name: Full name of the new data set.
        budget: See ``selection.budget``.
        ignore: Value of voxels that are not annotated.
        train: Number of cases with sparse labels.
        validation: Number of cases with dense labels.
        test: Number of cases in ``imagesTs``.
        plans: Names of the plans that were copied.
        configurations: Configurations of the first plans.
        without_object: Cases none of whose annotated slices shows a class.
        notes: Other notes for the user.
    """

    name: str
    budget: dict[str, Any]
    ignore: int
    train: int
    validation: int
    test: int
    plans: list[str]
    configurations: list[str]
    without_object: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DenseSource:
    """A dense data set, and the fold whose training cases become sparse.

    Attributes:
        name: Full name.
        description: Content of ``dataset.json``.
        labels: Its labels with ``ignore``, for the sparse data set.
        cases: Its training cases.
        train: Names of the fold's training cases.
        validation: Names of the fold's validation cases.
    """

    name: str
    description: dict[str, Any]
    labels: dict[str, Any]
    cases: dict[str, Case]
    train: list[str]
    validation: list[str]

    @classmethod
    def read(cls, folders: Folders, name: str, fold: int) -> DenseSource:
        """Read a data set.

        Raises:
            ValueError: If labels are not as nnU-Net needs them, there is no such fold, or the split names cases that
                have no image or label.
        """
        description = folders.description(name)
        with_ignore = labels.with_ignore(description["labels"])
        cases = folders.cases(name, "Tr")
        split = labelled_fold(folders, name, cases, fold)
        return cls(name, description, with_ignore, cases, split["train"], split["val"])

    @property
    def ignore(self) -> int:
        """Value of voxels that are not annotated."""
        return int(self.labels[labels.IGNORE])

    @property
    def allowed(self) -> list[int]:
        """Values that its labels may have."""
        ignored = [self.ignore] if labels.IGNORE in self.description["labels"] else []
        return labels.values(self.description["labels"]) + ignored

    def label(self, case: str) -> Path:
        """The label map of a case."""
        file = self.cases[case].label
        if file is None:
            raise ValueError(f"case with image {self.cases[case].images[0]} has no label")
        return file

    def known_slices(self) -> dict[str, tuple[int, ...]]:
        """Annotated slices of the training cases that are not annotated everywhere."""
        if labels.IGNORE not in self.description["labels"]:
            return {}
        return annotated_slices({case: self.label(case) for case in self.train}, self.ignore)


def sparsify(
    folders: Folders, dataset: str, number: int, settings: SelectionSettings, *, fold: int = 0, dry_run: bool = False
) -> SparsifiedReport:
    """Write the raw data set, and copy splits and plans to it.

    Training cases of the fold keep the labels of their chosen slices; cases that are not chosen are left out.
    Validation and test cases keep all labels, so validation is dense.

    Args:
        folders: nnU-Net's folders.
        dataset: Number or full name of the dense data set, which must be planned.
        number: Number of the new data set.
        settings: Settings of the choice of slices.
        fold: Fold whose training cases become sparse.
        dry_run: Write nothing.

    Raises:
        ValueError: If there is no such data set, fold or plan, labels are not as ``dataset.json`` says, or the number
            is taken.
    """
    source = DenseSource.read(folders, folders.dataset(dataset), fold)
    name = target_name(folders, number, f"{source.name.partition('_')[2]}_{spelled(settings)}")
    recorded.refuse_changed_labels(folders, source.name, option=False)
    images = {case: VolumeFile(source.cases[case].images[0]) for case in source.train}
    known = source.known_slices()
    chosen = selection.select(images, settings, known)
    plans = moved_plans.required(folders.preprocessed / source.name)
    fitted = {plan: moved_plans.fitted(content, chosen, name) for plan, content in plans.items()}
    test = folders.cases(source.name, "Ts")
    first = "nnUNetPlans" if "nnUNetPlans" in fitted else next(iter(fitted))
    report = SparsifiedReport(
        name=name,
        budget=selection.budget(chosen, images),
        ignore=source.ignore,
        train=len(chosen),
        validation=len(source.validation),
        test=len(test),
        plans=list(fitted),
        configurations=[*fitted[first][0]["configurations"]],
        notes=[*selection.warnings(chosen, settings), *_known_notes(known, images), *_plan_notes(fitted, chosen)],
    )
    if dry_run:
        return report
    with RawData(folders, name, source.description["file_ending"]) as data:
        _add_cases(data, source, chosen, report)
        data.link_test(test)
        recorded_settings = {
            "nnunet_tricks": __version__,
            "source": source.name,
            "fold": fold,
            **settings.as_json(),
            "ignore": report.ignore,
            "budget": report.budget,
        }
        splits = [{"train": sorted(chosen), "val": sorted(source.validation)}]
        contents = {plan: content for plan, (content, _) in fitted.items()}
        preprocessed = Preprocessed(contents, folders.preprocessed / source.name / moved_plans.FINGERPRINT)
        data.finish({**source.description, "labels": source.labels}, recorded_settings, splits, preprocessed)
    return report


def annotated_slices(files: Mapping[str, Path], ignore: int) -> dict[str, tuple[int, ...]]:
    """Slices that have an annotated voxel, from inferior to superior, for each case that also has other slices.

    Args:
        files: Label map of each case.
        ignore: Value of voxels that nobody annotated.

    Raises:
        ValueError: If a label map has no annotated voxel at all.
    """
    slices = {}
    for case, file in shown(files.items(), "Looking for annotated slices", len(files)):
        annotated = (VolumeFile(file).slices() != ignore).any(axis=(1, 2))
        if not annotated.any():
            raise ValueError(f"{file} has no annotated voxel: take the case out of the split, or annotate it")
        if not annotated.all():
            slices[case] = tuple(int(index) for index in np.flatnonzero(annotated))
    return slices


def spelled(settings: SelectionSettings) -> str:
    """Settings as part of a data set's name.

    Examples:
        >>> spelled(SelectionSettings(density=0.05, policy="ual", fraction=0.5, seed=2))
        'ual0p05_volumes0p5_seed2'
    """
    words = [f"{settings.policy}{settings.density:g}"]
    words += [f"volumes{settings.fraction:g}"] if settings.fraction < 1 else []
    words += [f"seed{settings.seed}"] if settings.seed else []
    return "_".join(words).replace(".", "p").replace("-", "m")


def _add_cases(
    data: RawData, source: DenseSource, chosen: Mapping[str, ChosenSlices], report: SparsifiedReport
) -> None:
    for case, choice in shown(chosen.items(), "Writing sparse labels", len(chosen)):
        file, axial = source.label(case), choice.scan.axial
        same_shape(VolumeFile(file), choice.scan)
        stored = VolumeFile(file).image()
        dense = labels.checked(SimpleITK.GetArrayFromImage(stored), source.allowed, str(file))
        label = SparseLabel(axial.slices_first(dense), choice.slices, axial, stored, source.ignore)
        if not label.shows_object:
            report.without_object.append(case)
        origin = {"dense_label_file": file.name, "dense_label_sha256": sha256(file)}
        data.add_sparse(case, source.cases[case].images, label, origin)
    for case in shown(source.validation, "Linking validation cases", len(source.validation)):
        data.add_dense(case, source.cases[case].images, source.label(case))


def _known_notes(known: Mapping[str, tuple[int, ...]], images: Mapping[str, VolumeFile]) -> list[str]:
    if not known:
        return []
    slices = sum(images[case].axial.slices for case in known)
    return [
        f"{len(known)} training case(s), such as {min(known)}, are not annotated on all slices, but on "
        f"{sum(map(len, known.values()))} of {slices}: slices were chosen among these, and density is a share of them"
    ]


def _plan_notes(
    fitted: Mapping[str, tuple[plans_file.Plans, list[str]]], chosen: Mapping[str, ChosenSlices]
) -> list[str]:
    total = sum(len(choice.slices) for choice in chosen.values())
    notes = []
    for plan, (content, left_out) in fitted.items():
        if left_out:
            notes.append(f"{plan}: left out {', '.join(left_out)}, whose slices are not axial in this data set")
        for configuration, lost in moved_plans.vanishing(content, chosen):
            notes.append(
                f"{plan}, {configuration}: resampling to fewer slices loses about {lost} of {total} annotated slices; "
                "nnUNetTrainerSparseSlices_density... on the dense data set loses none"
            )
    return notes
