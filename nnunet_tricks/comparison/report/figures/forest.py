"""Forest plot: the difference of each trick with its interval, beside the noise floor."""

from __future__ import annotations

import math
from typing import Any

from nnunet_tricks.comparison.report.figures import style
from nnunet_tricks.comparison.statistics.model import HELPS, HURTS, Statistics

MOST = 3
"""Panels beside each other."""

ROW = 0.34
SHADES = {HELPS: style.BETTER, HURTS: style.WORSE}


def forest(statistics: Statistics, name: str) -> str:
    """Draw one panel for each class, in the metric of the verdicts.

    Args:
        statistics: Statistics to draw.
        name: Name of the figure in its page.
    """
    labels = [statistics.label, *(label for label in statistics.noise if label != statistics.label)]
    rows, _ = style.grid_of(len(labels), MOST)
    with style.styled():
        figure = style.figure(rows * (ROW * len(statistics.tricks) + 0.95))
        for axis, label in zip(style.panels(figure, len(labels), MOST, sharey=True), labels, strict=True):
            _panel(axis, statistics, label)
        title = f"Differences in {statistics.metric} to the baseline with their 95 % intervals, for each class"
        return style.as_svg(figure, name, title)


def _panel(axis: Any, statistics: Statistics, label: str) -> None:
    floor = statistics.noise[label][statistics.metric]
    if floor.is_known:
        axis.axvspan(-floor.limit, floor.limit, color=style.GREY, alpha=0.18, linewidth=0)
    axis.axvline(0, color=style.INK, linewidth=0.8)
    for height, trick in enumerate(statistics.tricks):
        effect = trick.effects[label][statistics.metric]
        word = trick.verdict.word if label == statistics.label else ""
        colour = SHADES.get(word, style.GREY if word else style.FAINT)
        interval = [effect.interval.low, effect.interval.high]
        if all(map(math.isfinite, interval)):
            axis.plot(interval, [height, height], color=colour, linewidth=2, solid_capstyle="butt")
        if math.isfinite(effect.difference):
            axis.plot([effect.difference], [height], "o", color=colour, markersize=5.5)
            place = {"textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": 7}
            axis.annotate(word, (effect.difference, height), (0, 5), **place)
    better = statistics.tricks[0].effects[label][statistics.metric].better if statistics.tricks else "higher"
    ends = {"higher": ("← worse", "better →"), "lower": ("← better", "worse →")}.get(better, ("", ""))
    unit = style.with_unit(statistics.metric, floor.unit)
    axis.set_xlabel(" · ".join(filter(None, (ends[0], f"difference in {unit}", ends[1]))))
    axis.set_title(label, loc="left")
    axis.set_yticks(range(len(statistics.tricks)), [trick.name for trick in statistics.tricks])
    axis.set_ylim(len(statistics.tricks) - 0.4, -0.75)
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.margins(x=0.12)
    axis.locator_params(axis="x", nbins=5)
