"""NIfTI volumes: header and voxels are read and checked, labels are written on their image's grid."""

# mypy: untyped-calls-exclude="nibabel"
from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
from numpy.typing import NDArray

from dataset_conversion import geometry, nifti_header
from dataset_conversion.errors import Refused
from dataset_conversion.geometry import Affine, Shape
from dataset_conversion.nifti_header import Header, HeaderView
from dataset_conversion.source_file import Buffer, SourceFile, inflate, open_source

Array = NDArray[np.generic]

# nnU-Net and SimpleITK compute with 32-bit floats.
_HIGHEST = 3e38

NIFTI_ENDINGS = (".nii", ".nii.gz")
# Fields that decide a voxel's place. NIfTI-1 and -2 use the same names.
_PLACE = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
_ROWS = ("srow_x", "srow_y", "srow_z", "pixdim", "xyzt_units")


@dataclass(kw_only=True)
class NiftiVolume:
    """A NIfTI file, with its voxels as stored."""

    path: Path
    source: SourceFile
    view: HeaderView
    contents: Buffer
    shape: Shape
    affine: Affine
    corrected: bool = False
    """Whether the header cannot be used as it is, so that the file must be written again."""
    repack: bool = False
    """Whether the name says gzip and the content does not, or the other way round."""
    notes: list[str] = field(default_factory=list)

    @property
    def header(self) -> Header:
        """Nibabel's header of the file."""
        return self.view.header

    @property
    def stored_affine(self) -> Affine:
        """The affine before axes were made orthogonal, to compare with that of a label with the same flaw."""
        return self.view.affine

    @property
    def stored(self) -> Array:
        """Voxels as stored, indexed (x, y, z), without scaling."""
        offset = self.view.offset
        count = math.prod(self.shape)
        flat = np.frombuffer(self.contents, self.header.get_data_dtype(), count=count, offset=offset)
        return flat.reshape(self.shape, order="F")

    @property
    def scaling(self) -> tuple[float, float] | None:
        """Slope and intercept; None if the stored values are the values."""
        slope, intercept = self.header.get_slope_inter()
        if slope is None or (slope, intercept or 0.0) == (1.0, 0.0):
            return None
        return float(slope), float(intercept or 0.0)

    def values(self) -> Array:
        """Voxels with slope and intercept applied."""
        if self.scaling is None:
            return self.stored
        slope, intercept = self.scaling
        return np.asarray(self.stored * np.float64(slope) + np.float64(intercept))


def read_volume(path: Path) -> NiftiVolume:
    """Read a NIfTI file to its end and check everything that does not depend on its role.

    Raises:
        Refused: With the reason, if it is not a whole 3-D volume of plain numbers.
    """
    source = open_source(path)
    contents: Buffer = source.data
    if bytes(source.data[:2]) == b"\x1f\x8b":
        contents = inflate(source, _expected_size)
    beginning = bytes(contents[: nifti_header.LONGEST_HEADER])
    header = nifti_header.parse(beginning, path.name)
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise Refused(f"{path.name} holds {dtype} voxels; a scan has one plain number for each voxel")
    header_view = nifti_header.view(bytes(contents[: nifti_header.voxels_at(header)]), path.name)
    stored_shape = tuple(int(length) for length in header.get_data_shape())
    shape = header_view.shape
    if len(shape) != 3 or min(shape) < 1:
        raise Refused(f"{path.name} has shape {stored_shape}, not three dimensions; save the one volume that is needed")
    if len(contents) < header_view.size:
        raise Refused(f"{path.name} is cut off: {len(contents)} of {header_view.size} bytes; download it again")
    volume = NiftiVolume(
        path=path,
        source=source,
        view=header_view,
        contents=contents,
        shape=(shape[0], shape[1], shape[2]),
        affine=header_view.affine,
        corrected=bool(header_view.notes),
        notes=header_view.notes,
    )
    if isinstance(header, nibabel.Nifti2Header):
        volume.corrected = True
        volume.notes.append("was NIfTI-2, which SimpleITK does not read; written as NIfTI-1")
    if len(stored_shape) > 3:
        volume.corrected = True
        volume.notes.append(f"shape {stored_shape} had trailing axes of length 1; they were dropped")
    gzipped_name = path.name.lower().endswith(".gz")
    if (contents is source.data) == gzipped_name:
        volume.repack = True
        volume.notes.append(
            "its name says gzip, its contents do not" if gzipped_name else "was gzip under a plain name"
        )
    return volume


def check_image(volume: NiftiVolume) -> float:
    """Check that an image is usable, and correct its header if that loses nothing.

    Returns:
        Its lowest stored value.

    Raises:
        Refused: If its geometry or its values cannot be used.
    """
    name = volume.path.name
    if not geometry.is_usable(volume.affine):
        raise Refused(f"{name} has a geometry that is not finite, not invertible or not plausible")
    low, high = volume.stored.min(), volume.stored.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise Refused(f"{name} holds NaN or infinite voxels")
    slope, intercept = volume.scaling or (1.0, 0.0)
    if max(abs(float(value) * slope + intercept) for value in (low, high)) > _HIGHEST:
        raise Refused(f"{name} holds values beyond {_HIGHEST:.0e}, scaled by {slope:g}: its header is damaged")
    if low == high:
        raise Refused(f"{name} has the value {low} in every voxel: there is no image in it")
    _correct_geometry(volume)
    return float(low)


def check_label_values(volume: NiftiVolume) -> NDArray[np.uint8]:
    """Convert a label's voxels to uint8; floats must be whole numbers, except for rounding errors.

    Raises:
        Refused: If values are not whole numbers between 0 and 255.
    """
    name = volume.path.name
    values = volume.values()
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise Refused(f"{name} holds NaN or infinite labels")
    if low < -0.5 or high > 255.5:
        raise Refused(f"{name} has values from {low} to {high}: that is an image, not a label")
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if values.dtype.kind == "f":
        whole = np.rint(values)
        error = float(np.max(np.abs(values - whole)))
        if error >= 1e-3:
            raise Refused(
                f"{name} has labels between whole numbers (off by {error:.3g}): it was resampled or is a probability"
            )
        if error > 0:
            volume.notes.append(f"labels were off from whole numbers by up to {error:.1g}; rounded")
        values = whole
    return values.astype(np.uint8)


def header_on_grid_of(image: NiftiVolume, dtype: np.dtype[np.generic]) -> nibabel.Nifti1Header:
    """Make a new header for voxels of a type, with exactly the image's geometry."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(image.shape)
    for field_name in _PLACE + _ROWS:
        header[field_name] = image.header[field_name]
    header["vox_offset"] = header.single_vox_offset
    return header


def encode(header: nibabel.Nifti1Header, voxels: Array, file_ending: str) -> bytes:
    """Encode a whole NIfTI file in memory; the bytes are the same each time."""
    # Four zero bytes after the header mean that there are no extensions.
    raw = header.binaryblock + b"\0\0\0\0" + voxels.tobytes(order="F")
    return bytes(imagecodecs.gzip_encode(raw, 6)) if file_ending.endswith(".gz") else raw


def encode_image(image: NiftiVolume, file_ending: str) -> bytes:
    """Encode the image with a new header if its own was corrected; voxels keep their bytes."""
    raw = bytes(image.contents)
    if image.corrected:
        dtype = image.header.get_data_dtype()
        header = header_on_grid_of(image, dtype.newbyteorder("<"))
        if image.scaling is not None:
            header.set_slope_inter(*image.scaling)
        voxels = image.stored.astype(dtype.newbyteorder("<"), copy=False)
        raw = header.binaryblock + b"\0\0\0\0" + voxels.tobytes(order="F")
    return bytes(imagecodecs.gzip_encode(raw, 1)) if file_ending.endswith(".gz") else raw


def _expected_size(beginning: bytes) -> int:
    """Length of an inflated volume by its own header; 1 if the header does not tell, so that the slow way is taken."""
    try:
        header = nifti_header.parse(beginning, "")
        voxels = math.prod(int(length) for length in header.get_data_shape())
        return nifti_header.voxels_at(header) + voxels * int(header.get_data_dtype().itemsize)
    except Refused:
        return 1


def _correct_geometry(volume: NiftiVolume) -> None:
    """Make every reader see the same geometry: qform, sform and pixdim agree, and axes are orthogonal.

    nnU-Net takes the spacing from ``pixdim`` and the axes from the affine. SimpleITK has its own order of preference.
    If the fields agree, the file stays as it is.
    """
    header, best = volume.header, volume.affine
    shear = geometry.shear_of(best)
    if shear > geometry.CORRECTABLE_SHEAR:
        raise Refused(
            f"{volume.path.name} has sheared axes (cosine {shear:.3f}), as from a tilted gantry; "
            f"resample it onto an orthogonal grid, together with its label"
        )
    if shear > geometry.ITK_SHEAR:
        volume.notes.append(f"axes were off from orthogonal by a cosine of {shear:.1g}; made orthogonal")
        best = geometry.orthogonal(best, volume.shape)
        volume.corrected = True
    if volume.corrected:
        volume.affine = nifti_header.place(header, best, volume.shape)
