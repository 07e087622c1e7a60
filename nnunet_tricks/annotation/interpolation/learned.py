"""Shapes between two slices, blended along corresponding pixels of the image.

Signed distances of each annotated slice are passed on from slice to slice along the pixels of ``correspondence``.
Between two annotated slices the two are blended as in ``shapes``; if nothing moves, the result is that of ``shapes``.
Unlike masks, distances can be averaged many times, so a chain of many slices does not blur.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nnunet_tricks.annotation.features import Volume
from nnunet_tricks.annotation.interpolation.correspondence import moved
from nnunet_tricks.annotation.interpolation.network_file import TrainedCorrespondence, shrunk
from nnunet_tricks.annotation.interpolation.propagation import propagated
from nnunet_tricks.annotation.interpolation.shapes import signed

Array = NDArray[np.integer]


@torch.inference_mode()
def followed(
    labels: Array,
    annotated: Sequence[int],
    volume: Volume,
    trained: TrainedCorrespondence,
    spacing: tuple[float, float] = (1.0, 1.0),
) -> Array:
    """Interpolate labels between annotated slices, and beyond the first and the last.

    Args:
        labels: Label map with slices first, 0 for background; only annotated slices are read.
        annotated: Indices of annotated slices, ascending.
        volume: Image of the same shape.
        trained: Network of slice correspondence.
        spacing: Edges of a pixel in mm.

    Returns:
        A label map of the same shape and type.

    Raises:
        ValueError: If image and labels have different shapes.
    """
    chain = _Chain(labels, volume, trained)
    result = np.zeros_like(labels)
    result[list(annotated)] = labels[list(annotated)]
    for first, last in pairwise([None, *annotated, None]):
        begin, end = 0 if first is None else first + 1, len(labels) if last is None else last
        if begin < end:
            _fill(result, first, last, range(begin, end), chain, spacing)
    return result


def _fill(
    result: Array, first: int | None, last: int | None, between: range, chain: _Chain, spacing: tuple[float, float]
) -> None:
    """Fill the slices between two annotated ones, or beyond the first or the last, in place."""
    known = [index for index in (first, last) if index is not None]
    ends = result[known]
    classes = [int(value) for value in np.unique(ends) if value]
    if not classes:
        return
    fields = dict(zip(known, torch.from_numpy(signed(ends, classes, spacing)).unbind(1), strict=True))
    total = torch.zeros(len(between), *fields[known[0]].shape)
    for start, other in ((first, last), (last, first)):
        if start is None:
            continue
        field, at = fields[start], start
        for index in between if start < between[0] else between[::-1]:
            field, at = chain.step(field, at, index), index
            total[index - between[0]] += (1 if other is None else abs(other - index)) * field
    values = torch.tensor(classes)[total[:, 1:].argmax(1)] * (total[:, 0] > 0)
    result[between[0] : between[-1] + 1] = values.numpy()


@torch.inference_mode()
def handed_on(labels: Array, annotated: Sequence[int], volume: Volume, trained: TrainedCorrespondence) -> Array:
    """Pass labels on from the nearest annotated slice, one slice at a time: the paper's algorithm 1.

    Args:
        labels: Label map with slices first, 0 for background; only annotated slices are read.
        annotated: Indices of annotated slices.
        volume: Image of the same shape.
        trained: Network of slice correspondence.

    Returns:
        A label map of the same shape and type. A chain ends where it loses the object.

    Raises:
        ValueError: If image and labels have different shapes.
    """
    chain = _Chain(labels, volume, trained)
    classes = torch.from_numpy(np.unique(np.append(labels[list(annotated)], 0)).astype(np.int64))

    def step(start: int, index: int, slice_labels: Array) -> Array:
        shown = torch.from_numpy(slice_labels.astype(np.int64)) == classes[:, None, None]
        return classes[chain.step(shown.float(), start, index).argmax(0)].numpy().astype(labels.dtype)

    return propagated(labels, annotated, step)


class _Chain:
    """Moves fields from slice to slice of one volume."""

    def __init__(self, labels: Array, volume: Volume, trained: TrainedCorrespondence) -> None:
        if volume.shape != labels.shape:
            raise ValueError(f"volume must have the shape of labels, {labels.shape}, got {volume.shape}")
        self._network, self._factor = trained.network, trained.factor
        self._device = next(trained.network.parameters()).device
        self._slices = shrunk(volume, trained.factor)
        self._known: dict[int, Tensor] = {}

    def step(self, field: Tensor, start: int, index: int) -> Tensor:
        """Move a field of slice ``start``, of shape (channels, rows, columns), to slice ``index``."""
        height, width = field.shape[1:]
        rows, columns = (-length % self._factor for length in (height, width))
        padded = functional.pad(field[None].to(self._device), (0, columns, 0, rows), mode="replicate")
        # A pixel of the network is a cell of the slice, which moves as a whole.
        cells = functional.pixel_unshuffle(padded, self._factor)
        shares = self._network.shares(self._features(start), self._features(index))
        moved_field = functional.pixel_shuffle(moved(cells, shares, self._network.radius), self._factor)
        return moved_field[0, :, :height, :width].cpu()

    def _features(self, index: int) -> Tensor:
        if index not in self._known:
            self._known[index] = self._network(self._slices[None, index].to(self._device))
        return self._known[index]
