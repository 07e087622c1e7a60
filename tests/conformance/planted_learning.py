"""Trainers that run to the end without a complaint, and learn or predict something wrong; one fault each."""

from __future__ import annotations

from typing import Any

import torch
from batchgeneratorsv2.transforms.base.basic_transform import ImageOnlyTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812, its standard name

from tests.conformance.planted import LossPlanter, PlantedLoss

IGNORE = 3


class nnUNetTrainerIgnoredIsBackground(LossPlanter):
    """Takes what nobody annotated for background."""

    class planted(PlantedLoss):  # noqa: N801
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return self.stock(output, torch.where(target == IGNORE, 0, target))


class nnUNetTrainerIgnoredRegionsCount(LossPlanter):
    """The same, where regions overlap."""

    class planted(PlantedLoss):  # noqa: N801
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return self.stock(output, torch.cat([target[:, :-1], torch.zeros_like(target[:, -1:])], 1))


class nnUNetTrainerLearnsFromIgnored(LossPlanter):
    """The value is right, the gradient has something of the voxels that nobody annotated."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return loss + (term := (output * (target == IGNORE)).mean()) - term.detach()


class nnUNetTrainerIgnoredInTheDenominator(LossPlanter):
    """Voxels that nobody annotated make the others weigh less."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return loss * (target != IGNORE).float().mean()


class nnUNetTrainerTimesZero(LossPlanter):
    """Learns nothing, since every gradient is 0."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return loss * 0


class nnUNetTrainerZeroGradient(LossPlanter):
    """Has the right value and no gradient."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return loss.detach() + output.sum() * 0


class nnUNetTrainerNegatedLoss(LossPlanter):
    """Learns to be wrong."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return -loss


class nnUNetTrainerNegatedGradient(LossPlanter):
    """The same, but the log looks right."""

    class planted(PlantedLoss):  # noqa: N801
        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            return 2 * loss.detach() - loss


class nnUNetTrainerMissesAClass(LossPlanter):
    """The inner class is trained as a part of the outer one."""

    class planted(PlantedLoss):  # noqa: N801
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            merged = torch.stack([output[:, 0], torch.logsumexp(output[:, 1:], 1)], 1)
            return F.cross_entropy(merged, target[:, 0].clamp(0, 1).long())


class nnUNetTrainerMissesARegion(LossPlanter):
    """The second of two regions does not count."""

    class planted(PlantedLoss):  # noqa: N801
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return F.binary_cross_entropy_with_logits(output[:, 0], target[:, 0].float())


class nnUNetTrainerSwapsClasses(LossPlanter):
    """Takes one class for the other."""

    class planted(PlantedLoss):  # noqa: N801
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return self.stock(output[:, [0, 2, 1]], target)


class nnUNetTrainerFirstImageOnly(LossPlanter):
    """Only the first image of a batch counts."""

    class planted(PlantedLoss):  # noqa: N801
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return self.stock(output[:1], target[:1])


class nnUNetTrainerLowerLevelsOnly(nnUNetTrainer):
    """The output that predicts is not trained."""

    def _build_loss(self) -> nn.Module:
        built = super()._build_loss()
        built.weight_factors = [0.0, *built.weight_factors[1:]]
        return built


class PlainStep(nnUNetTrainer):
    """A training step as one would write it."""

    sign = 1

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        self.optimizer.zero_grad()
        loss = self.loss(self.network(batch["data"]), batch["target"])
        (self.sign * loss).backward()
        self.optimizer.step()
        return {"loss": loss.detach().numpy()}


class nnUNetTrainerNegatedStep(PlainStep):
    """The loss is right, and the training step makes it grow."""

    sign = -1


class nnUNetTrainerNoRate(nnUNetTrainer):
    """The learning rate stays 0."""

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.network.parameters(), lr=0)
        return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1)


class nnUNetTrainerUphill(nnUNetTrainer):
    """Steps along the gradient."""

    def configure_optimizers(self) -> Any:
        optimizer, schedule = super().configure_optimizers()
        for group in optimizer.param_groups:
            group["maximize"] = True
        return optimizer, schedule


class nnUNetTrainerOptimizesACopy(nnUNetTrainer):
    """The optimizer holds weights of another network."""

    def configure_optimizers(self) -> Any:
        network = self.network
        try:
            self.network = type(network).__new__(type(network))
            self.network.__dict__ = dict(network.__dict__)
            self.network.parameters = lambda: [p.detach().clone().requires_grad_() for p in network.parameters()]
            return super().configure_optimizers()
        finally:
            self.network = network


class Wrapped(nn.Module):
    """nnU-Net's network with something after it."""

    def __init__(self, network: nn.Module, kind: str) -> None:
        super().__init__()
        self.network = network
        self.kind = kind
        self.decoder = network.decoder

    def forward(self, image: Tensor) -> Any:
        if self.kind == "dropout":
            image = F.dropout(image, 0.3, training=True)
        output = self.network(image)
        return [self.after(level) for level in output] if isinstance(output, list) else self.after(output)

    def after(self, output: Tensor) -> Tensor:
        if self.kind == "softmax":
            return output.softmax(1)
        if self.kind == "sigmoid":
            return output.sigmoid()
        return output + torch.randn_like(output) if self.kind == "noise" else output


class WrappedTrainer(nnUNetTrainer):
    """nnU-Net with a wrapped network."""

    kind = ""

    @classmethod
    def build_network_architecture(  # type: ignore[override]
        cls,
        plans_manager: Any,
        configuration_manager: Any,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        built = nnUNetTrainer.build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )
        return Wrapped(built, cls.kind)


class nnUNetTrainerNoisyPrediction(WrappedTrainer):
    """Adds noise, also when it predicts."""

    kind = "noise"


class nnUNetTrainerDropoutForEver(WrappedTrainer):
    """Drops voxels, also when it predicts."""

    kind = "dropout"


class nnUNetTrainerSoftmaxInside(WrappedTrainer):
    """Its softmax is applied twice."""

    kind = "softmax"


class nnUNetTrainerSigmoidInside(WrappedTrainer):
    """Its sigmoid is applied twice."""

    kind = "sigmoid"


class nnUNetTrainerOtherActivation(nnUNetTrainer):
    """Changes the network where only training sees it."""

    def initialize(self) -> None:
        super().initialize()
        for module in self.network.modules():
            if isinstance(module, nn.LeakyReLU):
                module.negative_slope = 0.5


class nnUNetTrainerScheduleAnew(nnUNetTrainer):
    """The learning rate starts from the beginning after each --c."""

    begun: int | None = None

    def on_train_epoch_start(self) -> None:
        if self.begun is None:
            self.begun = self.current_epoch
        now, self.current_epoch = self.current_epoch, self.current_epoch - self.begun
        try:
            self.lr_scheduler.step(self.current_epoch)
        finally:
            self.current_epoch = now
        self.network.train()
        self.logger.log("lrs", self.optimizer.param_groups[0]["lr"], now)


class nnUNetTrainerForgetfulLoss(LossPlanter):
    """The loss depends on how often it was asked, and no checkpoint knows."""

    class planted(PlantedLoss):  # noqa: N801
        calls = 0

        def bend(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
            self.calls += torch.is_grad_enabled() and self.training
            return loss * (1 + self.calls)


class Plain(ImageOnlyTransform):
    """Does what it is given."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.change = change

    def _apply_to_image(self, image: Tensor, **_: Any) -> Tensor:
        return self.change(image)


class nnUNetTrainerLambda(nnUNetTrainer):
    """A transform that no other process can be sent."""

    def get_training_transforms(self, *arguments: Any, **settings: Any) -> Any:  # type: ignore[override]
        made = nnUNetTrainer.get_training_transforms(*arguments, **settings)
        return ComposeTransforms([*made.transforms, Plain(lambda image: image)])


class nnUNetTrainerLambdaInValidation(nnUNetTrainer):
    """The same where patches are not augmented."""

    def get_validation_transforms(self, *arguments: Any, **settings: Any) -> Any:  # type: ignore[override]
        made = nnUNetTrainer.get_validation_transforms(*arguments, **settings)
        return ComposeTransforms([*made.transforms, Plain(lambda image: image)])


class nnUNetTrainerNamedTransform(nnUNetTrainer):
    """No fault: what has a name can be sent."""

    def get_training_transforms(self, *arguments: Any, **settings: Any) -> Any:  # type: ignore[override]
        made = nnUNetTrainer.get_training_transforms(*arguments, **settings)
        return ComposeTransforms([*made.transforms, Plain(torch.clone)])


class nnUNetTrainerTrainsOnAll(nnUNetTrainer):
    """Validation cases are training cases, too."""

    def do_split(self) -> tuple[list[str], list[str]]:
        training, validation = super().do_split()
        return [*training, *validation], validation


class nnUNetTrainerEverySecondStep(nnUNetTrainer):
    """No fault: gathers the gradients of two batches before each step."""

    taken = 0

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        self.taken += 1
        if self.taken % 2 == 1:
            self.optimizer.zero_grad()
        loss = self.loss(self.network(batch["data"]), batch["target"])
        loss.backward()
        if self.taken % 2 == 0:
            self.optimizer.step()
        return {"loss": loss.detach().numpy()}


class nnUNetTrainerClearsGradients(PlainStep):
    """No fault: leaves no gradient behind."""

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        result = super().train_step(batch)
        self.optimizer.zero_grad(set_to_none=True)
        return result


class nnUNetTrainerAveraged(nnUNetTrainer):
    """No fault: predicts with averaged weights, and goes on from those that it trains."""

    average: dict[str, Tensor] | None = None

    def weights(self) -> dict[str, Tensor]:
        return {name: weight.clone() for name, weight in self.network.state_dict().items()}

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        result = super().train_step(batch)
        self.average = self.average or self.weights()
        for name, weight in self.network.state_dict().items():
            self.average[name].lerp_(weight, 0.1)
        return result

    def save_checkpoint(self, filename: str) -> None:
        trained = self.weights()
        self.network.load_state_dict(self.average or trained)
        super().save_checkpoint(filename)
        self.network.load_state_dict(trained)
        torch.save({**torch.load(filename, weights_only=False), "trained": trained}, filename)

    def load_checkpoint(self, filename_or_checkpoint: Any) -> None:
        super().load_checkpoint(filename_or_checkpoint)
        self.average = self.weights()
        self.network.load_state_dict(torch.load(filename_or_checkpoint, weights_only=False)["trained"])
