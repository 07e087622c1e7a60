"""The trainer that tricks with pretrained weights build on."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

import torch
from torch import nn

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.shared_randomness import seeded
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.pretraining import given
from nnunet_tricks.tricks.pretraining.given import Given


class PretrainedTrainer(TrickTrainer):
    """A trainer that knows what its network starts from: random weights, a file, an entry of the store, a checkpoint.

    Attributes:
        pretrained: What the training started from, in words; empty for random weights. It is in debug.json.
    """

    pretrained = ""
    _continued = False
    _planned: ClassVar[tuple[Planned, nn.Module | None] | None] = None
    """The network that was asked for last: all tricks of a name look at the same one."""

    @classmethod
    def planned_network(cls, planned: Planned) -> nn.Module | None:
        """The network of plans and name, without values; None where it cannot be built without any."""
        if cls._planned is None or cls._planned[0] is not planned:
            cls._planned = planned, None
            # Without a trace in random numbers.
            with suppress(RuntimeError, NotImplementedError), seeded(), torch.device("meta"):
                network: nn.Module = cls.build_network_architecture(
                    planned.plans, planned.configuration, *planned.channels, True
                )
                cls._planned = planned, network
        return cls._planned[1]

    def initialize(self) -> None:
        """Build everything; from now on a file of ``-pretrained_weights`` is remembered."""
        super().initialize()
        given.expect(self.network)

    def load_checkpoint(self, filename_or_checkpoint: dict[str, object] | str) -> None:
        """Continue, validate or predict: pretrained weights have no part in it."""
        super().load_checkpoint(filename_or_checkpoint)
        self._continued = True

    def on_train_start(self) -> None:
        """Load what the training begins with, unless it continues; then start as nnU-Net does."""
        if not self.was_initialized:
            self.initialize()
        file = given.given(self.network)
        if self._continued:
            self.pretrained = "a checkpoint of this training"
        else:
            self.begin(file)
            if self.pretrained:
                self.print_to_log_file(f"pretrained weights: {self.pretrained}", add_timestamp=False)
        super().on_train_start()

    def begin(self, file: Given | None) -> None:
        """Load what a new training begins with.

        Args:
            file: File of ``-pretrained_weights``, which has been loaded already.
        """
        if file:
            self.pretrained = file.described
