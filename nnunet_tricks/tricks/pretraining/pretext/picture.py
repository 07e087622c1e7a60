"""Pictures of what a network makes of a pretext task, as the training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

ROWS = 3
"""Patches that are shown."""
INCHES = 2.2
"""Side of a patch."""


def draw(columns: Mapping[str, Tensor], file: Path) -> None:
    """Draw patches beside each other: a row for each patch of a batch, a column for each title.

    Args:
        columns: (B, C, *spatial) by title. Of volumes the middle slice is drawn. Three channels of a picture are taken
            for colours, of others the first one is drawn. All columns have the grey values of the last.
        file: File to write.
    """
    rows = min(ROWS, *(len(patches) for patches in columns.values()))
    figure = Figure(figsize=(INCHES * len(columns), INCHES * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(rows, len(columns), squeeze=False)
    for row in range(rows):
        reference = list(columns.values())[-1][row]
        low, high = (float(value) for value in reference.aminmax())
        for number, (title, patches) in enumerate(columns.items()):
            place = axes[row, number]
            place.imshow(_as_seen(patches[row], low, high), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            place.set_axis_off()
            if row == 0:
                place.set_title(title, fontsize=9)
    figure.savefig(file, dpi=100)


def _as_seen(patch: Tensor, low: float, high: float) -> Any:
    """A patch as an image with values from 0 to 1."""
    if patch.ndim == 4:
        patch = patch[:, patch.shape[1] // 2]
        patch = patch[:1]
    unit = ((patch - low) / max(high - low, 1e-8)).clamp(0, 1)
    return unit.movedim(0, -1).numpy() if len(unit) == 3 else unit[0].numpy()
