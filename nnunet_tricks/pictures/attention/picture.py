"""A picture of attention maps over an image, and of the weights of channels."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from nnunet_tricks.pictures.attention.model import AttentionLook
from nnunet_tricks.tricks.network.blocks.viewing import AttentionView
from nnunet_tricks.utilities.files import replacing

COLUMNS = 4
"""Number of maps beside each other; the first is the image alone."""
BARS = 2
"""Number of bar charts beside each other."""
LINE = 40
"""Characters of a line over a map."""
TILE = 2.6
"""Width of a map in inches."""
COVER = 0.55
"""Opacity of a map over the image."""


def draw(look: AttentionLook, title: str, file: Path) -> None:
    """Write a PNG file: the image, each map over it with its range, and the weights of channels as bars.

    Args:
        look: Look at the image.
        title: Title of the picture.
        file: File to write.
    """
    maps = [view for view in look.views if view.is_map]
    weights = [view for view in look.views if not view.is_map]
    rows, bar_rows = ceil((len(maps) + 1) / COLUMNS), ceil(len(weights) / BARS)
    image = slice_of(look.image)
    tall = image.shape[0] / image.shape[1]
    heights = [tall + 0.2] * rows + [0.45] * bar_rows
    figure = Figure(figsize=(TILE * COLUMNS, TILE * sum(heights) + 0.7), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{title}\n{caption(look, bool(maps))}", fontsize=9)
    grid = figure.add_gridspec(rows + bar_rows, COLUMNS, height_ratios=heights)
    _image(figure.add_subplot(grid[0, 0]), image, f"{look.case}\nfirst channel, preprocessed")
    for place, view in enumerate(maps, start=1):
        _map(figure.add_subplot(grid[place // COLUMNS, place % COLUMNS]), image, view)
    wide = COLUMNS // BARS
    for place, view in enumerate(weights):
        row, at = rows + place // BARS, place % BARS * wide
        _bars(figure.add_subplot(grid[row, at : at + wide]), view)
    with replacing(file) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def caption(look: AttentionLook, has_maps: bool) -> str:
    """What the picture shows, in a line.

    Args:
        look: Look at the image.
        has_maps: Whether there are maps.
    """
    size = "x".join(map(str, look.image.shape))
    volume = look.image.ndim == 3
    parts = [f"middle of the image, {size} {'voxels' if volume else 'pixels'}"]
    if volume:
        depth = look.image.shape[0]
        parts.append(f"slice {depth // 2 + 1} of {depth}")
    if has_maps:
        parts.append("each map with colours of its own, from its smallest value to its largest")
    return "; ".join(parts)


def slice_of(values: Tensor) -> NDArray[np.float32]:
    """(*spatial) -> (height, width): the middle slice of volumes."""
    flat = values[values.shape[0] // 2] if values.ndim == 3 else values
    return flat.float().numpy()


def _image(axis: Axes, image: NDArray[np.float32], title: str) -> None:
    axis.imshow(image, cmap="gray", interpolation="nearest")
    axis.set_title(title, fontsize=7)
    axis.set_xticks([])
    axis.set_yticks([])


def _map(axis: Axes, image: NDArray[np.float32], view: AttentionView) -> None:
    low, high = float(view.values.min()), float(view.values.max())
    values = f"{low:.3g} (dark) to {high:.3g} (bright)" if high > low else f"{low:.3g} everywhere"
    _image(axis, image, f"{fill(view.name, LINE)}\n{values}")
    height, width = image.shape
    # Maps of deeper stages are enlarged without inventing values in between.
    whole = (-0.5, width - 0.5, height - 0.5, -0.5)
    shown = slice_of(view.values)
    axis.imshow(shown, cmap="inferno", alpha=COVER, extent=whole, interpolation="nearest", vmin=low, vmax=high)


def _bars(axis: Axes, view: AttentionView) -> None:
    weights = view.values.sort(descending=True).values.numpy()
    axis.bar(range(len(weights)), weights, width=0.9, color="#1b9e77")
    axis.set_title(f"{view.name}: {len(weights)}, largest first", fontsize=7)
    axis.set_xlim(-0.5, len(weights) - 0.5)
    axis.set_ylim(min(0.0, float(weights[-1])), max(1.0, float(weights[0])))
    axis.set_xticks([])
    axis.tick_params(labelsize=6)
