"""Maps as further channels of nnU-Net's target at full size, made where it augments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from numpy.typing import NDArray
from torch import Tensor

MapOfMask = Callable[[NDArray[np.bool_], Sequence[float]], NDArray[np.float32]]
"""From a mask and the voxel's edges in mm to a map of the same shape. A function of a module: workers pickle it."""


@dataclass(frozen=True)
class Layout:
    """What the channels of nnU-Net's target at full size are.

    Attributes:
        classes: Number of foreground classes or regions.
        regions: Whether each has a channel of its own.
        ignore: Whether there is an ignore label.
    """

    classes: int
    regions: bool
    ignore: bool

    @property
    def channels(self) -> int:
        """Number of channels before there are maps."""
        return self.classes + self.ignore if self.regions else 1

    def masks(self, target: Tensor) -> list[NDArray[np.bool_]]:
        """Where each foreground class or region is, in a target (channels, *spatial)."""
        if self.regions:
            return [channel.bool().numpy() for channel in target[: self.classes]]
        return [(target[0] == label).numpy() for label in range(1, self.classes + 1)]

    def split(self, joined: Tensor) -> tuple[Tensor, Tensor]:
        """The target as nnU-Net made it, and the maps.

        Args:
            joined: (B, channels + maps, *spatial).
        """
        target, maps = joined[:, : self.channels], joined[:, self.channels :]
        return target.to(torch.bool if self.regions else torch.int16), maps.contiguous()


class AppendMaps(BasicTransform):
    """Appends one map per foreground class or region to the segmentation, at full size only.

    The last of nnU-Net's transforms, so that the maps are those of the augmented truth; it draws nothing.
    """

    def __init__(self, map_of_mask: MapOfMask, layout: Layout, spacing: Sequence[float]) -> None:
        """Take what is the same for all patches.

        Args:
            map_of_mask: Makes a map.
            layout: Of the segmentation.
            spacing: Edges of a voxel in mm.
        """
        super().__init__()
        self.map_of_mask = map_of_mask
        self.layout = layout
        self.spacing = tuple(float(edge) for edge in spacing)

    def apply(self, data_dict: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Append.

        Args:
            data_dict: Has the segmentation (channels, *spatial), or a list of them, full size first.
        """
        segmentation = data_dict["segmentation"]
        full = segmentation[0] if isinstance(segmentation, list) else segmentation
        maps = [torch.from_numpy(self.map_of_mask(mask, self.spacing)) for mask in self.layout.masks(full)]
        joined = torch.cat([full.float(), torch.stack(maps)])
        data_dict["segmentation"] = [joined, *segmentation[1:]] if isinstance(segmentation, list) else joined
        return data_dict


class WithMaps:
    """Stands for ``get_training_transforms`` or ``get_validation_transforms`` while nnU-Net builds its loaders."""

    def __init__(self, original: Callable[..., BasicTransform], append: AppendMaps) -> None:
        """Take both.

        Args:
            original: The trainer's own.
            append: Goes last.
        """
        self.original = original
        self.append = append

    def __call__(self, *args: Any, **kwargs: Any) -> ComposeTransforms:
        """The transforms, and after them the maps."""
        return ComposeTransforms([self.original(*args, **kwargs), self.append])
