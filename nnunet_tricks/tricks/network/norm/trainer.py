"""The trainer that tricks with other norm layers build on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from copy import deepcopy
from math import ceil, prod
from typing import Any, ClassVar

import numpy as np
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import TrickTrainer

EPS = 1e-5
"""Added to the variance, as in nnU-Net's plans."""


class NormTrainer(TrickTrainer):
    """A trainer that replaces the norm layers of its planned network and nothing else.

    Attributes:
        norm_trick: Name of the trick in the catalogue.
    """

    norm_trick: ClassVar[str]

    @classmethod
    @abstractmethod
    def norm(cls, dimensions: int) -> tuple[type[nn.Module], dict[str, Any]]:
        """The layer, whose first argument is the number of channels, and its other arguments.

        Args:
            dimensions: Number of spatial dimensions, 2 or 3.
        """

    @classmethod
    @abstractmethod
    def values(cls, *, batch: int, channels: int, voxels: int) -> int:
        """How many values share a mean and a variance.

        Args:
            batch: Number of patches in a batch.
            channels: Number of channels of the features.
            voxels: Number of voxels of one patch's features.
        """

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
        """The planned network with other layers.

        Raises:
            ValueError: If the plans do not say how their network normalises.
        """
        # A copy, since nnU-Net writes the plans that it was given into the results.
        configuration = deepcopy(configuration_manager.configuration)
        arguments = configuration["architecture"]["arch_kwargs"]
        if "norm_op" not in arguments:
            raise ValueError(
                f"{cls.norm_trick} replaces the norm layers of nnU-Net's own U-Nets (PlainConvUNet, "
                f"ResidualEncoderUNet); the plans name {configuration_manager.network_arch_class_name}, which takes "
                "no norm_op"
            )
        layer, settings = cls.norm(len(configuration_manager.patch_size))
        arguments["norm_op"] = f"{layer.__module__}.{layer.__qualname__}"
        arguments["norm_op_kwargs"] = settings
        return super().build_network_architecture(
            plans_manager,
            ConfigurationManager(configuration),
            num_input_channels,
            num_output_channels,
            enable_deep_supervision,
        )

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse layers that would see single values: nothing is left of one when its mean is subtracted."""
        super().check_planned(planned)
        cls._require_values(planned.configuration)

    def initialize(self) -> None:
        """Build everything, and write into the log what the layers do with these plans."""
        super().initialize()
        for line in self.norm_notes():
            self.print_to_log_file(f"{self.norm_trick}: {line}", add_timestamp=False)

    def norm_notes(self) -> Iterator[str]:
        """Lines for the log on what the user should know."""
        yield from ()

    @classmethod
    def _require_values(cls, configuration: ConfigurationManager) -> None:
        arguments = configuration.network_arch_init_kwargs
        patch, batch = configuration.patch_size, configuration.batch_size
        size = [ceil(side / stride) for side, stride in zip(patch, np.prod(arguments["strides"], axis=0), strict=True)]
        channels = arguments["features_per_stage"][-1]
        if cls.values(batch=batch, channels=channels, voxels=prod(size)) > 1:
            return
        shapes = ("x".join(map(str, shape)) for shape in (patch, size))
        raise ValueError(
            f"{cls.norm_trick} needs at least 2 values to normalise, and has 1 in the network's deepest stage, where "
            "a patch of {} has {} voxels and a batch has {} of them: plan another patch or batch size with "
            "'nnunet-tricks plan --patch --batch'".format(*shapes, batch)
        )
