"""Files that ``nnUNetv2_train -pretrained_weights`` gives to trainers that want to know what they start from.

nnU-Net's own function takes a whole network of the same shape, and nobody is told which file it was. While a trainer
waits for a file, ours comes first. What nnU-Net takes, it still loads itself. Of other files the encoder is taken, as
from the store: checkpoints of nnssl, and networks with another decoder or other channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from nnunet_tricks.nnunet.patches import Replacement, accept_weights
from nnunet_tricks.training import given_weights
from nnunet_tricks.tricks.pretraining.weights import adapting, matching, reading
from nnunet_tricks.tricks.pretraining.weights.encoder import Encoder, of_network
from nnunet_tricks.tricks.pretraining.weights.matching import Match
from nnunet_tricks.tricks.pretraining.weights.store import digest

HEADS = f"decoder{given_weights.HEADS}"
"""Beginning of the names of nnU-Net's output layers."""


@dataclass(frozen=True)
class Given:
    """A file that was loaded.

    Attributes:
        described: File, sum, and what of it was taken.
        taken: The encoder's architecture, and what of it was loaded; None where nnU-Net loaded the whole network.
        heads: Tensors of its output layers, by their names in the network.
        dataset_json: Data set that its network was trained on; empty if the file does not say.
    """

    described: str
    taken: tuple[str, Match] | None
    heads: Mapping[str, Tensor]
    dataset_json: Mapping[str, Any]

    @classmethod
    def of(cls, content: Mapping[str, Any], described: str, taken: tuple[str, Match] | None = None) -> Given:
        """Collect what is known of a file from its content."""
        heads = {name: tensor for name, tensor in _network_weights(content).items() if name.startswith(HEADS)}
        arguments = content.get("init_args")
        dataset_json = arguments.get("dataset_json") if isinstance(arguments, Mapping) else None
        return cls(described, taken, heads, dataset_json if isinstance(dataset_json, Mapping) else {})


def check(file: Path, network: nn.Module) -> tuple[str, Match] | None:
    """Refuse a file of which ``-pretrained_weights`` could not take enough.

    Args:
        file: The file.
        network: The network that it is for; it may be without values.

    Returns:
        The encoder's architecture, and what of it would be taken. None where nnU-Net takes the whole network.

    Raises:
        ValueError: If the file is damaged, holds code, or is of another network.
    """
    content = reading.read(file)
    weights = _network_weights(content)
    if not weights or given_weights.difference(weights, network):
        encoder, matched = _encoder_in(content, network, str(file))
        return encoder.architecture, matched
    return None


_expected: WeakKeyDictionary[nn.Module, Given | None] = WeakKeyDictionary()
"""What was given to each network whose trainer waits for a file."""


def expect(network: nn.Module) -> None:
    """From now on a file for this network is remembered."""
    _expected[network] = None
    _patch().put_on()


def given(network: nn.Module) -> Given | None:
    """What was loaded into a network; no file is expected for it any more."""
    _patch().take_off()
    return _expected.pop(network, None)


@cache
def _patch() -> Replacement:
    return accept_weights(_remembering)


def _remembering(theirs: Callable[..., None]) -> Callable[..., None]:
    @wraps(theirs)
    def load(network: nn.Module, fname: str, verbose: bool = False) -> None:
        if network not in _expected:
            theirs(network, fname, verbose)
            return
        content = reading.read(Path(fname))
        what, taken = _loaded_by_nnunet(theirs, network, fname, content), None
        if not what:
            taken = _loaded_here(network, fname, content)
            what = taken[1].counts
        _expected[network] = Given.of(content, f"{fname} (sha256 {digest(Path(fname))}), {what}", taken)

    return load


def _network_weights(content: Mapping[str, Any]) -> dict[str, Tensor]:
    weights = content.get(given_weights.WEIGHTS)
    if not isinstance(weights, Mapping):
        return {}
    return {str(name): tensor for name, tensor in weights.items() if isinstance(tensor, Tensor)}


def _loaded_by_nnunet(theirs: Callable[..., None], network: nn.Module, fname: str, content: Mapping[str, Any]) -> str:
    """What nnU-Net has taken, in words; empty if it takes nothing."""
    if not _network_weights(content):
        return ""
    try:
        # It compares all names and shapes before it changes anything.
        theirs(network, fname, False)
    except (AssertionError, KeyError):
        return ""
    return "all tensors but the output layers"


def _loaded_here(network: nn.Module, fname: str, content: Mapping[str, Any]) -> tuple[str, Match]:
    """Load the encoder from a file; returns its architecture, and what of it was there."""
    encoder, matched = _encoder_in(content, network, fname)
    # Checkpoints of nnU-Net have been refused before if they have as many positions of another patch.
    adapting.put(matched.weights, encoder, same_patches="init_args" in content)
    return encoder.architecture, matched


def _encoder_in(content: Mapping[str, Any], network: nn.Module, fname: str) -> tuple[Encoder, Match]:
    """The encoder of a network, and what of it is in a file.

    Raises:
        ValueError: If the network has no encoder that takes weights, or the file less than ``matching.LEAST`` of it.
    """
    encoder = of_network(network)
    if encoder is None:
        raise ValueError(
            f"-pretrained_weights {fname}: nnU-Net takes weights of a network with the same layers, and the encoder of "
            "this one is not known here: give a checkpoint of the same network"
        )
    matched = matching.match(content, encoder)
    matching.require(matched, content, encoder, Path(fname).name)
    matching.require_finite(matched, Path(fname).name)
    return encoder, matched
