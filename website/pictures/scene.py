"""One image, its truth, and a prediction with every kind of error, drawn from formulas; losses are shown on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIZE = 128
Mask = NDArray[np.bool_]
Image = NDArray[np.float32]

LARGE, SMALL = 1, 2
LABELS = {"background": 0, "large": LARGE, "small": SMALL}

ERRORS = (
    ("border too\nfar out", (44, 62)),
    ("merged", (101, 6)),
    ("missed", (108, 51)),
    ("broken", (64, 96)),
    ("false alarm", (19, 7)),
)
"""Errors of the prediction and where their names stand, (x, y)."""


@dataclass(frozen=True)
class Scene:
    """An image beside its truth and a prediction.

    Attributes:
        image: Grey values, (SIZE, SIZE), from 0 to 1.
        truth: True where there is an object.
        logits: Logit of the object at each pixel; above 0 the prediction says that there is one.
    """

    image: Image
    truth: Mask
    logits: Image

    @property
    def predicted(self) -> Mask:
        """Pixels that are predicted as an object."""
        return np.asarray(self.logits > 0)


def make_scene() -> Scene:
    """The scene: a large object, two that nearly touch, three small ones and a thin one.

    The prediction has the large object too large on one side, merges the neighbours, misses a small object, breaks the
    thin one and invents another. It is unsure near its own borders, as networks are.

    Examples:
        >>> scene = make_scene()
        >>> bool(scene.truth.any()), bool((scene.predicted & ~scene.truth).any())
        (True, True)
    """
    large = _disc(44, 62, 22)
    neighbours = _disc(92, 22, 10) | _disc(113, 24, 9)
    spots = _disc(108, 60, 4) | _disc(92, 74, 3.5) | _disc(114, 84, 3)
    thread = _thread()
    truth = large | neighbours | spots | thread
    x, _ = _grid()
    predicted = (
        large
        | (_disc(40, 62, 23) & (x < 44))
        | neighbours
        | _box(96, 18, 110, 27)
        | _disc(92, 74, 3.5)
        | _disc(114, 84, 3)
        | (thread & ~_box(52, 90, 74, 126))
        | _disc(18, 18, 7)
    )
    rng = np.random.default_rng(1)
    return Scene(_image(truth, rng), truth, _logits(predicted, rng))


def training_images(count: int) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Images and label maps of a small data set; every third image lacks the small class.

    Args:
        count: Number of images.
    """
    cases = []
    for number in range(count):
        rng = np.random.default_rng(number)
        labels = np.zeros((SIZE, SIZE), np.uint8)
        scene = make_scene()
        labels[scene.truth] = LARGE
        small = _disc(108, 60, 4) | _disc(92, 74, 3.5) | _disc(114, 84, 3)
        labels[small] = 0 if number % 3 == 2 else SMALL
        cases.append(((255 * _image(labels > 0, rng)).astype(np.uint8), labels))
    return cases


def tiled(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image and its mirrored copies in a square of twice the side, so that patches find image all around."""
    row = np.concatenate([image, image[:, ::-1]], 1)
    return np.concatenate([row, row[::-1]])


def _grid() -> tuple[Image, Image]:
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    return x, y


def _disc(x: float, y: float, radius: float) -> Mask:
    across, down = _grid()
    return np.asarray((across - x) ** 2 + (down - y) ** 2 <= radius**2)


def _box(left: int, top: int, right: int, bottom: int) -> Mask:
    box = np.zeros((SIZE, SIZE), bool)
    box[top:bottom, left:right] = True
    return box


def _thread() -> Mask:
    x, y = _grid()
    return np.asarray((np.abs(y - 108 - 7 * np.sin(x / 13)) < 1.8) & (x > 10) & (x < 118))


def _image(truth: Mask, rng: np.random.Generator) -> Image:
    """Objects brighter than an uneven background, blurred and noisy as in a scanner."""
    x, y = _grid()
    background = 0.30 + 0.08 * np.sin(x / 29) * np.cos(y / 23) + 0.06 * ndimage.gaussian_filter(_noise(rng), 5) * 5
    image = background + 0.38 * ndimage.gaussian_filter(truth.astype(np.float32), 0.9)
    noisy = image + 0.035 * ndimage.gaussian_filter(_noise(rng), 0.6)
    return np.clip(noisy, 0, 1).astype(np.float32)


def _logits(predicted: Mask, rng: np.random.Generator) -> Image:
    """Logits that rise with the distance from the border of what is predicted."""
    inside, outside = (ndimage.distance_transform_edt(mask) for mask in (predicted, ~predicted))
    distance = np.where(predicted, inside - 0.5, 0.5 - outside)
    unsure = 0.35 * ndimage.gaussian_filter(_noise(rng), 2) * 4
    logits = np.clip(1.1 * distance, -5, 5) + np.where(np.abs(distance) > 1, unsure, 0)
    return logits.astype(np.float32)


def _noise(rng: np.random.Generator) -> Image:
    return rng.normal(size=(SIZE, SIZE)).astype(np.float32)
