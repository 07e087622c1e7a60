"""Durations as people write and read them."""

from __future__ import annotations

import re

UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
CLOCK = re.compile(r"\s*(?:(\d+)-)?(\d+):(\d\d):(\d\d)\s*")
"""Hours, minutes and seconds, after days perhaps."""

SHORT_CLOCK = re.compile(r"\s*\d+:\d\d\s*")


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
    """The seconds of a duration such as ``48h``, ``90min`` or ``2d``, or with colons as schedulers write it.

    Raises:
        ValueError: If it is none, or could be two: ``1:30``.

    Examples:
        >>> seconds_in("1.5h"), seconds_in("1:00:00"), seconds_in("2-12:00:00")
        (5400.0, 3600.0, 216000.0)
    """
    if clock := CLOCK.fullmatch(words):
        days, hours, minutes, seconds = (int(number or 0) for number in clock.groups())
        total = float(86400 * days + 3600 * hours + 60 * minutes + seconds)
        if total and minutes < 60 and seconds < 60 and (clock[1] is None or hours < 24):
            return total
    if SHORT_CLOCK.fullmatch(words):
        raise ValueError(f"'{words}' may be hours and minutes or minutes and seconds: write it like 90min or 1:30:00")
    read = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", words)
    if not read or read[2] not in UNITS or not float(read[1]):
        raise ValueError(f"'{words}' is not a duration: write it like 48h, 90min or 2d, or as 48:00:00")
    return float(read[1]) * UNITS[read[2]]
