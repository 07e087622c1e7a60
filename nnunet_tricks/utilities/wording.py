"""Lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 5
"""So many faults, cases or folders are named."""


def some(words: Sequence[str], joint: str = ", ") -> str:
    """The first few words of a list, and how many more there are.

    Examples:
        >>> some(["a", "b"]), some(list("abcdefg"))
        ('a, b', 'a, b, c, d, e and 2 more')
    """
    left = len(words) - SHOWN
    return joint.join(words[:SHOWN]) + (f" and {left} more" if left > 0 else "")
