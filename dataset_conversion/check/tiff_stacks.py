"""TIFF files that nnU-Net reads as volumes, and the files with their spacing."""

# mypy: untyped-calls-exclude="tifffile"
from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dataset_conversion.check.case_report import CaseReport
from dataset_conversion.check.description import Description
from dataset_conversion.check.finding import fault
from dataset_conversion.check.inventory import RawCase, first_images

ENDINGS = (".tif", ".tiff")
_NONE = (1.0, 1.0, 1.0)


def with_reader(description: Description, folder: Path) -> Description:
    """Add the reader that nnU-Net finds by trying, if the description names none.

    nnU-Net takes the first reader that can read the first image. For TIFF files that is the one for pictures, or the
    one for stacks.
    """
    if description.reader not in ("", "None") or description.ending not in ENDINGS:
        return description
    # The reader for pictures does not accept the longer ending.
    stacks = description.ending == ".tiff" or next(
        (
            len(shape) == 3 and shape[-1] not in (3, 4)
            for shape in map(_shape, first_images(folder, description))
            if shape
        ),
        False,
    )
    return replace(description, reader="Tiff3DIO") if stacks else description


def _shape(file: Path) -> Sequence[int]:
    """Shape of the array in a file; empty if the file cannot be read."""
    import tifffile

    try:
        with tifffile.TiffFile(file) as tiff:
            return [int(length) for length in tiff.series[0].shape]
    # tifffile fails in many ways on damaged files; the check of the file names the fault.
    except Exception:
        return []


def check_spacing(case: RawCase, report: CaseReport, names: Sequence[str]) -> None:
    """Check that image and label have the same spacing in their JSON files.

    Args:
        case: The case.
        report: Report that gets the findings.
        names: Names of the first image and of the label, if there is one, as findings show them.
    """
    image = case.images[min(case.images)]
    files = [image.with_name(f"{image.stem[: -len('_0000')]}.json")]
    files += [case.label.with_suffix(".json")] if case.label is not None else []
    spacings = [_spacing(file, name, report) for file, name in zip(files, names, strict=True)]
    if None not in spacings and len(set(spacings)) > 1:
        of_image, of_label = (list(spacing or ()) for spacing in spacings)
        says = (
            f"has the spacing {of_label}, the image {of_image}; nnU-Net reads them from {files[1].name} in the folder "
            f"of each, and takes 1, 1, 1 if there is no such file"
        )
        report.findings.append(fault("geometry", names[1], says, report.id))


def _spacing(file: Path, name: str, report: CaseReport) -> tuple[float, ...] | None:
    """Three lengths; None, with the reason in the report, if the file holds something else."""
    if not file.exists():
        return _NONE
    try:
        spacing = tuple(float(length) for length in json.loads(file.read_text(encoding="utf-8"))["spacing"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        says = f"has a {file.name} that is not JSON with a 'spacing' of three numbers ({type(error).__name__}: {error})"
        report.findings.append(fault("geometry", name, says, report.id))
        return None
    if len(spacing) != 3 or not all(math.isfinite(length) and length > 0 for length in spacing):
        says = f"has a {file.name} with the spacing {list(spacing)}; nnU-Net needs three lengths above 0"
        report.findings.append(fault("geometry", name, says, report.id))
        return None
    return spacing
