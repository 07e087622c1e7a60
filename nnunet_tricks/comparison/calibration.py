"""Whether probabilities mean what they say, where nnU-Net kept them: ``nnUNetv2_train ... --npz``.

Each case has two numbers over the voxels that are foreground in truth or prediction, as background would drown them:

- ECE, expected calibration error: voxels sorted into 15 bins of equal width by their highest probability; mean of the
  distances between a bin's mean probability and its share of right voxels, weighted by voxels (Guo et al., "On
  Calibration of Modern Neural Networks", ICML 2017).
- Brier: mean over voxels of the squared distance between probabilities and truth, summed over the classes: 0 to 2
  (Brier, "Verification of forecasts expressed in terms of probability", 1950).

Regions are judged one by one, each as two classes, and averaged. Classes that a case is not annotated for are part of
its background; such regions are left out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.comparison import images
from nnunet_tricks.comparison.cache import MetricsCache, stamp
from nnunet_tricks.comparison.evaluate import CaseFiles
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.comparison.table import MetricRow
from nnunet_tricks.nnunet.annotated_classes import AnnotatedClasses
from nnunet_tricks.nnunet.classes import Classes

ECE, BRIER = "ECE", "Brier"
LABEL = "all classes"
CACHE = "nnunet_tricks_calibration.json"
BINS = 15
ROUNDING = 1e-5
"""Share of a bin's width below an edge that belongs to the bin above it: the last digits of softmax's 1/3 vary."""

Array = NDArray[np.floating]


def rows(
    predictions: Predictions,
    files: Sequence[CaseFiles],
    classes: Classes,
    annotated: AnnotatedClasses | None = None,
) -> list[MetricRow]:
    """ECE and Brier score of every case of a fold; nothing if a case has no probabilities.

    Args:
        predictions: Predictions of the fold.
        files: Files of the fold's cases.
        classes: Classes that the model was trained with.
        annotated: Classes that each case is annotated for; None if all are annotated for all.

    Raises:
        ValueError: If probabilities do not fit the labels.
    """
    if not files or not all(_probabilities(case).is_file() for case in files):
        return []
    cache, case_rows = MetricsCache.of(predictions.folder, CACHE), []
    for case in files:
        lacking = annotated.lacking(case.case) if annotated else frozenset()
        current = stamp(_probabilities(case), case.truth, classes.ignore)
        current += f" without {', '.join(sorted(lacking))}" if lacking else ""
        values = cache.get(case.case, current).get(LABEL)
        if values is None:
            ece, brier = _of_case(case, classes, lacking)
            values = {ECE: (ece, "1"), BRIER: (brier, "1")}
            cache.put(case.case, current, {LABEL: values})
        case_rows += [
            MetricRow(**predictions.columns, case=case.case, label=LABEL, metric=metric, value=value, unit=unit)
            for metric, (value, unit) in values.items()
        ]
    cache.save()
    return case_rows


def calibration(probabilities: Array, truth: NDArray[np.bool_]) -> tuple[float, float]:
    """ECE and Brier score of voxels.

    Args:
        probabilities: Probabilities, classes x voxels, which sum to 1 over the classes.
        truth: Whether a class is the right one, classes x voxels.

    Returns:
        ECE and Brier score; NaN without voxels.

    Examples:
        >>> sure, right = np.array([[0.8, 0.8], [0.2, 0.2]]), np.array([[True, False], [False, True]])
        >>> ece, brier = calibration(sure, right)
        >>> round(ece, 3), round(brier, 3)
        (0.3, 0.68)
    """
    count = probabilities.shape[1]
    if not count:
        return math.nan, math.nan
    chosen = probabilities.argmax(0)
    confidence = np.take_along_axis(probabilities, chosen[None], 0)[0].astype(np.float64)
    right = np.take_along_axis(truth, chosen[None], 0)[0]
    bins = np.minimum((confidence * BINS + ROUNDING).astype(np.intp), BINS - 1)
    gaps = np.bincount(bins, confidence, BINS) - np.bincount(bins, right, BINS)
    squared = ((probabilities - truth) ** 2).sum(0, dtype=np.float64)
    return float(np.abs(gaps).sum() / count), float(squared.mean())


def _probabilities(files: CaseFiles) -> Path:
    return files.prediction.with_name(f"{files.case}.npz")


def _of_case(files: CaseFiles, classes: Classes, lacking: Collection[str]) -> tuple[float, float]:
    truth = images.read(files.truth).values
    try:
        with np.load(_probabilities(files)) as stored:
            probabilities = np.asarray(stored["probabilities"], np.float32)
    except (*images.UNREADABLE, BadZipFile) as error:
        raise ValueError(
            f"{_probabilities(files)} cannot be read as probabilities: {images.reason(error)}; "
            "'nnUNetv2_train ... --val --npz' writes it again"
        ) from None
    # Images without a third axis have one slice for nnU-Net.
    if probabilities[0].size == truth.size:
        probabilities = probabilities.reshape(len(probabilities), *truth.shape)
    regions = any(len(values) > 1 for values in classes.values.values()) or bool(classes.listed)
    expected = len(classes.values) + (0 if regions else 1)
    if probabilities.shape != (expected, *truth.shape):
        raise ValueError(
            f"{_probabilities(files)} holds {probabilities.shape}, and the label needs {(expected, *truth.shape)}: "
            "probabilities of other classes, or of another image?"
        )
    annotated = truth != classes.ignore if classes.ignore is not None else np.ones(truth.shape, bool)
    if regions:
        single = [
            _judged(np.stack([1 - inside, inside]), np.isin(truth, values), annotated)
            for inside, (name, values) in zip(probabilities, classes.values.items(), strict=True)
            if name not in lacking
        ]
        defined = [pair for pair in single if not math.isnan(pair[0])]
        ece, brier = np.mean(defined or [(math.nan, math.nan)], axis=0)
        return float(ece), float(brier)
    if lacking:
        # What a case is not annotated for is part of its background.
        channels = [classes.values[name][0] for name in lacking]
        probabilities[0] += probabilities[channels].sum(0)
        probabilities[channels] = 0
    return _judged(probabilities, truth, annotated)


def _judged(probabilities: Array, truth: NDArray[np.generic], annotated: NDArray[np.bool_]) -> tuple[float, float]:
    kept = annotated & ((truth != 0) | (probabilities.argmax(0) != 0))
    of_class = np.arange(len(probabilities))[:, None] == truth[kept][None]
    return calibration(probabilities[:, kept], of_class)
