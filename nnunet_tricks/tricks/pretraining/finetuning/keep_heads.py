"""Output layers for other labels, that begin with what is known of the labels of the same name.

``-pretrained_weights`` leaves output layers random, also for the same labels. With this trick a channel begins with the
weights of the label that had its name. Labels that are new keep random weights. Works with checkpoints of nnU-Net,
which say what their labels are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nnunet_tricks.training.planned import class_names
from nnunet_tricks.tricks.pretraining.finetuning.parts import head_of
from nnunet_tricks.tricks.pretraining.finetuning.trainer import FineTuningTrainer
from nnunet_tricks.tricks.pretraining.given import HEADS, Given


class nnUNetTrainerKeepHeads(FineTuningTrainer):
    """nnU-Net whose output layers keep what a checkpoint knows of labels with the same name."""

    tuning_trick = "KeepHeads"
    needs_encoder = False

    def begin(self, file: Given | None) -> None:
        """Copy the channels of known labels.

        Raises:
            ValueError: If no file with labels was given, or it has none of these labels.
        """
        super().begin(file)
        if file is None or not file.heads or not file.dataset_json:
            raise ValueError(
                "KeepHeads needs a checkpoint of nnU-Net with its labels: give nnUNetv2_train -pretrained_weights "
                "FILE, such as another training's checkpoint_final.pth"
            )
        theirs, mine = names_of(file.dataset_json), names_of(self.dataset_json)
        known = {channel: theirs.index(name) for channel, name in enumerate(mine) if name in theirs}
        if not known or ("background" in mine) != ("background" in theirs):
            raise ValueError(
                f"KeepHeads: the checkpoint has outputs for {', '.join(theirs)}, and this data set for "
                f"{', '.join(mine)}: without a label of the same name, or with regions on one side only, leave it out"
            )
        head = head_of(self.network, self.tuning_trick)
        copied = _copy(head, {name.removeprefix(HEADS): tensor for name, tensor in file.heads.items()}, known)
        if not copied:
            raise ValueError(
                "KeepHeads: the checkpoint's output layers have another number of features: leave KeepHeads out"
            )
        kept = ", ".join(mine[channel] for channel in known)
        fresh = ", ".join(name for name in mine if name not in theirs) or "none"
        self.print_to_log_file(
            f"KeepHeads: {copied} output layers keep {kept}; new labels: {fresh}", add_timestamp=False
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


def _copy(head: nn.Module, theirs: Mapping[str, torch.Tensor], known: Mapping[int, int]) -> int:
    """Copy channels, and count the layers that got some."""
    layers = set()
    with torch.no_grad():
        for name, tensor in head.state_dict().items():
            source = theirs.get(name)
            if source is None or source.shape[1:] != tensor.shape[1:]:
                continue
            for channel, other in known.items():
                tensor[channel].copy_(source[other])
            layers.add(name.rpartition(".")[0])
    return len(layers)
