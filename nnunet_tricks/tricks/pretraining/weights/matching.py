"""Which tensors of a file are those of an encoder, whatever the file calls them.

Published files put the same weights under ``module.encoder_q.``, ``backbone.``, ``image_encoder.`` and others. No table
of such prefixes is complete. So each prefix that occurs in a file is tried. The one wins under which most of the
encoder's tensors have their name and shape.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nnunet_tricks.training.given_weights import sides_of
from nnunet_tricks.tricks.pretraining.weights.encoder import PLANNED, Encoder, is_counter
from nnunet_tricks.tricks.pretraining.weights.formats import described
from nnunet_tricks.tricks.pretraining.weights.reading import tables
from nnunet_tricks.tricks.pretraining.weights.renaming import Table, readings
from nnunet_tricks.utilities.wording import some

LEAST = 0.9
"""Share of an encoder's tensors, and of the numbers in them, that must be in a file; with fewer the file is that of
another network."""

_SHADOW = re.compile(r"encoder_k|momentum|student|target")
"""Copies of an encoder that its training leaves behind: slower, or the one that only learned from the other."""


_PLANNED = re.compile(r"(|.*\bencoder\.)(?:stages\.\d+|stem)\.")
"""Names in the encoder of nnU-Net's networks."""


@dataclass(frozen=True)
class Match:
    """What of an encoder is in a file.

    Attributes:
        origin: Keys and prefix under which the weights stand in the file; empty if they are at its top.
        weights: Tensors of the file by the encoder's names, as they are in the file.
        total: Number of the encoder's tensors.
        missing: Names of the encoder's tensors that are not in the file, or have another shape there.
        unexpected: Names in the file, below the prefix, that the encoder does not have.
        resized: Tensors of the encoder that have another shape in the file, in words.
        numbers: Share of the encoder's numbers that the tensors in the file have, from 0 to 1.
    """

    origin: str
    weights: Mapping[str, Tensor]
    total: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    resized: tuple[str, ...] = ()
    numbers: float = 1.0

    @property
    def share(self) -> float:
        """The part of the encoder that is there, from 0 to 1: of its tensors or of their numbers, whichever is less."""
        return min(len(self.weights) / self.total, self.numbers) if self.total else 0.0

    @property
    def counts(self) -> str:
        """The part that is there in words.

        Examples:
            >>> Match("", {}, 265, (), ()).counts
            '0 of 265 tensors of the encoder'
        """
        return f"{len(self.weights)} of {self.total} tensors of the encoder"

    def lines(self) -> Iterator[str]:
        """What is there, what is missing and what is left over."""
        yield f"matched     {self.counts}, {'under ' + self.origin if self.origin else 'under their own names'}"
        yield f"missing     {some(self.missing) or 'none'}"
        yield f"unexpected  {some(self.unexpected) or 'none'}"


def match(content: Mapping[str, Any], encoder: Encoder) -> Match:
    """Find an encoder's weights in the content of a file.

    Args:
        content: Nested dictionaries of tensors and other values.
        encoder: The encoder that they are for.

    Examples:
        >>> import torch
        >>> encoder = Encoder.of(torch.nn.Conv2d(3, 4, 3), "tiny")
        >>> file = {"state_dict": {"module.encoder_q.weight": torch.zeros(4, 1, 3, 3), "queue": torch.zeros(2)}}
        >>> matched = match(file, encoder)
        >>> matched.origin, matched.missing
        ('state_dict, module.encoder_q.', ('bias',))
    """
    best = Match("", {}, len(encoder.tensors), tuple(encoder.tensors), (), numbers=0.0)
    rank = (0, False, 0)
    for path, table in tables(content):
        for reading in readings(table, content):
            for prefix, count in _prefixes(reading, encoder).items():
                origin = ", ".join(filter(None, (path, prefix)))
                challenger = (count, not _SHADOW.search(origin), -len(origin))
                if challenger > rank:
                    rank, best = challenger, _under(reading, prefix, origin, encoder)
    return best


def require(matched: Match, content: Mapping[str, Any], encoder: Encoder, source: str) -> None:
    """Refuse weights of which less than ``LEAST`` of the encoder would come.

    Args:
        matched: What is there.
        content: Content of the file, for the message.
        encoder: The encoder that they are for.
        source: Name of the file.

    Raises:
        ValueError: With what the file seems to hold.
    """
    if matched.share >= LEAST:
        if encoder.stem in matched.missing:
            raise ValueError(
                f"{source} has {matched.counts} of {encoder.architecture}, but not {encoder.stem}, the layer that sees "
                f"the image{_of_other_shape(matched, encoder.stem)}: it is of another network"
            )
        return
    percent = round(100 * matched.numbers)
    share = f" ({percent} % of its numbers)" if 0 < percent < 100 else ""
    lacking = f"{source} has {matched.counts} of {encoder.architecture}{share}, and at least {LEAST:.0%} are needed"
    if matched.resized and encoder.architecture == PLANNED:
        raise ValueError(
            f"{lacking}: it is of the same kind in other sizes. {matched.resized[0]} ({len(matched.resized)} such "
            "tensors): plan with the sizes of the network that was pretrained, or take other weights"
        )
    raise ValueError(f"{lacking}: {described(content)}. Missing: {some(matched.missing)}")


def _of_other_shape(matched: Match, name: str) -> str:
    return next((f" ({words})" for words in matched.resized if words.startswith(f"{name} ")), "")


def require_finite(matched: Match, source: str) -> None:
    """Refuse weights that are no numbers, or too large for any.

    Raises:
        ValueError: With their names.
    """
    broken = [name for name, tensor in matched.weights.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise ValueError(f"{source} has numbers that are not finite, in {some(broken)}: get it anew")


def planned(content: Mapping[str, Any], source: str) -> Match:
    """Find the encoder of one of nnU-Net's own networks, of any shape: a training compares it with what is planned.

    Args:
        content: Content of the file.
        source: Name of the file.

    Raises:
        ValueError: If there is none.
    """
    best = Match("", {}, 0, (), ())
    rank = (0, 0)
    for path, table in tables(content):
        for reading in readings(table, content):
            for prefix in {at[1] for name in reading if (at := _PLANNED.match(name))}:
                # nnU-Net's layers hold each of their parts twice.
                below = {n.removeprefix(prefix): t for n, t in reading.items() if n.startswith(prefix)}
                weights = {n: t for n, t in below.items() if ".all_modules." not in n and not is_counter(n)}
                if (len(weights), -len(prefix)) > rank:
                    rank = (len(weights), -len(prefix))
                    best = Match(", ".join(filter(None, (path, prefix))), weights, len(weights), (), ())
    if not best.weights:
        raise ValueError(
            f"{source} has no encoder of nnU-Net, with names such as encoder.stages.0: {described(content)}"
        )
    return best


def _prefixes(table: Table, encoder: Encoder) -> Counter[str]:
    """How many of the encoder's tensors stand under each prefix."""
    counts: Counter[str] = Counter()
    for name, tensor in table.items():
        for start in _starts(name):
            if encoder.fits(name[start:], tensor):
                counts[name[:start]] += 1
    return counts


def _starts(name: str) -> Iterator[int]:
    yield 0
    for at in re.finditer(r"\.", name):
        yield at.end()


def _under(table: Table, prefix: str, origin: str, encoder: Encoder) -> Match:
    below = {name.removeprefix(prefix): tensor for name, tensor in table.items() if name.startswith(prefix)}
    weights = {name: below[name] for name in encoder.tensors if name in below and encoder.fits(name, below[name])}
    return Match(
        origin,
        weights,
        len(encoder.tensors),
        tuple(name for name in encoder.tensors if name not in weights),
        tuple(name for name in below if name not in encoder.tensors and not is_counter(name)),
        tuple(
            f"{name} is {sides_of(below[name])} in the file and {sides_of(tensor)} in the network"
            for name, tensor in encoder.tensors.items()
            if name in below and name not in weights
        ),
        _share_of_numbers(weights, encoder),
    )


def _share_of_numbers(names: Iterable[str], encoder: Encoder) -> float:
    """Share of an encoder's numbers that these tensors have."""
    whole = sum(tensor.numel() for tensor in encoder.tensors.values())
    return sum(encoder.tensors[name].numel() for name in names) / whole if whole else 0.0
