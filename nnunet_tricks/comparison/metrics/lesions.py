"""Metrics that count lesions, whatever their size."""

from __future__ import annotations

from nnunet_tricks.comparison.metrics.definition import UNDEFINED, Metric
from nnunet_tricks.comparison.metrics.detection import RULE
from nnunet_tricks.comparison.metrics.pair import MaskPair


def _recall(pair: MaskPair) -> float:
    lesions = pair.lesions
    return lesions.found / (lesions.found + lesions.missed)


def _precision(pair: MaskPair) -> float:
    lesions = pair.lesions
    return lesions.found / (lesions.found + lesions.invented)


def _f1(pair: MaskPair) -> float:
    lesions = pair.lesions
    return 2 * lesions.found / (2 * lesions.found + lesions.missed + lesions.invented)


METRICS = (
    Metric(
        name="lesion_recall",
        group="lesion",
        definition=f"true lesions that are found / true lesions. {RULE}",
        unit="1",
        better="higher",
        function=_recall,
        invented=UNDEFINED,
        share=True,
    ),
    Metric(
        name="lesion_precision",
        group="lesion",
        definition="predicted lesions that are matched / predicted lesions. Lesions as for lesion_recall",
        unit="1",
        better="higher",
        function=_precision,
        share=True,
    ),
    Metric(
        name="lesion_F1",
        group="lesion",
        definition="2 found / (2 found + missed + invented lesions). Lesions as for lesion_recall",
        unit="1",
        better="higher",
        function=_f1,
        share=True,
    ),
    Metric(
        name="lesion_FN",
        group="lesion",
        definition="true lesions that are missed. Lesions as for lesion_recall",
        unit="lesions",
        better="lower",
        function=lambda pair: pair.lesions.missed,
        both_empty="formula",
        missed="formula",
        invented="formula",
    ),
    Metric(
        name="lesion_FP",
        group="lesion",
        definition="predicted lesions without a match. Lesions as for lesion_recall",
        unit="lesions",
        better="lower",
        function=lambda pair: pair.lesions.invented,
        both_empty="formula",
        missed="formula",
        invented="formula",
    ),
)
