"""The trainer of trainings that start from a pretext training of the same data set, plans, configuration and fold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from nnunetv2 import paths
from torch import Tensor, nn

from nnunet_tricks.catalogue.naming import TrainerName, model_folder
from nnunet_tricks.catalogue.pretext import pretext_of
from nnunet_tricks.nnunet.plans_file import DEFAULT_PLANS
from nnunet_tricks.training import given_weights
from nnunet_tricks.training.network_sizes import is_small
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.preconditions import UnsuitableImages, validation_cases
from nnunet_tricks.tricks.pretraining.given import Given
from nnunet_tricks.tricks.pretraining.pretext import record
from nnunet_tricks.tricks.pretraining.pretext.trainer import require_decoder
from nnunet_tricks.tricks.pretraining.start import PretrainedTrainer
from nnunet_tricks.tricks.pretraining.weights import matching, reading
from nnunet_tricks.tricks.pretraining.weights.encoder import of_network, unwrapped
from nnunet_tricks.tricks.pretraining.weights.store import digest
from nnunet_tricks.utilities.wording import some

CHECKPOINT = "checkpoint_final.pth"

DECISIVE = ("patch_size", "spacing", "normalization_schemes", "use_mask_for_norm", "architecture")
"""Settings of a configuration with which weights and grey values make sense."""

ENCODER = ("encoder.", "decoder.encoder.")
"""Beginnings of the names of the encoder's tensors, which nnU-Net's networks have twice."""


class TakesUpTrainer(PretrainedTrainer):
    """A trainer whose network starts from a pretext training; everything else stays nnU-Net's.

    The checkpoint is read when a training begins, and not when it continues, validates or predicts.

    Attributes:
        weights_trick: Name of the trick in the catalogue.
        has_decoder: Whether the pretext task trains the decoder, too.
    """

    has_own_weights = True
    weights_trick: ClassVar[str]
    has_decoder: ClassVar[bool] = True

    @classmethod
    def pretext_name(cls) -> TrainerName:
        """Name of the training that it starts from."""
        name = pretext_of(cls.trainer_name)
        if name is None:
            raise ValueError(f"{cls.__name__} starts from no pretext training")
        return name

    @classmethod
    def takes_decoder(cls) -> bool:
        """Whether the decoder is taken over: not where it was not trained, or without skip connections."""
        return cls.has_decoder and not getattr(cls.parameters[cls.weights_trick], "noskips", False)

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse cascades, other networks, and tricks that need more than the weights of an encoder or a decoder."""
        if planned.configuration.previous_stage_name is not None:
            raise UnsuitableImages(
                f"{cls.weights_trick} starts from a training on images alone, and the second stage of a cascade also "
                f"sees a segmentation: take it for {planned.configuration.previous_stage_name} or another configuration"
            )
        super().check_planned(planned)
        beside = {trick.info.name: trick for trick in cls.trainer_name.tricks}
        if "KeepHeads" in beside:
            raise ValueError(
                f"KeepHeads keeps output layers for labels, and {cls.pretext_name()} has none: leave one of them out, "
                f"KeepHeads or {cls.weights_trick}"
            )
        frozen = cls.parameters["Freeze"].part if "Freeze" in beside else ""
        if frozen and frozen != "encoder" and not cls.takes_decoder():
            raise ValueError(
                f"Freeze_{frozen} keeps the decoder as it was loaded, too, and {cls.pretext_name()} has no decoder "
                f"that could be taken over: take Freeze"
            )
        network = cls.planned_network(planned)
        if network is not None:
            require_decoder(network, cls.weights_trick)

    @classmethod
    def check_fresh(cls, planned: Planned) -> None:
        """Refuse a training with two beginnings, or whose pretext training is missing, unfinished or does not fit."""
        if planned.call and planned.call.pretrained_weights:
            cls._refuse_two_beginnings()
        super().check_fresh(planned)
        network = cls.planned_network(planned)
        if network is not None and planned.fold is not None and not is_small():
            cls._weights_for(network, planned)

    @classmethod
    def _refuse_two_beginnings(cls) -> None:
        raise ValueError(
            f"{cls.weights_trick} and -pretrained_weights are two beginnings of one training: take one of them, and a "
            f"trainer without {cls.weights_trick} for -pretrained_weights"
        )

    def begin(self, file: Given | None) -> None:
        """Load what the pretext training has learned.

        Raises:
            ValueError: If ``-pretrained_weights`` has loaded a file, or the checkpoint is missing or does not fit.
        """
        if file:
            self._refuse_two_beginnings()
        network = unwrapped(self.network)
        planned = Planned.of(self.plans_manager.plans, self.configuration_name, self.dataset_json, fold=self.fold)
        weights, where = self._weights_for(network, planned)
        with torch.no_grad():
            for name, tensor in network.state_dict(keep_vars=True).items():
                if name in weights:
                    tensor.copy_(weights[name])
        taken, total = (len(_once(network, names)) for names in (weights, _transferable(network)))
        decoder = "" if self.takes_decoder() else "; the decoder was not trained for skip connections and stays random"
        if not self.has_decoder:
            decoder = "; the decoder was not trained and stays random"
        self.pretrained = f"{where}; {taken} of {total} tensors taken over, the output layers left out{decoder}"
        super().begin(None)

    @classmethod
    def _weights_for(cls, network: nn.Module, planned: Planned) -> tuple[dict[str, Tensor], str]:
        """Tensors for a network by name, and where they come from in words.

        Raises:
            ValueError: If there is no finished pretext training for it, or it does not fit.
        """
        if is_small():
            # The harness trains no pretext task first. It checks what a trainer does with weights.
            chosen = {name: network.state_dict()[name] for name in cls._wanted(network)}
            return {name: torch.rand_like(tensor) * 0.1 for name, tensor in chosen.items()}, "random numbers"
        folder = cls._folder(planned)
        file = folder / CHECKPOINT
        if not file.is_file():
            raise ValueError(cls._missing(planned, folder))
        content = reading.read(file)
        cls._check_plans(content, planned, file)
        cls._check_images(folder, planned)
        weights = content.get(given_weights.WEIGHTS, {})
        state = {name: tensor for name, tensor in network.state_dict().items() if name in cls._wanted(network)}
        faults = [n for n, t in state.items() if given_weights.sides_of(weights.get(n)) != given_weights.sides_of(t)]
        if faults:
            raise ValueError(
                f"{cls.weights_trick}: {file} is of another network, {some(faults)} differ ({len(faults)} of "
                f"{len(state)} tensors): train {cls.pretext_name()} again with these plans"
            )
        broken = [name for name in state if not bool(weights[name].isfinite().all())]
        if broken:
            raise ValueError(f"{file} has numbers that are not finite, in {some(broken)}: train it again")
        if not cls.takes_decoder() and (encoder := of_network(network)):
            cls.check_match(encoder.architecture, matching.match(_encoder_of(weights), encoder))
        return {name: weights[name] for name in state}, f"{file} (sha256 {digest(file)})"

    @classmethod
    def _wanted(cls, network: nn.Module) -> set[str]:
        """Names of the tensors that are taken over."""
        names = _transferable(network)
        return set(names) if cls.takes_decoder() else {name for name in names if name.startswith(ENCODER)}

    @classmethod
    def _folder(cls, planned: Planned) -> Path:
        name = model_folder(str(cls.pretext_name()), planned.plans.plans_name, cls._configuration(planned))
        return Path(os.fspath(paths.nnUNet_results)) / planned.plans.dataset_name / name / f"fold_{planned.fold}"

    @staticmethod
    def _configuration(planned: Planned) -> str:
        """Name of the configuration in its plans."""
        for name in planned.plans.available_configurations:
            if planned.plans.get_configuration(name).configuration == planned.configuration.configuration:
                return str(name)
        raise ValueError(f"the plans {planned.plans.plans_name} have no such configuration")

    @classmethod
    def _missing(cls, planned: Planned, folder: Path) -> str:
        """What is missing, with the command that makes it."""
        plans = planned.plans.plans_name
        words = f"nnUNetv2_train {planned.plans.dataset_name} {cls._configuration(planned)} {planned.fold}"
        words += f" -tr {cls.pretext_name()}" + ("" if plans == DEFAULT_PLANS else f" -p {plans}")
        begun = any(folder.glob("checkpoint_*.pth"))
        what = f"{folder} has no {CHECKPOINT}"
        command = f"'{words} --c' to its end" if begun else f"'{words}'"
        whole = folder.with_name("fold_all") / CHECKPOINT
        note = ""
        if planned.fold != "all" and whole.is_file():
            note = (
                f" {whole} is not taken for it: that training has seen the images which fold {planned.fold} keeps for "
                "validation."
            )
        return f"{cls.weights_trick} starts from {cls.pretext_name()}, and {what}.{note} First run {command}"

    @classmethod
    def _check_plans(cls, content: Mapping[str, Any], planned: Planned, file: Path) -> None:
        """Refuse a checkpoint whose plans have changed since, though they are called the same."""
        arguments = content.get("init_args")
        theirs = arguments.get("plans") if isinstance(arguments, Mapping) else None
        if not isinstance(theirs, Mapping):
            raise ValueError(f"{file} does not say with which plans it was trained: train {cls.pretext_name()} again")
        other = Planned.of(dict(theirs), str(arguments["configuration"]), planned.dataset_json)  # type: ignore[index]
        mine, then = planned.configuration.configuration, other.configuration.configuration
        differing = [key for key in DECISIVE if mine.get(key) != then.get(key)]
        if "CTNormalization" in mine.get("normalization_schemes", ()) and differing == []:
            key = "foreground_intensity_properties_per_channel"
            differing = [key] if planned.plans.plans.get(key) != theirs.get(key) else []
        if differing:
            key = differing[0]
            shown = "" if key not in DECISIVE[:3] else f" ({then.get(key)} there, {mine.get(key)} now)"
            raise ValueError(
                f"{cls.weights_trick}: {file} was trained with other plans of the name {planned.plans.plans_name}: "
                f"{' and '.join(differing)} {'differs' if len(differing) == 1 else 'differ'}{shown}. Train "
                f"{cls.pretext_name()} again with the present plans, in another results folder or after removing it"
            )

    @classmethod
    def _check_images(cls, folder: Path, planned: Planned) -> None:
        """Refuse weights that have seen an image which the fold keeps for validation, since the split has changed."""
        seen = record.read(folder)
        if seen is None:
            raise ValueError(f"{folder} has no {record.FILE} with the images that it learned from: train it again")
        kept = validation_cases(planned.plans.dataset_name, planned.fold)
        if leaked := sorted(set(kept) & {*seen.training, *seen.unlabelled}):
            raise ValueError(
                f"{cls.weights_trick}: {folder} was trained on {some(leaked)}, which the present split keeps for "
                f"validation in fold {planned.fold} ({len(leaked)} such images): results on them would be too good. "
                f"Train {cls.pretext_name()} again with this split"
            )


def _transferable(network: nn.Module) -> list[str]:
    """Names of all tensors but those of output layers."""
    return [name for name in network.state_dict() if given_weights.HEADS not in name]


def _once(network: nn.Module, names: Any) -> set[int]:
    """Tensors of these names, each once: nnU-Net's networks hold many of them under several."""
    state = network.state_dict(keep_vars=True)
    return {id(state[name]) for name in names}


def _encoder_of(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    return {given_weights.WEIGHTS: {n: t for n, t in weights.items() if n.startswith("encoder.")}}
