"""A picture of a patch and of its augmentations."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from nnunet_tricks.pictures.augmentation.draws import Draw, Preview
from nnunet_tricks.utilities.files import replacing

COLUMNS = 4
TILE = 2.0
"""Width of a draw in inches."""


def draw(shown: Preview, title: str, file: Path) -> None:
    """Write a PNG file: the patch as it is read, large, and beside it the augmented ones.

    Volumes show their middle slice. Black and white are the same for all draws: those of the patch as it is read.

    Args:
        shown: Preview to show.
        title: Title above the patches.
        file: File to write.
    """
    rows = ceil(len(shown.draws) / COLUMNS)
    figure = Figure(figsize=(TILE * (COLUMNS + rows), TILE * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10)
    grid = figure.add_gridspec(rows, COLUMNS + 1, width_ratios=[rows, *[1] * COLUMNS])
    low, high = shown.read.image.flatten(1).aminmax(dim=1)
    window = (low.numpy(), high.numpy())
    _show(figure.add_subplot(grid[:, 0]), shown.read, window, f"{shown.case}, as it is read")
    for number, draw in enumerate(shown.draws):
        _show(figure.add_subplot(grid[number // COLUMNS, 1 + number % COLUMNS]), draw, window, "")
    with replacing(file) as temporary:
        figure.savefig(temporary, format="png", dpi=90)


def middle_slice(volume: Tensor) -> NDArray[np.float32]:
    """(C, *spatial) -> (C, height, width)."""
    flat = volume[:, volume.shape[1] // 2] if volume.ndim == 4 else volume
    return flat.float().numpy()


def _show(axis: Axes, drawn: Draw, window: tuple[NDArray[np.float32], NDArray[np.float32]], title: str) -> None:
    low, high = (bound[:, None, None] for bound in window)
    image = np.clip((middle_slice(drawn.image) - low) / np.where(high > low, high - low, 1), 0, 1)
    if len(image) == 3:
        axis.imshow(image.transpose(1, 2, 0), interpolation="nearest")
    else:
        axis.imshow(image[0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    colours = matplotlib.colormaps["Set1"].colors  # type: ignore[attr-defined]
    for number, mask in enumerate(middle_slice(drawn.masks)):
        if mask.any() and not mask.all():
            axis.contour(mask, levels=[0.5], colors=[colours[number % len(colours)]], linewidths=1)
    axis.set_title(title, fontsize=8)
    axis.set_xticks([])
    axis.set_yticks([])
