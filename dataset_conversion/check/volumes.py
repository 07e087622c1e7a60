"""Checks of one case of volumes: complete files, one geometry for all readers, plausible voxels, known labels."""

# mypy: untyped-calls-exclude="SimpleITK,nibabel"
from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813, its usual name
from numpy.typing import NDArray

from dataset_conversion import geometry, nifti_header
from dataset_conversion.check.case_report import CaseReport, digest_of, label_findings
from dataset_conversion.check.description import Description
from dataset_conversion.check.finding import fault, note
from dataset_conversion.check.inventory import RawCase
from dataset_conversion.errors import Refused
from dataset_conversion.files_on_disk import why_unreadable
from dataset_conversion.geometry import Affine
from dataset_conversion.volume import NIFTI_ENDINGS, check_image, check_label_values, read_volume


@dataclass(frozen=True, kw_only=True)
class VoxelGrid:
    """The places of the voxels of a file.

    Attributes:
        shape: Voxels along x, y and z; two numbers for a 2D image.
        affine: Matrix from indices to mm, with x to the right (RAS).
    """

    shape: tuple[int, ...]
    affine: Affine


@dataclass(frozen=True, kw_only=True)
class Voxels:
    """The voxels of a file that was read to its end.

    Attributes:
        values: Stored voxels of an image, or values of a label.
        grid: Places of the voxels.
        channels: Length of a fourth axis, which holds channels.
        scaling: Slope and intercept; None if the stored voxels are the values.
    """

    values: NDArray[Any]
    grid: VoxelGrid
    channels: int = 1
    scaling: tuple[float, float] | None = None


def check_volumes(case: RawCase, description: Description, folder: Path) -> CaseReport:
    """Read all files of a case, and compare them."""
    names = {channel: _relative(file, folder) for channel, file in case.images.items()}
    report = CaseReport(id=case.id, part=case.part, file=names[min(names)])
    first: Voxels | None = None
    digests: list[str] = []
    channels = 0
    for channel, file in sorted(case.images.items()):
        voxels = _checked(file, names[channel], report, is_label=False)
        if voxels is None:
            continue
        channels += voxels.channels
        digests.append(digest_of(voxels.values, voxels.scaling))
        if first is None:
            first = voxels
            report.kind = str(voxels.values.dtype)
        else:
            _compare(first.grid, voxels.grid, names[channel], report, "the first channel")
    if len(set(digests)) < len(digests):
        says = f"is one of {len(digests)} channels, and two of them hold the same"
        report.findings.append(note("duplicate", report.file, says, case.id))
    report.digest = " ".join(digests) if len(digests) == len(case.images) else ""
    if first is not None and channels != description.channels and not report.findings:
        says = f"has {channels} channels; dataset.json names {description.channels}"
        report.findings.append(fault("channels", report.file, says, case.id))
    if case.label is not None:
        name = _relative(case.label, folder)
        label = _checked(case.label, name, report, is_label=True)
        if label is not None:
            report.findings += label_findings(label.values, description.values, name, case.id)
            if digest_of(label.values) in digests:
                says = "holds the same as its image: one of the two is a copy of the other with a wrong name"
                report.findings.append(fault("pairs", name, says, case.id))
            if first is not None:
                _compare(first.grid, label.grid, name, report, "the image")
    return report


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)


def _checked(file: Path, name: str, report: CaseReport, *, is_label: bool) -> Voxels | None:
    """The file's voxels; None, with the reason in the report, if they cannot be used."""
    try:
        if name.endswith(NIFTI_ENDINGS):
            return _nifti(file, name, report, is_label=is_label)
        return _itk(file, is_label=is_label)
    except Refused as refusal:
        report.findings.append(fault("damaged", name, str(refusal).removeprefix(f"{file.name} "), report.id))
    return None


def _nifti(file: Path, name: str, report: CaseReport, *, is_label: bool) -> Voxels:
    reason = why_unreadable(file)
    if reason:
        raise Refused(f"{file.name} {reason}")
    if _dimensions(file) != 3:
        return _itk(file, is_label=is_label)
    volume = read_volume(file)
    grid = VoxelGrid(shape=volume.shape, affine=volume.stored_affine)
    if is_label:
        of_header = len(volume.notes)
        values: NDArray[Any] = volume.values()
        if values.dtype.kind == "f":
            values = check_label_values(volume)
        for remark in volume.notes[of_header:]:
            says = f"has labels that nnU-Net truncates to whole numbers, 0.999 to 0 ({remark}); write them as integers"
            report.findings.append(fault("labels", name, says, report.id))
        del volume.notes[of_header:]
    else:
        check_image(volume)
        values = volume.stored
    if volume.notes:
        says = f"has a header that readers understand differently; a conversion notes: {'; '.join(volume.notes)}"
        # Without any orientation each reader has its own axes, which image and label share.
        coded = int(volume.header["sform_code"]) or int(volume.header["qform_code"]) or len(volume.notes) > 1
        make = fault if coded else note
        report.findings.append(make("header", name, f"{says}. Write the file again", report.id))
    return Voxels(values=values, grid=grid, scaling=None if is_label else volume.scaling)


def _dimensions(file: Path) -> int:
    """Number of axes, without trailing ones of length 1; 3 if the header is broken, as the next reader explains."""
    with file.open("rb") as stream:
        beginning = stream.read(2)
    try:
        with gzip.open(file) if beginning == b"\x1f\x8b" else file.open("rb") as stream:
            header = nifti_header.parse(stream.read(nifti_header.LONGEST_HEADER), file.name)
    except (Refused, OSError, EOFError, zlib.error):
        return 3
    shape = [int(length) for length in header.get_data_shape()]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    return len(shape)


def _itk(file: Path, *, is_label: bool) -> Voxels:
    try:
        image = sitk.ReadImage(str(file))
    except RuntimeError as error:
        raise Refused(f"{file.name} cannot be read by SimpleITK: {_last_line(error)}") from error
    values = sitk.GetArrayFromImage(image)
    dimensions = image.GetDimension()
    channels = image.GetNumberOfComponentsPerPixel()
    if channels > 1:
        raise Refused(f"{file.name} holds {channels} numbers per voxel; nnU-Net needs a file for each channel")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Refused(f"{file.name} holds NaN or infinite voxels")
    if is_label:
        whole = np.rint(values)
        if (whole != values).any():
            raise Refused(f"{file.name} has labels between whole numbers: it was resampled or is a probability")
    elif values.min() == values.max():
        raise Refused(f"{file.name} has the value {values.min()} in every voxel: there is no image in it")
    # A fourth axis holds channels, and the grid is that of the first three.
    return Voxels(values=values, grid=_itk_grid(image), channels=image.GetSize()[3] if dimensions == 4 else 1)


def _itk_grid(image: Any) -> VoxelGrid:
    dimensions = image.GetDimension()
    count = min(dimensions, 3)
    direction = np.asarray(image.GetDirection()).reshape(dimensions, dimensions)[:count, :count]
    affine = np.eye(4)
    affine[:count, :count] = direction * np.asarray(image.GetSpacing()[:count])
    affine[:count, 3] = image.GetOrigin()[:count]
    # SimpleITK's x and y run to the left and to the back.
    return VoxelGrid(shape=tuple(image.GetSize()[:count]), affine=np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def _compare(image: VoxelGrid, other: VoxelGrid, name: str, report: CaseReport, what: str) -> None:
    if image.shape != other.shape:
        says = f"has shape {other.shape}, {what} {image.shape}"
        report.findings.append(fault("geometry", name, says, report.id))
        return
    if not (geometry.is_usable(image.affine) and geometry.is_usable(other.affine)):
        return
    shape = (*image.shape, 1)[:3]
    apart = geometry.displacement(image.affine, other.affine, (shape[0], shape[1], shape[2]))
    if apart > geometry.SAME_GRID:
        says = (
            f"is not in the place of {what}: corners are {apart:.3g} voxels apart; nnU-Net pairs voxels by index. "
            f"Look at both in a viewer, and correct the wrong header"
        )
        report.findings.append(fault("geometry", name, says, report.id))


def _last_line(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[-1]
