"""Files of ``nnUNetv2_train -pretrained_weights``, looked at before a folder is made.

nnU-Net loads such a file after it has made a results folder, stops at the first difference, and prints a whole tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import Tensor, nn

from nnunet_tricks.nnunet import checkpoint

WEIGHTS = "network_weights"
"""Key under which nnU-Net's checkpoints have them."""

HEADS = ".seg_layers."
"""Part of the names of nnU-Net's output layers, which it never loads."""

ADVICE = (
    "if you trust whoever made it, give a file with its weights alone: torch.save({'network_weights': "
    "torch.load(OLD, weights_only=False)['network_weights']}, NEW)"
)


def read(file: Path) -> dict[str, Any]:
    """The content of a file that nnU-Net is to load.

    Raises:
        ValueError: If there is no such file, it is damaged, holds code, or is no checkpoint of nnU-Net.
    """
    if not file.is_file():
        raise ValueError(f"-pretrained_weights {file} is not there: give the path of a checkpoint of nnU-Net")
    if not file.stat().st_size:
        raise ValueError(f"-pretrained_weights {file} is empty: get it anew")
    content = checkpoint.read(file, advice=ADVICE)
    if not isinstance(content.get(WEIGHTS), Mapping):
        raise ValueError(
            f"-pretrained_weights {file} is no checkpoint of nnU-Net, it has no '{WEIGHTS}': files of others go into "
            "the store ('nnunet-tricks weights add'), and a trick in the trainer's name takes them from there"
        )
    return content


def patch_size(file: Path) -> tuple[int, ...]:
    """The patches that a checkpoint's network was trained with; empty if it does not say."""
    arguments = read(file).get("init_args")
    if not isinstance(arguments, Mapping):
        return ()
    plans, configuration = arguments.get("plans"), arguments.get("configuration")
    if not isinstance(plans, Mapping) or configuration not in plans.get("configurations", ()):
        return ()
    return tuple(PlansManager(dict(plans)).get_configuration(configuration).patch_size)


def difference(weights: Mapping[str, Any], network: nn.Module) -> str:
    """Why nnU-Net would not load weights into a network, in words; empty if it would.

    Args:
        weights: Tensors by name.
        network: The network, with or without values.

    Examples:
        >>> network = nn.Conv2d(1, 4, 3)
        >>> difference(network.state_dict(), network)
        ''
        >>> difference(nn.Conv2d(1, 8, 3).state_dict(), network)
        'weight is 8x1x3x3 in the file and 4x1x3x3 here (2 of 2 tensors differ)'
    """
    wanted = {name: tensor for name, tensor in network.state_dict().items() if HEADS not in name}
    faults = [name for name, tensor in wanted.items() if sides_of(weights.get(name)) != sides_of(tensor)]
    if not faults:
        return ""
    first = faults[0]
    theirs = sides_of(weights.get(first))
    what = f"{theirs} in the file and {sides_of(wanted[first])} here" if theirs else "not in the file"
    return f"{first} is {what} ({len(faults)} of {len(wanted)} tensors differ)"


def check(file: Path, weights: Mapping[str, Any], network: nn.Module) -> None:
    """Refuse weights that nnU-Net would not load.

    Args:
        file: Where they come from.
        weights: Tensors by name.
        network: The network, with or without values.

    Raises:
        ValueError: With the first tensor that differs.
    """
    if fault := difference(weights, network):
        raise ValueError(
            f"-pretrained_weights {file}: nnU-Net takes a checkpoint whose network has the same layers, and {fault}: "
            "give one that was trained with this network, and with the sizes of these plans"
        )


def sides_of(tensor: Any) -> str:
    """The shape of a tensor as people write it; empty for what is none.

    Examples:
        >>> sides_of(nn.Conv2d(1, 4, 3).weight)
        '4x1x3x3'
    """
    if not isinstance(tensor, Tensor):
        return ""
    return "x".join(map(str, tensor.shape)) or "one number"
