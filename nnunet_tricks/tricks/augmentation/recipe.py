"""The steps of an augmentation, in nnU-Net's order: voxels move, grey values change, patches are mirrored.

Labels outside the image, the cascade's masks, regions and levels of deep supervision stay nnU-Net's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.pseudo2d import Convert2DTo3DTransform, Convert3DTo2DTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform

from nnunet_tricks.tricks.augmentation.patch import Patch
from nnunet_tricks.tricks.augmentation.spatial import Size, Step, centre


@dataclass
class Recipe:
    """An augmentation; tricks add to it.

    Attributes:
        patch: Patches that are augmented.
        steps: Steps that move voxels of ``patch.plane``, one after the other.
        intensity: Transforms that change grey values.
        mirror: Axes of the patch along which each patch is mirrored with probability 0.5.
        notes: Lines for the log.
    """

    patch: Patch
    steps: list[Step] = field(default_factory=list)
    intensity: list[BasicTransform] = field(default_factory=list)
    mirror: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def loaded_size(self) -> Size:
        """The size of patches before the augmentation."""
        size = self.patch.plane.size
        for step in reversed(self.steps):
            size = step.read(size)
        return (self.patch.size[0], *size) if self.patch.by_slices else size

    @property
    def transforms(self) -> list[BasicTransform]:
        """Transforms from a patch of the loaded size to one of its own size."""
        mirrors = [MirrorTransform(self.mirror)] if self.mirror else []
        return [*self._spatial(), *self.intensity, *mirrors]

    def note_turns(self) -> None:
        """Note for the log which quarter turns would stretch objects and are left out."""
        axes, dimensions = self.patch.turning_axes, len(self.patch.size)
        if len(axes) == dimensions:
            return
        edges = " x ".join(f"{edge:g}" for edge in self.patch.spacing)
        turns = f"in the plane of axes {axes[0]} and {axes[1]} only" if axes else "by 180 degrees only"
        if self.patch.by_slices:
            why = f"voxels of {edges} mm, and nnU-Net warps such patches slice by slice"
        elif not self.patch.resampled:
            why = f"images are not resampled to one spacing, so that not all have the planned voxels of {edges} mm"
        else:
            why = f"voxels of {edges} mm, and objects would be stretched"
        self.notes.append(f"patches are turned {turns}: {why}")

    def _spatial(self) -> list[BasicTransform]:
        moves: list[BasicTransform] = []
        size = self.patch.plane.size
        for step in reversed(self.steps):
            moves = [RandomTransform(step.transform(size), step.p), centre(size), *moves]
            size = step.read(size)
        if moves and self.patch.by_slices:
            return [Convert3DTo2DTransform(), *moves, Convert2DTo3DTransform()]
        return moves


class InPlaceOfNnunets:
    """Stands for nnU-Net's ``get_training_transforms``; what would follow its augmentation follows ours."""

    def __init__(self, original: Callable[..., ComposeTransforms], recipe: Callable[[], Recipe]) -> None:
        """Stand for a function.

        Args:
            original: nnU-Net's ``get_training_transforms``.
            recipe: Function that gives the augmentation; called when nnU-Net asks for its transforms.
        """
        self.original = original
        self.recipe = recipe

    def __call__(self, *args: Any, **kwargs: Any) -> ComposeTransforms:
        """The recipe's transforms, then those of nnU-Net that are no augmentation."""
        _, rest = _parts(self.original(*args, **kwargs))
        return ComposeTransforms([*self.recipe().transforms, *rest])


class AfterAugmentation:
    """Stands for ``get_training_transforms``, with one more transform after the augmentation."""

    def __init__(self, original: Callable[..., ComposeTransforms], added: BasicTransform) -> None:
        """Stand for a function.

        Args:
            original: nnU-Net's ``get_training_transforms``, or what stands for it.
            added: Transform that is put in.
        """
        self.original = original
        self.added = added

    def __call__(self, *args: Any, **kwargs: Any) -> ComposeTransforms:
        """The augmentation, the added transform, and those of nnU-Net that are no augmentation."""
        augmentation, rest = _parts(self.original(*args, **kwargs))
        return ComposeTransforms([*augmentation, self.added, *rest])


def _parts(composed: ComposeTransforms) -> tuple[list[BasicTransform], list[BasicTransform]]:
    """The transforms that augment, and those after them that nnU-Net applies to any patch."""
    transforms = list(composed.transforms)
    # The first thing that nnU-Net does after its augmentation is to put back zeros outside a mask or the label 0.
    after = (MaskImageTransform, RemoveLabelTansform)
    end = next((at for at, transform in enumerate(transforms) if isinstance(transform, after)), None)
    if end is None:
        raise RuntimeError("this version of nnU-Net augments in a way that nnunet_tricks does not know yet")
    return transforms[:end], transforms[end:]
