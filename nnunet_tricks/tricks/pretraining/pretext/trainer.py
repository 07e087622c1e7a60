"""The trainer that pretext tasks build on: what nnU-Net trains with labels is trained without them here.

Network, loaders, optimiser, checkpoints, ``--c``, DDP and logs are nnU-Net's. A task turns each batch of images into
something to solve, on the device, and nnU-Net's training step solves it.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from nnunet_tricks.catalogue.naming import completed
from nnunet_tricks.nnunet.model import PRETEXT_RESULT
from nnunet_tricks.nnunet.plans_file import DEFAULT_PLANS
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.preconditions import UnsuitableImages
from nnunet_tricks.training.shared_randomness import seed_of
from nnunet_tricks.training.trainer import MakeTransforms, TrickTrainer
from nnunet_tricks.tricks.pretraining.pretext import (
    exchange,
    picture,
    prepared_with,
    record,
    unlabelled,
    validation_patches,
)
from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.weights.encoder import unwrapped
from nnunet_tricks.utilities.files import write_atomically
from nnunet_tricks.utilities.wording import some

PICTURE_EVERY = 10
"""Epochs from one picture to the next."""

_training: ContextVar[bool] = ContextVar("_training", default=False)
"""Whether a network is built to be trained here. Prediction would take its output for a segmentation."""


@contextmanager
def _to_train() -> Iterator[None]:
    before = _training.set(True)
    try:
        yield
    finally:
        _training.reset(before)


class PretextTrainer(TrickTrainer):
    """A trainer whose task needs no labels.

    Attributes:
        pretext_trick: Name of the trick in the catalogue.
        unit: Number that stands where nnU-Net has its pseudo Dice: 0 is bad, 1 is perfect.
        definition: Text beside the numbers of a finished training.
        trains_decoder: Whether the decoder learns, too.
    """

    segments = False
    has_side_outputs = False
    pretext_trick: ClassVar[str]
    unit: ClassVar[str]
    definition: ClassVar[str]
    trains_decoder: ClassVar[bool] = True

    @abstractmethod
    def pose(self, images: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
        """Make a task of images.

        Args:
            images: (B, C, *spatial) on the device, normalised as nnU-Net plans it.
            chance: Source of all that is random.

        Returns:
            What the network gets, and what ``self.loss`` compares its output with.
        """

    @abstractmethod
    def score(self, given: Tensor, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """How well a task is solved, as two sums by channel: what is won and what is lost against doing nothing.

        Args:
            given: What the network got.
            output: Output of the network.
            target: Second part of what ``pose`` returned.
        """

    @abstractmethod
    def shown(self, images: Tensor, given: Tensor, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        """The columns of the picture: patches of one channel or more, by their titles."""

    @abstractmethod
    def measured(self, given: Tensor, output: Tensor, target: Tensor) -> dict[str, float]:
        """What the result says about the patches of an image."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse cascades, and networks without an encoder and nnU-Net's decoder."""
        if planned.configuration.previous_stage_name is not None:
            raise UnsuitableImages(
                f"{cls.pretext_trick} is for images alone, and the second stage of a cascade also sees a segmentation: "
                f"choose {planned.configuration.previous_stage_name} or another configuration"
            )
        super().check_planned(planned)
        network = cls.planned_network(planned)
        if network is not None:
            require_decoder(network, cls.pretext_trick)

    @classmethod
    def planned_network(cls, planned: Planned) -> nn.Module | None:
        """The network of plans and name, to be trained."""
        with _to_train():
            return super().planned_network(planned)

    def initialize(self) -> None:
        """Build everything, to be trained."""
        with _to_train():
            super().initialize()

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The planned network, whose output has the channels of the image.

        Raises:
            ValueError: If it is built to predict a segmentation.
        """
        if not _training.get():
            start = completed(cls.trainer_name)
            raise ValueError(
                f"{start} was trained without labels and predicts no segmentation: train a model that starts from it, "
                f"such as nnUNetTrainer{cls.pretext_trick.removeprefix('Pretext')}"
            )
        network: nn.Module = super().build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_input_channels, enable_deep_supervision
        )
        return cls.prepared(network)

    @classmethod
    def prepared(cls, network: nn.Module) -> nn.Module:
        """The network as the task needs it.

        Args:
            network: The planned network.
        """
        return network

    @staticmethod
    def idle_parameters(network: nn.Module) -> Iterator[nn.Parameter]:
        """Parameters that the task never reaches, at which DDP would stop: outputs of lower resolutions.

        Args:
            network: What ``prepared`` returned.
        """
        for layer in network.decoder.seg_layers[:-1]:  # type: ignore[index, union-attr]
            yield from layer.parameters()

    def configure_optimizers(self) -> tuple[Optimizer, Any]:
        """nnU-Net's optimiser, which leaves alone what the task never reaches."""
        for parameter in self.idle_parameters(unwrapped(self.network)):
            parameter.requires_grad_(False)
        return super().configure_optimizers()

    def training_labels(self, manager: LabelManager) -> LabelManager:
        """Labels without any meaning: nothing is drawn by them, and the output has the channels of the image."""
        channels = len(self.dataset_json.get("channel_names", self.dataset_json.get("modality", "")))
        labels = {f"channel {number}": number for number in range(1, channels)}
        return LabelManager({"background": 0, **labels}, None)

    def _check_labels(self) -> None:
        """Nothing: labels have no part in it."""

    def _set_batch_size_and_oversample(self) -> None:
        # Foreground is a matter of labels.
        self.oversample_foreground_percent = 0.0
        super()._set_batch_size_and_oversample()

    def training_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """Rotation, scaling and mirroring as without the trick; grey values stay, since they are to be learned."""
        made = super().training_transforms(make)

        def transforms(*arguments: Any, **settings: Any) -> ComposeTransforms:
            whole = made(*arguments, **settings)
            return ComposeTransforms([step for step in whole.transforms if not isinstance(step, RandomTransform)])

        return transforms

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """The images of the fold, and those without labels that were preprocessed beside them."""
        training, validation = super().get_tr_and_val_datasets()
        more = unlabelled.dataset_beside(self.preprocessed_dataset_folder, self.dataset_class)
        if more:
            self._require_present_plans()
            unlabelled.require_other_names([*training.identifiers, *validation.identifiers], more.identifiers)
        joined = unlabelled.joined(training, more) if more else training
        if self.local_rank == 0:
            record.write(Path(self.output_folder), training.identifiers, more.identifiers if more else [])
        without = f" and {len(more.identifiers)} without labels" if more else ""
        self.print_to_log_file(
            f"{self.pretext_trick}: learns from {len(training.identifiers)} images of the fold{without}; labels are "
            f"not read. Where nnU-Net's log has its pseudo Dice stands the {self.unit}",
            add_timestamp=False,
        )
        return joined, validation

    def _require_present_plans(self) -> None:
        """Refuse images without labels that look otherwise than those with labels do now."""
        folder = unlabelled.folder_beside(self.preprocessed_dataset_folder)
        present = prepared_with.settings_of(self.plans_manager, self.configuration_manager)
        if keys := prepared_with.differing(folder, present):
            plans = self.plans_manager.plans_name
            raise ValueError(
                f"{folder} was preprocessed with other plans than {plans} are now, in {some(keys)}: run nnunet-tricks "
                f"pretext prepare {self.plans_manager.dataset_name} -c {self.configuration_name}"
                + ("" if plans == DEFAULT_PLANS else f" -p {plans}")
            )

    def on_train_epoch_start(self) -> None:
        """Start the epoch; the random numbers of its steps depend on the epoch alone where randomness is shared."""
        super().on_train_epoch_start()
        self._steps = 0

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step, on the task that the images become."""
        _, given, target = self._posed(batch["data"], "training")
        step: dict[str, Any] = super().train_step({**batch, "data": given, "target": target})
        return step

    def on_validation_epoch_start(self) -> None:
        """Start the validation of an epoch."""
        super().on_validation_epoch_start()
        self._steps = 0
        self._picture: dict[str, Tensor] = {}

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The loss on images that are not trained on, and what is won in the place of nnU-Net's pseudo Dice."""
        images, given, target = self._posed(batch["data"], "validation")
        output, loss = self._solved(given, target)
        won, lost = self.score(given, output.float(), target)
        if self._draws_picture and not getattr(self, "_picture", {}):
            columns = self.shown(images, given, output.float(), target)
            self._picture = {title: patches.cpu() for title, patches in columns.items()}
        # Dice is 2 tp / (2 tp + fp + fn): so nnU-Net computes won / (won + lost), over all steps and GPUs.
        return {
            "loss": loss.cpu().numpy(),
            "tp_hard": won.double().cpu().numpy() / 2,
            "fp_hard": lost.double().cpu().numpy(),
            "fn_hard": np.zeros(len(lost)),
        }

    def on_validation_epoch_end(self, val_outputs: list[dict[str, Any]]) -> None:
        """Log the epoch as nnU-Net does, and draw what the network makes of some patches."""
        super().on_validation_epoch_end(val_outputs)
        if self._picture:
            picture.draw(self._picture, Path(self.output_folder) / f"{self.trainer_stem}_epoch{self.current_epoch}.png")

    @property
    def trainer_stem(self) -> str:
        """Beginning of the names of pictures."""
        return self.pretext_trick.removeprefix("Pretext").lower()

    @property
    def _draws_picture(self) -> bool:
        last = self.current_epoch == self.num_epochs - 1
        return self.local_rank == 0 and (last or self.current_epoch % PICTURE_EVERY == 0)

    def on_train_end(self) -> None:
        """End as nnU-Net does, and write the weights for other programs, too."""
        super().on_train_end()
        if self.local_rank == 0 and not self.disable_checkpointing:
            exchange.write(self, Path(self.output_folder) / exchange.FILE)

    @torch.no_grad()
    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Measure the task on patches of the images that the fold keeps for validation; nothing is predicted.

        Args:
            save_probabilities: Without effect, since there are none.
        """
        self.set_deep_supervision_enabled(False)
        self.network.eval()
        _, cases = self.do_split()
        world, rank = (distributed.get_world_size(), self.local_rank) if self.is_ddp else (1, 0)
        dataset = self.dataset_class(self.preprocessed_dataset_folder, list(cases))
        results: dict[str, dict[str, float]] = {}
        for case in dataset.identifiers[rank::world]:
            seed = seed_of("pretext", case)
            patches = validation_patches.of_case(dataset.load_case(case)[0], self.training_patch_size, seed)
            images = patches.to(self.device)
            given, target = self.pose(images, Chance(seed, self.device))
            output, _ = self._solved(given, target)
            results[case] = self.measured(given, output.float(), target)
        if self.is_ddp:
            parts: list[Any] = [None] * world
            distributed.all_gather_object(parts, results)
            results = {case: result for part in parts for case, result in part.items()}
        if self.local_rank == 0:
            self._write_result(results)

    def _write_result(self, results: Mapping[str, Mapping[str, float]]) -> None:
        first: Mapping[str, float] = next(iter(results.values()), {})
        mean = {name: float(np.mean([result[name] for result in results.values()])) for name in first}
        content = {
            "trainer": type(self).__name__,
            "measured": self.definition,
            "images_were_trained_on": self.fold == "all",
            "mean": mean,
            "cases": dict(sorted(results.items())),
        }
        folder = Path(self.output_folder) / "validation"
        folder.mkdir(exist_ok=True)
        write_atomically(folder / PRETEXT_RESULT, json.dumps(content, indent=2))
        words = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in mean.items())
        self.print_to_log_file(f"{self.pretext_trick}: {words} on {len(results)} images; {folder / PRETEXT_RESULT}")

    def _posed(self, batch: Tensor, part: str) -> tuple[Tensor, Tensor, Tensor]:
        """Images on the device, and the task that they become."""
        images = batch.to(self.device, non_blocking=True)
        with torch.no_grad():
            return images, *self.pose(images, Chance(self._next_seed(part), self.device))

    def _next_seed(self, part: str) -> int:
        number = self._steps = getattr(self, "_steps", 0) + 1
        if self.trainer_name.shared:
            return seed_of(*self._shares, "pretext", part, self.current_epoch, number)
        return int(torch.randint(2**31, ()))

    def _solved(self, given: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What the network makes of a task, and the loss."""
        on_gpu = self.device.type == "cuda"
        with torch.no_grad(), torch.autocast("cuda") if on_gpu else nullcontext():
            output: Tensor = self.network(given)
            return output, self.loss(output, target)


def require_decoder(network: nn.Module, trick: str) -> None:
    """Refuse networks that are not an encoder under nnU-Net's own decoder.

    Args:
        network: The network.
        trick: Name of the trick, for the message.

    Raises:
        ValueError: If it is another.
    """
    decoder: Any = getattr(network, "decoder", None)
    if not (type(decoder) is UNetDecoder and getattr(network, "encoder", None) is decoder.encoder):
        raise ValueError(
            f"{trick} is for nnU-Net's planned networks and others with its decoder, and the network of this name has "
            "another: leave the network trick out"
        )
