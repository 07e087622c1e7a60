"""The trainers that tricks of fine-tuning build on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import nn
from torch.optim import Optimizer

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.optimizer.trainer import OptimizationTrainer
from nnunet_tricks.tricks.pretraining.finetuning.parts import encoder_of
from nnunet_tricks.tricks.pretraining.given import Given
from nnunet_tricks.tricks.pretraining.start import PretrainedTrainer

FACTOR = "factor"
"""Key of an optimiser's group for what its rate is multiplied by; torch stores it with the group."""


class FineTuningTrainer(PretrainedTrainer):
    """A trainer that makes no sense without pretrained weights, and refuses to train from random ones.

    Attributes:
        tuning_trick: Name of the trick in the catalogue.
        needs_encoder: Whether it treats the encoder in another way than the rest.
    """

    tuning_trick: ClassVar[str]
    needs_encoder: ClassVar[bool] = True

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse networks without the part that is treated in another way."""
        super().check_planned(planned)
        network = cls.planned_network(planned)
        if network is not None and cls.needs_encoder:
            encoder_of(network, cls.tuning_trick)

    @classmethod
    def check_fresh(cls, planned: Planned) -> None:
        """Refuse a training that would begin with random weights."""
        if planned.call and not planned.call.pretrained_weights and not cls.has_own_weights:
            cls._refuse_random_weights()
        super().check_fresh(planned)

    @classmethod
    def _refuse_random_weights(cls) -> None:
        raise ValueError(
            f"{cls.tuning_trick} trains pretrained weights further, and none were loaded: give nnUNetv2_train "
            "-pretrained_weights FILE, or put a trick with weights into the name ('nnunet-tricks list --hook weights')"
        )

    def begin(self, file: Given | None) -> None:
        """Load what there is, and refuse a training that would begin with random weights.

        Raises:
            ValueError: If nothing was loaded.
        """
        super().begin(file)
        if not self.pretrained:
            self._refuse_random_weights()


class RatesTrainer(FineTuningTrainer, OptimizationTrainer):
    """A trainer whose encoder learns at other rates than the rest.

    Schedules set one rate for all groups of an optimiser, epoch by epoch. Each group's factor is applied after that.
    """

    @abstractmethod
    def rate_factors(self) -> Mapping[nn.Parameter, float]:
        """Factors of the learning rate; parameters that are not in it have the rate itself."""

    def make_optimizer(self) -> Optimizer:
        """The optimiser without the trick, with a group for each factor; the first one has the rate itself."""
        optimizer = super().make_optimizer()
        factors = self.rate_factors()
        (whole,) = optimizer.param_groups
        parameters: list[nn.Parameter] = whole["params"]
        # nnU-Net logs the rate of the first group.
        whole["params"] = [parameter for parameter in parameters if factors.get(parameter, 1.0) == 1.0]
        whole[FACTOR] = 1.0
        settings = {key: value for key, value in whole.items() if key not in ("params", FACTOR)}
        for factor in sorted({*factors.values()} - {1.0}, reverse=True):
            members = [parameter for parameter in parameters if factors.get(parameter) == factor]
            optimizer.add_param_group({"params": members, FACTOR: factor, **settings})
        return optimizer

    def on_train_epoch_start(self) -> None:
        """Set the rates of the epoch, then apply the factors."""
        super().on_train_epoch_start()
        for group in self.optimizer.param_groups:
            group["lr"] *= group[FACTOR]
