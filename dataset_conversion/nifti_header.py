"""NIfTI headers: how one is read, and whether nibabel and SimpleITK read it alike.

nnU-Net's reader for volumes is nibabel. Viewers and `annotate` use SimpleITK. The two forgive different faults, so a
file is linked only if both read its header in the same way.
"""

# mypy: untyped-calls-exclude="nibabel"
from __future__ import annotations

import io
import math
import struct
import warnings
from dataclasses import dataclass, field
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from dataset_conversion import geometry
from dataset_conversion.contents import kind_of
from dataset_conversion.errors import Refused
from dataset_conversion.geometry import Affine, Shape

# NIfTI-1 or -2; nibabel has no types for their methods.
Header = Any

LONGEST_HEADER = 544
"""Bytes of a NIfTI-2 header, with the four that announce extensions."""
# Intents that make SimpleITK expect several values in each voxel.
_VECTOR_INTENTS = range(1003, 1012)
# Fields that nibabel corrects in memory like NIfTI's reference library.
_CORRECTED_ALIKE = {"regular", "sizeof_hdr"}
_MILLIMETRES = {1: 1000.0, 3: 0.001}
_CT_EDGES = (0.05, 30.0)


@dataclass(kw_only=True)
class HeaderView:
    """The meaning of a header, after everything ambiguous was settled.

    Attributes:
        header: nibabel's header; its fields are as stored, except for faults that nibabel corrects itself.
        affine: Matrix from voxel indices to mm.
        placed: Whether an orientation is given; without one the axes are nibabel's guess.
        other_affine: The qform, if it disagrees with the sform that was taken.
        units: Factor from stored numbers to millimetres.
        notes: Reasons why the file cannot be linked as it is.
    """

    header: Header
    affine: Affine
    placed: bool
    other_affine: Affine | None = None
    units: float = 1.0
    notes: list[str] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes, without trailing axes of length 1."""
        shape = tuple(int(length) for length in self.header.get_data_shape())
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        return shape

    @property
    def offset(self) -> int:
        """Byte at which the voxels begin."""
        return voxels_at(self.header)

    @property
    def size(self) -> int:
        """Bytes up to the end of the last voxel."""
        return self.offset + math.prod(self.shape) * int(self.header.get_data_dtype().itemsize)


def voxels_at(header: Header) -> int:
    """Byte at which the voxels begin; 0 in a file means directly after the header."""
    return max(int(header["vox_offset"]), int(header.single_vox_offset))


def parse(beginning: bytes, name: str) -> Header:
    """Read a header of NIfTI-1 or -2 in either byte order, without extensions.

    Args:
        beginning: At least the first `LONGEST_HEADER` bytes of the file, or the whole file.
        name: The file's name, for the reason.

    Raises:
        Refused: If it is not the header of a single NIfTI file.
    """
    kind = "" if _begins_like_nifti(beginning) else kind_of(beginning)
    if kind:
        raise Refused(f"{name} holds {kind}")
    header_class = _class_of(beginning)
    length = header_class.template_dtype.itemsize
    if len(beginning) < length:
        raise Refused(
            f"{name} has no readable NIfTI header: {len(beginning)} bytes are too few for a header; download it again"
        )
    try:
        header = header_class(beginning[:length], check=True)
        header.get_slope_inter()
        voxels_at(header)
    except (nibabel.spatialimages.HeaderDataError, ValueError, OverflowError, KeyError, struct.error) as error:
        raise Refused(f"{name} has no readable NIfTI header: {error}") from error
    if bytes(header["magic"].item()).startswith((b"ni1", b"ni2")):
        raise Refused(f"{name} says that its voxels are in another file (.img); join the two into one .nii")
    return header


def view(beginning: bytes, name: str) -> HeaderView:
    """Read a header, and settle what is ambiguous in it.

    Args:
        beginning: The file up to its first voxel, or the whole file.
        name: The file's name, for the reason.

    Raises:
        Refused: If it is not a header, or contradicts itself and neither reading is better.
    """
    header = parse(beginning, name)
    notes = [*_reasons_beside_geometry(header, beginning)]
    lengths = [max(int(length), 1) for length in (*header.get_data_shape(), 1, 1, 1)]
    shape = (lengths[0], lengths[1], lengths[2])
    sform = header.get_sform(coded=True)[0]
    qform, reason = _qform(header)
    if reason:
        if sform is None:
            if qform is None:
                raise Refused(f"{name} has a qform that is not a rotation, and no sform: nobody knows where it is")
            notes.append(reason)
        else:
            notes.append("qform was not a rotation; sform was taken")
            qform = None
    header_view = HeaderView(header=header, affine=_best(header, sform, qform), placed=True, notes=notes)
    if sform is None and qform is None:
        header_view.placed = False
        notes.append("no orientation in the header; axes taken as nibabel reads them")
    if sform is not None and qform is not None and not _same(sform, qform, shape):
        header_view.other_affine = qform
        notes.append("qform and sform disagreed; sform was taken, as nibabel does")
    _settle_units(header_view, name)
    affine = header_view.affine
    if header_view.placed and geometry.is_usable(affine):
        edges = np.asarray(header["pixdim"][1:4], dtype=np.float64) * header_view.units
        if not np.allclose(edges, geometry.spacing_of(affine), rtol=1e-3) or not _same(
            affine, _with_edges(affine, edges), shape
        ):
            notes.append(f"pixdim {np.round(edges, 4).tolist()} did not fit the affine; taken from the affine")
        elif qform is not None and not _same(qform, _reference_qform(header), shape):
            notes.append("a half turn in the qform is rounded differently by SimpleITK; sform added")
    return header_view


def place(header: Header, affine: Affine, shape: Shape) -> Affine:
    """Write a geometry into a header so that every reader finds the same one; return it as it is now stored."""
    code = int(header["sform_code"]) or int(header["qform_code"]) or 1
    header.set_data_shape(shape)
    header.set_sform(affine, code)
    header.set_qform(affine, code)
    header["xyzt_units"] = (int(header["xyzt_units"]) & ~7) | 2
    placed = np.asarray(header.get_best_affine(), dtype=np.float64)
    if not (_same(placed, _reference_qform(header), shape) and _same(placed, header.get_qform(), shape)):
        # A half turn cannot be stored exactly enough as a quaternion of 32-bit floats.
        header["qform_code"] = 0
    return placed


def _begins_like_nifti(beginning: bytes) -> bool:
    return len(beginning) >= 4 and bool(
        {348, 540} & set(struct.unpack("<i", beginning[:4]) + struct.unpack(">i", beginning[:4]))
    )


def _class_of(beginning: bytes) -> type[Any]:
    if len(beginning) >= 4 and 540 in struct.unpack("<i", beginning[:4]) + struct.unpack(">i", beginning[:4]):
        return nibabel.Nifti2Header
    return nibabel.Nifti1Header


def _reasons_beside_geometry(header: Header, beginning: bytes) -> list[str]:
    """Reasons why SimpleITK, or nibabel itself, might see other voxels."""
    notes = []
    stored = type(header)(beginning[: header.template_dtype.itemsize], check=False)
    changed = [name for name in header if header[name].tobytes() != stored[name].tobytes()]
    for name in changed:
        if name == "pixdim":
            # Every reader takes a qfac of 0 as 1.
            if np.array_equal(header["pixdim"][1:], stored["pixdim"][1:]) and stored["pixdim"][0] == 0:
                continue
            notes.append(f"pixdim was {np.round(stored['pixdim'][:4], 4).tolist()}; read as nibabel does")
        elif name not in _CORRECTED_ALIKE:
            notes.append(f"{name} {stored[name].item()} is not defined; ignored, as nibabel does")
    if float(stored["vox_offset"]) != voxels_at(header):
        notes.append(f"vox_offset was {float(stored['vox_offset']):g}; voxels begin at {voxels_at(header)}")
    slope, intercept = float(stored["scl_slope"]), float(stored["scl_inter"])
    if header.get_slope_inter()[0] is None:
        if (not math.isnan(slope) and slope != 0) or (math.isfinite(intercept) and intercept != 0):
            notes.append(f"scl_slope was {slope:g} with scl_inter {intercept:g}: no scaling, as nibabel reads it")
    elif abs(slope) < 1e-6:
        notes.append(f"scl_slope {slope:g} is so small that SimpleITK ignores it; scaled voxels were written")
    if int(header["bitpix"]) != header.get_data_dtype().itemsize * 8:
        notes.append(f"bitpix {int(header['bitpix'])} did not fit the type {header.get_data_dtype()}")
    if int(header["intent_code"]) in _VECTOR_INTENTS:
        notes.append(f"intent_code {int(header['intent_code'])} means several values in each voxel; dropped")
    if not _extensions_are_readable(beginning, header):
        notes.append("header extensions were not readable; dropped")
    return notes


def _extensions_are_readable(beginning: bytes, header: Header) -> bool:
    length = header.template_dtype.itemsize
    if len(beginning) < length + 4:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            type(header).from_fileobj(io.BytesIO(beginning[: voxels_at(header)]), check=False)
    # Each kind of extension has its own reader, which may fail in any way.
    except Exception:
        return False
    return True


def _qform(header: Header) -> tuple[Affine | None, str]:
    """The qform, None if there is none, and what was wrong with it."""
    if int(header["qform_code"]) <= 0:
        return None, ""
    try:
        return np.asarray(header.get_qform(), dtype=np.float64), ""
    except (nibabel.spatialimages.HeaderDataError, ValueError):
        pass
    length = math.sqrt(sum(float(header[name]) ** 2 for name in ("quatern_b", "quatern_c", "quatern_d")))
    # NaN compares as false.
    if 1 <= length <= 1.01:
        return _reference_qform(header), f"the qform's quaternion was too long by {length - 1:.1g}; shortened"
    return None, "qform is not a rotation"


def _reference_qform(header: Header) -> Affine:
    """The qform as NIfTI's reference library computes it, which SimpleITK uses."""
    b, c, d = (float(header[name]) for name in ("quatern_b", "quatern_c", "quatern_d"))
    rest = 1.0 - (b * b + c * c + d * d)
    if rest < 1e-7:
        length = math.sqrt(b * b + c * c + d * d) or 1.0
        a, b, c, d = 0.0, b / length, c / length, d / length
    else:
        a = math.sqrt(rest)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    edges = np.array([edge if edge > 0 else 1.0 for edge in map(float, header["pixdim"][1:4])])
    if float(header["pixdim"][0]) < 0:
        edges[2] = -edges[2]
    affine = np.eye(4)
    affine[:3, :3] = rotation * edges
    affine[:3, 3] = [float(header[name]) for name in ("qoffset_x", "qoffset_y", "qoffset_z")]
    return affine


def _best(header: Header, sform: Affine | None, qform: Affine | None) -> Affine:
    if sform is not None:
        return np.asarray(sform, dtype=np.float64)
    if qform is not None:
        return qform
    return np.asarray(header.get_base_affine(), dtype=np.float64)


def _with_edges(affine: Affine, edges: NDArray[np.float64]) -> Affine:
    """An affine with other voxel edges and the same axes: SimpleITK takes the edges from pixdim."""
    changed = affine.copy()
    changed[:3, :3] = affine[:3, :3] / geometry.spacing_of(affine) * edges
    return changed


def _same(first: Affine, second: Affine, shape: Shape) -> bool:
    if not (geometry.is_usable(first) and np.all(np.isfinite(second))):
        return False
    return geometry.displacement(first, second, shape) <= geometry.SAME_GRID


def _settle_units(view: HeaderView, name: str) -> None:
    """Make numbers millimetres, whatever unit the header names. nibabel ignores the unit, SimpleITK applies it."""
    code = int(view.header["xyzt_units"]) & 7
    if code in (0, 2):
        return
    factor = _MILLIMETRES.get(code, 1.0)
    if geometry.is_usable(view.affine):
        edges = geometry.spacing_of(view.affine)
        factor = unit_factor(edges, factor, name)
    else:
        factor = 1.0
    view.units = factor
    view.affine = view.affine * np.array([[factor], [factor], [factor], [1.0]])
    if view.other_affine is not None:
        view.other_affine = view.other_affine * np.array([[factor], [factor], [factor], [1.0]])
    unit = {1: "metres", 3: "micrometres"}.get(code, f"a unit that is not defined ({code})")
    done = "the numbers are in mm" if factor == 1 else "converted to mm"
    view.notes.append(f"the header gives lengths in {unit}: {done}")


def unit_factor(edges: NDArray[np.float64], declared: float, name: str) -> float:
    """Factor from a header's numbers to millimetres, since the declared factor may be wrong.

    Raises:
        Refused: If both readings, or neither, give plausible voxels of a scan.

    Examples:
        >>> unit_factor(np.array([0.8, 0.8, 5.0]), 1000.0, "x.nii"), unit_factor(np.full(3, 0.0008), 1000.0, "x.nii")
        (1.0, 1000.0)
    """
    readings = [factor for factor in {1.0, declared} if plausible_edges(edges * factor)]
    if len(readings) != 1:
        raise Refused(
            f"{name} has voxel edges {np.round(edges, 6).tolist()} in a unit of {declared:g} mm, which may be right or "
            f"wrong: set xyzt_units to mm, and the numbers to match"
        )
    return readings[0]


def plausible_edges(edges: NDArray[np.float64]) -> bool:
    """Whether these may be the voxel edges, in mm, of a scan of a body."""
    return bool(np.all((edges >= _CT_EDGES[0]) & (edges <= _CT_EDGES[1])))
