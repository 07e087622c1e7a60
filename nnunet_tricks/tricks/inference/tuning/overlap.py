"""How a case's Dice depends on a threshold, a size cut, and the number of components, from one look at its voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnunet_tricks.tricks.postprocessing.components import LabelRuns

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

THRESHOLDS = 1 / (1 + np.exp(-np.arange(-8.0, 8.5, 0.5)))
"""Candidates, evenly spaced in logits, since networks are often too sure of themselves; 0.5 is one of them."""

SIZES = np.array([0, 5, 10, 20, 50, 80, 120, 200, 500, 1000, 2000, 5000])
"""Candidates for the smallest component that stays, in voxels; 0 removes nothing. The paper's sizes are among them."""

COUNTS = (0, 1, 2)
"""Candidates for the number of components that stay; 0 keeps all."""

USUAL = int(np.argmin(np.abs(THRESHOLDS - 0.5)))


@dataclass(frozen=True)
class ClassOverlap:
    """A class of a case, in voxels.

    Attributes:
        truth: Voxels of the label map.
        predicted: Predicted voxels, at each of ``THRESHOLDS``.
        hits: Voxels of both, at each of ``THRESHOLDS``.
        sizes: Sizes of the components that are predicted at the usual threshold, largest first.
        counted: Voxels of each of them that count, without those that nobody annotated.
        component_hits: Hits in each of them.
    """

    truth: int
    predicted: Counts
    hits: Counts
    sizes: Counts
    counted: Counts
    component_hits: Counts

    @property
    def by_threshold(self) -> Floats:
        """Dice at each of ``THRESHOLDS``."""
        return dice(self.hits, self.predicted, self.truth)

    @property
    def by_size(self) -> Floats:
        """Dice with each of ``SIZES``."""
        stays = self.sizes[None] >= SIZES[:, None]
        return dice((stays * self.component_hits).sum(1), (stays * self.counted).sum(1), self.truth)

    @property
    def by_count(self) -> Floats:
        """Dice with each of ``COUNTS``; components as large as the last that stays stay, too."""
        bounds = [0 if not count or len(self.sizes) <= count else self.sizes[count - 1] for count in COUNTS]
        stays = self.sizes[None] >= np.array(bounds)[:, None]
        return dice((stays * self.component_hits).sum(1), (stays * self.counted).sum(1), self.truth)


def dice(hits: Any, predicted: Any, truth: Any) -> Floats:
    """Dice, and 1 where nothing is there and nothing is predicted, so that a false alarm that goes is a gain.

    Examples:
        >>> dice(np.array([2, 0, 0]), np.array([4, 3, 0]), np.array([4, 0, 0])).tolist()
        [0.5, 0.0, 1.0]
    """
    total = np.asarray(predicted, float) + np.asarray(truth, float)
    return np.where(total > 0, 2 * np.asarray(hits, float) / np.where(total > 0, total, 1), 1.0)


def overlaps(
    probabilities: npt.NDArray[np.float32],
    segmentation: npt.NDArray[Any],
    truth: npt.NDArray[Any],
    classes: Mapping[str, tuple[int, ...]],
    *,
    regions: bool,
    ignore: int | None = None,
) -> dict[str, ClassOverlap]:
    """Count the voxels of a case.

    Args:
        probabilities: (outputs, *spatial), as nnU-Net saves them.
        segmentation: (*spatial), as predicted.
        truth: (*spatial).
        classes: Label values of each class or region. Regions are in the order of the outputs; the output of a class
            is its label value.
        regions: Whether the outputs are regions.
        ignore: Label of voxels that nobody annotated; they do not count.

    Examples:
        >>> p = np.array([[0.1, 0.6, 0.8], [0.9, 0.4, 0.2]], np.float32)
        >>> predicted, truth = np.array([1, 0, 0]), np.array([1, 1, 0])
        >>> counts = overlaps(p, predicted, truth, {"x": (1,)}, regions=False)
        >>> counts["x"].by_threshold[[USUAL, USUAL - 1]].round(2).tolist()
        [0.67, 1.0]
    """
    counted = np.ones(truth.shape, bool) if ignore is None else truth != ignore
    runs = LabelRuns.of(segmentation)
    result = {}
    for position, (name, labels) in enumerate(classes.items()):
        there = np.isin(truth, labels) & counted
        share = probabilities[position] if regions else _share(probabilities, labels[0])
        predicted, hits = _by_threshold(share[counted], there[counted])
        parts = runs.components(labels)
        annotated, correct = parts.counts(counted), parts.counts(there)
        order = np.argsort(-parts.sizes, kind="stable")
        result[name] = ClassOverlap(
            int(there.sum()), predicted, hits, parts.sizes[order], annotated[order], correct[order]
        )
    return result


def _share(probabilities: npt.NDArray[np.float32], output: int) -> npt.NDArray[np.float32]:
    """``p / (p + q)`` with the largest other probability ``q``: the class is predicted where it is above t."""
    own = probabilities[output]
    others = np.delete(probabilities, output, 0).max(0)
    return own / np.maximum(own + others, np.float32(1e-12))


def _by_threshold(share: npt.NDArray[np.float32], there: npt.NDArray[np.bool_]) -> tuple[Counts, Counts]:
    """Predicted voxels and hits where ``share`` is above each threshold."""
    position = np.searchsorted(THRESHOLDS, share, side="left")
    bins = len(THRESHOLDS) + 1
    every = np.bincount(position.ravel(), minlength=bins)
    hits = np.bincount(position[there].ravel(), minlength=bins)
    # Above threshold t are all bins behind it.
    return (every[::-1].cumsum()[::-1][1:], hits[::-1].cumsum()[::-1][1:])
