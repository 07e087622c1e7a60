"""Weights in the format of nnssl, as nnU-Net's coming ``nnUNetv2_train_pretrained`` reads them.

The file has the network's weights and ``nnssl_adaptation_plan``, which says where the encoder is among them and what it
was trained with. It holds plain values and tensors only, so it opens with ``weights_only=True``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from nnunet_tricks.tricks.pretraining.weights.encoder import unwrapped

FILE = "nnssl_checkpoint.pth"
"""File beside nnU-Net's checkpoints."""

STEM = "encoder.stem"


def write(trainer: nnUNetTrainer, file: Path) -> None:
    """Write a trainer's weights.

    Args:
        trainer: A trainer with its network.
        file: File to write.
    """
    network = unwrapped(trainer.network)
    weights = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    torch.save({"network_weights": weights, "nnssl_adaptation_plan": adaptation_plan(trainer, network)}, file)


def adaptation_plan(trainer: nnUNetTrainer, network: nn.Module) -> dict[str, Any]:
    """What a training that takes the weights over must know.

    Args:
        trainer: The trainer.
        network: Its network, without wrappers.

    Returns:
        Numbers, words, lists and dictionaries.
    """
    configuration = trainer.configuration_manager
    stem = STEM if any(name.startswith(f"{STEM}.") for name, _ in network.named_parameters()) else "encoder.stages.0"
    first = next(name for name, _ in network.named_parameters() if name.startswith(f"{stem}."))
    block = first.partition(".convs.0.")[0]
    plan = {
        "architecture_plans": {
            "arch_class_name": configuration.network_arch_class_name.rpartition(".")[2],
            "arch_kwargs": configuration.network_arch_init_kwargs,
            "arch_kwargs_requiring_import": configuration.network_arch_init_kwargs_req_import,
        },
        "pretrain_plan": {
            "plans_name": trainer.plans_manager.plans_name,
            "dataset_name": trainer.plans_manager.dataset_name,
            "configurations": {
                trainer.configuration_name: {
                    "patch_size": configuration.patch_size,
                    "spacing": configuration.spacing,
                    "normalization_schemes": configuration.normalization_schemes,
                    "use_mask_for_norm": configuration.use_mask_for_norm,
                }
            },
        },
        "pretrain_num_input_channels": trainer.num_input_channels,
        "recommended_downstream_patchsize": configuration.patch_size,
        "key_to_encoder": "encoder.stages",
        "key_to_stem": stem,
        "keys_to_in_proj": [f"{block}.convs.0.conv", f"{block}.convs.0.all_modules.0"],
        "key_to_lpe": None,
    }
    content: dict[str, Any] = json.loads(json.dumps(plan, default=_plain))
    return content


def _plain(value: Any) -> Any:
    """A value of NumPy as plain Python has it."""
    return value.tolist()
