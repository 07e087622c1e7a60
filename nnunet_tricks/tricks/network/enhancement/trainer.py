"""The trainer that tricks with enhanced skip connections build on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_tricks.tricks.network.enhancement.decoder import axes_of_stage, enhanced_decoder, with_parts
from nnunet_tricks.tricks.network.enhancement.decoder_trainer import DecoderTrainer
from nnunet_tricks.tricks.network.enhancement.places import places_of
from nnunet_tricks.tricks.network.enhancement.selection import Enhancement, Score
from nnunet_tricks.tricks.network.enhancement.stages import chosen_stages


class EnhancementTrainer(DecoderTrainer):
    """A trainer whose network sees some channels of the skip connections twice.

    Attributes:
        trick: Name of the trick in the catalogue; its parameters ``r`` and ``stages`` are the shares of channels and
            the choice of skip connections.
    """

    trick: ClassVar[str]

    @classmethod
    @abstractmethod
    def make_score(cls, channels: int, stage: int) -> Score:
        """The score by which channels are selected.

        Args:
            channels: Number of channels of the stage.
            stage: Number of the skip connection; 0 has full resolution.
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
        """nnU-Net's network with enhanced skip connections."""
        network = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        settings = cls.parameters[cls.trick]
        if hasattr(network, "ife_places"):
            places = places_of(network, cls.trick, len(settings.r))
            network.enhanced_places = []
            for number, (place, ratio) in enumerate(zip(places, settings.r, strict=True)):
                enhancement = Enhancement(
                    cls.make_score(place.channels, number),
                    channels=place.channels,
                    ratio=ratio,
                    selected_first=place.selected_first,
                )
                place.put(enhancement)
                network.enhanced_places.append((place.name, enhancement))
            return network
        decoder = with_parts(network, cls.trick)
        channels = decoder.encoder.output_channels
        stages = chosen_stages(len(channels) - 1, len(settings.r), settings.stages)
        enhancements = {
            stage: Enhancement(
                cls.make_score(channels[stage], stage),
                channels=channels[stage],
                ratio=ratio,
                axes=axes_of_stage(decoder, stage),
            )
            for stage, ratio in zip(stages, settings.r, strict=True)
        }
        decoder.enhance(enhancements)
        for stage, enhancement in enhancements.items():
            if enhancement.count:
                network.initialize(decoder.stages[-1 - stage].convs[0].conv)
        return network

    def initialize(self) -> None:
        """Build everything, and write into the log what is enhanced."""
        super().initialize()
        for line in self._enhancements():
            self.print_to_log_file(f"{self.trick}: {line}", add_timestamp=False)

    def _enhancements(self) -> Iterator[str]:
        decoder = enhanced_decoder(self.network)
        if decoder:
            enhancements = [(f"skip connection {stage}", layer) for stage, layer in decoder.enhanced()]
        else:
            known = (getattr(module, "enhanced_places", None) for module in self.network.modules())
            enhancements = next(places for places in known if places is not None)
        for name, enhancement in enhancements:
            twice = f"{enhancement.count} of its {enhancement.channels} channels twice"
            idle = "" if enhancement.count else ", so nothing changes there"
            yield f"{name} shows {twice}{idle}"
        if not any(enhancement.count for _, enhancement in enhancements):
            yield "changes nothing, its ratios select no channel: this is the network without it"
