"""Output layers for other labels, that begin with what is known of the labels of the same name.

``-pretrained_weights`` leaves output layers random, also for the same labels. With this trick a channel begins with the
weights of the label that had its name. Labels that are new keep random weights. Works with checkpoints of nnU-Net,
which say what their labels are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnunet_tricks.training.planned import Planned, class_names
from nnunet_tricks.tricks.pretraining.finetuning.parts import nnunet_head_of
from nnunet_tricks.tricks.pretraining.finetuning.trainer import FineTuningTrainer
from nnunet_tricks.tricks.pretraining.given import HEADS, Given
from nnunet_tricks.tricks.pretraining.weights import reading


class nnUNetTrainerKeepHeads(FineTuningTrainer):
    """nnU-Net whose output layers keep what a checkpoint knows of labels with the same name."""

    tuning_trick = "KeepHeads"
    needs_encoder = False

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse networks whose output layers are not nnU-Net's."""
        super().check_planned(planned)
        network = cls.planned_network(planned)
        if network is not None:
            nnunet_head_of(network, cls.tuning_trick)

    @classmethod
    def check_fresh(cls, planned: Planned) -> None:
        """Refuse a training without a file: the store has no output layers."""
        if planned.call and not planned.call.pretrained_weights:
            _channels_in(None, planned.dataset_json)
        super().check_fresh(planned)

    @classmethod
    def check_given(cls, file: Path, network: nn.Module, planned: Planned) -> None:
        """Refuse a file whose labels are not known, or others."""
        super().check_given(file, network, planned)
        given = Given.of(reading.read(file), str(file))
        known = _channels_in(given, planned.dataset_json)
        _require(_layers(nnunet_head_of(network, cls.tuning_trick), given, known))

    def begin(self, file: Given | None) -> None:
        """Copy the channels of known labels.

        Raises:
            ValueError: If no file with labels was given, or it has none of these labels.
        """
        super().begin(file)
        known = _channels_in(file, self.dataset_json)
        if file is None:
            return
        head = nnunet_head_of(self.network, self.tuning_trick)
        layers = _layers(head, file, known)
        _require(layers)
        with torch.no_grad():
            for tensor, source in layers.values():
                for channel, other in known.items():
                    tensor[channel].copy_(source[other])
        copied = len({name.rpartition(".")[0] for name in layers})
        mine, theirs = names_of(self.dataset_json), names_of(file.dataset_json)
        kept = ", ".join(mine[channel] for channel in known)
        fresh = ", ".join(name for name in mine if name not in theirs) or "none"
        self.print_to_log_file(
            f"KeepHeads: {copied} output layers keep {kept}; new labels: {fresh}", add_timestamp=False
        )


def _channels_in(file: Given | None, dataset_json: Mapping[str, Any]) -> dict[int, int]:
    """The channels of the labels that a file knows, each with its channel there.

    Raises:
        ValueError: If the file does not say its labels, or has none of these.
    """
    if file is None or not file.heads or not file.dataset_json:
        raise ValueError(
            "KeepHeads needs a checkpoint of nnU-Net with its labels: give nnUNetv2_train -pretrained_weights "
            "FILE, such as another training's checkpoint_final.pth"
        )
    theirs, mine = names_of(file.dataset_json), names_of(dataset_json)
    known = {channel: theirs.index(name) for channel, name in enumerate(mine) if name in theirs}
    if not known or ("background" in mine) != ("background" in theirs):
        raise ValueError(
            f"KeepHeads: the checkpoint has outputs for {', '.join(theirs)}, and this data set for "
            f"{', '.join(mine)}: without a label of the same name, or with regions on one side only, leave it out"
        )
    return known


def _layers(head: nn.Module, file: Given, known: Mapping[int, int]) -> dict[str, tuple[Tensor, Tensor]]:
    """The tensors of output layers that have one of the same features in a file, each with that one."""
    theirs = {name.removeprefix(HEADS): tensor for name, tensor in file.heads.items()}
    pairs = {name: (tensor, theirs[name]) for name, tensor in head.state_dict().items() if name in theirs}
    last = max(known.values())
    return {
        name: (mine, other)
        for name, (mine, other) in pairs.items()
        if mine.shape[1:] == other.shape[1:] and len(other) > last
    }


def _require(layers: Mapping[str, object]) -> None:
    if not layers:
        raise ValueError(
            "KeepHeads: the checkpoint's output layers have another number of features: leave KeepHeads out"
        )


def names_of(dataset_json: Mapping[str, Any]) -> tuple[str, ...]:
    """What the output channels for a data set stand for.

    Examples:
        >>> names_of({"labels": {"background": 0, "tumour": 2, "organ": 1}})
        ('background', 'organ', 'tumour')
        >>> names_of({"labels": {"background": 0, "whole": [1, 2], "tumour": 2}, "regions_class_order": [1, 2]})
        ('whole', 'tumour')
    """
    labels: Mapping[str, Any] = dataset_json["labels"]
    regions = any(isinstance(value, (list, tuple)) and len(value) > 1 for value in labels.values())
    return class_names(dict(dataset_json), regions=regions)
