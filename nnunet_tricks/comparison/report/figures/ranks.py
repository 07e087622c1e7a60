"""Rank plot: how often each method takes each place when cases and trainings are drawn anew."""

from __future__ import annotations

from nnunet_tricks.comparison.report.figures import style
from nnunet_tricks.comparison.statistics.model import Statistics

LARGEST = 520
"""Area of a disc that means all draws, in square points."""

NAMED = 0.2
"""Share of draws from which on a disc has its per cent in it."""


def ranks(statistics: Statistics, name: str) -> str:
    """Draw a disc for each method and place; its area is the share of draws.

    Args:
        statistics: Statistics to draw.
        name: Name of the figure in its page.
    """
    methods = sorted(
        (statistics.baseline, *statistics.tricks),
        key=lambda method: (method.ranks.place, method.ranks.mean, method.name),
    )
    shades = style.colours([method.name for method in (statistics.baseline, *statistics.tricks)])
    with style.styled():
        figure = style.figure(0.36 * len(methods) + 0.75, width=min(style.WIDTH, 3.2 + 0.75 * len(methods)))
        axis = figure.subplots()
        for height, method in enumerate(methods):
            taken = [(place, share) for place, share in enumerate(method.ranks.shares, 1) if share > 0]
            places, sizes = [place for place, _ in taken], [LARGEST * share for _, share in taken]
            axis.scatter(places, [height] * len(places), s=sizes, color=shades[method.name], alpha=0.85, linewidths=0)
            for place, share in taken:
                if share >= NAMED:
                    axis.text(place, height, f"{100 * share:.0f}", color="white", ha="center", va="center", fontsize=7)
        axis.set_xticks(range(1, len(methods) + 1))
        axis.set_xlim(0.4, len(methods) + 0.6)
        axis.set_xlabel("place (1 is best); numbers are per cent of the draws")
        axis.set_yticks(range(len(methods)), [method.name for method in methods])
        axis.set_ylim(len(methods) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0)
        title = f"How often each method takes each place in {statistics.metric}, {statistics.label}"
        return style.as_svg(figure, name, title)
