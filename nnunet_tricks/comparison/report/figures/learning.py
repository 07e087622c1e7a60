"""Learning curves: pseudo Dice of all methods together, and the losses of each by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.curves import EpochLog
from nnunet_tricks.comparison.report.figures import style

MOST = 4
Curves = Mapping[str, Sequence[Sequence[EpochLog]]]
"""Epochs of each method's trainings, the baseline first."""


def dice(curves: Curves, name: str) -> str:
    """Draw the pseudo Dice: a thin line for each training, a thick one for their mean; empty if no log has any.

    Args:
        curves: Epochs of the trainings, by method.
        name: Name of the figure in its page.
    """
    if not any(_values(training, "dice").size for trainings in curves.values() for training in trainings):
        return ""
    shades = style.colours(list(curves))
    with style.styled():
        figure = style.figure(style.height_for(len(curves), 3.3), width=style.WIDTH * 0.85)
        axis = figure.subplots()
        for method, trainings in curves.items():
            for training in trainings:
                axis.plot(*_line(training, "dice"), color=shades[method], linewidth=0.6, alpha=0.35)
            axis.plot(*_mean(trainings, "dice"), color=shades[method], linewidth=2, label=method)
        _epochs(axis)
        axis.set_ylabel("pseudo Dice on patches")
        axis.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=7.5)
        return style.as_svg(figure, name, "Pseudo Dice of each method over the epochs")


def losses(curves: Curves, name: str) -> str:
    """Draw training and validation loss, one panel for each method as each has its own loss; empty if no log has any.

    Args:
        curves: Epochs of the trainings, by method.
        name: Name of the figure in its page.
    """
    logged = {
        method: trainings
        for method, trainings in curves.items()
        if any(_values(training, "train").size for training in trainings)
    }
    if not logged:
        return ""
    rows, columns = style.grid_of(len(logged), MOST)
    with style.styled():
        figure = style.figure(rows * 1.75, width=columns * 2.4)
        for axis, (method, trainings) in zip(style.panels(figure, len(logged), MOST), logged.items(), strict=True):
            for key, colour, word in (
                ("train", style.PALETTE[0], "training"),
                ("validation", style.PALETTE[1], "validation"),
            ):
                for training in trainings:
                    axis.plot(*_line(training, key), color=colour, linewidth=0.5, alpha=0.35)
                axis.plot(*_mean(trainings, key), color=colour, linewidth=1.6, label=word)
            axis.set_title(method, loc="left", fontsize=7.5)
            _epochs(axis)
        figure.axes[0].legend(fontsize=7)
        return style.as_svg(figure, name, "Training and validation loss of each method over the epochs")


def _epochs(axis: Any) -> None:
    """Ticks at whole numbers only, as there are no other epochs."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.set_xlabel("epoch")


def _values(training: Sequence[EpochLog], key: str) -> NDArray[np.float64]:
    values = np.array([getattr(epoch, key) for epoch in training], np.float64)
    return values[np.isfinite(values)]


def _line(training: Sequence[EpochLog], key: str) -> tuple[list[int], list[float]]:
    return [epoch.number for epoch in training], [getattr(epoch, key) for epoch in training]


def _mean(trainings: Sequence[Sequence[EpochLog]], key: str) -> tuple[list[int], list[float]]:
    """Mean over the trainings, as long as all of them go on."""
    numbers = sorted(set.intersection(*({epoch.number for epoch in training} for training in trainings)))
    known = [{epoch.number: getattr(epoch, key) for epoch in training} for training in trainings]
    return numbers, [float(np.mean([values[number] for values in known])) for number in numbers]
