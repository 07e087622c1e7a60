"""A picture of some unseen cases: image, truth, and the prediction of each trainer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nnunet_tricks.demo.results import Results, Slice
from nnunet_tricks.utilities.files import replacing

ROWS = 3
TILE = 2.6
"""Width of one slice in inches."""

COLOURS = ("#1b9e77", "#ff7f0e", "#7570b3", "#e7298a", "#66a61e", "#e6ab02", "#1f78b4")
OPACITY = 0.55


def draw(results: Results, file: Path) -> None:
    """Write a PNG file.

    Args:
        results: Results to show.
        file: Path of the picture.
    """
    rows = results.slices[:ROWS]
    columns = ["image", *rows[0].labels]
    height, width = rows[0].image.shape[:2]
    tall = TILE * min(max(height * rows[0].aspect / width, 0.5), 2) + 0.35
    figure = Figure(figsize=(TILE * len(columns), tall * len(rows) + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for row, case in zip(axes, rows, strict=True):
        for axis, column in zip(row, columns, strict=True):
            axis.imshow(case.image, cmap="gray", vmin=0, vmax=1, aspect=case.aspect, interpolation="nearest")
            if column in case.labels:
                axis.imshow(_overlay(case, column, results), aspect=case.aspect, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_xlabel(_dice(case, column), fontsize=8)
        row[0].set_ylabel(case.case, fontsize=8)
    for axis, column in zip(axes[0], columns, strict=True):
        axis.set_title(column, fontsize=8)
    handles = [
        Patch(color=COLOURS[index % len(COLOURS)], alpha=OPACITY, label=name)
        for index, name in enumerate(results.classes.values)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6), frameon=False, fontsize=8)
    with replacing(file) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _overlay(case: Slice, column: str, results: Results) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The classes in their colours, transparent elsewhere; later classes cover earlier ones."""
    labels = case.labels[column]
    overlay = np.zeros((*labels.shape, 4))
    for index, values in enumerate(results.classes.values.values()):
        code = COLOURS[index % len(COLOURS)]
        overlay[np.isin(labels, values)] = [*(int(code[start : start + 2], 16) / 255 for start in (1, 3, 5)), OPACITY]
    return overlay


def _dice(case: Slice, column: str) -> str:
    """The text below a prediction."""
    lines = []
    for name, scores in list(case.scores.get(column, {}).items())[:4]:
        dice = scores["Dice"]
        lines.append(f"{name}: neither present nor predicted" if dice is None else f"{name} Dice {dice:.2f}")
    return "\n".join(lines)
