"""Labels that annotators painted on selected slices, as a raw data set of nnU-Net."""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from nnunet_tricks import __version__
from nnunet_tricks.annotation import classes as class_names
from nnunet_tricks.annotation import labels, listing
from nnunet_tricks.annotation.axes import Axial
from nnunet_tricks.annotation.classes import Classes
from nnunet_tricks.annotation.formats import whole_ending
from nnunet_tricks.annotation.paint import OTHER, Paint, read_paint
from nnunet_tricks.annotation.progress import shown
from nnunet_tricks.annotation.raw_data import RawData, sha256, target_name
from nnunet_tricks.annotation.scans import Scan
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.utilities.wording import some

OTHER_VALUES = ("refuse", "background", "ignore")
OVERLAPS = ("refuse", "higher")


@dataclass(frozen=True)
class Rules:
    """What is done with paint that can be understood in two ways.

    Attributes:
        other_values: What painted values and segments are that are no class: refused, background, or voxels that nobody
            annotated.
        overlaps: Where two of 3D Slicer's segments share voxels: refused, or the class of the higher number has them.
        accept_unpainted: Cases on which nothing was painted are background.
    """

    other_values: str = "refuse"
    overlaps: str = "refuse"
    accept_unpainted: bool = False

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: If a rule is unknown.
        """
        for name, given, allowed in (
            ("other_values", self.other_values, OTHER_VALUES),
            ("overlaps", self.overlaps, OVERLAPS),
        ):
            if given not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got '{given}'")


@dataclass
class Report:
    """What was made.

    Attributes:
        name: Full name of the new data set.
        cases: How many.
        channels: Number of each case.
        slices: Annotated, in all.
        classes: Names and values in the data set.
        values: Painted value and the one that it has now, for each class.
        absent: Classes that no case shows.
        empty: Slices that were selected and left empty, by case, as ITK-SNAP numbers them.
        unpainted: Cases on which nothing was painted at all.
        waiting: Selected cases that have no label map yet.
        others: Number of voxels by what is of no class.
        overlaps: Number of voxels by two classes that share them.
        by_number: Cases by what their numbers made of segments none of which has the name of a class.
        left_out: Selected slices that are of no class throughout and so are not annotated, by case, as ITK-SNAP numbers
            them.
        ignore: Value of voxels that are not annotated.
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


@dataclass(frozen=True)
class Painted:
    """One case: its image's first channel, all channels, the label map and the slices that were to be painted."""

    image: Scan
    channels: tuple[Path, ...]
    label: Scan
    chosen: tuple[int, ...]

    def paint(self, classes: Classes) -> Paint:
        """See ``read_paint``."""
        return read_paint(self.label, self.image.axial, classes)

    def annotated(self, paint: Paint, rules: Rules) -> list[int]:
        """Chosen slices without those of which no voxel counts as annotated."""
        if rules.other_values != "ignore":
            return [*self.chosen]
        return [index for index in self.chosen if (paint.values[index] != OTHER).any()]


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
    rules: Rules | None = None,
    dry_run: bool = False,
) -> Report:
    """Check what was painted, and write the data set.

    Args:
        folders: nnU-Net's.
        plan: What ``select`` wrote as JSON.
        images: Folder of the images.
        painted: Folder of the label maps, named as their cases.
        number: Of the new data set.
        name: Its name, without number.
        classes: Names, or names and painted values such as ``kidney=1``.
        channels: Names of the channels; nnU-Net normalises by them.
        rules: For paint that can be understood in two ways.
        dry_run: Write nothing.

    Raises:
        ValueError: If other slices were painted than those selected, a label map does not fit its image, or there are
            other values than names.
    """
    rules = rules or Rules()
    known = class_names.parsed(classes)
    _check_channels(channels)
    described = labels.with_ignore(known.described)
    cases, waiting = _matched(plan, images, painted, len(channels))
    report = Report(
        name=target_name(folders, number, name),
        cases=len(cases),
        channels=len(channels),
        slices=sum(len(one.chosen) for one in cases.values()),
        classes=known.described,
        values=known.values,
        absent=[],
        waiting=waiting,
        ignore=described[labels.IGNORE],
    )
    _ending(cases)
    _check(cases, known, rules, report)
    if not dry_run:
        _write(folders, plan, cases, report, known, rules, described, channels)
    return report


def _check(cases: Mapping[str, Painted], classes: Classes, rules: Rules, report: Report) -> None:
    """Look at all paint, and refuse it as a whole."""
    found: set[int] = set()
    faults: dict[str, list[str]] = {"other": [], "overlap": [], "slices": [], "nothing": []}
    for case, one in shown(cases.items(), "Checking painted slices", len(cases)):
        paint, volume = one.paint(classes), one.image.axial
        found.update(int(value) for value in np.unique(paint.values))
        shows = {int(index) for index in np.flatnonzero((paint.values > 0).any(axis=(1, 2)))}
        if paint.others:
            faults["other"].append(f"{case} ({_counted(paint.others)})")
        if paint.overlaps:
            faults["overlap"].append(
                f"{case} ({_counted(paint.overlaps)}; ITK-SNAP {_snap(volume, paint.overlapping)})"
            )
        if beyond := sorted(shows - {*one.chosen}):
            faults["slices"].append(f"{case} (ITK-SNAP {_snap(volume, beyond)})")
        annotated = one.annotated(paint, rules)
        report.slices -= len(one.chosen) - len(annotated)
        if not annotated:
            faults["nothing"].append(case)
        if blank := [volume.itksnap(index) for index in one.chosen if index not in annotated]:
            report.left_out[case] = blank
        if missing := [volume.itksnap(index) for index in annotated if index not in shows]:
            report.empty[case] = missing
        if paint.by_number and paint.segments:
            became = some([f"'{name}' is {classes.names[value - 1]}" for name, value in paint.segments.items()])
            report.by_number.setdefault(became, []).append(case)
        if not shows:
            report.unpainted.append(case)
        for counts, more in ((report.others, paint.others), (report.overlaps, paint.overlaps)):
            for what, voxels in more.items():
                counts[what] = counts.get(what, 0) + voxels
    report.absent = [name for name, value in report.classes.items() if value and value not in found]
    if faults["other"] and rules.other_values == "refuse":
        raise ValueError(
            f"paint of no class is in {some(faults['other'], '; ')}: classes are {classes}. Give each class the number "
            f"that it was painted with{_suggestion(classes, report)}, correct the label maps, or say --other-values "
            "background or --other-values ignore"
        )
    if faults["overlap"] and rules.overlaps == "refuse":
        raise ValueError(
            f"two classes share voxels in {some(faults['overlap'], '; ')}: a label map has one class for each voxel. "
            "Correct the segments, or say --overlaps higher to give shared voxels to the class of the higher number"
        )
    if faults["slices"]:
        raise ValueError(
            f"slices were painted that were not selected, in {some(faults['slices'], '; ')}: empty these, or select "
            "with the settings by which they were painted"
        )
    if faults["nothing"]:
        raise ValueError(
            f"all selected slices of {some(faults['nothing'])} are painted with what --other-values ignore makes not "
            "annotated: remove these label maps"
        )
    if report.unpainted and not rules.accept_unpainted:
        raise ValueError(
            f"nothing was painted on {some(report.unpainted)}: remove label maps that are not done, or say "
            "--accept-unpainted if none of the selected slices shows a class"
        )


def _counted(counts: Mapping[str, int]) -> str:
    return some([f"{what}: {number} voxel{'s' * (number != 1)}" for what, number in counts.items()])


def _snap(volume: Axial, slices: Sequence[int]) -> str:
    return some([str(volume.itksnap(index)) for index in slices])


def _suggestion(classes: Classes, report: Report) -> str:
    """Numbers that would fit, if as many values were painted as there are classes."""
    values = [what.removeprefix("value ") for what in report.others]
    seen = {number for number, value in classes.values.items() if classes.names[value - 1] not in report.absent}
    if not all(value.isdecimal() for value in values):
        return ""
    painted = sorted({*map(int, values), *seen})
    if len(painted) != len(classes.names):
        return ""
    return f", such as --classes {Classes(classes.names, tuple(painted))}"


def _check_channels(channels: Sequence[str]) -> None:
    if not channels or not all(name.strip() for name in channels):
        raise ValueError("channels must be one name or more, none of them empty")


def _matched(
    plan: Mapping[str, Any], images: Path, painted: Path, channels: int
) -> tuple[dict[str, Painted], list[str]]:
    there = listing.channels_in(images)
    found = len(next(iter(there.values())))
    if found != channels:
        raise ValueError(
            f"channels must name each channel, got {channels} name(s), and the {len(there)} case(s) in {images} have "
            f"{found}, such as {', '.join(file.name for file in next(iter(there.values())))}"
        )
    done = listing.labels_in(painted, {*plan["cases"], *there})
    strange = [case for case in done if case not in plan["cases"]]
    if strange:
        raise ValueError(
            f"{painted} has label maps of {some(strange)}, which the plan does not name: name label maps as their "
            f"cases, such as {next(iter(plan['cases']))}.nii.gz or .seg.nrrd"
        )
    gone = [case for case in done if case not in there]
    if gone:
        raise ValueError(f"{images} has no image of {some(gone)}")
    cases = {}
    for case, label in done.items():
        entry, files = plan["cases"][case], there[case]
        image = Scan(files[0])
        if entry["slices"] != image.axial.slices:
            raise ValueError(
                f"{image.file} has {image.axial.slices} slices, and had {entry['slices']} when slices were selected"
            )
        cases[case] = Painted(image, files, label, tuple(entry["chosen"]))
    return cases, [case for case in plan["cases"] if case not in done]


def _ending(cases: Mapping[str, Painted]) -> str:
    endings = {whole_ending(file) for one in cases.values() for file in one.channels}
    if len(endings) > 1:
        raise ValueError(
            f"images must all have one ending, got {', '.join(sorted(endings))}, since nnU-Net reads one per data set: "
            "save them in one format; what was painted fits them as it is"
        )
    return endings.pop()


def _write(
    folders: Folders,
    plan: Mapping[str, Any],
    cases: Mapping[str, Painted],
    report: Report,
    classes: Classes,
    rules: Rules,
    described: Mapping[str, Any],
    channels: Sequence[str],
) -> None:
    ending = _ending(cases)
    entries = {}
    with RawData(folders, report.name, ending) as data:
        for case, one in shown(cases.items(), "Writing labels", len(cases)):
            recorded = sha256(one.label.file)
            image, volume, paint = one.image.image(), one.image.axial, one.paint(classes)
            kept = one.annotated(paint, rules)
            paint.values[paint.values == OTHER] = report.ignore if rules.other_values == "ignore" else 0
            sparse = np.full(SimpleITK.GetArrayViewFromImage(image).shape, report.ignore, np.uint8)
            volume.slices_first(sparse)[kept] = paint.values[kept]
            entries[case] = {
                "annotation": "sparse",
                "slices": volume.slices,
                "chosen": kept,
                "axis": "ijk"[volume.axis],
                "descending": volume.descending,
                "spacing_mm": volume.spacing,
                "shows_object": case not in report.unpainted,
                "images_sha256": data.link_images(case, one.channels),
                "painted_file": one.label.file.name,
                "painted_sha256": recorded,
                **({"segments": paint.segments} if paint.segments else {}),
                "label_sha256": data.write_label(case, sparse, image),
            }
        description = {
            "channel_names": {str(index): name for index, name in enumerate(channels)},
            "labels": described,
            "file_ending": ending,
        }
        settings = {key: plan[key] for key in ("density", "policy", "volumes", "seed") if key in plan}
        manifest = {
            "nnunet_tricks": __version__,
            "source": None,
            **settings,
            "ignore": report.ignore,
            "painted_folder": str(next(iter(cases.values())).label.file.parent.absolute()),
            "painted_values": {str(value): now for value, now in report.values.items()},
            "other_values": rules.other_values,
            "overlaps": rules.overlaps,
        }
        data.finish(description, {**manifest, "cases": entries}, None)
