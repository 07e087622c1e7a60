"""What a network gets that is trained without labels, beside the patch that it comes from."""

from __future__ import annotations

import numpy as np
import torch

from nnunet_tricks.pictures.augmentation.picture import middle_slice
from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.trainer import PretextTrainer
from website.pictures.drawing import as_png, new_figure, show_image
from website.pictures.laboratory import Laboratory

SIDE = 3
"""Draws stand in a square of this side."""
SEED = 3


def task_picture(laboratory: Laboratory, trainer: str) -> bytes:
    """Nine draws of what a task makes of one patch, beside the patch, as a PNG file.

    Args:
        laboratory: Data sets of the pictures.
        trainer: Name of the trainer.
    """
    data = laboratory.parts
    built = data.trainer(trainer)
    assert isinstance(built, PretextTrainer)
    built.initialize()
    np.random.seed(SEED)
    _, loader = built.get_dataloaders()
    patch = next(loader)["data"][:1]
    draws = [built.pose(patch, Chance(SEED + number, torch.device("cpu")))[0][0] for number in range(SIDE**2)]
    window = float(patch.min()), float(patch.max())
    figure = new_figure(8.4, 4.3)
    grid = figure.add_gridspec(SIDE, 2 * SIDE)
    show_image(figure.add_subplot(grid[:, :SIDE]), middle_slice(patch[0])[0], "a patch", window=window)
    for number, draw in enumerate(draws):
        axis = figure.add_subplot(grid[number // SIDE, SIDE + number % SIDE])
        show_image(axis, middle_slice(draw)[0], "what the network gets" if number == 1 else "", window=window)
    return as_png(figure)
