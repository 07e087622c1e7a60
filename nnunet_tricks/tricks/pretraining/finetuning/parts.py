"""Which parameters of a network are its encoder, its output layers, and how deep they lie."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import nn

from nnunet_tricks.tricks.network.architecture.genesis_unet import GenesisUNet3D
from nnunet_tricks.tricks.network.architecture.whole import WholeNetwork
from nnunet_tricks.tricks.pretraining.weights.encoder import of_network, unwrapped

_DEPTH = re.compile(r"(?:^|\.)(?:stages|blocks|layers?)[._]?(\d+)\.")
"""Names of stages: ``stages.0.`` of nnU-Net, ``layer1.`` of ResNets, ``blocks.0.`` of others of timm."""


def encoder_of(network: nn.Module, trick: str) -> nn.Module:
    """The encoder that takes pretrained weights.

    Args:
        network: Network, also inside DDP or ``torch.compile``.
        trick: Name of the trick, for the message.

    Raises:
        ValueError: If the network has none.
    """
    encoder = of_network(network)
    if encoder is None:
        raise ValueError(
            f"{trick} needs a network whose encoder can start from pretrained weights: nnU-Net's planned ones, or one "
            f"with an encoder of timm, and not {_name(network)}"
        )
    # Models Genesis has weights for the decoder, too.
    return encoder.module.encoder if isinstance(encoder.module, GenesisUNet3D) else encoder.module


def head_of(network: nn.Module, trick: str) -> nn.Module:
    """The output layers.

    Args:
        network: Network, also inside DDP or ``torch.compile``.
        trick: Name of the trick, for the message.

    Raises:
        ValueError: If they are not known here.
    """
    genesis = (part for part in unwrapped(network).modules() if isinstance(part, GenesisUNet3D))
    return next((part.out_tr for part in genesis), None) or nnunet_head_of(network, trick)


def nnunet_head_of(network: nn.Module, trick: str) -> nn.Module:
    """The output layers, one for each resolution.

    Args:
        network: Network, also inside DDP or ``torch.compile``.
        trick: Name of the trick, for the message.

    Raises:
        ValueError: If they are not where nnU-Net's decoder has them.
    """
    head = getattr(getattr(unwrapped(network), "decoder", None), "seg_layers", None)
    if not isinstance(head, nn.Module):
        raise ValueError(f"{trick} needs the output layers of nnU-Net's decoder, and {_name(network)} has another")
    return head


def _name(network: nn.Module) -> str:
    """What a network is called, whatever wraps it."""
    network = unwrapped(network)
    return type(network.body if isinstance(network, WholeNetwork) else network).__name__


def depths(encoder: nn.Module) -> Iterator[tuple[nn.Parameter, int]]:
    """Each parameter of an encoder with the number of its stage; what comes before the first stage has 0.

    Examples:
        >>> import timm
        >>> encoder = timm.create_model("test_resnet", features_only=True)
        >>> sorted({depth for _, depth in depths(encoder)})
        [0, 1, 2, 3, 4]
    """
    names = dict(encoder.named_parameters())
    numbers = {name: int(at[1]) for name in names if (at := _DEPTH.search(name))}
    first = min(numbers.values(), default=0)
    # Layers without a stage lie before all of them, but for those that end a transformer.
    begins = {name: numbers.get(name, first - 1) for name in names}
    last = max(numbers.values(), default=first - 1)
    seen = False
    for name, parameter in names.items():
        seen = seen or name in numbers
        depth = last if seen and name not in numbers else begins[name]
        yield parameter, depth - first + 1
