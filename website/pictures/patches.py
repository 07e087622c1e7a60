"""Nine draws of an augmentation, and where the patches of a sampling fall."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import Tensor

from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.pictures.augmentation.draws import Draw, preview, training_loader
from nnunet_tricks.pictures.augmentation.picture import middle_slice
from nnunet_tricks.tricks.augmentation.mixing import MixingTrainer
from nnunet_tricks.tricks.sampling.loader import cases_of
from website.pictures.drawing import INK, PREDICTED, TRUTH, as_png, new_figure, outline, show_image
from website.pictures.laboratory import Laboratory, PreparedData

BASELINE = "nnUNetTrainer"
SIDE = 3
"""Draws stand in a square of this side."""
PATCHES = 240
"""Number of patches whose middles are shown."""
SEED = 3
RARE = "#e7298a"


def augmentation_picture(laboratory: Laboratory, trainer: str) -> bytes:
    """Nine draws of what a trainer's augmentation makes of one patch, beside the patch, as a PNG file.

    Args:
        laboratory: Data sets of the pictures.
        trainer: Name of the trainer.
    """
    data = laboratory.tiles
    shown = preview(data.file, trainer, data.configuration, 0, draws=SIDE**2, seed=SEED)
    draws = _mixed(data, trainer) if shown.mixing else shown.draws
    window = float(shown.read.image.min()), float(shown.read.image.max())
    figure = new_figure(8.4, 4.3)
    grid = figure.add_gridspec(SIDE, 2 * SIDE)
    _show(figure.add_subplot(grid[:, :SIDE]), shown.read, window, "as it is read")
    for number, draw in enumerate(draws):
        axis = figure.add_subplot(grid[number // SIDE, SIDE + number % SIDE])
        _show(axis, draw, window, "nine draws" if number == 1 else "")
    return as_png(figure)


def _show(axis: Axes, draw: Draw, window: tuple[float, float], title: str) -> None:
    show_image(axis, middle_slice(draw.image)[0], title, window=window)
    for mask, colour in zip(middle_slice(draw.masks), (TRUTH, RARE), strict=False):
        outline(axis, mask > 0.5, colour, 0.9)


def _mixed(data: PreparedData, trainer: str) -> list[Draw]:
    """Patches of batches that a trick has mixed."""
    draws: list[Draw] = []
    with _loader(data, trainer) as (built, loader):
        assert isinstance(built, MixingTrainer)
        built.loss = torch.nn.Identity()
        settings = built.parameters[built.mixing_trick]
        while len(draws) < SIDE**2:
            batch = loader.generate_train_batch()
            target = batch["target"]
            batch["target"] = target[0] if isinstance(target, list) else target
            share = float(np.random.beta(settings.alpha, settings.alpha))
            mixed, _ = built.mixed(batch, share, torch.tensor([1, 0]))
            draws.append(Draw(mixed["data"][0], _masks(mixed["target"][0])))
    return draws


def _masks(target: Tensor) -> Tensor:
    return torch.stack([target[0] == label for label in (1, 2)])


@dataclass(frozen=True)
class FallenPatches:
    """Where patches fell.

    Attributes:
        middles: Middles of the patches of the first case, (number, axes), in voxels.
        rare: Share of all patches that hold a voxel of the last class.
    """

    middles: NDArray[np.float64]
    rare: float


def sampling_picture(laboratory: Laboratory, trainer: str) -> bytes:
    """Middles of the patches that nnU-Net and a trainer draw from one image, as a PNG file.

    Args:
        laboratory: Data sets of the pictures.
        trainer: Name of the trainer.
    """
    data = laboratory.parts
    volume, labels_of_volume = _case(data)
    # Pictures are volumes of one slice.
    image, labels = volume.squeeze(0), labels_of_volume.squeeze(0)
    figure = new_figure(8.4, 3.2)
    for axis, name in zip(figure.subplots(1, 3), ("", BASELINE, trainer), strict=True):
        show_image(axis, image, "image and classes")
        for label, colour in ((1, TRUTH), (2, RARE)):
            outline(axis, labels == label, colour, 1.2)
        if name:
            fallen = fallen_patches(data, name)
            axis.plot(fallen.middles[:, 2], fallen.middles[:, 1], ".", color=PREDICTED, markersize=3.5)
            title = "nnU-Net" if name == BASELINE else name.removeprefix(BASELINE)
            axis.set_title(f"{title}\n{fallen.rare:.0%} of patches have the rare class", fontsize=9, color=INK)
    return as_png(figure)


def slices_picture(laboratory: Laboratory, trainer: str) -> bytes:
    """Annotated slices of a volume, and the middles of the patches that nnU-Net and a trainer draw, as a PNG file.

    Args:
        laboratory: Data sets of the pictures.
        trainer: Name of the trainer.
    """
    data = laboratory.volumes
    _, labels = _case(data)
    with _loader(data, trainer) as (built, loader):
        sparse = _labels(cases_of(loader).load_case(loader.indices[0]))
        annotated = np.flatnonzero((sparse != built.label_manager.ignore_label).any((1, 2)))
    figure = new_figure(8.4, 3.4)
    for axis, name in zip(figure.subplots(1, 2), (BASELINE, trainer), strict=True):
        fallen = fallen_patches(data, name)
        seen = np.asarray((labels > 0).any(1), np.float32)
        show_image(axis, seen, window=(0, 3))
        axis.set_aspect("auto")
        for number in annotated if name != BASELINE else range(len(labels)):
            axis.axhline(number, color=TRUTH, linewidth=1.6, alpha=0.6)
        axis.plot(fallen.middles[:, 2], fallen.middles[:, 0], ".", color=PREDICTED, markersize=4)
        title = "nnU-Net: all slices annotated" if name == BASELINE else f"{len(annotated)} slices annotated"
        axis.set_title(f"{title}\ngreen: annotated slices; dots: middles of patches", fontsize=9, color=INK)
    return as_png(figure)


def fallen_patches(data: PreparedData, trainer: str) -> FallenPatches:
    """Where patches of a trainer fall.

    Args:
        data: Data set to draw from.
        trainer: Name of the trainer.
    """
    middles: list[NDArray[np.float64]] = []
    rare = patches = 0
    with _loader(data, trainer) as (_, loader):
        first = loader.indices[0]
        contents: dict[str, Any] = {}
        while len(middles) < PATCHES:
            for number, case in enumerate(loader.get_indices()):
                # In nnU-Net's order: the case, whether it is centred on foreground, the box.
                centred = loader.get_do_oversample(number)
                if case not in contents:
                    parts = cases_of(loader).load_case(case)
                    contents[case] = _labels(parts), parts[-1]["class_locations"]
                labels, locations = contents[case]
                low, high = (np.array(edge) for edge in loader.get_bbox(labels.shape, centred, locations))
                box = tuple(slice(max(begin, 0), max(end, 0)) for begin, end in zip(low, high, strict=True))
                rare += bool((labels[box] == 2).any())
                patches += 1
                if case == first:
                    middles.append((low + high - 1) / 2)
    spread = np.array(middles)
    if spread.shape[1] == 2:
        spread = np.insert(spread, 0, 0, axis=1)
    return FallenPatches(spread, rare / patches)


def _labels(parts: Any) -> NDArray[np.int16]:
    """The labels of a case, (z, y, x), read as loaders read them: with a slice for each axis."""
    return np.asarray(parts[1][(slice(None),) * 4])[0]


def _case(data: PreparedData) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Image and labels of the first training case, (z, y, x); z is 1 for pictures."""
    with _loader(data, BASELINE) as (_, loader):
        image, labels = cases_of(loader).load_case(loader.indices[0])[:2]
        return np.asarray(image[:])[0], np.asarray(labels[:])[0]


@contextmanager
def _loader(data: PreparedData, trainer: str) -> Iterator[tuple[Any, Any]]:
    with (
        tempfile.TemporaryDirectory() as results,
        training_loader(data.file, trainer, data.configuration, 0, Path(results)) as opened,
    ):
        seed_everything(SEED)
        yield opened
