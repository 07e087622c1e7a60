r"""Whether labels lie on what they describe.

For each case the border of all labels is moved over the edges of the image,
$S(d) = \sum_x |\nabla I|(x)\, b(x - d)$, where $b$ is 1 on voxels at a border. Where labels lie on their objects and
objects have edges, $S$ has a peak at $d = 0$. If all labels are displaced by $s$, it is at $d = -s$.

It cannot see a displacement of less than ``LEAST`` voxels, or of objects without edges, such as parts of the
hippocampus. Then no peak stands out, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REACH = 12
"""Voxels that a border is moved at most, along each axis."""

LEAST = 3
"""Voxels from which on a displacement is one. Resampling and lines drawn around objects make smaller ones."""

CLEAR = 5.0
"""Height of a peak of all cases together, in robust standard deviations. Hippocampi have 2, polyps 9."""

SHARP = 7.0
"""Height of a peak of a single case that is enough to judge this case by itself."""

FEW = 4
"""Number of cases from which on something is said."""


@dataclass(frozen=True)
class LabelOffset:
    """Where labels fit their images best.

    Attributes:
        cases: Number of cases that were looked at.
        common: Voxels along each axis by which all labels are displaced; None if no peak of all cases stands out.
        height: Height of that peak, in robust standard deviations.
        judged: Number of cases with a peak of their own that stands out.
        beside: How many of these have it elsewhere than where their labels are.
    """

    cases: int
    common: tuple[int, ...] | None
    height: float
    judged: int
    beside: int

    @property
    def is_common(self) -> bool:
        """Whether the labels of all cases are displaced alike."""
        return self.common is not None and max(map(abs, self.common)) >= LEAST

    @property
    def is_different(self) -> bool:
        """Whether the labels of many cases are displaced, each in its own way."""
        return not self.is_common and self.judged >= FEW and 2 * self.beside >= self.judged


def displacement(cases: Sequence[tuple[NDArray[np.float32], NDArray[np.int16]]]) -> LabelOffset:
    """Where the labels of some cases fit their images best.

    Args:
        cases: Images (C, Z, Y, X) or (C, Y, X), and label maps without the first axis. Values below 1 are background.
    """
    fits = [fit for image, labels in cases if (fit := fit_of(image, labels)) is not None]
    if len(fits) < FEW or len({fit.ndim for fit in fits}) > 1:
        return LabelOffset(len(fits), None, 0.0, 0, 0)
    peaks = [peak(fit) for fit in fits]
    sharp = [place for place, height in peaks if height >= SHARP]
    place, height = peak(np.mean(_same_reach(fits), axis=0))
    common = tuple(-step for step in place) if height >= CLEAR else None
    return LabelOffset(len(fits), common, height, len(sharp), sum(max(map(abs, place)) >= LEAST for place in sharp))


def fit_of(image: NDArray[np.float32], labels: NDArray[np.int16]) -> NDArray[np.float64] | None:
    """How well the border of all labels fits the edges of an image, for each displacement.

    Args:
        image: Image (C, *spatial).
        labels: Label map (*spatial).

    Returns:
        Fit with mean 0 and variance 1; its middle belongs to no displacement. None if there is no border or no edge.
    """
    from scipy import fft, ndimage

    if labels.shape[0] == 1:
        image, labels = image[:, 0], labels[0]
    inside = labels > 0
    border = inside & ~ndimage.binary_erosion(inside, border_value=1)
    reach = [min(REACH, size // 4) for size in labels.shape]
    if not border.any() or min(reach) < LEAST or not np.isfinite(image).all():
        return None
    edges = np.mean([ndimage.gaussian_gradient_magnitude(channel, 1.0) for channel in image], axis=0)
    # What lies beyond the image is an edge as others are on average, so a border gains nothing by leaving it.
    edges = edges - edges.mean()
    shape = [fft.next_fast_len(size + steps) for size, steps in zip(labels.shape, reach, strict=True)]
    product = fft.rfftn(edges, shape) * np.conj(fft.rfftn(border.astype(np.float64), shape))
    whole = np.fft.fftshift(fft.irfftn(product, shape))
    middle = [size // 2 for size in shape]
    window = tuple(slice(at - steps, at + steps + 1) for at, steps in zip(middle, reach, strict=True))
    fit: NDArray[np.float64] = whole[window]
    spread = float(fit.std())
    return (fit - fit.mean()) / spread if spread > 0 else None


def peak(fit: NDArray[np.float64]) -> tuple[tuple[int, ...], float]:
    """Place of the best fit in voxels from the middle, and its height above the median in robust deviations."""
    middle = float(np.median(fit))
    spread = 1.4826 * float(np.median(np.abs(fit - middle)))
    place = np.unravel_index(int(fit.argmax()), fit.shape)
    steps = tuple(int(at) - size // 2 for at, size in zip(place, fit.shape, strict=True))
    return steps, (float(fit.max()) - middle) / spread if spread > 0 else 0.0


def _same_reach(fits: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The middle parts of all fits, as large as the smallest is."""
    reach = [min(sizes) // 2 for sizes in zip(*(fit.shape for fit in fits), strict=True)]
    windows = [
        tuple(slice(size // 2 - steps, size // 2 + steps + 1) for size, steps in zip(fit.shape, reach, strict=True))
        for fit in fits
    ]
    return [fit[window] for fit, window in zip(fits, windows, strict=True)]
