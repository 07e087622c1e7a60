"""Metrics of counted voxels."""

from __future__ import annotations

from collections.abc import Callable

from nnunet_tricks.comparison.metrics.definition import UNDEFINED, Better, Metric
from nnunet_tricks.comparison.metrics.pair import MaskPair

BETA_SQUARED = 0.3


def dice(pair: MaskPair) -> float:
    """Overlap relative to the mean size of both masks.

    Examples:
        >>> import numpy as np
        >>> dice(MaskPair(np.array([True, True, False]), np.array([True, False, False]), [1]))
        0.66...
    """
    return 2 * pair.tp / (2 * pair.tp + pair.fp + pair.fn)


def iou(pair: MaskPair) -> float:
    """Overlap relative to the union of both masks."""
    return pair.tp / (pair.tp + pair.fp + pair.fn)


def macro_iou(pair: MaskPair) -> float:
    """Mean IoU of class and background. In an image without background it is the IoU of the class."""
    background = pair.tn + pair.fp + pair.fn
    return (iou(pair) + pair.tn / background) / 2 if background else iou(pair)


def f_beta(pair: MaskPair) -> float:
    """(1 + b) P R / (b P + R) with precision P and recall R, computed from counts."""
    weighted = (1 + BETA_SQUARED) * pair.tp
    return weighted / (weighted + BETA_SQUARED * pair.fn + pair.fp)


def conformity(pair: MaskPair) -> float:
    """1 - errors / hits. It has no lower bound."""
    return 1 - (pair.fp + pair.fn) / pair.tp if pair.tp else -float("inf")


def wrong_share(pair: MaskPair) -> float:
    """Share of the annotated voxels that are wrong."""
    return (pair.fp + pair.fn) / ((pair.tp + pair.fp + pair.fn + pair.tn) or 1)


METRICS = (
    Metric(
        name="Dice",
        group="overlap",
        definition="2 TP / (2 TP + FP + FN), as nnU-Net computes it",
        unit="1",
        better="higher",
        function=dice,
        share=True,
    ),
    Metric(
        name="IoU",
        group="overlap",
        definition="TP / (TP + FP + FN), the Jaccard index, as nnU-Net computes it",
        unit="1",
        better="higher",
        function=iou,
        share=True,
    ),
    Metric(
        name="IoU_macro",
        group="overlap",
        definition=(
            "mean of TP / (TP + FP + FN) and the background's TN / (TN + FP + FN) in the whole image. This is the "
            "trick paper's IoU"
        ),
        unit="1",
        better="higher",
        function=macro_iou,
        missed="formula",
        invented="formula",
        share=True,
    ),
    Metric(
        name="recall",
        group="overlap",
        definition="TP / (TP + FN), sensitivity",
        unit="1",
        better="higher",
        function=lambda pair: pair.tp / pair.true,
        invented=UNDEFINED,
        share=True,
    ),
    Metric(
        name="precision",
        group="overlap",
        definition="TP / (TP + FP), positive predictive value. A prediction that misses everything gets 0",
        unit="1",
        better="higher",
        function=lambda pair: pair.tp / pair.predicted,
        share=True,
    ),
    Metric(
        name="volume_difference",
        group="volume",
        definition="|P| - |G|, positive where too much is predicted",
        unit="mL",
        better="zero",
        function=lambda pair: pair.size(pair.fp - pair.fn),
        both_empty="formula",
        missed="formula",
        invented="formula",
    ),
    Metric(
        name="volume_error",
        group="volume",
        definition="absolute value of |P| - |G|",
        unit="mL",
        better="lower",
        function=lambda pair: pair.size(abs(pair.fp - pair.fn)),
        both_empty="formula",
        missed="formula",
        invented="formula",
    ),
    Metric(
        name="RVD",
        group="volume",
        definition="relative volume difference (|P| - |G|) / |G|, with its sign",
        unit="1",
        better="zero",
        function=lambda pair: (pair.fp - pair.fn) / pair.true,
        missed="formula",
        invented=UNDEFINED,
    ),
    Metric(
        name="absolute_RVD",
        group="volume",
        definition="absolute value of RVD",
        unit="1",
        better="lower",
        function=lambda pair: abs(pair.fp - pair.fn) / pair.true,
        missed="formula",
        invented=UNDEFINED,
    ),
    Metric(
        name="empty_specificity",
        group="empty",
        definition=(
            "1 if nothing is predicted where the truth is empty, 0 if anything is. Its mean over cases is the "
            "specificity on empty cases, such as healthy patients. Undefined where the truth has voxels"
        ),
        unit="1",
        better="higher",
        function=lambda _: UNDEFINED,
        both_empty=1.0,
        missed=UNDEFINED,
        share=True,
    ),
    Metric(
        name="empty_FP_volume",
        group="empty",
        definition=(
            "|P| where the truth is empty: the volume of false alarms on empty cases. Undefined where the truth has "
            "voxels"
        ),
        unit="mL",
        better="lower",
        function=lambda pair: pair.size(pair.fp) if not pair.true else UNDEFINED,
        both_empty=0.0,
        missed=UNDEFINED,
        invented="formula",
    ),
    Metric(
        name="conformity",
        group="ife",
        definition="1 - (FP + FN) / TP = (3 Dice - 2) / Dice. It has no lower bound, so single cases dominate its mean",
        unit="1",
        better="higher",
        function=conformity,
        missed="formula",
        invented="formula",
    ),
    Metric(
        name="F_beta",
        group="ife",
        definition="(1 + b) precision recall / (b precision + recall) with b = beta^2 = 0.3, so precision counts more",
        unit="1",
        better="higher",
        function=f_beta,
        share=True,
    ),
    Metric(
        name="MAE",
        group="ife",
        definition="mean absolute error of the mask, (FP + FN) / annotated voxels of the image",
        unit="1",
        better="lower",
        function=wrong_share,
        both_empty="formula",
        missed="formula",
        invented="formula",
        share=True,
    ),
)


def _count(name: str, definition: str, better: Better, function: Callable[[MaskPair], float]) -> Metric:
    return Metric(
        name=name,
        group="counts",
        definition=definition,
        unit="voxels",
        better=better,
        function=function,
        both_empty="formula",
        missed="formula",
        invented="formula",
    )


COUNTS = (
    _count("TP", "true positives", "higher", lambda pair: pair.tp),
    _count("FP", "false positives", "lower", lambda pair: pair.fp),
    _count("FN", "false negatives", "lower", lambda pair: pair.fn),
    _count("TN", "true negatives: annotated voxels in neither mask", "higher", lambda pair: pair.tn),
)
