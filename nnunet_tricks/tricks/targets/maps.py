"""Maps as further channels of nnU-Net's target at full size, made by the workers that augment."""

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

from nnunet_tricks.training.voxel_sizes import CurrentEdges
from nnunet_tricks.tricks.targets.instances import COLOURS, SplitColours, before_channels_change
from nnunet_tricks.tricks.targets.pieces import Annotated, Kinds, MapOfKinds, map_of_annotated


@dataclass(frozen=True)
class Layout:
    """The channels of nnU-Net's target at full size, and what gets a map.

    Attributes:
        classes: Number of foreground classes or regions.
        regions: Whether each has a channel of its own.
        ignore: Whether there is an ignore label.
        per_decision: Whether there is one map for each decision (see ``Prediction.decisions``) instead of one for each
            class. A label map has a single decision, of all its classes.
    """

    classes: int
    regions: bool
    ignore: bool
    per_decision: bool = False

    @property
    def channels(self) -> int:
        """Number of channels without the maps."""
        return self.classes + self.ignore if self.regions else 1

    def kinds(self, target: Tensor, colours: Tensor | None = None) -> list[Kinds]:
        """What each map is made of.

        Args:
            target: (channels, *spatial).
            colours: (*spatial), colours that touching instances do not share; ``None`` where there are no instances.
        """
        if self.regions:
            kinds = [channel.bool() for channel in target[: self.classes]]
        elif self.per_decision:
            kinds = [target[0] * ((target[0] > 0) & (target[0] <= self.classes))]
        else:
            kinds = [target[0] == label for label in range(1, self.classes + 1)]
        if colours is None:
            return [kind.numpy() for kind in kinds]
        return [((kind + (self.classes + 1) * colours) * (kind != 0)).numpy() for kind in kinds]

    def annotated(self, target: Tensor) -> Annotated | None:
        """True where a voxel is annotated, ``None`` where all are.

        Args:
            target: (channels, *spatial).
        """
        if not self.ignore:
            return None
        # The ignore label is the one after all others.
        known = ~target[self.classes].bool() if self.regions else target[0] <= self.classes
        return None if known.all() else np.asarray(known.numpy())

    def split(self, joined: Tensor) -> tuple[Tensor, Tensor]:
        """The target as nnU-Net made it, and the maps.

        Args:
            joined: (B, channels + maps, *spatial).
        """
        target, maps = joined[:, : self.channels], joined[:, self.channels :]
        return target.to(torch.bool if self.regions else torch.int16), maps.contiguous()


class AppendMaps(BasicTransform):
    """Appends maps to the segmentation, at full size only.

    It comes last of all transforms, so that the maps are those of the augmented truth. It draws no random numbers.
    """

    def __init__(
        self,
        map_of_kinds: MapOfKinds,
        layout: Layout,
        spacing: Sequence[float] | CurrentEdges,
        *,
        numbers: bool = False,
    ) -> None:
        """Set up the transform.

        Args:
            map_of_kinds: Function that makes a map.
            layout: Layout of the segmentation.
            spacing: Edges of a voxel in mm, or the place where those of the current case are found.
            numbers: Whether maps hold numbers of things, see ``map_of_annotated``.
        """
        super().__init__()
        self.map_of_kinds = map_of_kinds
        self.layout = layout
        self._edges = spacing if isinstance(spacing, CurrentEdges) else CurrentEdges(spacing)
        self.numbers = numbers

    @property
    def spacing(self) -> tuple[float, ...]:
        """Edges of a voxel in mm, those of the case that is loaded."""
        return self._edges.edges

    def apply(self, data_dict: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Append the maps of the segmentation.

        Args:
            data_dict: Sample with the segmentation (channels, *spatial), or a list of them, full size first.
        """
        segmentation = data_dict["segmentation"]
        full = segmentation[0] if isinstance(segmentation, list) else segmentation
        kinds = self.layout.kinds(full, data_dict.pop(COLOURS, None))
        joined = torch.cat([full.float(), torch.from_numpy(self.maps(kinds, self.layout.annotated(full)))])
        data_dict["segmentation"] = [joined, *segmentation[1:]] if isinstance(segmentation, list) else joined
        return data_dict

    def maps(self, kinds: Sequence[Kinds], annotated: Annotated | None) -> NDArray[np.float32]:
        """The maps.

        Args:
            kinds: Kinds that each map is made of. Kinds where nobody annotated change no annotated voxel.
            annotated: True where a voxel is annotated, ``None`` where all are.

        Returns:
            (maps, *spatial), 0 where nobody annotated.
        """
        # In 2D nnU-Net plans a spacing of two edges, but a case has three.
        spacing = self.spacing[-kinds[0].ndim :]
        return np.stack(
            [map_of_annotated(self.map_of_kinds, part, spacing, annotated, numbers=self.numbers) for part in kinds]
        )


class WithMaps:
    """Stands for ``get_training_transforms`` or ``get_validation_transforms`` while nnU-Net builds its loaders."""

    def __init__(self, original: Callable[..., BasicTransform], append: AppendMaps, *, instances: bool) -> None:
        """Stand for a function.

        Args:
            original: Function of the trainer.
            append: Transform that appends the maps; it comes last.
            instances: Whether the segmentation that the loader reads holds colours of instances beside its labels.
        """
        self.original = original
        self.append = append
        self.instances = instances

    def __call__(self, *args: Any, **kwargs: Any) -> ComposeTransforms:
        """The original transforms, and after them the maps."""
        transforms = self.original(*args, **kwargs)
        if self.instances:
            transforms = before_channels_change(transforms, SplitColours())
        return ComposeTransforms([transforms, self.append])
