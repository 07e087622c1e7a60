"""A picture of the best and the worst channels of each skip connection, and of how often channels are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from nnunet_tricks.pictures.enhancement.counts import Frequency
from nnunet_tricks.pictures.enhancement.model import Look, StageSelection
from nnunet_tricks.utilities.files import replacing

COLUMNS = 4
"""Number of the most instructive channels that are shown, and of the least."""
MOST_NAMED = 64
"""Number of channels, at most, whose numbers stand below their bars; more would overlap."""
TILE = 1.7
"""Width of a channel in inches."""
CHOSEN, OTHER = "#1b9e77", "#b0b0b0"


def draw(look: Look, counted: Sequence[Frequency], title: str, file: Path) -> None:
    """Write a PNG file.

    Args:
        look: Look at the image to show.
        counted: Frequencies of channels by skip connection; drawn where there is more than one image.
        title: Title above the channels.
        file: File to write.
    """
    rows = len(look.selections)
    bars = rows if counted[0].images > 1 else 0
    columns = 2 * COLUMNS + 1
    heights = [1.0] * rows + [0.7] * bars
    figure = Figure(figsize=(TILE * columns, TILE * (sum(heights) + 0.35 * len(heights)) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10)
    grid = figure.add_gridspec(rows + bars, columns, height_ratios=heights)
    for row, selection in enumerate(look.selections):
        first = figure.add_subplot(grid[row, 0])
        _show(first, slice_of(look.patch)[0], f"{look.case}\nskip connection {selection.stage}")
        for column, (channel, place) in enumerate(_ends(selection), start=1):
            _channel(figure.add_subplot(grid[row, column]), selection, channel, place)
    for row, frequency in enumerate(counted[:bars], start=rows):
        _bars(figure.add_subplot(grid[row, :]), frequency)
    with replacing(file) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def slice_of(maps: Tensor) -> NDArray[np.float32]:
    """(C, *spatial) -> (C, height, width): the middle slice of volumes."""
    flat = maps[:, maps.shape[1] // 2] if maps.ndim == 4 else maps
    return flat.float().numpy()


def _ends(selection: StageSelection) -> list[tuple[int, int]]:
    """The first and the last channels of the ranking, with their places in it."""
    ranked = selection.ranked
    places = list(range(len(ranked)))
    shown = places if len(places) <= 2 * COLUMNS else places[:COLUMNS] + places[-COLUMNS:]
    return [(ranked[place], place) for place in shown]


def _channel(axis: Axes, selection: StageSelection, channel: int, place: int) -> None:
    score = float(selection.scores[channel])
    _show(axis, slice_of(selection.features)[channel], f"{place + 1}. channel {channel}\n{score:.4g}")
    for spine in axis.spines.values():
        spine.set_color(CHOSEN if channel in selection.chosen else OTHER)
        spine.set_linewidth(2.5)


def _show(axis: Axes, values: NDArray[np.float32], title: str) -> None:
    axis.imshow(values, cmap="gray", interpolation="nearest")
    axis.set_title(title, fontsize=7)
    axis.set_xticks([])
    axis.set_yticks([])


def _bars(axis: Axes, frequency: Frequency) -> None:
    channels = np.argsort(-np.array(frequency.times), kind="stable")
    shares = np.array(frequency.times)[channels] / frequency.images
    axis.bar(range(len(shares)), shares, width=0.9, color=CHOSEN)
    if len(channels) <= MOST_NAMED:
        axis.set_xticks(range(len(channels)), [str(channel) for channel in channels])
    else:
        axis.set_xticks([])
    axis.axhline(frequency.count / len(shares), color="black", linewidth=0.8, linestyle=":")
    axis.set_title(
        f"skip connection {frequency.stage}: share of the {frequency.images} images in which a channel is chosen, "
        f"most often first; {frequency.always} always, {frequency.never} never; dotted: if every image chose at random",
        fontsize=7,
    )
    axis.set_xlim(-0.5, len(shares) - 0.5)
    axis.set_ylim(0, 1.05)
    axis.tick_params(labelsize=6)
