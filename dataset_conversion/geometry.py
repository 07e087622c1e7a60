"""Where voxels are in the patient: whether an affine is usable, and how a label's grid relates to its image's."""

# mypy: untyped-calls-exclude="nibabel"
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform
from numpy.typing import NDArray

from dataset_conversion.errors import Refused

Affine = NDArray[np.float64]
Shape = tuple[int, int, int]

SAME_GRID = 0.05
"""Largest distance of corners of the same grid, as a part of the smallest voxel edge."""
ITK_SHEAR = 1e-4
"""Largest cosine of axes that SimpleITK takes as orthonormal (it refuses 1e-3)."""
CORRECTABLE_SHEAR = 0.01
"""Largest cosine (0.6 degrees) of axes that are made orthogonal; above it, the scanner's gantry was really tilted."""
# In mm or micrometres: beyond these, 32-bit floats cannot hold a voxel's place.
_FARTHEST, _LONGEST_EDGE = 1e7, 1e5


def spacing_of(affine: Affine) -> NDArray[np.float64]:
    """Voxel edges in mm.

    Examples:
        >>> spacing_of(np.diag([1.0, 1.0, 5.0, 1.0])).tolist()
        [1.0, 1.0, 5.0]
    """
    return np.sqrt(np.sum(affine[:3, :3] ** 2, axis=0))


def is_usable(affine: Affine) -> bool:
    """Whether an affine is finite and plausible, with no axis of length zero or in the plane of the others."""
    if not np.all(np.isfinite(affine)) or np.max(np.abs(affine)) > _FARTHEST:
        return False
    edges = spacing_of(affine)
    return (
        bool(np.all((edges > 1e-6) & (edges < _LONGEST_EDGE)))
        and abs(float(np.linalg.det(affine[:3, :3] / edges))) > 1e-3
    )


def is_placeholder(affine: Affine) -> bool:
    """Whether an affine is unusable, or the unit matrix with any origin, as tools write without a known geometry."""
    return not is_usable(affine) or np.allclose(np.abs(affine[:3, :3]), np.eye(3), atol=1e-4)


def shear_of(affine: Affine) -> float:
    """Largest cosine between two voxel axes; 0 if they are orthogonal."""
    axes = affine[:3, :3] / spacing_of(affine)
    return float(np.max(np.abs(axes.T @ axes - np.eye(3))))


def orthogonal(affine: Affine, shape: Shape) -> Affine:
    """The nearest affine with orthogonal axes and the same voxel edges; the volume's centre stays where it is."""
    edges = spacing_of(affine)
    left, _, right = np.linalg.svd(affine[:3, :3] / edges)
    corrected = affine.copy()
    corrected[:3, :3] = (left @ right) * edges
    centre = (np.array(shape) - 1) / 2
    corrected[:3, 3] += affine[:3, :3] @ centre - corrected[:3, :3] @ centre
    return corrected


def displacement(first: Affine, other: Affine, shape: Shape) -> float:
    """Largest distance between the corners of two grids, in smallest voxel edges of the first."""
    corners = np.array(np.meshgrid(*([0, length - 1] for length in shape), indexing="ij")).reshape(3, -1)
    apart = (first[:3, :3] - other[:3, :3]) @ corners + (first[:3, 3:] - other[:3, 3:])
    return float(np.sqrt(np.max(np.sum(apart**2, axis=0))) / np.min(spacing_of(first)))


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How a label is brought onto its image's grid."""

    note: str
    """What had to be done; empty if nothing."""
    transform: NDArray[np.float64] | None
    """nibabel's orientation transform of the label array; None to keep its order."""

    def apply(self, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The label in the image's voxel order."""
        return label if self.transform is None else np.asarray(apply_orientation(label, self.transform))

    def same_order(self, other: Alignment) -> bool:
        """Whether two alignments put the voxels in the same order."""
        if self.transform is None or other.transform is None:
            return self.transform is other.transform
        return np.array_equal(self.transform, other.transform)


def align(
    image: Affine,
    image_shape: Shape,
    label: Affine,
    label_shape: Shape,
    *,
    image_placed: bool = True,
    label_placed: bool = True,
) -> Alignment:
    """Find out how a label is brought onto its image's grid.

    On the same grid, within tolerance, nothing is done. In the same box with another voxel order, axes are swapped and
    flipped in world space. If the label surely has no geometry and the image has a real one, the image's is taken.

    Args:
        image: Affine of the image.
        image_shape: Shape of the image.
        label: Affine of the label.
        label_shape: Shape of the label.
        image_placed: Whether the image's header gives an orientation; without one its affine is a guess.
        label_placed: Whether the label's header gives one.

    Raises:
        Refused: In every other case, since nobody can know which of the two is right.
    """
    if image_shape == label_shape and is_usable(label) and displacement(image, label, image_shape) <= SAME_GRID:
        return Alignment(note="", transform=None)
    if not label_placed and is_usable(label):
        return _without_orientation(image, image_shape, label, label_shape, image_placed=image_placed)
    apart = float("inf")
    if is_usable(label) and image_placed:
        transform = ornt_transform(io_orientation(label), io_orientation(image))
        moved_shape = tuple(int(length) for length in np.array(label_shape)[np.argsort(transform[:, 0])])
        moved = label @ inv_ornt_aff(transform, label_shape)
        apart = displacement(image, moved, image_shape) if moved_shape == image_shape else apart
        if apart <= SAME_GRID:
            if image_shape == label_shape:
                _refuse_unit_matrix(image, label)
            return Alignment(
                note="label was stored in another voxel order; aligned in world space", transform=transform
            )
    if is_placeholder(label) and not is_placeholder(image):
        if image_shape != label_shape:
            raise Refused(
                f"label has shape {label_shape} and no real geometry, image has shape {image_shape}: "
                f"nothing says how they correspond"
            )
        return Alignment(note="label had no real geometry (unit matrix); the image's was taken", transform=None)
    if not is_usable(label):
        raise Refused("neither image nor label has a usable geometry")
    if image_shape != label_shape and sorted(image_shape) != sorted(label_shape):
        raise Refused(f"image has shape {image_shape}, label {label_shape}: they are not on one grid")
    if is_placeholder(image) or not image_placed:
        what = "real geometry (unit matrix)" if image_placed else "orientation in its header"
        raise Refused(f"image has no {what} but its label has another one; copy the right header into the image")
    raise Refused(
        f"image and label are in different places: their corners are {apart:.3g} voxels apart, and "
        f"both geometries look real; look at them in a viewer, correct the wrong header and convert again"
    )


def _refuse_unit_matrix(image: Affine, label: Affine) -> None:
    """Refuse a label that fits in world space, but whose header may mean that it has no geometry."""
    if is_placeholder(label) and np.allclose([image[:3, 3], label[:3, 3]], 0):
        raise Refused(
            "the label's header is the unit matrix with origin 0: either that is true, and its axes are in another "
            "order than the image's, or it stands for no geometry at all; copy the image's header into the label if "
            "voxels correspond one to one, or give it any other true header"
        )


def _without_orientation(
    image: Affine, image_shape: Shape, label: Affine, label_shape: Shape, *, image_placed: bool
) -> Alignment:
    """Align a label whose header gives only voxel edges."""
    if image_shape != label_shape:
        raise Refused(
            f"label has shape {label_shape} and no orientation in its header, image has shape {image_shape}: "
            f"nothing says how they correspond"
        )
    edges, expected = spacing_of(label), spacing_of(image)
    if not (np.allclose(edges, expected, rtol=1e-2) or np.allclose(edges, 1)):
        raise Refused(
            f"label has no orientation in its header and voxel edges {np.round(edges, 4).tolist()}, image "
            f"{np.round(expected, 4).tolist()}: nothing says how they correspond"
        )
    if not image_placed and is_placeholder(image):
        raise Refused("neither image nor label says where it is or how large its voxels are")
    return Alignment(note="label had no orientation in its header; the image's was taken", transform=None)
