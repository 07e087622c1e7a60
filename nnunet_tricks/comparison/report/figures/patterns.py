"""When a trick helps: its gain in each case over what the case is like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.report.figures import style
from nnunet_tricks.comparison.when import LOGARITHMIC, PatternAnswer, scale, within_folds

UNITS = {"size": "size [mm³]", "count": "objects", "contrast": "contrast", "spacing": "spacing [mm]"}


def pattern(answer: PatternAnswer, name: str) -> str:
    """Draw the gain over each trait; empty if nothing was looked for.

    Args:
        answer: Answer for one trick and class.
        name: Name of the figure in its page.
    """
    question = answer.question
    if answer.fit is None:
        return ""
    gains = within_folds(question.gains, question.folds)
    with style.styled():
        figure = style.figure(2.2, width=2.4 * len(question.traits))
        axes = style.panels(figure, len(question.traits), 4, sharey=True)
        for axis, (trait, values) in zip(axes, question.traits.items(), strict=True):
            _panel(axis, trait, scale(trait, values), gains, width=1.4 if answer.has_pattern else 0.7)
        axes[0].set_ylabel("gain, less its mean in the fold")
        title = f"Gain of {question.trick} in each case over the traits of the case, {question.label}"
        return style.as_svg(figure, name, title)


def _panel(axis: Any, trait: str, column: NDArray[np.float64], gains: NDArray[np.float64], *, width: float) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    shown = 10**column if trait in LOGARITHMIC else column
    shades = np.where(gains > 0, style.BETTER, style.WORSE)
    axis.axhline(0, color=style.INK, linewidth=0.7)
    axis.scatter(shown, gains, c=shades, s=12, alpha=0.7, linewidths=0, rasterized=style.many(len(shown)))
    ends = np.array([np.argmin(column), np.argmax(column)])
    slope, start = np.polyfit(column, gains, 1)
    axis.plot(shown[ends], start + slope * column[ends], color=style.INK, linewidth=width)
    if trait in LOGARITHMIC:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(UNITS[trait])
