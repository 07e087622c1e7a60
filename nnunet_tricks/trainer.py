"""What all our trainers share, and the only place that knows the inside of nnU-Net's trainer."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from nnunet_tricks import __version__, preconditions
from nnunet_tricks.criterion import Criterion, Loss
from nnunet_tricks.naming import IllegalName, TrainerName, parse


class TrickTrainer(nnUNetTrainer):
    """nnU-Net's trainer, set up by its own class name; without any trick it is nnU-Net's bit for bit.

    Attributes:
        trainer_name: What the class name says; a subclass with a name of its own inherits its parent's.
        parameters: The settings of each trick in the name, ``self.parameters["Tversky"].alpha``; also in debug.json.
        nnunet_tricks_version: For debug.json.
    """

    trainer_name: ClassVar[TrainerName] = TrainerName()
    parameters: ClassVar[dict[str, SimpleNamespace]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Read the class name."""
        super().__init_subclass__(**kwargs)
        with suppress(IllegalName):
            cls.trainer_name = parse(cls.__name__)
            cls.parameters = {trick.info.name: SimpleNamespace(**trick.settings) for trick in cls.trainer_name.tricks}

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008, nnU-Net's default
    ) -> None:
        """Build nnU-Net's trainer, then set what the name says.

        Args:
            plans: Content of the plans file.
            configuration: One of its configurations.
            fold: Fold of the split, or ``"all"``.
            dataset_json: Content of dataset.json.
            device: Where to train.

        Raises:
            ValueError: If the training could not work, or not as asked; see ``preconditions.check``.
        """
        preconditions.check(type(self).__name__, plans, configuration, fold)
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = self.trainer_name.epochs
        self.nnunet_tricks_version = __version__
        self.print_to_log_file(f"nnunet_tricks {__version__}: {self._summary()}", add_timestamp=False)

    @property
    def batch_dice(self) -> bool:
        """Whether nnU-Net planned to compute overlap over the batch as if it were one image."""
        return bool(self.configuration_manager.batch_dice)

    def _summary(self) -> str:
        tricks = (
            f"{name} ({', '.join(f'{key} {value}' for key, value in vars(settings).items())})"
            if vars(settings)
            else name
            for name, settings in self.parameters.items()
        )
        return f"{'; '.join(tricks) or 'no trick'}; {self.trainer_name.epochs} epochs; run {self.trainer_name.run}"


class LossTrainer(TrickTrainer):
    """A trainer with another loss; how deep supervision weighs its levels stays nnU-Net's."""

    @abstractmethod
    def make_loss(self) -> Loss:
        """The loss on one level of deep supervision."""

    def _build_loss(self) -> nn.Module:
        criterion = Criterion(
            self.make_loss(),
            regions=self.label_manager.has_regions,
            ignore_label=self.label_manager.ignore_label,
            ddp=self.is_ddp,
        )
        # nnU-Net weighs the levels inside this method, by rules that change with its version: keep its wrapper.
        built = super()._build_loss()
        if not isinstance(built, DeepSupervisionWrapper):
            return criterion
        built.loss = criterion
        return built
