"""Make a raw data set of nnU-Net from what annotators painted on selected slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_tricks import __version__
from nnunet_tricks.annotation import classes as class_names
from nnunet_tricks.annotation import labels, listing, painted_check
from nnunet_tricks.annotation.classes import PaintedClasses
from nnunet_tricks.annotation.formats import whole_ending
from nnunet_tricks.annotation.paint import OTHER
from nnunet_tricks.annotation.painted_check import PaintedCase, PaintFindings, PaintRules
from nnunet_tricks.annotation.raw_data import RawData, SparseLabel, sha256, target_name
from nnunet_tricks.annotation.scans import VolumeFile
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.utilities.progress import shown
from nnunet_tricks.utilities.wording import some


@dataclass
class ImportReport:
    """What was made.

    Attributes:
        name: Full name of the new data set.
        cases: Number of cases.
        channels: Number of channels of each case.
        slices: Number of annotated slices in all.
        classes: Names of the classes, and their values in the data set.
        values: Painted value of each class, and its value in the data set.
        absent: Classes that no case shows.
        waiting: Selected cases that have no label map yet.
        ignore: Value of voxels that are not annotated.
        empty: Selected slices that were left empty, by case, as ITK-SNAP numbers them.
        unpainted: Cases on which nothing was painted at all.
        others: Number of voxels for each value or segment that belongs to no class.
        overlaps: Number of voxels for each two classes that share them.
        by_number: Meaning that numbers gave to segments, with the cases in which no segment has the name of a class.
        left_out: Selected slices that are painted with no class throughout and so are not annotated, by case, as
            ITK-SNAP numbers them.
    """

    name: str
    cases: int
    channels: int
    slices: int
    classes: dict[str, int]
    values: dict[int, int]
    absent: list[str]
    waiting: list[str]
    ignore: int
    empty: dict[str, list[int]] = field(default_factory=dict)
    unpainted: list[str] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    overlaps: dict[str, int] = field(default_factory=dict)
    by_number: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        findings: PaintFindings,
        classes: PaintedClasses,
        name: str,
        *,
        cases: int,
        channels: int,
        waiting: list[str],
    ) -> ImportReport:
        """Make the report from what the paint amounts to."""
        return cls(
            name=name,
            cases=cases,
            channels=channels,
            slices=findings.slices,
            classes=classes.described,
            values=classes.values,
            absent=findings.absent(classes),
            waiting=waiting,
            ignore=labels.with_ignore(classes.described)[labels.IGNORE],
            empty=findings.empty,
            unpainted=findings.unpainted,
            others=findings.others,
            overlaps=findings.overlaps,
            by_number=findings.by_number,
            left_out=findings.left_out,
        )


def import_painted(
    folders: Folders,
    plan: Mapping[str, Any],
    images: Path,
    painted: Path,
    number: int,
    name: str,
    *,
    classes: Sequence[str],
    channels: Sequence[str],
    rules: PaintRules | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Check what was painted, and write the data set.

    Args:
        folders: nnU-Net's folders.
        plan: Plan that ``select`` wrote as JSON.
        images: Folder of the images.
        painted: Folder of the label maps, named like their cases.
        number: Number of the new data set.
        name: Its name, without the number.
        classes: Names, or names and painted values such as ``kidney=1``.
        channels: Names of the channels; nnU-Net normalises by them.
        rules: Rules for paint that can be understood in two ways.
        dry_run: Write nothing.

    Raises:
        ValueError: If other slices were painted than those selected, a label map does not fit its image, or there are
            values that belong to no class.
    """
    rules = rules or PaintRules()
    known = class_names.parsed(classes)
    _check_channels(channels)
    described = labels.with_ignore(known.described)
    full_name = target_name(folders, number, name)
    cases, waiting = _matched(plan, images, painted, len(channels))
    ending = _ending(cases)
    findings = painted_check.look_at(cases, known, rules)
    painted_check.refuse(findings, known, rules)
    report = ImportReport.of(findings, known, full_name, cases=len(cases), channels=len(channels), waiting=waiting)
    if dry_run:
        return report
    description = {
        "channel_names": {str(index): channel for index, channel in enumerate(channels)},
        "labels": described,
        "file_ending": ending,
    }
    with RawData(folders, full_name, ending) as data:
        for case, files in shown(cases.items(), "Writing labels", len(cases)):
            _add_case(data, case, files, known, rules, report.ignore)
        data.finish(description, _settings(plan, cases, report, rules))
    return report


def _check_channels(channels: Sequence[str]) -> None:
    if not channels or not all(name.strip() for name in channels):
        raise ValueError("channels must be one name or more, none of them empty")


def _matched(
    plan: Mapping[str, Any], images: Path, painted: Path, channels: int
) -> tuple[dict[str, PaintedCase], list[str]]:
    """The painted cases with their files, and the selected cases that have no label map yet."""
    available = listing.channels_in(images)
    first = next(iter(available.values()))
    if len(first) != channels:
        raise ValueError(
            f"channels must name each channel, got {channels} name(s), and the {len(available)} case(s) in {images} "
            f"have {len(first)}, such as {', '.join(file.name for file in first)}"
        )
    label_maps = listing.labels_in(painted, {*plan["cases"], *available})
    unplanned = [case for case in label_maps if case not in plan["cases"]]
    if unplanned:
        raise ValueError(
            f"{painted} has label maps of {some(unplanned)}, which the plan does not name: name label maps like their "
            f"cases, such as {next(iter(plan['cases']))}.nii.gz or .seg.nrrd"
        )
    missing = [case for case in label_maps if case not in available]
    if missing:
        raise ValueError(f"{images} has no image of {some(missing)}")
    cases = {}
    for case, label in label_maps.items():
        entry, files = plan["cases"][case], available[case]
        image = VolumeFile(files[0])
        if entry["slices"] != image.axial.slices:
            raise ValueError(
                f"{image.file} has {image.axial.slices} slices, and had {entry['slices']} when slices were selected"
            )
        cases[case] = PaintedCase(image, files, label, tuple(entry["chosen"]))
    return cases, [case for case in plan["cases"] if case not in label_maps]


def _ending(cases: Mapping[str, PaintedCase]) -> str:
    endings = {whole_ending(file) for case in cases.values() for file in case.channels}
    if len(endings) > 1:
        raise ValueError(
            f"images must all have one ending, got {', '.join(sorted(endings))}, since nnU-Net reads one per data set: "
            "save them in one format; the painted label maps fit them as they are"
        )
    return endings.pop()


def _add_case(
    data: RawData, name: str, case: PaintedCase, classes: PaintedClasses, rules: PaintRules, ignore: int
) -> None:
    # Hashed before it is read: a file that changes in between is noticed later.
    digest = sha256(case.label.file)
    paint = case.paint(classes)
    annotated = case.annotated(paint, rules)
    paint.values[paint.values == OTHER] = ignore if rules.other_values == "ignore" else 0
    origin: dict[str, Any] = {"painted_file": case.label.file.name, "painted_sha256": digest}
    if paint.segments:
        origin["segments"] = paint.segments
    label = SparseLabel(paint.values, annotated, case.image.axial, case.image.image(), ignore)
    data.add_sparse(name, case.channels, label, origin)


def _settings(
    plan: Mapping[str, Any], cases: Mapping[str, PaintedCase], report: ImportReport, rules: PaintRules
) -> dict[str, Any]:
    """What the manifest says beside the entries of the cases."""
    return {
        "nnunet_tricks": __version__,
        "source": None,
        **{key: plan[key] for key in ("density", "policy", "volumes", "seed") if key in plan},
        "ignore": report.ignore,
        "painted_folder": str(next(iter(cases.values())).label.file.parent.absolute()),
        "painted_values": {str(painted_value): value for painted_value, value in report.values.items()},
        "other_values": rules.other_values,
        "overlaps": rules.overlaps,
    }
