r"""Non-linear grey values: each channel goes through a monotone curve.

$B(t) = 3 (1 - t)^2 t P_1 + 3 (1 - t) t^2 P_2 + t^3 (1, 1)$, a cubic Bezier curve from (0, 0) to (1, 1) with two random
points. Zhou et al., "Models Genesis", Medical Image Analysis 2021, section 3.2. As in the published code, the values of
the curve are sorted, which makes it monotone, and half of the curves fall, so that dark becomes bright.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnunet_tricks.tricks.pretraining.pretext.chance import Chance

POINTS = 1000
"""Points of a curve that are computed."""
BINS = 1024
"""Values of the table that a curve becomes."""


def curve(first: tuple[float, float], second: tuple[float, float], *, falling: bool = False) -> NDArray[np.float32]:
    """A curve as a table of its values at ``BINS`` grey values from 0 to 1.

    Args:
        first: First control point, in the unit square.
        second: Second control point.
        falling: Whether it goes from 1 to 0.

    Returns:
        Values from 0 to 1, from one end point to the other.

    Examples:
        >>> values = curve((1 / 3, 1 / 3), (2 / 3, 2 / 3))  # the diagonal
        >>> float(abs(values - np.linspace(0, 1, BINS)).max()) < 1e-6
        True
    """
    t = np.linspace(0, 1, POINTS)
    weights = np.stack((3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3))
    x, y = (np.sort(np.array((p, q, 1.0)) @ weights) for p, q in zip(first, second, strict=True))
    values: NDArray[np.float32] = np.interp(np.linspace(0, 1, BINS), x, y).astype(np.float32)
    return values[::-1].copy() if falling else values


def mapped(values: Tensor, table: Tensor) -> Tensor:
    """Grey values from 0 to 1 through a table of equally spaced values, linear between them.

    Examples:
        >>> mapped(torch.tensor([0.0, 0.25, 1.0]), torch.tensor([0.0, 1.0, 0.0]))
        tensor([0.0000, 0.5000, 0.0000])
    """
    place = values * (len(table) - 1)
    below = place.long().clamp_(0, len(table) - 2)
    low = table[below]
    return torch.addcmul(low, table[below + 1] - low, place - below)


def changed_grey_values(image: Tensor, chance: Chance, *, falling: float = 0.5) -> Tensor:
    """Each channel through a curve of its own; its smallest and largest value stay, or change places.

    Args:
        image: (C, *spatial), in any units.
        chance: Source of the curves.
        falling: Probability of a falling curve.
    """
    changed = torch.empty_like(image)
    for channel, values in enumerate(image):
        numbers = chance.numbers(4).tolist()
        table = curve((numbers[0], numbers[1]), (numbers[2], numbers[3]), falling=chance.yes(falling))
        low, high = values.aminmax()
        span = high - low
        # A channel of one value has no curve to go through.
        unit = (values - low) / span.clamp_min(torch.finfo(values.dtype).tiny)
        changed[channel] = mapped(unit, torch.from_numpy(table).to(image)) * span + low
    return changed
