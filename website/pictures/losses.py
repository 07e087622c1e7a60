"""Where a loss pushes: its gradient on the scene's prediction, as the trick's own trainer computes it."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy.ndimage import binary_erosion
from torch import Tensor

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.targets.maps import AppendMaps
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer
from website.pictures.drawing import INK, PREDICTED, TRUTH, as_png, new_figure, outline, show_image
from website.pictures.laboratory import Laboratory
from website.pictures.scene import ERRORS, SIZE, Scene, make_scene

BASELINE = "nnUNetTrainer"
PROGRESS = 0.5
"""Share of the training at which losses with a schedule are shown."""
ZOOM = 3
"""Pixels of a tile for each pixel of the scene, along each side."""
GREY = (128, 136, 144)
STRONGEST = 99.7
"""Percentile of the strength of all pixels that has the full colour; single stronger pixels have it too."""


@dataclass(frozen=True)
class PushMap:
    """Where a loss pushes.

    Attributes:
        push: Negative gradient of the object's logit, (SIZE, SIZE); above 0 where the loss wants more object.
        value: Value of the loss.
    """

    push: NDArray[np.float32]
    value: float


def push_of(laboratory: Laboratory, trainer: str) -> PushMap:
    """The gradient of a trainer's loss on the scene.

    Args:
        laboratory: Data sets of the pictures.
        trainer: Name of the trainer.

    Raises:
        ValueError: If the gradient is not finite, or 0 everywhere.
    """
    built = laboratory.scene.trainer(trainer)
    built.initialize()
    loss = built.loss.loss if isinstance(built.loss, DeepSupervisionWrapper) else built.loss
    scene = make_scene()
    target = torch.from_numpy(scene.truth)[None, None].to(torch.int16)
    if isinstance(loss, Criterion):
        loss.progress = PROGRESS
        loss.maps = _maps(built, target) if isinstance(built, MappedLossTrainer) else None
    half = torch.from_numpy(scene.logits)[None, None] / 2
    logits = torch.cat([-half, half], 1).requires_grad_()
    value = loss(logits, target)
    value.backward()
    assert logits.grad is not None
    push = -logits.grad[0, 1].numpy()
    if not np.isfinite(push).all() or not push.any():
        raise ValueError(f"the loss of {trainer} has no finite gradient on the scene: there is nothing to draw")
    return PushMap(push, float(value.detach()))


def _maps(trainer: MappedLossTrainer, target: Tensor) -> Tensor:
    append = AppendMaps(trainer.map_of_kinds, trainer.layout, (1.0, 1.0), numbers=trainer.numbers)
    joined = append(segmentation=target[0])["segmentation"][None]
    return trainer.layout.split(joined)[1]


def loss_picture(laboratory: Laboratory, trainer: str) -> bytes:
    """Image, truth, prediction, and where the loss pushes, as a PNG file.

    Args:
        laboratory: Data sets of the pictures.
        trainer: Name of the trainer.
    """
    push = push_of(laboratory, trainer)
    scene = make_scene()
    figure = new_figure(10.4, 2.95)
    axes = figure.subplots(1, 4)
    show_image(axes[0], scene.image, "image", window=(0, 1))
    show_image(axes[1], scene.image, "truth", window=(0, 1))
    outline(axes[1], scene.truth, TRUTH, 1.4)
    show_image(axes[2], scene.image, "prediction", window=(0, 1))
    outline(axes[2], scene.predicted, PREDICTED, 1.4)
    for word, (x, y) in ERRORS:
        axes[2].text(x, y, word, color="white", fontsize=6.5, ha="center", va="center")
    _map(axes[3], push, scene, "where the loss pushes")
    return as_png(figure)


def map_tile(push: PushMap) -> bytes:
    """The map alone, for a page that shows many, as a PNG file."""
    colours = matplotlib.colormaps["RdBu_r"](0.5 + 0.5 * _scaled(push))[..., :3]
    tile = np.kron(np.asarray(255 * colours, np.uint8), np.ones((ZOOM, ZOOM, 1), np.uint8))
    truth = np.kron(make_scene().truth, np.ones((ZOOM, ZOOM), bool))
    tile[truth & ~binary_erosion(truth)] = GREY
    buffer = BytesIO()
    Picture.fromarray(tile).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _map(axis: Axes, push: PushMap, scene: Scene, title: str) -> None:
    show_image(axis, _scaled(push), title, window=(-1, 1), cmap="RdBu_r")
    outline(axis, scene.truth, INK, 0.6)
    axis.set_xlim(-0.5, SIZE - 0.5)


def _scaled(push: PushMap) -> NDArray[np.float32]:
    """The push from -1 to 1."""
    strength = float(np.percentile(np.abs(push.push), STRONGEST)) or float(np.abs(push.push).max())
    # A square root shows weak pushes too.
    scaled = np.sign(push.push) * np.sqrt(np.minimum(np.abs(push.push) / strength, 1))
    return np.asarray(scaled, np.float32)
