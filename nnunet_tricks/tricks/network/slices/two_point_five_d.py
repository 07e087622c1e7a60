"""2.5D: a 2D network that sees a slice and its neighbours as channels, and segments the slice.

The plans' 2D configuration, its patches, strides and channels stay. Only the first convolution has more inputs: 2n + 1
times as many, for n neighbours on each side. Beyond the first and the last slice these are repeated. So did Han,
"Automatic liver lesion segmentation using a deep convolutional neural network method", 2017, with which he won LiTS.
Others call it 2.5D to show three orthogonal planes, which is something else.

Patches are drawn as without it. The middle slice of a training patch is bit for bit the patch of the 2D configuration,
and its neighbours get the same augmentation with the same random numbers. Validation and stock ``nnUNetv2_predict``
work by the trainer's name: see ``slices/prediction.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import MakeTransforms
from nnunet_tricks.tricks.network.blocks.planned_network import PlannedNetworkTrainer
from nnunet_tricks.tricks.network.slices.neighbours import NeighbourKind
from nnunet_tricks.tricks.network.slices.prediction import give_neighbours
from nnunet_tricks.tricks.network.slices.transforms import ForEachSlice

PASTING = "CopyPaste"
"""Trick that pastes objects of other cases into patches."""


class nnUNetTrainerTwoPointFiveD(PlannedNetworkTrainer):
    """nnU-Net whose 2D network sees neighbouring slices."""

    @classmethod
    def slices(cls) -> int:
        """Number of neighbours on each side."""
        return int(cls.parameters["TwoPointFiveD"].slices)

    @classmethod
    def input_channels(cls, channels: int) -> int:
        """Number of channels that the network gets for an image of so many."""
        return (2 * cls.slices() + 1) * super().input_channels(channels)

    # Prediction calls this on the class, so the settings can only come from its name.
    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The network of the name for more input channels; whoever asks for it preprocesses with neighbours."""
        give_neighbours(configuration_manager, cls.slices())
        return super().build_network_architecture(
            plans_manager,
            configuration_manager,
            (2 * cls.slices() + 1) * num_input_channels,
            num_output_channels,
            enable_deep_supervision,
        )

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse tricks that put parts of other cases into a slice: these have no neighbours."""
        if any(trick.info.name == PASTING for trick in cls.trainer_name.switched):
            raise ValueError(
                f"TwoPointFiveD and {PASTING} do not go together: an object that is pasted into a slice is not in its "
                "neighbours; leave one of them out"
            )
        super().check_planned(planned)

    @property
    def dataset_class(self) -> Any:
        """Kind of data set that nnU-Net reads cases with, in training and validation."""
        kind = self._kind_of_dataset
        return kind if kind is None else NeighbourKind(kind, self.slices())

    @dataset_class.setter
    def dataset_class(self, kind: Any) -> None:
        self._kind_of_dataset = kind

    def training_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """The augmentation of a slice for its neighbours, too."""
        return ForEachSlice(super().training_transforms(make), self.slices())

    def initialize(self) -> None:
        """Build everything, and write into the log what the network sees."""
        super().initialize()
        for line in self.slice_notes():
            self.print_to_log_file(f"TwoPointFiveD: {line}", add_timestamp=False)

    def slice_notes(self) -> Iterator[str]:
        """Lines for the log: how many channels there are, how far slices are apart, and what does nothing."""
        number = 2 * self.slices() + 1
        channels = self.num_input_channels
        yield f"{number} slices of {channels} channel{'s' * (channels > 1)}: the network has {number * channels} inputs"
        plans = self.plans_manager.plans
        spacing = plans.get("original_median_spacing_after_transp", ())
        depth = plans.get("original_median_shape_after_transp", ())
        if depth and depth[0] <= 1:
            yield "WARNING: images of this data set have a single slice, so neighbours are copies of it"
        elif spacing:
            yield f"slices are {spacing[0]:g} mm apart in the median, and pixels {spacing[-1]:g} mm"
