"""The metrics as the published code of the IFE paper computes them, flaws included.

That code takes masks of uint8 with 0 and 255, one image at a time. Use these metrics to repeat the paper's tables,
never to compare models.
"""

from __future__ import annotations

from collections.abc import Callable

from nnunet_tricks.comparison.metrics.definition import UNDEFINED, Better, Empty, Metric
from nnunet_tricks.comparison.metrics.overlap import BETA_SQUARED, dice, iou
from nnunet_tricks.comparison.metrics.pair import MaskPair


def _conformity(pair: MaskPair) -> float:
    overlap = dice(pair)
    return (3 * overlap - 2) / overlap if overlap > 0.01 else 0.0


def _f_beta(pair: MaskPair) -> float:
    precision, recall = pair.tp / pair.predicted, pair.tp / pair.true
    return (1 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall + 1e-4)


def _mae(pair: MaskPair) -> float:
    voxels = pair.tp + pair.fp + pair.fn + pair.tn
    return (255 * pair.fp + pair.fn) / (255 * voxels + 1e-4)


def _published(
    name: str,
    definition: str,
    function: Callable[[MaskPair], float],
    *,
    unit: str = "1",
    better: Better = "higher",
    both_empty: Empty = 0.0,
    missed: Empty = 0.0,
    invented: Empty = 0.0,
    share: bool = False,
) -> Metric:
    return Metric(
        name=f"published_{name}",
        group="published",
        definition=f"IFE's code: {definition}",
        unit=unit,
        better=better,
        function=function,
        both_empty=both_empty,
        missed=missed,
        invented=invented,
        share=share,
    )


METRICS = (
    _published("DSC", "2 TP / (|P| + |G|)", dice, share=True),
    _published("JC", "TP / union, called a distance in the paper", iou, both_empty=UNDEFINED, share=True),
    _published(
        "conformity",
        "(3 Dice - 2) / Dice, but 0 where Dice is not above 0.01. So a complete failure beats a near failure",
        _conformity,
    ),
    _published(
        "F_beta",
        "1.3 P R / (0.3 P + R + 0.0001) with precision P and recall R, called F1 in the paper. The truth itself scores "
        "0.9999",
        _f_beta,
        share=True,
    ),
    _published(
        "MAE",
        "(255 FP + FN) / (255 voxels + 0.0001). In uint8 0 - 255 is 1, so misses hardly count",
        _mae,
        better="lower",
        both_empty="formula",
        missed="formula",
        invented="formula",
        share=True,
    ),
    _published(
        "RVD",
        "100 times the absolute value of |P| / |G| - 1. It raises an error where the truth is empty",
        lambda pair: 100 * abs(pair.predicted / pair.true - 1),
        unit="%",
        better="lower",
        both_empty=UNDEFINED,
        missed=100.0,
        invented=UNDEFINED,
    ),
    _published(
        "HD",
        "HD in pixels of the stored image, but 0 where a mask is empty, which is a perfect value",
        lambda pair: pair.borders_px.pooled.max(),
        unit="px",
        better="lower",
    ),
    _published(
        "ASD",
        "MASD in pixels of the stored image, but 0 where a mask is empty, which is a perfect value",
        lambda pair: (pair.borders_px.to_truth.mean() + pair.borders_px.to_prediction.mean()) / 2,
        unit="px",
        better="lower",
    ),
)
