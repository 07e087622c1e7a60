"""The trainer that tricks with pretrained weights build on."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from torch import nn

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.pretraining import given
from nnunet_tricks.tricks.pretraining.given import Given
from nnunet_tricks.tricks.pretraining.weights.matching import Match


class PretrainedTrainer(TrickTrainer):
    """A trainer that knows what its network starts from: random weights, a file, an entry of the store, a checkpoint.

    Attributes:
        has_own_weights: Whether the name says where weights come from, so that no file is needed.
        pretrained: What the training started from, in words; empty for random weights. It is in debug.json.
    """

    has_own_weights: ClassVar[bool] = False
    pretrained = ""
    _continued = False

    @classmethod
    def check_given(cls, file: Path, network: nn.Module, planned: Planned) -> None:
        """Refuse a file that nnU-Net would not load, and of which not enough of the encoder could be taken."""
        if taken := given.check(file, network):
            cls.check_match(*taken)

    @classmethod
    def check_match(cls, architecture: str, matched: Match) -> None:
        """Refuse weights of an encoder with which the tricks of the name make no sense.

        Args:
            architecture: Architecture of the encoder.
            matched: What of it there is.

        Raises:
            ValueError: With the reason.
        """

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
            if file.taken:
                self.check_match(*file.taken)
            for line in file.taken[1].lines() if file.taken else ():
                self.print_to_log_file(f"-pretrained_weights: {line}", add_timestamp=False)
