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


def forest(found: Statistics, name: str) -> str:
    """Draw one panel for each class, in the metric of the verdicts.

    Args:
        found: What to draw.
        name: Of the figure in its page.
    """
    labels = [found.label, *(label for label in found.noise if label != found.label)]
    rows, _ = style.grid_of(len(labels), MOST)
    with style.styled():
        drawn = style.figure(rows * (ROW * len(found.tricks) + 0.95))
        for axis, label in zip(style.panels(drawn, len(labels), MOST, sharey=True), labels, strict=True):
            _panel(axis, found, label)
        title = f"Differences in {found.metric} to the baseline with their 95 % intervals, for each class"
        return style.as_svg(drawn, name, title)


def _panel(axis: Any, found: Statistics, label: str) -> None:
    floor = found.noise[label][found.metric]
    if floor.is_known:
        axis.axvspan(-floor.limit, floor.limit, color=style.GREY, alpha=0.18, linewidth=0)
    axis.axvline(0, color=style.INK, linewidth=0.8)
    for height, trick in enumerate(found.tricks):
        effect = trick.effects[label][found.metric]
        word = trick.verdict.word if label == found.label else ""
        colour = SHADES.get(word, style.GREY if word else style.FAINT)
        interval = [effect.interval.low, effect.interval.high]
        if all(map(math.isfinite, interval)):
            axis.plot(interval, [height, height], color=colour, linewidth=2, solid_capstyle="butt")
        if math.isfinite(effect.difference):
            axis.plot([effect.difference], [height], "o", color=colour, markersize=5.5)
            place = {"textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": 7}
            axis.annotate(word, (effect.difference, height), (0, 5), **place)
    better = found.tricks[0].effects[label][found.metric].better if found.tricks else "higher"
    ends = {"higher": ("← worse", "better →"), "lower": ("← better", "worse →")}.get(better, ("", ""))
    unit = style.with_unit(found.metric, floor.unit)
    axis.set_xlabel(" · ".join(filter(None, (ends[0], f"difference in {unit}", ends[1]))))
    axis.set_title(label, loc="left")
    axis.set_yticks(range(len(found.tricks)), [trick.name for trick in found.tricks])
    axis.set_ylim(len(found.tricks) - 0.4, -0.75)
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.margins(x=0.12)
    axis.locator_params(axis="x", nbins=5)
