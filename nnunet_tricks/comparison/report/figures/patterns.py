"""When a trick helps: its gain in each case over what the case is like."""

from __future__ import annotations

import numpy as np

from nnunet_tricks.comparison.report.figures import style
from nnunet_tricks.comparison.when import LOGARITHMIC, Answer, scale

UNITS = {"size": "size [mm³]", "count": "objects", "contrast": "contrast", "spacing": "spacing [mm]"}


def pattern(answer: Answer, name: str) -> str:
    """Draw the gain over each trait; empty if nothing was looked for.

    Args:
        answer: Of one trick and class.
        name: Of the figure in its page.
    """
    asked = answer.asked
    if answer.fit is None:
        return ""
    with style.styled():
        drawn = style.figure(2.3, width=max(2.4 * len(asked.traits), 2.8))
        for axis, (trait, values) in zip(
            style.panels(drawn, len(asked.traits), 4, sharey=True), asked.traits.items(), strict=True
        ):
            column, gains = scale(trait, values), np.asarray(asked.gains)
            shades = np.where(gains > 0, style.BETTER, style.WORSE)
            axis.axhline(0, color=style.INK, linewidth=0.7)
            x = 10**column if trait in LOGARITHMIC else column
            axis.scatter(x, gains, c=shades, s=12, alpha=0.7, linewidths=0)
            if trait in LOGARITHMIC:
                axis.set_xscale("log")
            if np.ptp(column) > 0:
                ends = np.array([column.min(), column.max()])
                slope, start = np.polyfit(column, gains, 1)
                line = 10**ends if trait in LOGARITHMIC else ends
                axis.plot(line, start + slope * ends, color=style.INK, linewidth=1.2 if answer.found else 0.7)
            axis.set_xlabel(UNITS[trait])
            axis.minorticks_off()
        drawn.axes[0].set_ylabel("gain")
        title = f"Gain of {asked.trick} in each case over the traits of the case, {asked.label}"
        return style.as_svg(drawn, name, title)
