"""The trainer that other networks build on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn
from torch._dynamo import OptimizedModule
from torch.nn.parallel import DistributedDataParallel

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.nnunet import patches
from nnunet_tricks.training import preconditions
from nnunet_tricks.training.network_sizes import Size, chosen
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.network.architecture.shared_statistics import with_shared_statistics

Sizes = Mapping[Size, Mapping[str, Any]]
"""Arguments of a network in full size, and of a small one."""


@dataclass(frozen=True)
class Interface:
    """What goes into a network and comes out of it, by plans and data set.

    Attributes:
        patch_size: Voxels of a patch along each axis.
        channels: Number of channels of the input.
        classes: Number of channels of the output.
        deep_supervision: Whether the output is a list, full resolution first.
        planned: Arguments of the network that nnU-Net planned, such as its norm layers.
    """

    patch_size: tuple[int, ...]
    channels: int
    classes: int
    deep_supervision: bool
    planned: Mapping[str, Any]


class ArchitectureTrainer(TrickTrainer):
    """A trainer whose network is another one than the planned U-Net; everything else stays nnU-Net's.

    Attributes:
        architecture: Name of the network in the catalogue.
        sizes: Arguments of ``make_network`` for the network itself, and for a small one that the conformance harness
            builds. Both have the same kinds of layers.
    """

    architecture: ClassVar[str]
    sizes: ClassVar[Sizes] = {"full": {}, "small": {}}

    @classmethod
    @abstractmethod
    def make_network(cls, interface: Interface, **size: Any) -> nn.Module:
        """The network with random weights. It takes images of any size, and has ``decoder.deep_supervision``.

        ``inside`` tells to which size it pads images, where it does.

        Args:
            interface: What goes in and comes out.
            size: Entry of ``sizes``.
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
        """The network of the name.

        Raises:
            ValueError: If a package that it needs is missing.
        """
        preconditions.check_packages(cls.architecture_info())
        interface = Interface(
            tuple(configuration_manager.patch_size),
            num_input_channels,
            num_output_channels,
            enable_deep_supervision,
            configuration_manager.network_arch_init_kwargs,
        )
        return cls.make_network(interface, **chosen(cls.sizes))

    @classmethod
    def architecture_info(cls) -> TrickInfo:
        """Entry of the network in the catalogue."""
        return next(info for info in CATALOGUE if info.name == cls.architecture)

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse plans whose batches the network cannot be trained with."""
        cls.check_batch(planned.batch_size)
        super().check_planned(planned)
        network = cls.planned_network(planned) if planned.batch_size == 1 else None
        if network is not None:
            cls._check_one_patch(network, planned)

    @classmethod
    def _check_one_patch(cls, network: nn.Module, planned: Planned) -> None:
        """Refuse a single patch per batch of which the deepest stage has a single voxel, if batch norm meets it."""
        channels, _ = planned.channels
        patch = tuple(planned.configuration.patch_size)
        try:
            # Only sizes matter here, and torch's own check tells.
            network.train()(torch.zeros(1, channels, *patch, device=next(network.parameters()).device))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            size = "x".join(map(str, patch))
            raise ValueError(
                f"{cls.architecture} needs more than one patch of {size} per batch, and per GPU where several train: "
                "batch norm would see a single voxel in the deepest stage; plan larger batches with 'nnunet-tricks "
                "plan --batch', or larger patches with --patch"
            ) from error
        except RuntimeError:
            return  # what torch cannot compute without values is seen when the training starts

    @classmethod
    def check_batch(cls, batch_size: int) -> None:
        """Refuse batches with too few patches, of the plans or of one GPU of several.

        Args:
            batch_size: Patches of a batch.

        Raises:
            ValueError: If they are too few.
        """

    def initialize(self) -> None:
        """Build everything, and write into the log what the network does with these plans."""
        with patches.converter_to_sync_batch_norm(with_shared_statistics):
            super().initialize()
        for line in self.network_notes():
            self.print_to_log_file(f"{self.architecture}: {line}", add_timestamp=False)

    @property
    def bare_network(self) -> Any:
        """The network itself, where DDP or torch.compile have wrapped it."""
        network = self.network
        if isinstance(network, DistributedDataParallel):
            network = network.module
        return network._orig_mod if isinstance(network, OptimizedModule) else network

    def network_notes(self) -> Iterator[str]:
        """Lines for the log on what the user should know."""
        parameters = sum(parameter.numel() for parameter in self.network.parameters())
        yield f"{parameters / 1e6:.1f} million parameters"
        patch = tuple(self.configuration_manager.patch_size)
        whole = self.bare_network.inside(patch)
        if whole != patch:
            sizes = " become ".join("x".join(map(str, size)) for size in (patch, whole))
            yield f"patches of {sizes} inside the network: {prod(whole) / prod(patch):.1f} times the voxels"
        if licence := self.architecture_info().licence:
            yield f"licence: {licence}"
