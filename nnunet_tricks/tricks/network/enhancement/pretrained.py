"""``-pretrained_weights`` of a plain U-Net for one with enhanced skip connections.

nnU-Net refuses weights as soon as one shape differs, and here some convolutions have more input channels. They get the
plain network's weights for the channels that both have and zeros for the others, so that the training starts from
exactly what the plain network computes. A layer's weights are still learned: zeros get gradients from the features.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cache, wraps
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnunet_tricks.nnunet import checkpoint
from nnunet_tricks.nnunet.patches import Replacement, accept_weights
from nnunet_tricks.training import given_weights
from nnunet_tricks.tricks.network.enhancement.decoder import EnhancedDecoder, enhanced_decoder, widened


def accept_plain_networks() -> None:
    """From now on ``nnUNetv2_train -pretrained_weights`` in this process takes plain U-Nets for enhanced ones.

    Networks of other kinds still get nnU-Net's own function, and so do weights that fit.
    """
    _patch().put_on()


def leave_it_to_nnunet() -> None:
    """The end of ``accept_plain_networks``."""
    _patch().take_off()


@cache
def _patch() -> Replacement:
    return accept_weights(_widening)


def _widening(theirs: Callable[..., None]) -> Callable[..., None]:
    @wraps(theirs)
    def load(network: nn.Module, fname: str, verbose: bool = False) -> None:
        decoder = enhanced_decoder(network)
        content = checkpoint.read(Path(fname), advice=given_weights.ADVICE) if decoder else {}
        wider = filled_up(content["network_weights"], decoder) if decoder else {}
        if not wider:
            theirs(network, fname, verbose)
            return
        print(f"{fname} holds a plain U-Net: channels that it does not have begin with weights of zero")
        content["network_weights"] |= wider
        with tempfile.TemporaryDirectory(prefix="nnunet_tricks_") as folder:
            file = Path(folder, Path(fname).name)
            torch.save(content, file)
            theirs(network, str(file), verbose)

    return load


def filled_up(weights: Mapping[str, Any], decoder: EnhancedDecoder) -> dict[str, Tensor]:
    """A plain U-Net's weights, with zeros for the channels that it does not have.

    Args:
        weights: By name in the state of the whole network.
        decoder: The decoder that they are for.

    Returns:
        Those that change. Not what has another shape than in a plain U-Net, which is for nnU-Net to refuse.
    """
    mine = decoder.state_dict()
    wider = {}
    for name, plain in widened(decoder).items():
        if name not in mine:
            continue  # a stage of other blocks, for which a plain network has no weights
        key, shape = f"decoder.{name}", mine[name].shape
        weight = weights.get(key)
        if isinstance(weight, Tensor) and weight.shape == (shape[0], plain, *shape[2:]):
            wider[key] = torch.cat([weight, weight.new_zeros(shape[0], shape[1] - plain, *shape[2:])], dim=1)
    return wider
