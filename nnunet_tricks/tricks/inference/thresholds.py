"""Other thresholds than nnU-Net's, as a constant that is added to each output's logits.

For a region, and for the foreground of two classes, the result is ``p > t``. For more classes it is the largest of
``p (1 - t) / t``, where ``t = 0.5`` leaves a class as it is: one class becomes more, or less, likely than the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def logit_shifts(thresholds: Mapping[str, float], names: Sequence[str], *, regions: bool) -> tuple[float, ...]:
    """What is added to the logits of each output of the network.

    Args:
        thresholds: From a class or region to its threshold, between 0 and 1. ``""`` is the one of all others.
        names: Classes or regions in the order of the outputs. Without regions the first is the background.
        regions: Whether the outputs are regions.

    Returns:
        One number for each output; the background's is 0.

    Raises:
        ValueError: If there is no such class, or a threshold is not between 0 and 1.

    Examples:
        >>> shifts = logit_shifts({"tumor": 0.2}, ["background", "kidney", "tumor"], regions=False)
        >>> [round(shift, 3) for shift in shifts]
        [0.0, 0.0, 1.386]
    """
    foreground = list(names if regions else names[1:])
    for name, threshold in thresholds.items():
        if name and name not in foreground:
            raise ValueError(f"threshold names '{name}', and the model has {', '.join(foreground)}")
        if not 0 < threshold < 1:
            raise ValueError(f"threshold {name or 'of all classes'} is {threshold:g}, and must lie between 0 and 1")
    shifts = []
    for position, name in enumerate(names):
        fixed = position == 0 and not regions
        threshold = 0.5 if fixed else thresholds.get(name, thresholds.get("", 0.5))
        shifts.append(math.log((1 - threshold) / threshold) + 0.0)
    return tuple(shifts)


def thresholds_of(words: Sequence[str]) -> dict[str, float]:
    """Read thresholds as they are written: ``0.3`` for all, ``tumor=0.2`` for one class.

    Raises:
        ValueError: If one is no number, or is given twice.

    Examples:
        >>> thresholds_of(["0.4", "tumor=0.2"])
        {'': 0.4, 'tumor': 0.2}
    """
    read: dict[str, float] = {}
    for word in words:
        name, _, number = word.rpartition("=")
        try:
            threshold = float(number)
        except ValueError:
            raise ValueError(f"threshold is '{word}', and must be a number such as 0.3, or CLASS=0.3") from None
        if name in read:
            raise ValueError(f"threshold of {name or 'all classes'} is given twice")
        read[name] = threshold
    return read
