"""Paired scatter: every case with the trick against the same case without it."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnunet_tricks.comparison.report.figures import style
from nnunet_tricks.comparison.statistics.model import Effect, Statistics

MOST = 4
SIDE = 2.35
WIDE = 24
"""Letters of a title; no more fit over a panel."""


def scatter(statistics: Statistics, name: str) -> str:
    """Draw one panel for each trick, in metric and class of the verdicts.

    Args:
        statistics: Statistics to draw.
        name: Name of the figure in its page.
    """
    rows, columns = style.grid_of(len(statistics.tricks), MOST)
    with style.styled():
        figure = style.figure(rows * (SIDE + 0.3), width=columns * SIDE)
        for axis, trick in zip(style.panels(figure, len(statistics.tricks), MOST), statistics.tricks, strict=True):
            axis.set_title(_broken(trick.name), loc="left", fontsize=8)
            _panel(axis, statistics.primary(trick))
        metric = statistics.metric
        title = f"{metric} of each case with the trick against {metric} with the baseline, {statistics.label}"
        return style.as_svg(figure, name, title)


def _broken(name: str) -> str:
    """A name that is wider than its panel, in lines between its words."""
    return name if len(name) <= WIDE else name.replace("_", "_\n")


def _panel(axis: Any, effect: Effect) -> None:
    pairs = [case for case in effect.differences if np.isfinite(case.baseline) and np.isfinite(case.trick)]
    without_trick = np.array([case.baseline for case in pairs])
    with_trick = np.array([case.trick for case in pairs])
    gains = np.array([effect.gain_in(case) for case in pairs])
    shades = np.where(gains > effect.tie, style.BETTER, np.where(gains < -effect.tie, style.WORSE, style.GREY))
    axis.scatter(without_trick, with_trick, c=shades, s=14, alpha=0.7, linewidths=0, rasterized=style.many(len(pairs)))
    both = np.concatenate([without_trick, with_trick])
    low, high = (float(both.min()), float(both.max())) if both.size else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.05
    axis.axline((low, low), slope=1, color=style.INK, linewidth=0.7)
    axis.set_xlim(low - room, high + room)
    axis.set_ylim(low - room, high + room)
    axis.set_aspect("equal")
    axis.text(0.03, 0.97, f"better {effect.wins}", transform=axis.transAxes, va="top", fontsize=7, color=style.BETTER)
    axis.text(0.97, 0.03, f"worse {effect.losses}", transform=axis.transAxes, ha="right", fontsize=7, color=style.WORSE)
    axis.set_xlabel(f"baseline, {style.with_unit(effect.metric, effect.unit)}")
    axis.set_ylabel("with the trick")
