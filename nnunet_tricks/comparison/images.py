"""Label maps from files, with axes and spacing as nnU-Net's readers give them."""

# mypy: untyped-calls-exclude="SimpleITK,nibabel"
from __future__ import annotations

import json
import math
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.positions import ImageGrid, grid_of
from nnunet_tricks.utilities.whole_images import check_whole

NIFTI = (".nii.gz", ".nii")
ITK = (*NIFTI, ".nrrd", ".mha", ".gipl")
NATURAL = (".png", ".bmp")
TIFF = (".tif", ".tiff")

UNREADABLE = (ValueError, OSError, RuntimeError, SyntaxError, EOFError, LookupError, struct.error, zlib.error)
"""What readers raise for files that they do not understand."""


@dataclass(frozen=True)
class LabelMap:
    """A label map.

    Attributes:
        values: Whole numbers; axes z, y, x or y, x.
        spacing: Distance of voxels along each axis.
        unit: Unit of the spacing: ``mm``, or ``px`` where the file holds no spacing.
        grid: Places of the voxels; None if the file does not say.
    """

    values: NDArray[np.generic]
    spacing: tuple[float, ...]
    unit: str
    grid: ImageGrid | None = None


def read(file: Path) -> LabelMap:
    """Read a label map.

    Raises:
        ValueError: If it cannot be read, is cut off or damaged, is no label map, or has a format unknown to nnU-Net.
    """
    name = file.name.lower()
    try:
        check_whole(file)
        if name.endswith(ITK):
            labels = _with_itk(file)
        elif name.endswith(TIFF):
            labels = _tiff(file)
        elif name.endswith(NATURAL):
            from skimage import io

            labels = _without_spacing(io.imread(file))
        else:
            raise ValueError(f"its ending is none of {', '.join(ITK + NATURAL + TIFF)}")
        return replace(labels, values=_whole(labels.values))
    except UNREADABLE as error:
        raise ValueError(f"{file} cannot be read as a label map: {reason(error)}") from None


def reason(error: Exception) -> str:
    """What an error of a reader says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def _with_itk(file: Path) -> LabelMap:
    import SimpleITK as sitk  # noqa: N813, its usual name

    image = sitk.ReadImage(str(file))
    if image.GetNumberOfComponentsPerPixel() > 1 or image.GetDimension() not in (2, 3):
        raise ValueError(
            f"it has {image.GetDimension()} dimensions or several channels; a label map has 2 or 3 and one"
        )
    spacing = tuple(abs(float(step)) for step in image.GetSpacing()[::-1])
    values = sitk.GetArrayFromImage(image)
    if values.dtype.kind == "f" and file.name.lower().endswith(NIFTI):
        # ITK reads NaN in NIfTI as 0.
        import nibabel

        stored: Any = nibabel.load(file)
        _check_finite(np.asanyarray(stored.dataobj))
    return LabelMap(values, spacing, "mm", grid_of(image))


def _tiff(file: Path) -> LabelMap:
    import tifffile

    values = tifffile.imread(file)
    beside = file.with_suffix(".json")
    if values.ndim != 3 or not beside.is_file():
        return _without_spacing(values)
    spacing = tuple(float(step) for step in json.loads(beside.read_text(encoding="utf-8"))["spacing"])
    return LabelMap(values, spacing, "mm")


def _without_spacing(values: NDArray[np.generic]) -> LabelMap:
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[-1] in (3, 4)):
        raise ValueError(f"it has shape {values.shape}, as a colour image; a label map has one number for each pixel")
    return LabelMap(values, (1.0,) * values.ndim, "px")


def _whole(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Labels as integers; nothing is rounded.

    Raises:
        ValueError: If a value is no whole number.
    """
    if values.dtype.kind in "iub":
        return values
    if values.dtype.kind != "f":
        raise ValueError(f"it holds {values.dtype}; a label map holds whole numbers")
    _check_finite(values)
    with np.errstate(invalid="ignore"):  # what does not fit is found below
        rounded = values.astype(np.int32)
    if (rounded != values).any():
        odd = float(values[rounded != values][0])
        raise ValueError(f"it holds {odd:g}; a label map holds whole numbers (resampled with interpolation?)")
    return rounded


def _check_finite(values: NDArray[np.generic]) -> None:
    count = np.count_nonzero(~np.isfinite(values))
    if count:
        raise ValueError(f"it holds NaN or infinity in {count} voxels")


def shared_grid(prediction: LabelMap, truth: LabelMap) -> tuple[tuple[float, ...], str]:
    """Spacing and unit of two label maps on the same grid.

    nnU-Net does not copy the spacing files of TIFF labels: where only one of both knows a spacing, it holds for both.

    Raises:
        ValueError: If shape or spacing differ.
    """
    if prediction.values.shape != truth.values.shape:
        raise ValueError(f"the prediction has shape {prediction.values.shape}, the label {truth.values.shape}")
    if prediction.unit != truth.unit:
        known = truth if prediction.unit == "px" else prediction
        return known.spacing, known.unit
    pairs = zip(prediction.spacing, truth.spacing, strict=True)
    if not all(math.isclose(step, expected, rel_tol=1e-3) for step, expected in pairs):
        raise ValueError(f"the prediction has spacing {_short(prediction)}, the label {_short(truth)}")
    return truth.spacing, truth.unit


def _short(labels: LabelMap) -> str:
    return "(" + ", ".join(f"{step:g}" for step in labels.spacing) + ")"
