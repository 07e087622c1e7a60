"""What a trick gains against what it costs."""

from __future__ import annotations

import math

from nnunet_tricks.comparison.report.figures import style
from nnunet_tricks.comparison.statistics.model import Statistics


def price(statistics: Statistics, name: str) -> str:
    """Draw the difference of each trick over its time, both beside the baseline; empty if no time is known.

    Args:
        statistics: Statistics to draw.
        name: Name of the figure in its page.
    """
    known = [trick for trick in statistics.tricks if math.isfinite(trick.cost.time)]
    if not known:
        return ""
    what = "time of a training" if any(math.isfinite(trick.cost.training) for trick in known) else "time per epoch"
    shades = style.colours([method.name for method in (statistics.baseline, *statistics.tricks)])
    floor = statistics.noise_floor
    with style.styled():
        figure = style.figure(style.height_for(len(known) + 1, 3.1), width=6.4)
        axis = figure.subplots()
        if floor.is_known:
            axis.axhspan(-floor.limit, floor.limit, color=style.GREY, alpha=0.18, linewidth=0)
        axis.axhline(0, color=style.INK, linewidth=0.8)
        axis.axvline(1, color=style.INK, linewidth=0.8)
        for trick in known:
            effect, ratio = statistics.primary(trick), trick.cost.time
            ends = effect.interval
            if math.isfinite(ends.low) and math.isfinite(ends.high):
                axis.plot([ratio, ratio], [ends.low, ends.high], color=shades[trick.name], linewidth=1.5)
            axis.plot([ratio], [effect.difference], "o", color=shades[trick.name], markersize=6, label=trick.name)
        axis.plot([1], [0], "s", color=style.BASELINE, markersize=6, label=statistics.baseline.name)
        axis.margins(x=0.15)
        axis.set_xlabel(f"{what} / baseline's")
        axis.set_ylabel(f"difference in {style.with_unit(statistics.metric, floor.unit)}")
        axis.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=7.5)
        title = f"Difference in {statistics.metric} of each trick over its {what}"
        return style.as_svg(figure, name, title)
