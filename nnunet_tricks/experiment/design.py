"""Which combinations of tricks a comparison trains."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

Alternatives = tuple[str, ...]
"""Tricks of which at most one is switched on at a time."""

Combination = tuple[str, tuple[str, ...]]
"""A label and its tricks."""

BASELINE = "baseline"


def add_one(factors: Sequence[Alternatives]) -> list[Combination]:
    """The baseline, and the baseline with each trick alone. This is the papers' question.

    Examples:
        >>> add_one([("Tversky",), ("OHEM",)])
        [('baseline', ()), ('Tversky', ('Tversky',)), ('OHEM', ('OHEM',))]
    """
    return [(BASELINE, ()), *((trick, (trick,)) for factor in factors for trick in factor)]


def leave_one_out(factors: Sequence[Alternatives]) -> list[Combination]:
    """All tricks together as the baseline, and all tricks except each one in turn.

    Examples:
        >>> leave_one_out([("Tversky",), ("NoDeepSupervision",)])[1:]
        [('without Tversky', ('NoDeepSupervision',)), ('without NoDeepSupervision', ('Tversky',))]
    """
    tricks = [trick for factor in factors for trick in factor]
    reduced = [(f"without {out}", tuple(trick for trick in tricks if trick != out)) for out in tricks]
    return [(BASELINE, tuple(tricks)), *reduced]


def factorial(factors: Sequence[Alternatives]) -> list[Combination]:
    """Every combination, from none to one of each factor.

    Examples:
        >>> [label for label, _ in factorial([("Tversky", "OHEM"), ("NoDeepSupervision",)])]
        ['baseline', 'NoDeepSupervision', 'Tversky', 'Tversky + NoDeepSupervision', 'OHEM', 'OHEM + NoDeepSupervision']
    """
    combinations = []
    for levels in product(*(("", *factor) for factor in factors)):
        tricks = tuple(filter(None, levels))
        combinations.append((" + ".join(tricks) or BASELINE, tricks))
    return combinations


DESIGNS = {"add-one": add_one, "leave-one-out": leave_one_out, "factorial": factorial}
"""Designs by their words in an experiment file; ``list`` combines nothing."""
