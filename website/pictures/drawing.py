"""What all pictures share: a figure that suits light and dark pages, images without axes, and PNG bytes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

INK = "#808890"
"""Colour of words and lines: legible on white and on dark grey."""
TRUTH, PREDICTED = "#2ca02c", "#ff7f0e"
DPI = 110


def new_figure(width: float, height: float) -> Figure:
    """A figure without a background of its own; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    return figure


def show_image(
    axis: Axes,
    image: NDArray[np.float32],
    title: str = "",
    *,
    window: tuple[float, float] | None = None,
    cmap: str = "gray",
) -> None:
    """Show an image without axes.

    Args:
        axis: Axis to draw on.
        image: (height, width).
        title: Words above it.
        window: Values that are black and white; the smallest and the largest if not given.
        cmap: Colour map.
    """
    low, high = window or (float(image.min()), float(image.max()))
    axis.imshow(image, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    axis.set_title(title, fontsize=9, color=INK)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def outline(axis: Axes, mask: NDArray[np.bool_], colour: str, width: float = 1.0) -> None:
    """Draw the border of a mask."""
    if mask.any() and not mask.all():
        axis.contour(mask, levels=[0.5], colors=[colour], linewidths=width)


def plain_axes(axis: Axes, *, x: str, y: str) -> None:
    """Axes of a curve, in a colour that suits any page."""
    axis.patch.set_alpha(0)
    axis.set_xlabel(x, color=INK, fontsize=9)
    axis.set_ylabel(y, color=INK, fontsize=9)
    axis.tick_params(colors=INK, labelsize=8)
    for side, spine in axis.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))


def as_png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
