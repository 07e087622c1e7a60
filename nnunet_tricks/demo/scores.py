"""Overlap of predictions and truth, per class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison.metrics import LabelMapPair, chosen
from nnunet_tricks.nnunet.classes import Classes

LabelMap = NDArray[np.generic]
Scores = Mapping[str, float | None]
"""Numbers in [0, 1] by name; None where a score is undefined, as for a class neither present nor predicted."""

METRICS = tuple(metric for metric in chosen(["Dice", "IoU", "recall", "precision"]) if metric.group == "overlap")
DEFINITIONS = "Mean over cases; a case counts where the score is defined. Dice 2TP/(2TP+FP+FN), IoU TP/(TP+FP+FN), \
recall TP/(TP+FN), precision TP/(TP+FP), and 0 where nothing is predicted."


def scores_of(prediction: LabelMap, truth: LabelMap, classes: Classes) -> dict[str, Scores]:
    """Compare two label maps, class by class.

    Raises:
        ValueError: If their shapes differ.

    Examples:
        >>> classes = Classes.of({"labels": {"background": 0, "organ": 1}})
        >>> scores_of(np.array([[1, 1, 0]]), np.array([[1, 0, 0]]), classes)
        {'organ': {'Dice': 0.66..., 'IoU': 0.5, 'recall': 1.0, 'precision': 0.5}}
    """
    case = LabelMapPair(prediction, truth, (1,) * truth.ndim, ignore=classes.ignore)
    scores: dict[str, Scores] = {}
    for name, values in classes.values.items():
        pair = case.pair(values)
        numbers = {metric.name: metric(pair) for metric in METRICS}
        scores[name] = {metric: None if math.isnan(number) else number for metric, number in numbers.items()}
    return scores


def mean_scores(cases: Sequence[Mapping[str, Scores]]) -> dict[str, dict[str, float | None]]:
    """Mean scores of each class over cases, leaving out cases where a score is undefined."""
    return {name: {score: _mean(case[name][score] for case in cases) for score in cases[0][name]} for name in cases[0]}


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
