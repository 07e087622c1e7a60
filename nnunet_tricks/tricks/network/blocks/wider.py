r"""A wider network: the control that separates what a block does from how large it makes the network.

Every stage of the planned network gets more channels, all by the same factor w, until the network has the number of
parameters that the name asks for. The channels of stage s are $8 \max(1, \lfloor w f_s / 8 + 1/2 \rfloor)$ for planned
channels $f_s$. In place of 8 stands the greatest common divisor of 8 and all $f_s$ where these are no multiples of 8.
Of all w the one is taken whose number of parameters is nearest; of two that are equally near, the smaller.

Parameters grow with $w^2$, so twice as many of them need about 1.4 times the channels, and 1.4 times the memory. As a
trick of its own it is the widening of Zagoruyko and Komodakis, "Wide residual networks", BMVC 2016. Networks with as
many parameters may still differ in time and memory: the log says what it costs of each.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import cache
from math import floor, gcd
from typing import Any

from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_tricks.training.without_values import without_values
from nnunet_tricks.tricks.network.blocks.cost import log_cost
from nnunet_tricks.tricks.network.blocks.planned_network import PlannedNetworkTrainer

STEP = 8
"""Channels are multiples of it, so that group norm and GPUs have something to divide."""
WIDEST = 16.0
"""Largest factor of the channels."""
ROUNDING = 1e-9
"""Room for rounding errors, so that a border between two widths belongs to the larger."""


def widened(features: Sequence[int], factor: float) -> list[int]:
    """Channels of all stages times a factor, as multiples of 8 where the planned ones are.

    Args:
        features: Planned channels of each stage.
        factor: Factor of the channels.

    Examples:
        >>> widened([32, 64, 128, 256, 320], 1.4)
        [48, 88, 176, 360, 448]
        >>> widened([32, 64, 128, 256, 320], 1.0)
        [32, 64, 128, 256, 320]
    """
    step = gcd(STEP, *features)
    return [step * max(1, floor(factor * channels / step + 0.5 + ROUNDING)) for channels in features]


def factors(features: Sequence[int], widest: float = WIDEST) -> list[float]:
    """All factors at which the channels of a stage change, smallest first; between two of them nothing changes.

    Args:
        features: Planned channels of each stage.
        widest: Largest factor.

    Examples:
        >>> [widened([8, 16], factor) for factor in factors([8, 16], 1.5)]
        [[8, 8], [8, 16], [8, 24], [16, 24]]
    """
    step = gcd(STEP, *features)
    borders = {
        (multiple + 0.5) * step / channels
        for channels in features
        for multiple in range(1, floor(widest * channels / step + 0.5))
    }
    return [0.0, *sorted(border for border in borders if border <= widest)]


class nnUNetTrainerWider(PlannedNetworkTrainer):
    """nnU-Net with a wider network, of a given number of parameters."""

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
        """The planned network with other channels.

        Raises:
            ValueError: If the plans do not say how many channels their network has, or there is no such network.
        """
        # A copy, since nnU-Net writes the plans that it was given into the results.
        configuration = deepcopy(configuration_manager.configuration)
        arguments = configuration["architecture"]["arch_kwargs"]
        factor = cls.factor_of(configuration_manager, num_input_channels, num_output_channels)
        _widen(arguments, factor)
        return super().build_network_architecture(
            plans_manager,
            ConfigurationManager(configuration),
            num_input_channels,
            num_output_channels,
            enable_deep_supervision,
        )

    @classmethod
    def factor_of(cls, configuration: ConfigurationManager, channels: int, classes: int) -> float:
        """The factor of the channels that the name asks for.

        Args:
            configuration: Configuration with the planned network.
            channels: Number of channels of the input.
            classes: Number of channels of the output.

        Raises:
            ValueError: If the plans do not say how many channels their network has, or there is no such network.
        """
        architecture = configuration.configuration["architecture"]
        if "features_per_stage" not in architecture["arch_kwargs"]:
            raise ValueError(
                f"Wider scales features_per_stage of nnU-Net's own U-Nets (PlainConvUNet, ResidualEncoderUNet); the "
                f"plans name {configuration.network_arch_class_name}, which takes none"
            )
        described = json.dumps(architecture, sort_keys=True, default=str)
        settings = cls.parameters["Wider"]
        planned = _parameters(described, 1.0, channels, classes)
        target = 1e6 * settings.params or settings.x * planned
        return _nearest_factor(described, target, channels, classes)

    def initialize(self) -> None:
        """Build everything, and write into the log how large the network is."""
        super().initialize()
        for line in self.width_notes():
            self.print_to_log_file(f"Wider: {line}", add_timestamp=False)
        log_cost(self, nnUNetTrainerWider, "Wider")

    def width_notes(self) -> Iterator[str]:
        """Lines for the log: what was asked for, and what was reached."""
        manager = self.configuration_manager
        described = json.dumps(manager.configuration["architecture"], sort_keys=True, default=str)
        channels, classes = self.num_input_channels, self.label_manager.num_segmentation_heads
        factor = self.factor_of(manager, channels, classes)
        planned = _parameters(described, 1.0, channels, classes)
        reached = _parameters(described, factor, channels, classes)
        features = _features(manager.configuration["architecture"]["arch_kwargs"])
        settings = self.parameters["Wider"]
        wanted = f"{settings.params:g} million were asked for" if settings.params else f"{settings.x:g} was asked for"
        yield (
            f"{reached / 1e6:.3g} million parameters, {reached / planned:.3f} times the planned {planned / 1e6:.3g} "
            f"million ({wanted}); channels {', '.join(map(str, widened(features, factor)))} in place of "
            f"{', '.join(map(str, features))}"
        )
        if reached == planned:
            yield "changes nothing: no other width is nearer to what was asked for"


def _features(arguments: dict[str, Any]) -> list[int]:
    features = arguments["features_per_stage"]
    return [features] * arguments["n_stages"] if isinstance(features, int) else list(features)


def _widen(arguments: dict[str, Any], factor: float) -> None:
    """Scale all channels in the arguments of a planned network."""
    if factor == 1.0:
        return
    arguments["features_per_stage"] = widened(_features(arguments), factor)
    for name in ("bottleneck_channels", "stem_channels"):
        value = arguments.get(name)
        if isinstance(value, int):
            arguments[name] = widened([value], factor)[0]
        elif value is not None:
            arguments[name] = widened(value, factor)


@cache
def _parameters(described: str, factor: float, channels: int, classes: int) -> int:
    """Number of parameters of a planned network, with a factor of its channels; no other trick counts."""
    architecture = json.loads(described)
    _widen(architecture["arch_kwargs"], factor)
    network = without_values(
        lambda: get_network_from_plans(
            architecture["network_class_name"],
            architecture["arch_kwargs"],
            architecture["_kw_requires_import"],
            channels,
            classes,
            allow_init=False,
            deep_supervision=True,
        )
    )
    return sum(weight.numel() for weight in network.parameters())


@cache
def _nearest_factor(described: str, target: float, channels: int, classes: int) -> float:
    features = _features(json.loads(described)["arch_kwargs"])
    known = factors(features)

    def size(factor: float) -> int:
        return _parameters(described, factor, channels, classes)

    least, most = size(known[0]), size(known[-1])
    if not least <= target <= most:
        raise ValueError(
            f"Wider is to have {target / 1e6:.3g} million parameters, and networks with the planned stages have from "
            f"{least / 1e6:.3g} to {most / 1e6:.3g} million: choose x or params within"
        )
    above = bisect_left(known, target, key=size)
    if above and target - size(known[above - 1]) <= size(known[above]) - target:
        above -= 1
    # Of a range of factors the planned network is told by 1, so that nothing about it changes.
    return 1.0 if widened(features, known[above]) == features else known[above]
