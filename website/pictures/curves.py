"""The learning rate or the patches over a training, and the weights of the outputs under deep supervision."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper

from nnunet_tricks.tricks.supervision.full_size import FullSizeSupervision
from website.pictures.drawing import INK, PREDICTED, as_png, new_figure, plain_axes, show_image
from website.pictures.laboratory import Laboratory
from website.pictures.scene import make_scene

BASELINE = "nnUNetTrainer"
STRIDE = 10
"""Every so manieth epoch is drawn."""
FALLS = 5
"""Part of the training, one over this number, in which the made-up validation loss falls; then it stays."""

NAMED_SIZES = 6
"""Number of patch sizes that are written beside the curve; there can be dozens."""


def schedule_picture(laboratory: Laboratory, trainer: str) -> bytes:
    """The learning rate of each epoch beside nnU-Net's, as a PNG file.

    Args:
        laboratory: Data sets of the pictures.
        trainer: Name of the trainer.
    """
    figure = new_figure(7.2, 3.0)
    axis = figure.subplots()
    plain_axes(axis, x="epoch", y="learning rate / first of nnU-Net")
    first = _rates(laboratory, BASELINE)[1][0]
    for name, colour, style in ((BASELINE, INK, "--"), (trainer, PREDICTED, "-")):
        epochs, rates = _rates(laboratory, name)
        label = "nnU-Net" if name == BASELINE else name.removeprefix(BASELINE)
        axis.plot(epochs, np.array(rates) / first, label=label, color=colour, linestyle=style)
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, labelcolor=INK, fontsize=9)
    return as_png(figure)


def _rates(laboratory: Laboratory, trainer: str) -> tuple[list[int], list[float]]:
    built: Any = laboratory.scene.trainer(trainer)
    built.network = torch.nn.Linear(1, 1)
    optimizer, schedule = built.configure_optimizers()
    epochs = list(range(0, built.num_epochs, STRIDE))
    rates = []
    for epoch in range(built.num_epochs):
        # For schedules that wait for it.
        built.logger.log("val_losses", max(1 - FALLS * epoch / built.num_epochs, 0), epoch)
        if epoch in epochs:
            schedule.step(epoch)
            rates.append(float(optimizer.param_groups[0]["lr"]))
    return epochs, rates


def patch_sizes_picture(laboratory: Laboratory, trainer: str) -> bytes:
    """The voxels of a training patch in each epoch beside nnU-Net's, as a PNG file.

    Args:
        laboratory: Data sets of the pictures.
        trainer: Name of the trainer.
    """
    built: Any = laboratory.scene.trainer(trainer)
    stages = built.stages
    planned = int(np.prod(stages[-1].size))
    figure = new_figure(7.2, 3.0)
    axis = figure.subplots()
    plain_axes(axis, x="epoch", y="voxels of a patch / planned")
    axis.plot([0, built.num_epochs], [1, 1], label="nnU-Net", color=INK, linestyle="--")
    begins = [stage.first for stage in stages]
    shares = [float(np.prod(stage.size)) / planned for stage in stages]
    label = trainer.removeprefix(BASELINE)
    axis.step([*begins, built.num_epochs], [*shares, 1], where="post", label=label, color=PREDICTED)
    for place in sorted({round(place) for place in np.linspace(0, len(stages) - 1, NAMED_SIZES)}):
        size = "x".join(map(str, stages[place].size))
        axis.text(begins[place], shares[place] + 0.03, size, color=INK, fontsize=7, ha="right")
    axis.set_ylim(0, 1.15)
    axis.legend(frameon=False, labelcolor=INK, fontsize=9, loc="lower right")
    return as_png(figure)


def supervision_picture(laboratory: Laboratory, trainer: str) -> bytes:
    """The truth that each output of the network is compared with, and its weight, as a PNG file.

    Args:
        laboratory: Data sets of the pictures.
        trainer: Name of the trainer.
    """
    losses = {name: _loss(laboratory, name) for name in (BASELINE, trainer)}
    columns = max(len(_weights(loss)) for loss in losses.values())
    truth = make_scene().truth.astype(np.float32)
    figure = new_figure(2.2 * columns, 5.0)
    for row, (name, loss) in zip(figure.subplots(2, columns), losses.items(), strict=True):
        weights = _weights(loss)
        for level, axis in enumerate(row):
            if level >= len(weights):
                axis.set_axis_off()
                continue
            stride = 1 if isinstance(loss, FullSizeSupervision) else 2**level
            title = f"output {level}: weight {weights[level]:.2f}"
            if level == 0:
                title = f"{'nnU-Net' if name == BASELINE else name.removeprefix(BASELINE)}\n{title}"
            show_image(axis, truth[::stride, ::stride], title, window=(0, 1))
    return as_png(figure)


def _loss(laboratory: Laboratory, trainer: str) -> Any:
    built = laboratory.scene.trainer(trainer)
    built.initialize()
    return built.loss


def _weights(loss: Any) -> tuple[float, ...]:
    return tuple(loss.weight_factors) if isinstance(loss, DeepSupervisionWrapper) else (1.0,)
