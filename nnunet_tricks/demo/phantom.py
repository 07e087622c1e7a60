"""CT-like abdomens with two kidneys and tumours on them, drawn from formulas. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KIDNEY, TUMOUR = 1, 2
LABELS = {"background": 0, "kidney": KIDNEY, "tumour": TUMOUR}
SHAPE = (22, 56, 56)

Field = NDArray[np.float32]
Vector = NDArray[np.float64]
Point = Sequence[float] | Vector


@dataclass(frozen=True)
class Phantom:
    """One case.

    Attributes:
        image: CT values in Hounsfield units; axes z (to the head), y (to the back), x (to the patient's left).
        labels: Label map: 0 background, 1 kidney, 2 tumour.
        spacing: Edges of a voxel in mm, in the order of the axes.
    """

    image: NDArray[np.int16]
    labels: NDArray[np.uint8]
    spacing: tuple[float, float, float]


def make_phantom(seed: int) -> Phantom:
    """Draw one abdomen; anatomy, tumours, spacing and noise all follow from the seed.

    Each has one to three tumours with radii from 10 to 24 mm, half sunk into a kidney: darker than it, brighter than
    muscle and liver.

    Args:
        seed: Whole number, not negative.

    Examples:
        >>> phantom = make_phantom(3)
        >>> phantom.image.shape, np.unique(phantom.labels).tolist()
        ((22, 56, 56), [0, 1, 2])
    """
    rng = np.random.default_rng(seed)
    in_plane = round(rng.uniform(3.8, 4.2), 2)
    spacing = (round(rng.uniform(6.0, 6.8), 2), in_plane, in_plane)
    canvas = _Canvas(spacing)
    scale = rng.uniform(0.92, 1.08)
    for centre, axes, density in _surroundings(rng):
        canvas.paint(scale * np.array(centre), scale * np.array(axes), density)
    kidneys = [_kidney(rng, side, scale) for side in (-1, 1)]
    for centre, axes in kidneys:
        canvas.paint(centre, axes * 1.3, -95)  # the fat around it
        canvas.paint(centre, axes, rng.uniform(180, 210), label=KIDNEY)
        canvas.paint(centre, axes * 0.5, rng.uniform(155, 175))  # the medulla, which is kidney too
    first = rng.integers(2)
    for tumour in range(rng.integers(1, 4)):
        centre, axes = kidneys[(first + tumour) % 2]
        radius = rng.uniform(10, 24)
        canvas.paint(
            centre + axes * _away_from_spine(rng, centre), np.full(3, radius), rng.uniform(90, 115), label=TUMOUR
        )
    return Phantom(canvas.with_noise(rng), canvas.labels, spacing)


class _Canvas:
    """An image to paint ellipsoids on, each over the earlier ones, with soft edges as voxels of finite size have."""

    def __init__(self, spacing: Point) -> None:
        self.grid = np.meshgrid(
            *((np.arange(n, dtype=np.float32) - (n - 1) / 2) * edge for n, edge in zip(SHAPE, spacing, strict=True)),
            indexing="ij",
        )
        self.edge = float(min(spacing))
        self.image: Field = np.full(SHAPE, -1000, np.float32)
        self.labels: NDArray[np.uint8] = np.zeros(SHAPE, np.uint8)

    def paint(self, centre: Point, axes: Point, density: float, *, label: int | None = None) -> None:
        """Fill an ellipsoid; without a label the labels below stay."""
        offsets = [(axis - c) / a for axis, c, a in zip(self.grid, centre, axes, strict=True)]
        radius = np.sqrt(sum(offset**2 for offset in offsets))
        slope = np.sqrt(sum((offset / a) ** 2 for offset, a in zip(offsets, axes, strict=True)))
        depth = radius * (1 - radius) / np.maximum(slope, 1e-6)  # mm below the surface, to first order
        cover = np.clip(depth / self.edge + 0.5, 0, 1)
        self.image += cover * (density - self.image)
        if label is not None:
            self.labels[radius < 1] = label

    def with_noise(self, rng: np.random.Generator) -> NDArray[np.int16]:
        """The image with a scanner's noise, which is slightly correlated between neighbours."""
        white = rng.normal(0, 12, SHAPE).astype(np.float32)
        noise = white + 0.5 * (np.roll(white, 1, axis=1) + np.roll(white, 1, axis=2))
        return np.clip(np.rint(self.image + noise), -1024, 3071).astype(np.int16)


def _surroundings(rng: np.random.Generator) -> Iterator[tuple[Point, Point, float]]:
    """Everything but the kidneys, from the outside in: centre, half axes (mm; z, y, x) and density."""
    endless = 1e4
    yield (0, 0, 0), (endless, 84, 102), -100  # subcutaneous fat
    wall = rng.uniform(6, 14)
    yield (0, 0, 0), (endless, 84 - wall, 102 - wall), rng.uniform(45, 60)  # muscle and soft tissue
    yield (rng.uniform(20, 40), -22, -48), (52, 40, 42), rng.uniform(70, 85)  # liver
    yield (rng.uniform(10, 40), -8, 66), (30, 22, 16), rng.uniform(75, 90)  # spleen
    for _ in range(4):  # bowel, some of it with air
        centre = (rng.uniform(-60, 20), rng.uniform(-58, -30), rng.uniform(-20, 60))
        yield centre, (20, rng.uniform(9, 16), rng.uniform(9, 18)), rng.choice([-700.0, 15.0, 35.0])
    yield (0, 46, 0), (endless, 19, 20), rng.uniform(180, 260)  # vertebra
    yield (0, 60, 0), (endless, 7, 8), 30  # spinal canal
    yield (0, 18, 9), (endless, 9, 9), rng.uniform(170, 210)  # aorta, as bright as the kidneys
    yield (0, 18, -13), (endless, 8, 11), rng.uniform(130, 160)  # vena cava


def _kidney(rng: np.random.Generator, side: int, scale: float) -> tuple[Vector, Vector]:
    """Centre and half axes in mm; side -1 is the patient's right."""
    centre = np.array([rng.uniform(-12, 12) - 4 * (side < 0), rng.uniform(22, 32), side * rng.uniform(50, 58)])
    axes = np.array([rng.uniform(40, 52), rng.uniform(19, 24), rng.uniform(20, 26)])
    return scale * centre, scale * axes


def _away_from_spine(rng: np.random.Generator, centre: Vector) -> Vector:
    """A random direction of length about one, from a kidney's centre to its surface, never towards the spine."""
    direction = rng.normal(size=3)
    direction *= rng.uniform(0.8, 1.05) / np.linalg.norm(direction)
    direction[2] = np.copysign(direction[2], centre[2])
    direction[0] *= 0.7  # not beyond the first or last slice
    return np.asarray(direction)
