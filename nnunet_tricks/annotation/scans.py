"""Volumes as files, read as nnU-Net reads them, and folders of them."""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from nnunet_tricks.annotation.axes import Axial, axial
from nnunet_tricks.annotation.features import Volume, as_numbers
from nnunet_tricks.wording import some

Array = NDArray[np.generic]

ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".gipl")
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Scan:
    """A volume in a file; nothing is read before it is asked for."""

    file: Path

    @cached_property
    def axial(self) -> Axial:
        """Its axial slices, by the header alone.

        The geometry is ITK's reading of the header, which is that of nnU-Net, ITK-SNAP and 3D Slicer.

        Raises:
            ValueError: If the file cannot be read, or is not a 3D volume.
        """
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(self.file))
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise self._unreadable(error) from error
        shape = reader.GetSize()
        codes = [f"{form}_code" for form in ("qform", "sform")]
        codes = [reader.GetMetaData(code) for code in codes if reader.HasMetaDataKey(code)]
        stated = not codes or any(code not in ("0", "NIFTI_XFORM_UNKNOWN") for code in codes)
        if reader.GetNumberOfComponents() != 1:
            raise ValueError(
                f"{self.file} has {reader.GetNumberOfComponents()} values per voxel; it must be one channel"
            )
        try:
            found = axial(_affine(reader), shape, stated=stated)
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}") from error
        if reader.GetNumberOfComponents() != 1:
            raise ValueError(f"{self.file} has {reader.GetNumberOfComponents()} values per voxel; it must have one")
        return found

    def image(self) -> SimpleITK.Image:
        """The volume.

        Raises:
            ValueError: If the file cannot be read.
        """
        try:
            return SimpleITK.ReadImage(str(self.file))
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
        found = self.slices()
        whole = found.astype(np.int64)
        if not np.array_equal(whole, found):
            raise ValueError(f"{self.file} is no label map: not all of its values are whole numbers")
        return whole.astype(np.uint8) if whole.min() >= 0 and whole.max() <= 255 else whole

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
    """Write a label map on the grid of an image; nobody sees half a file.

    Args:
        array: In nnU-Net's order, (k, j, i).
        like: The image.
        file: Where.
    """
    label = SimpleITK.GetImageFromArray(np.ascontiguousarray(array))
    label.CopyInformation(like)
    temporary = file.with_name(f".{file.name}.partial{''.join(Path(file.name).suffixes[-2:])}")
    try:
        SimpleITK.WriteImage(label, str(temporary), useCompression=True)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def in_folder(folder: Path) -> dict[str, Scan]:
    """The volumes of a folder by the name of their case: of nnU-Net's channels the first.

    Args:
        folder: Of images, or a raw data set of nnU-Net, whose ``imagesTr`` are taken.

    Raises:
        ValueError: If there are none, or one case has two files.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    if (folder / "imagesTr").is_dir():
        folder = folder / "imagesTr"
    files = {file: _stem(file) for file in sorted(folder.iterdir()) if _is_volume(file)}
    if not files:
        raise ValueError(f"{folder} has no volumes: files must end in {', '.join(ENDINGS)}")
    channels = all(_CHANNEL.fullmatch(stem) for stem in files.values())
    found: dict[str, list[Path]] = {}
    for file, stem in files.items():
        match = _CHANNEL.fullmatch(stem) if channels else None
        if match is None or match[2] == "0000":
            found.setdefault(match[1] if match else stem, []).append(file)
    twice = [f"{one[0].name} and {one[1].name}" for one in found.values() if len(one) > 1]
    if twice:
        raise ValueError(f"{folder} has two files of one case: {some(twice)}")
    if not found:
        raise ValueError(f"{folder} has no first channel: no file ends in _0000")
    return {case: Scan(file) for case, (file,) in found.items()}


def labels_in(folder: Path) -> Mapping[str, Scan]:
    """The label maps of a folder by the name of their case.

    Raises:
        ValueError: If there are none.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    if (folder / "labelsTr").is_dir():
        folder = folder / "labelsTr"
    found = {_stem(file): Scan(file) for file in sorted(folder.iterdir()) if _is_volume(file)}
    if not found:
        raise ValueError(f"{folder} has no label maps: files must end in {', '.join(ENDINGS)}")
    return found


def _is_volume(file: Path) -> bool:
    return file.name.endswith(ENDINGS) and not file.name.startswith(".")


def _stem(file: Path) -> str:
    ending = next(ending for ending in ENDINGS if file.name.endswith(ending))
    return file.name[: -len(ending)]
