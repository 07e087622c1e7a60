"""A picture of the selected slices of one volume."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from nnunet_tricks.pictures.annotation.display import SliceView

DOTS = 100
"""Pixels per inch."""
HEAD = 0.75
"""Inches above the slices, for the title and one row of names of outlines."""
ROW = 0.2
"""Inches of a further row of names."""
NAME = 0.7
"""Inches for the line and the space beside a name."""
LETTER = 0.085
"""Inches of a letter of a name, on average."""
TITLE = 0.25
"""Inches above each slice, for its numbers."""


@dataclass(frozen=True)
class Tile:
    """One slice of the picture.

    Attributes:
        title: Numbers of the slice.
        pixels: Intensities from 0 to 1, in the order in which they are stored.
        masks: Masks by name, in the same order.
    """

    title: str
    pixels: NDArray[np.float32]
    masks: Mapping[str, NDArray[np.bool_]]


def drawn(tiles: Sequence[Tile], view: SliceView, title: str, names: Mapping[str, int]) -> bytes:
    """A PNG file: the slices in rows, from inferior to superior.

    Args:
        tiles: Slices, in their order.
        view: View of the slices.
        title: Title above the slices.
        names: Numbers of the outlines' colours, by name.
    """
    columns = min(len(tiles), 4 if len(tiles) <= 24 else 6 if len(tiles) <= 60 else 10)
    width = 3.0 if len(tiles) <= 24 else 2.4 if len(tiles) <= 60 else 2.0
    pixels = view.shown(tiles[0].pixels)
    height = float(np.clip(width * pixels.shape[0] * view.height / (pixels.shape[1] * view.width), 0.5, 9.0))
    rows = ceil(len(tiles) / columns)
    across = max(columns * width, 6.0)
    beside = max(1, int(across / (NAME + LETTER * max(map(len, names), default=0))))
    head = HEAD + ROW * (ceil(len(names) / beside) - 1 if names else 0)
    size = (across, head + rows * (height + TITLE))
    figure = Figure(figsize=size, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.1 / size[0], 1 - 0.1 / size[1], title, fontsize=9, va="top")
    dark, light = (matplotlib.colormaps[name] for name in ("tab10", "tab20"))
    colours: list[Any] = [*(dark(index) for index in range(10)), *(light(index) for index in range(1, 20, 2))]
    colour_of = {name: colours[index % len(colours)] for name, index in names.items()}
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        bottom = size[1] - head - (row + 1) * (height + TITLE)
        place = (column * width / size[0], bottom / size[1], 0.98 * width / size[0], height / size[1])
        _show(figure.add_axes(place), tile, view, colour_of)
    if names:
        lines = [Line2D([], [], color=colour_of[name]) for name in names]
        place_of_legend = (0.1 / size[0], 1 - (head - 0.03) / size[1])
        figure.legend(
            lines,
            [*names],
            loc="lower left",
            bbox_to_anchor=place_of_legend,
            ncols=beside,
            fontsize=8,
            frameon=False,
            borderpad=0,
            borderaxespad=0,
        )
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DOTS, metadata={"Software": None})
    return content.getvalue()


def _show(axes: Any, tile: Tile, view: SliceView, colours: Mapping[str, Any]) -> None:
    pixels = view.shown(tile.pixels)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect=view.height / view.width)
    for name, mask in tile.masks.items():
        shown = view.shown(mask)
        if shown.any():
            # An empty frame, so that paint at the image's edge has an outline, too.
            framed = np.pad(shown.astype(np.float32), 1)
            down, across = (np.arange(length) - 1 for length in framed.shape)
            axes.contour(across, down, framed, levels=[0.5], colors=[colours[name]], linewidths=1.0)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, pixels.shape[1] - 0.5), ylim=(pixels.shape[0] - 0.5, -0.5))
    axes.set_title(tile.title, fontsize=7, pad=2)
    mark = {"color": "yellow", "fontsize": 7, "transform": axes.transAxes}
    axes.text(0.01, 0.5, "R", ha="left", va="center", **mark)
    axes.text(0.5, 0.99, "A", ha="center", va="top", **mark)
