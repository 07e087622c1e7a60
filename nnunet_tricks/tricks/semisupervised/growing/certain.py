"""Which voxels an ensemble is certain about: the mean probability is high, and all members say the same.

Label maps: the class with the highest mean probability is kept where that mean reaches the threshold of the class, and
each member has the same class highest. Regions: each region must be certainly inside or certainly outside, with a mean
of at least t or at most 1 - t, all members must be on the same side of 0.5, and the label that nnU-Net makes of the
regions must lie in just these regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.annotation.labels import IGNORE

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Outputs:
    """What the outputs of a network stand for.

    Attributes:
        names: Classes, background first, or regions.
        regions: Labels of each region; empty for a label map.
        order: For regions the label that each stands for, in nnU-Net's ``regions_class_order``.
    """

    names: tuple[str, ...]
    regions: tuple[tuple[int, ...], ...] = ()
    order: tuple[int, ...] = ()

    @classmethod
    def of(cls, dataset_json: Mapping[str, Any]) -> Outputs:
        """Read them from ``dataset.json``, as nnU-Net does.

        Examples:
            >>> Outputs.of({"labels": {"background": 0, "tumour": 2, "organ": 1, "ignore": 3}}).names
            ('background', 'organ', 'tumour')
            >>> whole = {"background": 0, "whole": [1, 2], "core": 2}
            >>> Outputs.of({"labels": whole, "regions_class_order": [1, 2]}).regions
            ((1, 2), (2,))
        """
        labels = {
            name: tuple(value) if isinstance(value, (list, tuple)) else (int(value),)
            for name, value in dataset_json["labels"].items()
            if name != IGNORE
        }
        if all(len(values) == 1 for values in labels.values()):
            return cls(tuple(sorted(labels, key=lambda name: labels[name][0])))
        regions = {name: values for name, values in labels.items() if set(values) != {0}}
        return cls(tuple(regions), tuple(regions.values()), tuple(dataset_json["regions_class_order"]))

    def thresholds(self, given: Mapping[str, float]) -> tuple[float, ...]:
        """A threshold for each output.

        Args:
            given: From a class or region to its threshold; ``""`` is that of all others.

        Raises:
            ValueError: If there is no such class, or one is not from 0.5 to 1.

        Examples:
            >>> Outputs(("background", "organ", "tumour")).thresholds({"": 0.95, "tumour": 0.8})
            (0.95, 0.95, 0.8)
        """
        for name, threshold in given.items():
            if name and name not in self.names:
                raise ValueError(f"threshold names '{name}', and the data set has {', '.join(self.names)}")
            if not 0.5 <= threshold <= 1:
                raise ValueError(
                    f"threshold {name or 'of all classes'} is {threshold:g}, and must be from 0.5 to 1: below 0.5 "
                    "nothing is certain"
                )
        return tuple(given.get(name, given[""]) for name in self.names)


def certain_labels(
    members: Sequence[Floats], thresholds: Sequence[float], outputs: Outputs
) -> tuple[NDArray[np.uint8], Mask]:
    """What the mean of an ensemble predicts, and where that is certain.

    Args:
        members: Probabilities of each member, (outputs, *spatial).
        thresholds: Smallest mean probability of each output, from 0.5 to 1.
        outputs: What the outputs stand for.

    Returns:
        The label map, and a mask of the voxels that are certain, both (*spatial).

    Examples:
        >>> first = np.array([[0.9, 0.4, 0.03], [0.1, 0.6, 0.97]], np.float32)
        >>> second = np.array([[0.8, 0.6, 0.01], [0.2, 0.4, 0.99]], np.float32)
        >>> labels, certain = certain_labels([first, second], (0.95, 0.95), Outputs(("background", "organ")))
        >>> labels.tolist(), certain.tolist()
        ([0, 0, 1], [False, False, True])
    """
    total = members[0].astype(np.float32, copy=True)
    for member in members[1:]:
        total += member
    mean = total / np.float32(len(members))
    limits = np.asarray(thresholds, np.float32)
    if not outputs.regions:
        labels = mean.argmax(0).astype(np.uint8)
        certain: Mask = mean.max(0) >= limits[labels]
        for member in members:
            certain &= member.argmax(0) == labels
        return labels, certain
    inside = mean > 0.5
    labels = np.zeros(mean.shape[1:], np.uint8)
    for region, label in zip(inside, outputs.order, strict=True):
        labels[region] = label
    certain = np.ones(mean.shape[1:], bool)
    for place, values in enumerate(outputs.regions):
        certain &= np.where(inside[place], mean[place] >= limits[place], mean[place] <= 1 - limits[place])
        certain &= np.isin(labels, values) == inside[place]
        for member in members:
            certain &= (member[place] > 0.5) == inside[place]
    return labels, certain


def grown(
    known: NDArray[Any] | None, labels: NDArray[np.uint8], certain: Mask, ignore: int
) -> tuple[NDArray[np.uint8], Mask]:
    """A label map in which certain voxels that nobody annotated have labels.

    Args:
        known: Label map of the case; ``None`` if there is none.
        labels: Predicted labels.
        certain: Where they are certain.
        ignore: Value of voxels that nobody annotated.

    Returns:
        The new label map, with annotated voxels as they were, and a mask of those that nobody had annotated.

    Raises:
        ValueError: If the shapes differ.
    """
    if known is not None and known.shape != labels.shape:
        raise ValueError(f"the label map has the shape {known.shape}, and the prediction {labels.shape}")
    unknown: Mask = np.ones(labels.shape, bool) if known is None else known == ignore
    base = np.full(labels.shape, ignore, np.uint8) if known is None else known.astype(np.uint8)
    return np.where(unknown & certain, labels, base).astype(np.uint8), unknown
