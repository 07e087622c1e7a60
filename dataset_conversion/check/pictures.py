"""Checks of one case of pictures: complete files, read by nnU-Net as intended, with known labels and one size."""

# mypy: untyped-calls-exclude="skimage,tifffile"
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.check.case_report import CaseReport, digest_of, label_findings
from dataset_conversion.check.description import Description
from dataset_conversion.check.finding import fault
from dataset_conversion.check.inventory import RawCase
from dataset_conversion.check.tiff_stacks import check_spacing
from dataset_conversion.errors import Refused
from dataset_conversion.picture import decode
from dataset_conversion.picture_depth import colour_depth
from dataset_conversion.similarity import fingerprint
from dataset_conversion.source_file import open_source

_ORIENTATION = 0x0112


def check_pictures(case: RawCase, description: Description, folder: Path) -> CaseReport:
    """Read all files of a case, and compare them."""
    names = {channel: _relative(file, folder) for channel, file in case.images.items()}
    report = CaseReport(id=case.id, part=case.part, file=names[min(names)])
    size: tuple[int, ...] = ()
    digests: list[str] = []
    channels = 0
    for channel, file in sorted(case.images.items()):
        pixels = _read(file, names[channel], description, report)
        if pixels is None:
            continue
        is_colour = pixels.ndim == 3 and not description.is_stack
        channels += pixels.shape[2] if is_colour else 1
        digests.append(digest_of(pixels))
        shape = pixels.shape[:2] if is_colour else pixels.shape
        if not size:
            size = shape
            report.kind = str(pixels.dtype)
            if pixels.dtype == np.uint8 and pixels.shape[-1] != 4 and not description.is_stack:
                report.fingerprint = fingerprint(pixels)
        elif shape != size:
            says = f"has shape {shape}, the first channel {size}"
            report.findings.append(fault("geometry", names[channel], says, case.id))
        if pixels.min() == pixels.max():
            says = f"has the value {pixels.min()} in every pixel: there is no image in it"
            report.findings.append(fault("values", names[channel], says, case.id))
    report.digest = " ".join(digests) if len(digests) == len(case.images) else ""
    if size and channels != description.channels and not report.findings:
        says = f"has {channels} channels as nnU-Net reads it; dataset.json names {description.channels}"
        report.findings.append(fault("channels", report.file, says, case.id))
    if case.label is not None:
        _check_label(case.label, _relative(case.label, folder), size, description, report)
    if description.is_stack:
        of_label = [_relative(case.label, folder)] if case.label is not None else []
        check_spacing(case, report, [report.file, *of_label])
    return report


def _check_label(file: Path, name: str, size: tuple[int, ...], description: Description, report: CaseReport) -> None:
    label = _read(file, name, description, report)
    if label is None:
        return
    if label.ndim != (3 if description.is_stack else 2):
        says = f"is a colour picture (shape {label.shape}); a label map has one number per pixel"
        report.findings.append(fault("labels", name, says, report.id))
        return
    if label.dtype.kind == "f" and not (np.isfinite(label).all() and (np.rint(label) == label).all()):
        report.findings.append(fault("labels", name, "holds values that are not whole numbers", report.id))
        return
    report.findings += label_findings(label, description.values, name, report.id)
    if size and label.shape != size:
        says = f"has shape {label.shape}, the image {size}"
        report.findings.append(fault("geometry", name, says, report.id))


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)


def _read(file: Path, name: str, description: Description, report: CaseReport) -> NDArray[Any] | None:
    """Pixels from nnU-Net's reader; None, with the reason in the report, if they cannot be used."""
    try:
        pixels = _stack(file) if description.is_stack else _picture(file, name, report)
    except Refused as refusal:
        report.findings.append(fault("damaged", name, str(refusal).removeprefix(f"{file.name} "), report.id))
        return None
    if pixels.ndim == (3 if description.is_stack else 2) or (pixels.ndim == 3 and pixels.shape[2] in (3, 4)):
        return pixels
    report.findings.append(fault("channels", name, f"has shape {pixels.shape}, which nnU-Net does not read", report.id))
    return None


def _picture(file: Path, name: str, report: CaseReport) -> NDArray[Any]:
    from skimage import io

    # This reads to the end, and looks for damage that the fast reader below forgives.
    source = open_source(file)
    picture = decode(source)
    if picture.getexif().get(_ORIENTATION, 1) != 1:
        says = "has an EXIF orientation: viewers turn it, nnU-Net does not. Save it upright"
        report.findings.append(fault("geometry", name, says, report.id))
    try:
        pixels = np.asarray(io.imread(file))
    except (OSError, ValueError, SyntaxError, RuntimeError) as error:
        raise Refused(f"{file.name} cannot be read by nnU-Net's reader: {error}") from error
    bits = colour_depth(source.data, picture.format or "").bits if pixels.ndim == 3 else 8
    if bits > 8 and pixels.dtype == np.uint8:
        says = f"has {bits} bits per channel, and nnU-Net's reader takes only the upper 8; save it with 8"
        report.findings.append(fault("values", name, says, report.id))
    return pixels


def _stack(file: Path) -> NDArray[Any]:
    import tifffile

    try:
        return np.asarray(tifffile.imread(file))
    except (OSError, ValueError, RuntimeError, tifffile.TiffFileError) as error:
        raise Refused(f"{file.name} is not a readable TIFF: {error}") from error
