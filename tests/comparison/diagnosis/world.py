"""Preprocessed cases, written by nnU-Net's own functions, for trainings of which only logs are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetNumpy
from numpy.typing import NDArray
from scipy import ndimage

Image, Labels = NDArray[np.float32], NDArray[np.int16]

TRAININGS = Path(__file__).with_name("trainings")
"""What nnU-Net left of real trainings that were made to fail; ``README.md`` there says how."""

CASES = 24
"""Training cases; six more are for validation."""


def model(name: str) -> Path:
    """The model folder of a kept training."""
    (folder,) = (TRAININGS / name).iterdir()
    return folder


def cells(seed: int, *, size: tuple[int, ...] = (1, 96, 96)) -> tuple[Image, Labels]:
    """Bright cells with a rim (1) and a core (2), on a noisy image (1, Z, Y, X)."""
    rng = np.random.default_rng(seed)
    seeds = np.ones(size, bool)
    flat = seeds.ravel()
    flat[rng.choice(flat.size, 14, replace=False)] = False
    away = ndimage.distance_transform_edt(seeds)
    inside = away < 6
    labels = inside.astype(np.int16) + (away < 3)
    image = inside + 0.2 * rng.normal(size=size)
    return image[None].astype(np.float32), labels.astype(np.int16)


def as_they_are(labels: Labels, number: int) -> Labels:
    return labels


def preprocess(
    place: Path,
    description: Mapping[str, object],
    change: Callable[[Labels, int], Labels] = as_they_are,
    *,
    dataset: str,
    identifier: str = "nnUNetPlans_2d",
    make: Callable[[int], tuple[Image, Labels]] = cells,
) -> Path:
    """Preprocessed cells, of which the last six are for validation; returns ``nnUNet_preprocessed``."""
    folder = place / dataset / identifier
    folder.mkdir(parents=True)
    labels_of = description["labels"]
    assert isinstance(labels_of, dict)
    ignore = labels_of.get("ignore")
    classes = [value for name, value in labels_of.items() if name != "ignore" and value]
    # As nnU-Net's preprocessor asks for them.
    wanted = [tuple(value) if isinstance(value, list) else value for value in classes]
    if ignore is not None:
        wanted.append((-1, 0, *classes))
    names = [f"case_{number:02d}" for number in range(CASES + 6)]
    for number, name in enumerate(names):
        image, labels = make(number)
        changed = change(labels, number)
        places = DefaultPreprocessor._sample_foreground_locations(changed[None], wanted)
        nnUNetDatasetNumpy.save_case(image, changed[None], {"class_locations": places}, str(folder / name))
    split = [{"train": names[:CASES], "val": names[CASES:]}]
    (place / dataset / "splits_final.json").write_text(json.dumps(split))
    return place
