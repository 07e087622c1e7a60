"""All metrics, selected by their names or families."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from nnunet_tricks.comparison.metrics import correction, lesions, overlap, published, surface
from nnunet_tricks.comparison.metrics.definition import Metric

VERSION = 2
"""Version of the definitions. Values computed under another version are computed again."""

TOLERANCES = (1.0, 2.0)
DEFAULT = ("overlap", "volume", "surface")


def all_metrics(tolerances: Sequence[float] = TOLERANCES) -> tuple[Metric, ...]:
    """All metrics; the counts come first.

    Args:
        tolerances: Tolerances of the surface Dice, in mm for metrics in mm and in pixels for metrics in pixels.
    """
    return (
        *overlap.COUNTS,
        *overlap.METRICS,
        correction.HCE,
        *surface.metrics(tolerances),
        *lesions.METRICS,
        *published.METRICS,
        correction.PUBLISHED_HCE,
    )


def chosen(names: Iterable[str] = DEFAULT, tolerances: Sequence[float] = TOLERANCES) -> tuple[Metric, ...]:
    """Metrics with the given names or families. The counts are always included.

    Args:
        names: Names of metrics or families, or ``all``. NSD means NSD at every tolerance; ``NSD@3`` has its own.
        tolerances: Tolerances of the surface Dice, not negative.

    Raises:
        ValueError: If there is no such metric, or a tolerance is negative.

    Examples:
        >>> [metric.name for metric in chosen(["Dice", "NSD"], [2])]
        ['TP', 'FP', 'FN', 'TN', 'Dice', 'NSD@2']
    """
    names = list(names)
    own = {name: _tolerance(name) for name in names if "@" in name}
    for tolerance in (*tolerances, *own.values()):
        if not tolerance >= 0:
            raise ValueError(f"tolerance is {tolerance:g}, and must not be negative")
    known = all_metrics(sorted({*map(float, tolerances), *own.values()}))
    wanted: set[str] = {metric.name for metric in overlap.COUNTS}
    for name in names:
        fitting = {metric.name for metric in known if _fits(metric, name, tolerances, own)}
        if not fitting:
            raise ValueError(_unknown(name, known))
        wanted |= fitting
    return tuple(metric for metric in known if metric.name in wanted)


def shown(names: Iterable[str] = DEFAULT, tolerances: Sequence[float] = TOLERANCES) -> list[str]:
    """Names of the metrics that a table shows. The counts are shown only on request, and then last.

    Args:
        names: Names of metrics or families, as for ``chosen``.
        tolerances: Tolerances of the surface Dice, as for ``chosen``.

    Examples:
        >>> shown(["FP", "Dice"]), shown(["counts"])
        (['Dice', 'FP'], ['TP', 'FP', 'FN', 'TN'])
    """
    names = list(names)
    without_counts = [metric.name for metric in chosen(names, tolerances) if metric.group != "counts"]
    return without_counts + [metric.name for metric in overlap.COUNTS if {metric.name, metric.group} & set(names)]


def _fits(metric: Metric, name: str, tolerances: Sequence[float], own: dict[str, float]) -> bool:
    stem = metric.name.partition("@")[0]
    if name in own:
        return stem == name.partition("@")[0] and metric.tolerance == own[name]
    tolerance_fits = metric.tolerance is None or metric.tolerance in tolerances
    return tolerance_fits and name in (metric.name, stem, metric.group, "all")


def _tolerance(name: str) -> float:
    try:
        return float(name.partition("@")[2])
    except ValueError:
        raise ValueError(f"metric '{name}' needs a number behind the @, such as NSD@2") from None


def _unknown(name: str, known: Sequence[Metric]) -> str:
    words = {word.casefold(): word for metric in known for word in (metric.name.partition("@")[0], metric.group)}
    near = [words[word] for word in get_close_matches(name.casefold(), words, n=3, cutoff=0.5)]
    groups = ", ".join(dict.fromkeys(metric.group for metric in known))
    return f"there is no metric '{name}'; " + (f"near are {', '.join(near)}" if near else f"families: {groups}")
