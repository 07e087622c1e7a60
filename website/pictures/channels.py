"""The channels that a trick shows twice, in a network that has learned the scene for a few steps."""

from __future__ import annotations

from typing import Any

import torch

from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.pictures.enhancement.model import StageSelection, selections
from nnunet_tricks.pictures.enhancement.picture import slice_of
from nnunet_tricks.tricks.network.enhancement.decoder import enhanced_decoder
from website.pictures.drawing import as_png, new_figure, show_image
from website.pictures.laboratory import Laboratory

STEPS = 8
CHOSEN, OTHER = "#1b9e77", "#b0b0b0"
SHOWN = 8
"""Channels of each skip connection, at most: the first and the last ones of the ranking."""


def channels_picture(laboratory: Laboratory, trainer: str) -> bytes:
    """Channels of each enhanced skip connection, those that are shown twice framed, as a PNG file.

    Args:
        laboratory: Data sets of the pictures.
        trainer: Name of the trainer.

    Raises:
        ValueError: If the network enhances no skip connection.
    """
    seed_everything(0)
    built: Any = laboratory.scene.trainer(trainer)
    built.initialize()
    training, _ = built.get_dataloaders()
    for _ in range(STEPS):
        built.train_step(next(training))
    decoder = enhanced_decoder(built.network)
    if decoder is None:
        raise ValueError(f"{trainer} enhances no skip connection")
    image = torch.as_tensor(training.data_loader._data.load_case("case_0")[0][:][:, 0])
    stages = selections(built.network, decoder, image)
    figure = new_figure(1.15 * (SHOWN + 1), 1.45 * len(stages))
    axes = figure.subplots(len(stages), SHOWN + 1, squeeze=False)
    for row, selection in zip(axes, stages, strict=True):
        show_image(row[0], slice_of(image)[0], "image")
        for axis in row[1:]:
            axis.set_axis_off()
        for axis, (channel, place) in zip(row[1:], _ends(selection), strict=False):
            axis.set_axis_on()
            show_image(axis, slice_of(selection.features)[channel], f"{place + 1}.")
            for spine in axis.spines.values():
                spine.set_visible(True)
                spine.set_color(CHOSEN if channel in selection.chosen else OTHER)
                spine.set_linewidth(2.5)
    return as_png(figure)


def _ends(selection: StageSelection) -> list[tuple[int, int]]:
    ranked = [(channel, place) for place, channel in enumerate(selection.ranked)]
    half = SHOWN // 2
    return ranked if len(ranked) <= SHOWN else ranked[:half] + ranked[-half:]
