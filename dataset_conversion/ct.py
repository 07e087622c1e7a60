"""One CT with its label: what KiTS19 and LiTS share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset_conversion import geometry, nifti_header
from dataset_conversion.errors import Refused
from dataset_conversion.files_on_disk import size_of
from dataset_conversion.labels import count_labels, map_labels
from dataset_conversion.model import CaseRecord, FileRecord, PlannedCase
from dataset_conversion.staging import Workplace
from dataset_conversion.volume import (
    NiftiVolume,
    check_image,
    check_label_values,
    encode,
    encode_image,
    header_on_grid_of,
    read_volume,
)


@dataclass(frozen=True, kw_only=True)
class Plausible:
    """The HU of an organ in a CT, with or without contrast: a range for the mean, and the largest spread."""

    name: str
    low: float
    high: float
    spread: float = 110.0


@dataclass(frozen=True, kw_only=True)
class CtRules:
    """What is known about the volumes of a data set."""

    organ: Plausible
    """The organ of source label 1."""
    unknown_label: str
    """The probable meaning of a label that should not exist."""
    real_geometry_expected: str = ""
    """Warning for an image whose geometry is the unit matrix."""


def convert_ct(case: PlannedCase, record: CaseRecord, work: Workplace, rules: CtRules) -> None:
    """Check image and label, bring the label onto the image's grid, link or write both.

    Raises:
        Refused: With the reason.
    """
    image_record = FileRecord(role="image", path=work.source_name(case.image))
    record.files.append(image_record)
    image = _read(case.image, image_record)
    lowest = check_image(image)
    image_record.notes = image.notes
    record.size = list(image.shape)
    record.spacing = [round(float(edge), 6) for edge in geometry.spacing_of(image.affine)]
    if rules.real_geometry_expected and geometry.is_placeholder(image.affine):
        record.warnings.append(rules.real_geometry_expected)
    if not nifti_header.plausible_edges(geometry.spacing_of(image.affine)):
        edges = " x ".join(f"{edge:g}" for edge in geometry.spacing_of(image.affine))
        record.warnings.append(f"voxels of {edges} mm are not those of a CT: the header may be in another unit")
    if image.stored.dtype.kind in "iu" and image.scaling is None and lowest >= 0:
        record.warnings.append("no voxel is below 0 HU: the offset of -1024 may be missing")
    if case.label is not None:
        label_record = FileRecord(role="label", path=work.source_name(case.label))
        record.files.append(label_record)
        label = _read(case.label, label_record)
        _convert_label(label, label_record, image, record, work, rules)
        label_record.sha256 = label.source.sha256
    _place_image(image, image_record, record, work)
    # Last, because hashing runs in parallel with the checks.
    image_record.sha256 = image.source.sha256


def _read(path: Path, file_record: FileRecord) -> NiftiVolume:
    file_record.bytes = size_of(path)
    return read_volume(path)


def _convert_label(
    label: NiftiVolume, file_record: FileRecord, image: NiftiVolume, record: CaseRecord, work: Workplace, rules: CtRules
) -> None:
    alignment = _aligned(image, label)
    source = check_label_values(label)
    file_record.notes = [*label.notes, *([alignment.note] if alignment.note else [])]
    task = work.settings.task
    counts = count_labels(source)
    if set(counts) <= {0, 255} and 255 in counts:
        raise Refused("label holds only 0 and 255; nobody knows which structure 255 stands for: write 1 or 2 instead")
    written = alignment.apply(map_labels(source, task.mapping, counts=counts, hint=rules.unknown_label))
    inside = _inside(image, alignment.apply(source))
    _check_intensity(image, inside, record, rules, unaligned=source if alignment.transform is not None else None)
    record.voxels = dict.fromkeys(("0", *map(str, task.value_names())), 0)
    for value, count in counts.items():
        record.voxels[str(task.mapping.get(value, 0))] += count
    for value in task.value_names():
        source_values = [number for number in counts if task.mapping.get(number) == value]
        if source_values:
            record.means[str(value)] = round(float(inside.under(*source_values).mean()), 2)
    if set(counts) == {0}:
        record.warnings.append("label is empty")
    elif 0 not in counts:
        record.warnings.append("label fills the whole volume")
    header = header_on_grid_of(image, np.dtype(np.uint8))
    work.write(record, work.label_path(record), encode(header, written, work.settings.file_ending))
    file_record.action = "written as uint8 on the image's grid"


def _aligned(image: NiftiVolume, label: NiftiVolume) -> geometry.Alignment:
    """How the label is brought onto the image's grid; if its two forms disagree, the image decides."""
    align = partial(
        geometry.align, image.stored_affine, image.shape, image_placed=image.view.placed, label_placed=label.view.placed
    )
    other = label.view.other_affine
    if other is None:
        return align(label.affine, label.shape)
    by_form: dict[str, geometry.Alignment] = {}
    reasons = []
    for form, affine in (("sform", label.affine), ("qform", other)):
        # One form of a contradiction does not show that a label has no geometry.
        if geometry.is_placeholder(affine) and not geometry.is_placeholder(image.affine):
            continue
        try:
            by_form[form] = align(affine, label.shape)
        except Refused as reason:
            reasons.append(f"by its {form}: {reason}")
    alignments = list(by_form.values())
    if not alignments:
        raise Refused(f"label's qform and sform disagree, and neither fits the image ({'; '.join(reasons)})")
    if len(alignments) == 2 and not alignments[0].same_order(alignments[1]):
        raise Refused("label's qform and sform disagree, and both fit the image in different ways: clear the wrong one")
    form = next(iter(by_form))
    note = f"the label's qform and sform disagree; the {form} fits the image"
    return replace(alignments[0], note="; ".join(filter(None, (note, alignments[0].note))))


def _place_image(image: NiftiVolume, file_record: FileRecord, record: CaseRecord, work: Workplace) -> None:
    ending = work.settings.file_ending
    relative = work.image_path(record)
    own_ending = ".nii.gz" if image.path.name.lower().endswith(".gz") else ".nii"
    if not image.corrected and not image.repack and own_ending == ending:
        file_record.action = work.link(record, relative, image.path)
    else:
        work.write(record, relative, encode_image(image, ending))
        file_record.action = "written with a corrected header" if image.corrected else f"written as {ending}"


@dataclass(frozen=True, kw_only=True)
class _Inside:
    """Image values and labels of the labelled voxels."""

    values: NDArray[np.float64]
    labels: NDArray[np.uint8]

    def under(self, *wanted: int) -> NDArray[np.float64]:
        """Image values under some of the labels."""
        # Comparing is many times faster than np.isin.
        return self.values[np.logical_or.reduce([self.labels == value for value in wanted])]


def _inside(image: NiftiVolume, labels: NDArray[np.uint8]) -> _Inside:
    """Pick the labelled voxels once, for all later questions about them."""
    # Both in memory order; slope and intercept are applied only to the voxels that are taken.
    flat = labels.ravel(order="F")
    places = np.flatnonzero(flat != 0)
    slope, intercept = image.scaling or (1.0, 0.0)
    values = image.stored.ravel(order="F")[places].astype(np.float64) * slope + intercept
    return _Inside(values=values, labels=flat[places])


def _check_intensity(
    image: NiftiVolume,
    inside: _Inside,
    record: CaseRecord,
    rules: CtRules,
    *,
    unaligned: NDArray[np.uint8] | None,
) -> None:
    """Check whether organ voxels look like the organ: the one check that a wrong header cannot pass."""
    organ = rules.organ
    values = inside.under(1)
    if not values.size or _plausible(values, organ):
        return
    stored_order_fits = (
        unaligned is not None
        and unaligned.shape == image.shape
        and _plausible(_inside(image, unaligned).under(1), organ)
    )
    if stored_order_fits:
        raise Refused(
            f"by the headers, the label is stored in another voxel order, but then its {organ.name} has "
            f"{values.mean():.0f} HU (+-{values.std():.0f}); in the stored order it fits: the label's header is wrong, "
            f"correct it and convert again"
        )
    record.warnings.append(
        f"{organ.name} (label 1) has {values.mean():.0f} HU (+-{values.std():.0f}), expected {organ.low:.0f} to "
        f"{organ.high:.0f}: look whether label and image fit (--preview)"
    )


def _plausible(values: NDArray[np.float64], organ: Plausible) -> bool:
    return bool(values.size) and organ.low <= values.mean() <= organ.high and values.std() <= organ.spread
