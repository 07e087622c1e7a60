"""Durations as people write and read them."""

from __future__ import annotations

import re

UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}


def in_words(seconds: float) -> str:
    """A duration for people.

    Examples:
        >>> in_words(7.4), in_words(95), in_words(5000)
        ('7 s', '1 min 35 s', '1 h 23 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def seconds_in(words: str) -> float:
    """The seconds of a duration such as ``48h``, ``90min`` or ``2d``.

    Raises:
        ValueError: If it is none.

    Examples:
        >>> seconds_in("1.5h")
        5400.0
    """
    read = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", words)
    if not read or read[2] not in UNITS or not float(read[1]):
        raise ValueError(f"'{words}' is not a duration: write it like 48h, 90min or 2d")
    return float(read[1]) * UNITS[read[2]]
