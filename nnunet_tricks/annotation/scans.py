"""Volumes as files, read as nnU-Net reads them."""

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
"""Share of a voxel by which corners of a written volume may lie elsewhere: NIfTI's headers have single precision."""


@dataclass(frozen=True)
class Header:
    """What a file says of its voxels.

    Attributes:
        axial: Its axial slices.
        components: Number of values per voxel.
        metadata: Further entries, such as the names of 3D Slicer's segments.
    """

    axial: Axial
    components: int
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Scan:
    """A volume in a file; nothing is read before it is asked for."""

    file: Path

    @cached_property
    def header(self) -> Header:
        """Its header; no voxel is read.

        The geometry is ITK's reading of the header, which is that of nnU-Net, ITK-SNAP and 3D Slicer.

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
            found = axial(_affine(reader), shape, stated=stated)
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}") from error
        return Header(found, int(reader.GetNumberOfComponents()), metadata)

    @property
    def axial(self) -> Axial:
        """Its axial slices, by the header alone.

        Raises:
            ValueError: If the file cannot be read, or is not a 3D volume of one channel.
        """
        if self.header.components != 1:
            raise ValueError(
                f"{self.file} has {self.header.components} values per voxel and must have one: save each channel (or, "
                "of a segmentation with overlapping segments, each layer) as a file of its own"
            )
        return self.header.axial

    def image(self) -> SimpleITK.Image:
        """The volume.

        Raises:
            ValueError: If the file cannot be read.
        """
        try:
            return SimpleITK.ReadImage(str(self.file), imageIO=reader_of(self.file))
        except RuntimeError as error:
            raise self._unreadable(error) from error

    def slices(self) -> Array:
        """Voxels with slices first, from inferior to superior."""
        return self.axial.slices_first(SimpleITK.GetArrayFromImage(self.image()))

    def numbers(self) -> Volume:
        """Voxels with slices first, as features can be made of them.

        Raises:
            ValueError: If they are no finite real numbers.
        """
        try:
            return as_numbers(self.slices())
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}") from error

    def labels(self) -> NDArray[np.integer]:
        """Label values with slices first, from inferior to superior.

        Raises:
            ValueError: If they are no whole numbers.
        """
        whole = self.whole(self.slices())
        return whole.astype(np.uint8) if whole.min() >= 0 and whole.max() <= 255 else whole

    def whole(self, voxels: NDArray[Any]) -> NDArray[np.integer]:
        """The file's voxels as whole numbers.

        Raises:
            ValueError: If they are none.
        """
        if np.issubdtype(voxels.dtype, np.integer):
            return voxels
        with np.errstate(invalid="ignore"):  # NaN and infinity, which are refused
            found = voxels.astype(np.int64)
        if not np.array_equal(found, voxels):
            raise ValueError(f"{self.file} is no label map: not all of its values are whole numbers")
        return found

    def _unreadable(self, error: Exception) -> ValueError:
        reason = str(error).strip().splitlines()[-1]
        return ValueError(f"{self.file} cannot be read as a volume: {reason}")


def _affine(reader: Any) -> NDArray[np.float64]:
    """From voxel indices to mm in RAS."""
    axes = len(reader.GetSize())
    if axes != 3:
        return np.eye(4)  # refused for its shape
    direction = np.reshape(reader.GetDirection(), (3, 3))
    affine = np.eye(4)
    affine[:3, :3] = _LPS_TO_RAS @ direction @ np.diag(reader.GetSpacing())
    affine[:3, 3] = _LPS_TO_RAS @ reader.GetOrigin()
    return affine


def same_shape(label: Scan, image: Scan) -> None:
    """Check that a label map has as many voxels as its image, which is what nnU-Net asks for.

    Raises:
        ValueError: If not.
    """
    if label.axial.shape != image.axial.shape:
        sizes = ["x".join(map(str, one.axial.shape)) for one in (label, image)]
        raise ValueError(f"{label.file} has {sizes[0]} voxels, and its image {image.file} has {sizes[1]}")


def written(array: Array, like: SimpleITK.Image, file: Path) -> None:
    """Write a label map on the grid of an image; nobody sees half a file, or one that does not say the same.

    Args:
        array: In nnU-Net's order, (k, j, i).
        like: The image.
        file: Where.

    Raises:
        OSError: If what is read back is not what was written.
    """
    label = SimpleITK.GetImageFromArray(np.ascontiguousarray(array))
    label.CopyInformation(like)
    _write_checked(label, file)


def converted(source: Path, file: Path) -> None:
    """Write a volume in another format, voxels and grid as they are.

    Args:
        source: What is read.
        file: Where; its ending names the format.

    Raises:
        OSError: If what is read back is not what was written.
    """
    _write_checked(Scan(source).image(), file)


def _write_checked(image: SimpleITK.Image, file: Path) -> None:
    """Write under a temporary name, read back, compare, and only then rename.

    ITK's NIfTI writer does not report a write that was cut short by a quota, and reads the stump without an error.
    """
    with replacing(file, ending=ending_of(file)) as temporary:
        try:
            SimpleITK.WriteImage(image, str(temporary), useCompression=True)
            whole = _same_volume(image, SimpleITK.ReadImage(str(temporary)))
        except RuntimeError as error:
            raise OSError(f"{file} could not be written: {str(error).strip().splitlines()[-1]}") from error
        if not whole:
            raise OSError(
                f"{file} could not be written: what is read back is not what was written. Is the disk full, or a "
                "quota reached?"
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
