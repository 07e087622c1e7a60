"""Trainers with one fault each. At the module's level, since other processes import them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from timm.layers import BatchNormAct2d
from torch import Tensor, nn


class PlantedLoss(nn.Module):
    """Stands in the middle of nnU-Net's loss."""

    def __init__(self, stock: nn.Module) -> None:
        super().__init__()
        self.stock = stock

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return self.bend(self.stock(output, target), output, target)

    def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
        return loss


class LossPlanter(nnUNetTrainer):
    """nnU-Net with a bent loss."""

    planted: type[PlantedLoss] = PlantedLoss

    def _build_loss(self) -> nn.Module:
        built = super()._build_loss()
        if isinstance(built, DeepSupervisionWrapper):
            built.loss = self.planted(built.loss)
            return built
        return self.planted(built)


class nnUNetTrainerNothingAnnotated(LossPlanter):
    """Divides by the number of annotated voxels."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return loss * ((target != 3).sum() / (target != 3).sum())


class nnUNetTrainerNothingThere(LossPlanter):
    """Divides by the number of foreground voxels."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return loss + target.sum() / target.sum()


class nnUNetTrainerNoRegions(LossPlanter):
    """Counts on a background channel."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return loss + output[:, 2].mean() * 0


class nnUNetTrainerInfiniteGradient(LossPlanter):
    """A finite loss whose gradient is not."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return loss + torch.sqrt((output * 0).sum())


class nnUNetTrainerDetached(LossPlanter):
    """Learns nothing."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return loss.detach()


class nnUNetTrainerNumpy(LossPlanter):
    """Goes through NumPy, which has no bfloat16."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return loss + float(output.detach().numpy().mean()) * 0


class nnUNetTrainerHalf(LossPlanter):
    """Computes in the precision that it is given, where small differences of large numbers are gone."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return (loss.to(output.dtype) + 1000) - 1000


class nnUNetTrainerOtherWhenCompiled(LossPlanter):
    """Computes something else when compiled."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return loss * 2 if torch.compiler.is_compiling() else loss


class nnUNetTrainerWrongWithoutSupervision(nnUNetTrainer):
    """Expects a list of outputs, always."""

    def _build_loss(self) -> Any:
        loss = super()._build_loss()
        return loss if self.enable_deep_supervision else DeepSupervisionWrapper(loss, (1.0,))


class nnUNetTrainerExtraArgument(nnUNetTrainer):
    """The classic: a setting as an argument."""

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008
        alpha: float = 0.3,
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.alpha = alpha


class nnUNetTrainerInstanceNetwork(nnUNetTrainer):
    """Trains, but cannot predict."""

    def build_network_architecture(  # type: ignore[override]
        self,
        plans_manager: Any,
        configuration_manager: Any,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        return nnUNetTrainer.build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )


class nnUNetTrainerOldHook(nnUNetTrainer):
    """Follows another version of nnU-Net."""

    def train_step(self, data: dict[str, Any], epoch: int) -> dict[str, Any]:
        return super().train_step(data)


class nnUNetTrainerOwnExtras(nnUNetTrainer):
    """Allowed: more arguments where they have a default, and hooks that pass on what they get."""

    def train_step(self, batch: dict[str, Any], verbose: bool = False) -> dict[str, Any]:
        return super().train_step(batch)

    def validation_step(self, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        return super().validation_step(*arguments, **keywords)


class nnUNetTrainerTwo__Names(nnUNetTrainer):
    """Its results folder cannot be read back."""


class nnUNetTrainerForgottenMirroring(nnUNetTrainer):
    """Trains without mirroring and mirrors when it predicts."""

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, ...]:  # noqa: N802
        return (*super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()[:3], None)


class nnUNetTrainerNoTestTimeMirroring(nnUNetTrainer):
    """Allowed: trains with mirroring and predicts without."""

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, ...]:  # noqa: N802
        made = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.inference_allowed_mirroring_axes = None
        return made


class nnUNetTrainerRaisingProperty(nnUNetTrainer):
    """nnU-Net reads it for debug.json."""

    @property
    def schedule(self) -> float:
        raise NotImplementedError


class nnUNetTrainerOtherName(nnUNetTrainer):
    """Its checkpoints belong to somebody else."""

    def save_checkpoint(self, filename: str) -> None:
        super().save_checkpoint(filename)
        checkpoint = torch.load(filename, weights_only=False)
        torch.save({**checkpoint, "trainer_name": "nnUNetTrainer"}, filename)


class nnUNetTrainerForgetsMomentum(nnUNetTrainer):
    """Continues with a fresh optimizer."""

    def load_checkpoint(self, filename_or_checkpoint: Any) -> None:
        super().load_checkpoint(filename_or_checkpoint)
        self.optimizer, self.lr_scheduler = self.configure_optimizers()


class nnUNetTrainerNoValidation(nnUNetTrainer):
    """Leaves no summary."""

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        return None


class nnUNetTrainerSilentLearningRate(nnUNetTrainer):
    """Changes what it does not say."""

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.initial_lr = 1e-3


class LocalDice(PlantedLoss):
    """Batch Dice that forgets the other processes."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        self.stock.dc.ddp = False
        return super().forward(output, target)


class nnUNetTrainerLocalBatchDice(LossPlanter):
    """Each process computes the overlap of its own half."""

    planted = LocalDice


class nnUNetTrainerGathersAlways(LossPlanter):
    """Takes the mean over the processes although it is asked for its own half."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            if not torch.distributed.is_initialized():
                return loss
            total = loss.detach().clone()
            torch.distributed.all_reduce(total)
            return loss - loss.detach() + total / 2


nnUNetTrainerLost = type("nnUNetTrainerLost", (nnUNetTrainer,), {"__module__": "nowhere"})
"""A trainer that no other process can import."""


class nnUNetTrainerWritesWhereItIs(nnUNetTrainer):
    """No fault: its loss leaves something in the results folder, as one that counts voxels may."""

    def _build_loss(self) -> nn.Module:
        Path(self.output_folder, "counts.txt").write_text("3")
        return super()._build_loss()


class FusedLayers(nn.Module):
    """A network of one layer of timm that normalises and activates in one.

    Attributes:
        deep_supervision: Switch that nnU-Net sets.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.deep_supervision = False
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1), BatchNormAct2d(8), nn.Conv2d(8, classes, 3, padding=1)
        )

    @property
    def decoder(self) -> FusedLayers:
        return self

    def forward(self, image: Tensor) -> Any:
        return self.layers(image)


class nnUNetTrainerFusedLayers(nnUNetTrainer):
    """nnU-Net's own conversion to shared statistics drops the activation of its network."""

    network_class: type[nn.Module] = FusedLayers

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: Any,
        configuration_manager: Any,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        return cls.network_class(num_input_channels, num_output_channels)


class nnUNetTrainerIdleWeight(nnUNetTrainerFusedLayers):
    """DDP stops, since a weight gets no gradient."""

    class network_class(FusedLayers):  # noqa: N801
        def __init__(self, channels: int, classes: int) -> None:
            super().__init__(channels, classes)
            self.idle = nn.Conv2d(channels, classes, 1)
