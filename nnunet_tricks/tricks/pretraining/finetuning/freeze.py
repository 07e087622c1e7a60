"""Pretrained weights that stay as they are: in the encoder, or everywhere but in the output layers.

Yosinski et al., "How transferable are features in deep neural networks?", NIPS 2014. A frozen part computes as in
prediction: its batch norm keeps the running statistics of the pretrained weights, and it drops nothing.

With ``first`` the part is frozen for the first epochs only. Its gradients are computed then and thrown away before each
step, since several GPUs would not share those of parameters that begin to learn later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.optim import Optimizer

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.pretraining.finetuning.parts import encoder_of, head_of
from nnunet_tricks.tricks.pretraining.finetuning.trainer import FineTuningTrainer
from nnunet_tricks.tricks.pretraining.weights.encoder import GENESIS, unwrapped
from nnunet_tricks.tricks.pretraining.weights.matching import Match
from nnunet_tricks.utilities.wording import some


class nnUNetTrainerFreeze(FineTuningTrainer):
    """nnU-Net with a part of its network frozen."""

    tuning_trick = "Freeze"

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse to freeze for longer than the training, and networks whose output layers are not known."""
        super().check_planned(planned)
        network = cls.planned_network(planned)
        if network is not None and cls.parameters["Freeze"].part != "encoder":
            head_of(network, cls.tuning_trick)
        beside = {trick.info.name for trick in cls.trainer_name.tricks}
        if "EncoderLR" in beside and not cls.parameters["Freeze"].first:
            raise ValueError(
                "EncoderLR is without effect beside Freeze, whose encoder never learns: leave it out, or freeze for "
                "the first epochs only, as in Freeze_first10"
            )
        first, epochs = cls.parameters["Freeze"].first, cls.trainer_name.epochs
        if first >= epochs:
            raise ValueError(
                f"first of Freeze must be less than the {epochs} epochs of the training, got {first}: leave it out to "
                "freeze throughout"
            )

    @classmethod
    def check_match(cls, architecture: str, matched: Match) -> None:
        """Refuse to freeze what is not loaded."""
        super().check_match(architecture, matched)
        if matched.missing:
            raise ValueError(
                f"Freeze keeps the encoder as it was loaded, and of these weights only {matched.counts} can be loaded: "
                f"{some(matched.missing)} would stay random. Take other weights, or a trainer without Freeze"
            )
        if cls.parameters["Freeze"].part != "encoder" and architecture != GENESIS:
            raise ValueError(
                "Freeze_allbuthead keeps the decoder as it was loaded, too, and these weights are for the encoder "
                "only: give nnUNetv2_train -pretrained_weights FILE with a checkpoint of the whole network, or take "
                "Freeze"
            )

    def configure_optimizers(self) -> tuple[Optimizer, Any]:
        """nnU-Net's optimiser, which leaves frozen parameters alone."""
        settings = self.parameters["Freeze"]
        frozen = [*self._frozen_parameters()]
        if not settings.first:
            # Before DDP wraps the network, which then waits for no gradients of these.
            for parameter in frozen:
                parameter.requires_grad_(False)
        optimizer, schedule = super().configure_optimizers()
        if settings.first:
            optimizer.register_step_pre_hook(lambda *_: self._drop_gradients(frozen))
        return optimizer, schedule

    def on_train_epoch_start(self) -> None:
        """Start the epoch; frozen layers compute as in prediction."""
        super().on_train_epoch_start()
        if self._is_frozen:
            part, learning = self._part()
            part.eval()
            if learning is not None:
                learning.train()

    @property
    def _is_frozen(self) -> bool:
        first = self.parameters["Freeze"].first
        return not first or self.current_epoch < first

    def _part(self) -> tuple[nn.Module, nn.Module | None]:
        """The frozen part, and what in it learns nevertheless."""
        if self.parameters["Freeze"].part == "encoder":
            return encoder_of(self.network, self.tuning_trick), None
        return unwrapped(self.network), head_of(self.network, self.tuning_trick)

    def _frozen_parameters(self) -> Iterator[nn.Parameter]:
        part, learning = self._part()
        kept = {id(parameter) for parameter in learning.parameters()} if learning is not None else set()
        yield from (parameter for parameter in part.parameters() if id(parameter) not in kept)

    def _drop_gradients(self, frozen: list[nn.Parameter]) -> None:
        if self._is_frozen:
            for parameter in frozen:
                # A gradient of 0 would still let momentum and decay move them.
                parameter.grad = None
