"""Files of volumes, read as nnU-Net reads them."""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from nnunet_tricks.annotation.axes import Axial, axial
from nnunet_tricks.annotation.features import Volume, as_numbers
from nnunet_tricks.annotation.formats import ending_of, reader_of
from nnunet_tricks.utilities.files import replacing

Array = NDArray[np.generic]

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
_SAME_PLACE = 0.01
"""Largest shift of a written volume's corners, in voxels: NIfTI headers have single precision."""


@dataclass(frozen=True)
class Header:
    """The header of a file.

    Attributes:
        axial: Its axial slices.
        components: Number of values per voxel.
        metadata: Other entries, such as the names of 3D Slicer's segments.
    """

    axial: Axial
    components: int
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class VolumeFile:
    """A volume in a file, which is read only when it is needed."""

    file: Path

    @cached_property
    def header(self) -> Header:
        """Its header; no voxel is read.

        ITK reads the geometry, as in nnU-Net, ITK-SNAP and 3D Slicer.

        Raises:
            ValueError: If the file cannot be read, or is not a 3D volume.
        """
        reader = SimpleITK.ImageFileReader()
        reader.SetImageIO(reader_of(self.file))
        reader.SetFileName(str(self.file))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise self._unreadable(error) from error
        shape = reader.GetSize()
        metadata = {key: str(reader.GetMetaData(key)) for key in reader.GetMetaDataKeys()}
        codes = [metadata[code] for code in ("qform_code", "sform_code") if code in metadata]
        stated = not codes or any(code not in ("0", "NIFTI_XFORM_UNKNOWN") for code in codes)
        try:
            slices = axial(_affine(reader), shape, stated=stated)
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}") from error
        return Header(slices, int(reader.GetNumberOfComponents()), metadata)

    @property
    def axial(self) -> Axial:
        """Its axial slices, from the header alone.

        Raises:
            ValueError: If the file cannot be read, or is not a 3D volume of one channel.
        """
        if self.header.components != 1:
            raise ValueError(
                f"{self.file} has {self.header.components} values per voxel and must have one: save each channel (or "
                "each layer of a segmentation with overlapping segments) as a separate file"
            )
        return self.header.axial

    def image(self) -> SimpleITK.Image:
        """Read the volume.

        Raises:
            ValueError: If the file cannot be read.
        """
        try:
            return SimpleITK.ReadImage(str(self.file), imageIO=reader_of(self.file))
        except RuntimeError as error:
            raise self._unreadable(error) from error

    def slices(self) -> Array:
        """Read the voxels, slices first, from inferior to superior."""
        return self.axial.slices_first(SimpleITK.GetArrayFromImage(self.image()))

    def numbers(self) -> Volume:
        """Read the voxels, slices first, for computing features.

        Raises:
            ValueError: If they are not finite real numbers.
        """
        try:
            return as_numbers(self.slices())
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}") from error

    def labels(self) -> NDArray[np.integer]:
        """Read label values, slices first, from inferior to superior.

        Raises:
            ValueError: If they are not whole numbers.
        """
        whole = self.whole(self.slices())
        return whole.astype(np.uint8) if whole.min() >= 0 and whole.max() <= 255 else whole

    def whole(self, voxels: NDArray[Any]) -> NDArray[np.integer]:
        """Convert the file's voxels to whole numbers.

        Raises:
            ValueError: If they are not whole numbers.
        """
        if np.issubdtype(voxels.dtype, np.integer):
            return voxels
        with np.errstate(invalid="ignore"):  # NaN and infinity, which are refused
            whole = voxels.astype(np.int64)
        if not np.array_equal(whole, voxels):
            raise ValueError(f"{self.file} is not a label map: some of its values are not whole numbers")
        return whole

    def _unreadable(self, error: Exception) -> ValueError:
        reason = str(error).strip().splitlines()[-1]
        return ValueError(f"{self.file} cannot be read as a volume: {reason}")


def _affine(reader: Any) -> NDArray[np.float64]:
    """Matrix from voxel indices to mm in RAS."""
    axes = len(reader.GetSize())
    if axes != 3:
        return np.eye(4)  # refused for its shape
    direction = np.reshape(reader.GetDirection(), (3, 3))
    affine = np.eye(4)
    affine[:3, :3] = _LPS_TO_RAS @ direction @ np.diag(reader.GetSpacing())
    affine[:3, 3] = _LPS_TO_RAS @ reader.GetOrigin()
    return affine


def same_shape(label: VolumeFile, image: VolumeFile) -> None:
    """Check that a label map has as many voxels as its image, as nnU-Net requires.

    Raises:
        ValueError: If it has not.
    """
    if label.axial.shape != image.axial.shape:
        sizes = ["x".join(map(str, file.axial.shape)) for file in (label, image)]
        raise ValueError(f"{label.file} has {sizes[0]} voxels, and its image {image.file} has {sizes[1]}")


def written(array: Array, like: SimpleITK.Image, file: Path) -> None:
    """Write a label map on the grid of an image; the file gets its name only if it is complete and correct.

    Args:
        array: Label map in nnU-Net's order, (k, j, i).
        like: The image.
        file: The new file.

    Raises:
        OSError: If the file cannot be read back as it was written.
    """
    label = SimpleITK.GetImageFromArray(np.ascontiguousarray(array))
    label.CopyInformation(like)
    _write_checked(label, file)


def converted(source: Path, file: Path) -> None:
    """Write a volume in another format, with the same voxels and grid.

    Args:
        source: File of the volume.
        file: The new file; its ending decides the format.

    Raises:
        OSError: If the file cannot be read back as it was written.
    """
    _write_checked(VolumeFile(source).image(), file)


def _write_checked(image: SimpleITK.Image, file: Path) -> None:
    """Write under a temporary name, read back, compare, and only then rename.

    ITK's NIfTI writer does not report a write that a quota cut short, and its reader reads the stump without an error.
    """
    with replacing(file, ending=ending_of(file)) as temporary:
        try:
            SimpleITK.WriteImage(image, str(temporary), useCompression=True)
            whole = _same_volume(image, SimpleITK.ReadImage(str(temporary)))
        except RuntimeError as error:
            raise OSError(f"{file} could not be written: {str(error).strip().splitlines()[-1]}") from error
        if not whole:
            raise OSError(
                f"{file} could not be written: it was read back differently. Is the disk full, or a quota reached?"
            )


def _same_volume(image: SimpleITK.Image, other: SimpleITK.Image) -> bool:
    if image.GetSize() != other.GetSize():
        return False
    ends = product(*((0, size - 1) for size in image.GetSize()))
    corners = [[volume.TransformIndexToPhysicalPoint(index) for volume in (image, other)] for index in ends]
    allowed = _SAME_PLACE * min(image.GetSpacing())
    voxels, others = (SimpleITK.GetArrayViewFromImage(volume) for volume in (image, other))
    return bool(
        all(np.linalg.norm(np.subtract(*pair)) <= allowed for pair in corners)
        and voxels.shape == others.shape
        and np.array_equal(voxels, others, equal_nan=np.issubdtype(voxels.dtype, np.floating))
    )
