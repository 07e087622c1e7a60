"""Whether paint is as a plan asks: only on selected slices, and of one class in each voxel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnunet_tricks.annotation.axes import Axial
from nnunet_tricks.annotation.classes import PaintedClasses
from nnunet_tricks.annotation.paint import OTHER, Paint, read_paint
from nnunet_tricks.annotation.scans import VolumeFile
from nnunet_tricks.utilities.progress import shown
from nnunet_tricks.utilities.wording import some

OTHER_VALUES = ("refuse", "background", "ignore")
OVERLAPS = ("refuse", "higher")


@dataclass(frozen=True)
class PaintRules:
    """What is done with paint that can be understood in two ways.

    Attributes:
        other_values: Meaning of painted values and segments that belong to no class: refused, background, or voxels
            that nobody annotated.
        overlaps: Fate of voxels that two of 3D Slicer's segments share: they are refused, or go to the class with the
            higher number.
        accept_unpainted: Whether cases on which nothing was painted are background.
    """

    other_values: str = "refuse"
    overlaps: str = "refuse"
    accept_unpainted: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: If a rule is unknown.
        """
        for name, value, allowed in (
            ("other_values", self.other_values, OTHER_VALUES),
            ("overlaps", self.overlaps, OVERLAPS),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got '{value}'")


@dataclass(frozen=True)
class PaintedCase:
    """One case: its image's first channel, all channels, the label map and the slices that were to be painted."""

    image: VolumeFile
    channels: tuple[Path, ...]
    label: VolumeFile
    chosen: tuple[int, ...]

    def paint(self, classes: PaintedClasses) -> Paint:
        """Read the label map, see ``read_paint``."""
        return read_paint(self.label, self.image.axial, classes)

    def annotated(self, paint: Paint, rules: PaintRules) -> list[int]:
        """Chosen slices, without those in which no voxel counts as annotated."""
        if rules.other_values != "ignore":
            return [*self.chosen]
        return [index for index in self.chosen if (paint.values[index] != OTHER).any()]


@dataclass
class PaintFindings:
    """What the paint of all cases amounts to.

    Attributes:
        slices: Number of annotated slices.
        values: Values of the data set that were painted somewhere.
        empty: Selected slices without paint, by case, as ITK-SNAP numbers them.
        left_out: Selected slices that are painted with no class throughout and so are not annotated, by case, as
            ITK-SNAP numbers them.
        unpainted: Cases on which nothing was painted at all.
        others: Number of voxels for each value or segment that belongs to no class.
        overlaps: Number of voxels for each two classes that share them.
        by_number: Meaning that numbers gave to segments, with the cases in which no segment has the name of a class.
        with_others: Cases with paint of no class.
        with_overlaps: Cases in which classes share voxels.
        beyond: Cases with paint on slices that were not selected.
        without_slices: Cases whose selected slices are all painted with no class throughout.
    """

    slices: int = 0
    values: set[int] = field(default_factory=set)
    empty: dict[str, list[int]] = field(default_factory=dict)
    left_out: dict[str, list[int]] = field(default_factory=dict)
    unpainted: list[str] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    overlaps: dict[str, int] = field(default_factory=dict)
    by_number: dict[str, list[str]] = field(default_factory=dict)
    with_others: list[str] = field(default_factory=list)
    with_overlaps: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
    without_slices: list[str] = field(default_factory=list)

    def absent(self, classes: PaintedClasses) -> list[str]:
        """Classes that no case shows."""
        return [name for name, value in classes.described.items() if value and value not in self.values]


def look_at(cases: Mapping[str, PaintedCase], classes: PaintedClasses, rules: PaintRules) -> PaintFindings:
    """Read the paint of all cases."""
    findings = PaintFindings()
    for name, case in shown(cases.items(), "Checking painted slices", len(cases)):
        paint = case.paint(classes)
        findings.values.update(int(value) for value in np.unique(paint.values))
        _note_slices(findings, name, case, paint, rules)
        _note_classes(findings, name, case.image.axial, paint, classes)
    return findings


def _note_slices(findings: PaintFindings, name: str, case: PaintedCase, paint: Paint, rules: PaintRules) -> None:
    """Note which slices have paint, and which should have."""
    axial, annotated = case.image.axial, case.annotated(paint, rules)
    painted = {int(index) for index in np.flatnonzero((paint.values > 0).any(axis=(1, 2)))}
    findings.slices += len(annotated)
    if beyond := sorted(painted - {*case.chosen}):
        findings.beyond.append(f"{name} (ITK-SNAP {_itksnap(axial, beyond)})")
    if not annotated:
        findings.without_slices.append(name)
    if left_out := [axial.itksnap(index) for index in case.chosen if index not in annotated]:
        findings.left_out[name] = left_out
    if empty := [axial.itksnap(index) for index in annotated if index not in painted]:
        findings.empty[name] = empty
    if not painted:
        findings.unpainted.append(name)


def _note_classes(findings: PaintFindings, name: str, axial: Axial, paint: Paint, classes: PaintedClasses) -> None:
    """Note paint of no class, of two classes, and of segments that are known by number."""
    if paint.others:
        findings.with_others.append(f"{name} ({_counted(paint.others)})")
    if paint.overlaps:
        slices = _itksnap(axial, paint.overlapping)
        findings.with_overlaps.append(f"{name} ({_counted(paint.overlaps)}; ITK-SNAP {slices})")
    if paint.by_number and paint.segments:
        meaning = some([f"'{segment}' is {classes.names[value - 1]}" for segment, value in paint.segments.items()])
        findings.by_number.setdefault(meaning, []).append(name)
    for total, counts in ((findings.others, paint.others), (findings.overlaps, paint.overlaps)):
        for key, voxels in counts.items():
            total[key] = total.get(key, 0) + voxels


def refuse(findings: PaintFindings, classes: PaintedClasses, rules: PaintRules) -> None:
    """Refuse the paint of all cases together, if something is wrong with any of it.

    Raises:
        ValueError: If there is paint of no class, of two classes, or on slices that were not selected, or selected
            slices have none.
    """
    if findings.with_others and rules.other_values == "refuse":
        raise ValueError(
            f"paint of no class is in {some(findings.with_others, '; ')}: classes are {classes}. Give each class the "
            f"number that it was painted with{_suggestion(classes, findings)}, correct the label maps, or say "
            "--other-values background or --other-values ignore"
        )
    if findings.with_overlaps and rules.overlaps == "refuse":
        raise ValueError(
            f"two classes share voxels in {some(findings.with_overlaps, '; ')}: a label map has one class for each "
            "voxel. Correct the segments, or say --overlaps higher to give shared voxels to the class with the higher "
            "number"
        )
    if findings.beyond:
        raise ValueError(
            f"slices were painted that were not selected, in {some(findings.beyond, '; ')}: empty these, or select "
            "with the settings by which they were painted"
        )
    if findings.without_slices:
        raise ValueError(
            f"all selected slices of {some(findings.without_slices)} are painted with values that --other-values "
            "ignore turns into not annotated: remove these label maps"
        )
    if findings.unpainted and not rules.accept_unpainted:
        raise ValueError(
            f"nothing was painted on {some(findings.unpainted)}: remove label maps that are not done, or say "
            "--accept-unpainted if none of the selected slices shows a class"
        )


def _counted(counts: Mapping[str, int]) -> str:
    return some([f"{name}: {number} voxel{'s' * (number != 1)}" for name, number in counts.items()])


def _itksnap(axial: Axial, slices: Sequence[int]) -> str:
    return some([str(axial.itksnap(index)) for index in slices])


def _suggestion(classes: PaintedClasses, findings: PaintFindings) -> str:
    """Numbers that would fit, if as many values were painted as there are classes."""
    values = [name.removeprefix("value ") for name in findings.others]
    absent = findings.absent(classes)
    seen = {number for number, value in classes.values.items() if classes.names[value - 1] not in absent}
    if not all(value.isdecimal() for value in values):
        return ""
    painted = sorted({*map(int, values), *seen})
    if len(painted) != len(classes.names):
        return ""
    return f", such as --classes {PaintedClasses(classes.names, tuple(painted))}"
