"""How well predictions cover the truth, per class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LabelMap = NDArray[np.generic]


@dataclass(frozen=True)
class Counts:
    """Voxels of one class in one case.

    Attributes:
        tp: True positives.
        fp: False positives.
        fn: False negatives.
    """

    tp: int
    fp: int
    fn: int

    @property
    def scores(self) -> dict[str, float | None]:
        """Each in [0, 1]; None where it would divide by zero, as for a class that is neither there nor predicted.

        Examples:
            >>> Counts(tp=6, fp=2, fn=4).scores
            {'Dice': 0.66..., 'IoU': 0.5, 'recall': 0.6, 'precision': 0.75}
        """
        tp, fp, fn = self.tp, self.fp, self.fn
        return {
            "Dice": _ratio(2 * tp, 2 * tp + fp + fn),
            "IoU": _ratio(tp, tp + fp + fn),
            "recall": _ratio(tp, tp + fn),
            "precision": _ratio(tp, tp + fp),
        }


DEFINITIONS = "Mean over cases; a case counts where the score is defined. Dice 2TP/(2TP+FP+FN), IoU TP/(TP+FP+FN), \
recall TP/(TP+FN), precision TP/(TP+FP)."


@dataclass(frozen=True)
class Classes:
    """What a data set wants to have segmented.

    Attributes:
        values: The label values of each class; several where it is one of nnU-Net's regions.
        ignore: The label of voxels that nobody annotated.
    """

    values: Mapping[str, tuple[int, ...]]
    ignore: int | None = None

    @classmethod
    def of(cls, dataset_json: Mapping[str, Any]) -> Classes:
        """Read them from ``dataset.json``.

        Examples:
            >>> Classes.of({"labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}})
            Classes(values={'whole': (1, 2), 'core': (2,)}, ignore=3)
        """
        labels = {
            name: tuple(map(int, value)) if isinstance(value, list | tuple) else (int(value),)
            for name, value in dataset_json["labels"].items()
        }
        ignore = labels.pop("ignore", None)
        return cls({name: values for name, values in labels.items() if values != (0,)}, ignore[0] if ignore else None)

    def count(self, prediction: LabelMap, truth: LabelMap) -> dict[str, Counts]:
        """Compare two label maps of the same shape.

        Raises:
            ValueError: If their shapes differ.
        """
        if prediction.shape != truth.shape:
            raise ValueError(f"prediction has shape {prediction.shape}, truth {truth.shape}")
        counted = truth != self.ignore if self.ignore is not None else np.ones(truth.shape, bool)
        counts = {}
        for name, values in self.values.items():
            found, there = np.isin(prediction, values) & counted, np.isin(truth, values) & counted
            both = int((found & there).sum())
            counts[name] = Counts(tp=both, fp=int(found.sum()) - both, fn=int(there.sum()) - both)
        return counts


def mean_scores(cases: Sequence[Mapping[str, Counts]]) -> dict[str, dict[str, float | None]]:
    """The mean over cases of each class's scores, leaving out cases where a score is undefined."""
    return {
        name: {score: _mean(case[name].scores[score] for case in cases) for score in cases[0][name].scores}
        for name in cases[0]
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
