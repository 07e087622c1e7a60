"""Why a name is not legal, and the legal names that are near. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

RESERVED = re.compile(
    r"(?P<epochs>\d{1,9})epochs?|epochs?(?P<epochs_after>\d{1,9})|run(?P<run>\d{1,9})|(?P<shared>shared)", re.IGNORECASE
)
"""Tokens that are neither a trick nor a parameter."""

MOST_REPAIRS = 5
"""How many repairs in a row a name can need."""

Tokens = tuple[str, ...]


@dataclass(frozen=True)
class At:
    """One token among those of a name, and what the name would be if it were changed.

    Attributes:
        tokens: All tokens of the name.
        position: Position of the one.
    """

    tokens: Tokens
    position: int

    @property
    def token(self) -> str:
        """The token itself."""
        return self.tokens[self.position]

    def replaced(self, token: str) -> Tokens:
        """All tokens, with another in its place."""
        return (*self.tokens[: self.position], token, *self.tokens[self.position + 1 :])

    def removed(self) -> Tokens:
        """All tokens but this one."""
        return self.tokens[: self.position] + self.tokens[self.position + 1 :]

    def removed_with_parameters(self) -> Tokens:
        """All tokens but this one and those that follow as its parameters."""
        end = self.position + 1
        while end < len(self.tokens) and not (self.tokens[end][0].isupper() or RESERVED.fullmatch(self.tokens[end])):
            end += 1
        return self.tokens[: self.position] + self.tokens[end:]

    def moved_or_removed(self) -> list[Tokens]:
        """All tokens with this one behind its successor, and without it.

        Examples:
            >>> At(("alpha0p2", "Tversky"), 0).moved_or_removed()
            [('Tversky', 'alpha0p2'), ('Tversky',)]
        """
        removed = self.removed()
        moved = (*removed[: self.position + 1], self.token, *removed[self.position + 1 :])
        return [moved, removed] if moved != self.tokens else [removed]


class Flaw(Exception):
    """What is wrong with the tokens of a name.

    Attributes:
        reason: Reason why they are no legal name.
        repairs: Tokens without this flaw, best first; they may have others.
    """

    def __init__(self, reason: str, repairs: Sequence[Tokens] = ()) -> None:
        """Take the reason and the repairs."""
        super().__init__(reason)
        self.reason = reason
        self.repairs = tuple(repairs)


def nearest(flaw: Flaw, read: Callable[[Tokens], object], count: int = 3) -> list[str]:
    """Legal names that lack a flaw, without repetition.

    Args:
        flaw: Flaw of the name that was asked for.
        read: Reader of tokens: what it gives is a legal name as text, or it raises the next ``Flaw``.
        count: Number of names at most.
    """
    return list(islice(dict.fromkeys(_repaired(flaw, read, MOST_REPAIRS - 1)), count))


def _repaired(flaw: Flaw, read: Callable[[Tokens], object], depth: int) -> Iterator[str]:
    for tokens in flaw.repairs:
        try:
            yield str(read(tokens))
        except Flaw as next_flaw:
            if depth:
                yield from _repaired(next_flaw, read, depth - 1)


def broken_rule(given: Sequence[str], wanted: Sequence[str]) -> str:
    """Why the words of a name, which mean ``wanted``, are not those: the first rule that they break."""
    if given.count("") > wanted.count(""):
        return "one underscore stands between two words, none before the first trick or at the end"
    if given.count("") < wanted.count("") and len(wanted) > 1:
        return f"an underscore stands before '{wanted[1]}'"
    for token in given:
        if token in wanted:
            continue
        for other in (word for word in wanted if word not in given):
            if other.casefold() == token.casefold():
                return f"'{token}' is written '{other}', with these capitals"
            if _letters(other) == _letters(token):
                return f"'{token}' is written '{other}'" + (", with p as the decimal point" if "." in token else "")
        return f"'{token}' is the default, which is left out"
    first, second = next(pair for pair in zip(given, wanted, strict=False) if pair[0] != pair[1])
    if RESERVED.fullmatch(first) or RESERVED.fullmatch(second):
        order = "epochs, shared and run stand last, in this order"
    elif second[:1].isupper():
        order = "tricks stand in the order of 'nnunet-tricks list --help', those of one part of nnU-Net by name"
    else:
        order = "parameters stand in the order of 'nnunet-tricks show'"
    return f"'{second}' stands before '{first}': {order}"


def _letters(token: str) -> str:
    """The first word in a token, ``epoch`` in all of its forms."""
    letters = re.search(r"[a-z]+", token, re.IGNORECASE)
    return letters[0].casefold().removesuffix("s") if letters else ""
