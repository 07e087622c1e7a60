"""``-pretrained_weights`` of a plain U-Net for one whose decoder has parts more.

nnU-Net refuses weights as soon as one shape differs or one is missing. Where channels are added, convolutions get the
plain network's weights for the channels that both have and zeros for the others, so that the training starts from
exactly what the plain network computes. A layer's weights are still learned: zeros get gradients from the features.
Parts that the plain network does not have, such as gates, begin as in a training from random weights.
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
from nnunet_tricks.tricks.network.enhancement.decoder import PARTS, EnhancedDecoder, decoder_with_parts, widened


def accept_plain_networks() -> None:
    """From now on ``nnUNetv2_train -pretrained_weights`` in this process takes plain U-Nets for those with more parts.

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
        decoder = decoder_with_parts(network)
        content = checkpoint.read(Path(fname), advice=given_weights.ADVICE) if decoder else {}
        weights: Mapping[str, Any] = content.get(given_weights.WEIGHTS) or {}
        filled = filled_up(weights, decoder) if decoder and weights else {}
        if not filled:
            theirs(network, fname, verbose)
            return
        print(f"{fname} holds a plain U-Net: {described(filled, weights)}")
        content[given_weights.WEIGHTS] = {**weights, **filled}
        with tempfile.TemporaryDirectory(prefix="nnunet_tricks_") as folder:
            file = Path(folder, Path(fname).name)
            torch.save(content, file)
            theirs(network, str(file), verbose)

    return load


def filled_up(weights: Mapping[str, Any], decoder: EnhancedDecoder) -> dict[str, Tensor]:
    """What a plain U-Net's weights need for a decoder with more parts.

    Args:
        weights: By name in the state of the whole network.
        decoder: The decoder that they are for.

    Returns:
        Those that change or are missing: zeros for channels that the plain U-Net does not have, and the decoder's own
        weights for parts of which it has nothing. Not what has another shape than in a plain U-Net, which is for
        nnU-Net to refuse.
    """
    mine = decoder.state_dict()
    filled: dict[str, Tensor] = {}
    for name, plain in widened(decoder).items():
        if name not in mine:
            continue  # a stage of other blocks, for which a plain network has no weights
        key, shape = f"decoder.{name}", mine[name].shape
        weight = weights.get(key)
        if isinstance(weight, Tensor) and weight.shape == (shape[0], plain, *shape[2:]):
            filled[key] = torch.cat([weight, weight.new_zeros(shape[0], shape[1] - plain, *shape[2:])], dim=1)
    for part in PARTS:
        own = {f"decoder.{name}": tensor for name, tensor in mine.items() if name.partition(".")[0] == part}
        if not own.keys() & weights.keys():
            filled |= own
    return filled


def described(filled: Mapping[str, Tensor], weights: Mapping[str, Any]) -> str:
    """What became of a plain U-Net's weights, in words.

    Args:
        filled: Result of ``filled_up``.
        weights: The plain U-Net's.

    Examples:
        >>> described({"decoder.gates.1.psi.weight": torch.zeros(1)}, {})
        'gates, which it does not have, begin with new weights'
    """
    parts = [part for part in PARTS if any(name.startswith(f"decoder.{part}.") for name in filled)]
    zeros = ["channels that it does not have begin with weights of zero"] if filled.keys() & weights.keys() else []
    new = [f"{' and '.join(parts)}, which it does not have, begin with new weights"] if parts else []
    return "; ".join((*zeros, *new))
