"""Label maps at the points of a grid, bit for bit as batchgeneratorsv2 samples them, in a fraction of its time.

batchgeneratorsv2 interpolates one indicator image per label and takes the label with the largest score. Most points
lie between voxels of one label, and need no score. The others can only get a label of the voxels around them, so
the cost does not grow with the number of labels.

The scores of batchgeneratorsv2 are sums of float32 products, rounded to float16, which makes ties of what nearly is
one. Where the decision is that close, the same sums are made here in the same order. Everything else is decided by
any sum that is right to a thousandth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

TieBreak = Literal["nearest", "lowest", "highest"]

SCALE = 1000.0
"""Score of a label that has all voxels around a point."""

HALF = SCALE / 2

NEAR = 1.0
"""Scores that differ from half by more than this are decided, however they are rounded."""

CHUNK = 1 << 17
"""How many points are placed at once: what is computed for them stays in the processor's cache."""

GROUP = 1 << 20
"""How many labels are looked through at once for those between voxels of several."""

NOTHING = 0
"""Code of voxels outside an image that is not padded: they have no label."""

LARGEST_SOURCE = 1 << 24
"""Number of voxels up to which float32 holds each index."""


@dataclass(frozen=True)
class Rule:
    """How a label is chosen by its score.

    Attributes:
        ties: Which of several labels with the largest score is taken.
        halves: Whether of two labels, if a channel has no more, only the score of the higher one is computed.
    """

    ties: TieBreak = "nearest"
    halves: bool = True


@dataclass(frozen=True)
class Coded:
    """Label maps, moved and padded, so that each point has all its voxels.

    Attributes:
        codes: Code of each voxel, channels first, flat. A code is a label minus ``base``, or ``NOTHING``.
        cells: Code of each block of 2 x 2 (x 2) voxels of one label, stored at the first of them; ``mixed`` elsewhere.
        size: Voxels of a channel along each axis, padding included.
        start: First voxel along each axis, in voxels of the label map.
        base: Difference between a label and its code.
        mixed: Code of blocks of several labels.
        pairs: Whether each channel has exactly two labels and these are compared with half, (channels,).
        lowest: Code of the lowest label of each channel, (channels,).
        highest: Code of the highest label of each channel, (channels,).
        padding: Code of what lies outside the image, or ``NOTHING``.
    """

    codes: Tensor
    cells: Tensor
    size: tuple[int, ...]
    start: tuple[int, ...]
    base: int
    mixed: int
    pairs: Tensor
    lowest: Tensor
    highest: Tensor
    padding: int

    @property
    def strides(self) -> tuple[int, ...]:
        """Distance between neighbours along each axis."""
        steps = [1]
        for side in reversed(self.size[1:]):
            steps.insert(0, steps[0] * side)
        return tuple(steps)

    @property
    def channel(self) -> int:
        """Number of voxels of a channel."""
        return self.size[0] * self.strides[0]


def sample_labels(labels: Tensor, grid: Tensor, rule: Rule, *, padding: int | None, affine: bool = False) -> Tensor:
    """The label at each point of a grid.

    Args:
        labels: (channels, *source), whole numbers of up to 24 bits.
        grid: (*patch, dimensions), float32, from -1 to 1 as ``torch.nn.functional.grid_sample`` has it without aligned
            corners; the last number belongs to the first axis.
        rule: How a label is chosen.
        padding: Label outside the image; ``None`` if there is none, and points where nothing has a score get the lowest
            label of their channel.
        affine: Whether the grid is an affine map of the patch, so that its corners are the points furthest out.

    Returns:
        (channels, *patch), of the type of ``labels``.
    """
    patch = tuple(grid.shape[:-1])
    lows, highs = _ranges(labels)
    if padding is not None:
        lows, highs = [min(low, padding) for low in lows], [max(high, padding) for high in highs]
    if lows == highs:
        flat = torch.tensor(lows, dtype=labels.dtype).view(-1, *[1] * len(patch))
        return flat.expand(-1, *patch).contiguous()
    reached = _reached(grid, labels.shape[1:], affine=affine)
    coded = _coded(labels, reached, lows, highs, padding, halves=rule.halves)
    result = torch.empty((len(labels), grid[..., 0].numel()), dtype=coded.codes.dtype)
    # Rows of points, as torch is slow to broadcast over three numbers.
    rows = grid.reshape(-1, patch[-1] * grid.shape[-1])
    scaled = _Unnormalised(tuple(labels.shape[1:]), patch[-1])
    together = max(1, CHUNK // patch[-1])
    for first in range(0, len(rows), together):
        place = scaled(rows[first : first + together])
        start = first * patch[-1]
        _sample(coded, place, rule.ties, result[:, start : start + len(place)])
    return result.to(labels.dtype).add_(coded.base).view(len(labels), *patch)


class _Unnormalised:
    """Places in voxels, by the arithmetic of torch: in 3D and 2D it rounds differently."""

    def __init__(self, source: tuple[int, ...], points: int) -> None:
        self.dimensions = len(source)
        self.sides = torch.tensor(source[::-1], dtype=torch.float32).repeat(points)

    def __call__(self, grid: Tensor) -> Tensor:
        """Places, (points, dimensions)."""
        place = grid + 1
        if self.dimensions == 3:
            place.mul_(self.sides).sub_(1).mul_(0.5)
        else:
            place.mul_(self.sides / 2).sub_(0.5)
        return place.view(-1, self.dimensions)


def _ranges(labels: Tensor) -> tuple[list[int], list[int]]:
    ends = [torch.aminmax(channel) for channel in labels]
    return [int(low) for low, _ in ends], [int(high) for _, high in ends]


def _reached(grid: Tensor, source: tuple[int, ...], *, affine: bool) -> list[tuple[int, int]]:
    """First and last voxel along each axis that points can have beside them, and those just outside the image."""
    if not affine:
        return [(-2, side + 2) for side in source]
    ends = grid
    for axis, side in enumerate(grid.shape[:-1]):
        ends = ends.index_select(axis, torch.tensor([0, side - 1]))
    ends = ends.view(-1, len(source)).flip(1).double()
    sides = torch.tensor(source, dtype=torch.float64)
    places = ((ends + 1) * sides - 1) / 2
    # A voxel more on each side, as points are rounded.
    low, high = places.amin(0).floor() - 1, places.amax(0).floor() + 3
    return [
        (int(min(max(first, -2), side)), int(max(min(last, side + 2), 0)))
        for first, last, side in zip(low.tolist(), high.tolist(), source, strict=True)
    ]


def _coded(
    labels: Tensor,
    reached: list[tuple[int, int]],
    lows: list[int],
    highs: list[int],
    padding: int | None,
    *,
    halves: bool,
) -> Coded:
    base = min(lows) - 1
    narrow = max(highs) - base < 255
    mixed = 255 if narrow else torch.iinfo(torch.int32).max
    kind = torch.uint8 if narrow else torch.int32
    outside = NOTHING if padding is None else padding - base
    size = tuple(last - first for first, last in reached)
    codes = torch.full((len(labels), *size), outside, dtype=kind)
    inside = [(max(first, 0), min(last, side)) for (first, last), side in zip(reached, labels.shape[1:], strict=True)]
    if all(first < last for first, last in inside):
        part, read = codes, labels
        for axis, ((low, high), (first, _)) in enumerate(zip(inside, reached, strict=True), start=1):
            part = part.narrow(axis, low - first, high - low)
            read = read.narrow(axis, low, high - low)
        part.copy_(read)
        # Whole numbers of 8 bits wrap around, so that this is right for labels that do not fit before it.
        part.sub_(base % 256 if narrow else base)
    pairs = [
        halves and low < high and padding in (None, low, high) and _only(channel, low, high)
        for channel, low, high in zip(labels, lows, highs, strict=True)
    ]
    return Coded(
        codes=codes.view(-1),
        cells=_cells(codes, mixed),
        size=size,
        start=tuple(first for first, _ in reached),
        base=base,
        mixed=mixed,
        pairs=torch.tensor(pairs),
        lowest=torch.tensor([low - base for low in lows], dtype=kind),
        highest=torch.tensor([high - base for high in highs], dtype=kind),
        padding=outside,
    )


def _cells(codes: Tensor, mixed: int) -> Tensor:
    low = high = codes.view(-1)
    for step in reversed(codes.stride()[1:]):
        # In one row, as if all voxels had neighbours: what is wrong at the end of an axis is never asked for.
        low, high = torch.minimum(low[step:], low[:-step]), torch.maximum(high[step:], high[:-step])
    differs = low != high
    if codes.dtype != torch.uint8:
        return low.masked_fill_(differs, mixed)
    # The same, and torch is many times as fast at it.
    return torch.maximum(low, differs.view(torch.uint8).mul_(mixed))


def _only(channel: Tensor, low: int, high: int) -> bool:
    """Whether a channel has no third label."""
    if high - low == 1:
        return True
    # numpy is many times as fast as torch at comparing whole numbers with one.
    labels = channel.numpy()
    some = labels[(slice(None, None, 7),) * labels.ndim]
    return all(bool(((part == low) | (part == high)).all()) for part in (some, labels))


def _sample(coded: Coded, place: Tensor, ties: TieBreak, result: Tensor) -> None:
    """Put codes at some places, the same for all channels, into (channels, places)."""
    floor = place.floor()
    index = _index(coded, floor)
    for number, codes in enumerate(result):
        torch.index_select(coded.cells[number * coded.channel :], 0, index, out=codes)
    if coded.padding == NOTHING:
        torch.maximum(result, coded.lowest[:, None], out=result)
    together = max(1, GROUP // len(place))
    for first in range(0, len(result), together):
        codes = result[first : first + together]
        mixed = torch.from_numpy(np.flatnonzero(codes.numpy() == coded.mixed))
        if not len(mixed):
            continue
        if len(codes) == 1:
            channel, point = torch.zeros((), dtype=torch.int64), mixed
        else:
            channel, point = mixed // len(place), mixed % len(place)
        of_all = channel + first
        corners = _corners(coded, index.index_select(0, point) + of_all * coded.channel)
        near, below = place.index_select(0, point), floor.index_select(0, point)
        codes[channel, point] = _decided(coded, of_all, near, below, corners, ties)


def _index(coded: Coded, floor: Tensor) -> Tensor:
    """Number of the first voxel beside each place, within a channel."""
    # Rows of points, as torch is slow to broadcast over three numbers.
    together = 64 if len(floor) % 64 == 0 else 1
    first = torch.tensor(coded.start[::-1], dtype=floor.dtype).repeat(together)
    last = torch.tensor([side - 2.0 for side in coded.size[::-1]], dtype=floor.dtype).repeat(together)
    within = floor.view(-1, len(first)) - first
    # Places further out are between voxels of the same kind as those at the end.
    torch.minimum(within.clamp_min_(0), last, out=within)
    kind = torch.float32 if coded.channel < LARGEST_SOURCE else torch.float64
    strides = torch.tensor(coded.strides[::-1], dtype=kind)
    index = within.view_as(floor).to(kind) @ strides
    return index.to(torch.int32 if coded.channel < 1 << 31 else torch.int64)


def _corners(coded: Coded, index: Tensor) -> Tensor:
    """Codes of the voxels around places, the last axis changes first: (4 or 8, places)."""
    steps = torch.zeros(1, dtype=index.dtype)
    for step in reversed(coded.strides):
        steps = torch.cat([steps, steps + step])
    return coded.codes.index_select(0, (index + steps[:, None]).view(-1)).view(len(steps), -1)


def _decided(coded: Coded, channel: Tensor, place: Tensor, floor: Tensor, corners: Tensor, ties: TieBreak) -> Tensor:
    """Codes of places that have several codes around them."""
    low, high = corners.amin(0), corners.amax(0)
    is_high = corners == high
    share = is_high.float()
    nearness = (place - floor).T.contiguous()
    for axis in nearness:
        share = torch.lerp(share[0::2], share[1::2], axis)
    score = share[0].mul_(SCALE)
    result = torch.where(score > HALF, high, low)
    close = (score - HALF).abs_() < NEAR
    several = ((corners != low) & ~is_high).any(0)
    close |= several
    if coded.padding == NOTHING:
        close |= low == NOTHING
    hard = close.nonzero().view(-1)
    if len(hard):
        channel = channel.expand(len(low))[hard]
        result[hard] = _scored(coded, channel, place[hard], floor[hard], corners[:, hard], ties)
    return result


def _scored(coded: Coded, channel: Tensor, place: Tensor, floor: Tensor, corners: Tensor, ties: TieBreak) -> Tensor:
    """As ``_decided``, by the scores of batchgeneratorsv2 to the last bit."""
    weights = _weights(place, floor)
    scores = torch.zeros(corners.shape)
    for weight, code in zip(weights, corners, strict=True):
        scores.addcmul_((corners == code).float(), weight)
    if coded.padding != NOTHING:
        others = torch.zeros(len(place))
        for weight, code in zip(weights, corners, strict=True):
            others.addcmul_((code != coded.padding).float(), weight)
        scores = torch.where(corners == coded.padding, SCALE - others, scores)
    rounded = scores.half()
    rounded.masked_fill_(corners == NOTHING, -1)
    best = rounded.amax(0)
    winning = rounded == best
    highest = torch.where(winning, corners, 0).amax(0)
    lowest = torch.where(winning, corners, coded.mixed).amin(0)
    nearest, nearest_score = _nearest(place, floor, corners, rounded)
    if ties == "nearest":
        result = torch.where(nearest_score == best, nearest, lowest)
    else:
        result = highest if ties == "highest" else lowest
    if coded.padding == NOTHING:
        result = torch.where(best > 0, result, coded.lowest[channel])
    pairs = coded.pairs[channel]
    if not pairs.any():
        return result
    # With two labels only the score of the higher one is computed, and compared with half.
    code = coded.highest[channel]
    score = torch.where(corners == code, rounded, -1).amax(0)
    other = torch.where((corners == code) | (corners == NOTHING), coded.mixed, corners).amin(0)
    above = score >= HALF if ties == "highest" else score > HALF
    of_two = torch.where(above, code, other)
    if ties == "nearest":
        of_two = torch.where(score == HALF, nearest, of_two)
    return torch.where(pairs, of_two, result)


def _weights(place: Tensor, floor: Tensor) -> Tensor:
    """Parts of the score that the voxels around each place give to their labels, (4 or 8, places)."""
    after = (place - floor).T.contiguous()
    before = (floor + 1 - place).T.contiguous() if len(after) == 3 else 1 - after
    weights = torch.stack([before[0], after[0]])
    for low, high in zip(before[1:], after[1:], strict=True):
        weights = torch.cat([weights * low, weights * high])
    return weights * SCALE


def _nearest(place: Tensor, floor: Tensor, corners: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Code and score of the nearest voxel."""
    steps = torch.tensor([1 << axis for axis in range(place.shape[1])], dtype=place.dtype)
    number = ((place.round() - floor) @ steps).long()[None]
    return corners.gather(0, number)[0], scores.gather(0, number)[0]
