import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnunet_tricks.comparison.metrics import LabelMapPair, MaskPair, all_metrics
from tests.comparison.metrics.cases import masks

METRICS = {metric.name: metric for metric in all_metrics()}
LABELS = arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 3))
PUBLISHED = {
    "published_DSC": "dice",
    "published_JC": "jc",
    "published_conformity": "con",
    "published_F_beta": "f1",
    "published_MAE": "mae",
    "published_RVD": "rvd",
    "published_HD": "hd",
    "published_ASD": "assd",
    "published_HCE": "hce",
    "MAE": "mae_true",
}


def pair_of(prediction: np.ndarray, truth: np.ndarray) -> MaskPair:
    return LabelMapPair(prediction.astype(np.uint8), truth.astype(np.uint8), (1,) * truth.ndim).pair([1])


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("case", ["identical", "small_pred", "disjoint", "empty_pred", "both_empty"])
def test_what_the_published_code_computes(case: str, name: str, oracles: Path) -> None:
    with np.load(oracles / "ife_metrics.npz", allow_pickle=False) as stored:
        prediction, truth = stored[f"{case}/pred"] > 0, stored[f"{case}/gt"] > 0
        expected = json.loads(str(stored[f"{case}/values"]))[PUBLISHED[name]]
    value = METRICS[name](pair_of(prediction, truth))
    if isinstance(expected, str):  # The code raises an error.
        assert math.isnan(value)
    elif math.isnan(expected):  # It gave 0 under the NumPy that it was written for.
        assert value == 0
    else:
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(masks())
def test_definitions_agree_with_each_other(case) -> None:
    pair = pair_of(*case[:2])
    dice, recall, precision = (METRICS[name](pair) for name in ("Dice", "recall", "precision"))
    assert METRICS["IoU"](pair) == pytest.approx(dice / (2 - dice))
    if dice:
        assert dice == pytest.approx(2 * recall * precision / (recall + precision))
        assert METRICS["F_beta"](pair) == pytest.approx(1.3 * recall * precision / (0.3 * precision + recall))
        assert METRICS["conformity"](pair) == pytest.approx((3 * dice - 2) / dice)
    else:
        assert METRICS["conformity"](pair) == -math.inf
    assert METRICS["MAE"](pair) == pytest.approx(np.mean(case[0] != case[1]))
    assert METRICS["RVD"](pair) == pytest.approx(case[0].sum() / case[1].sum() - 1)


@settings(max_examples=40)
@given(masks(empty=True))
def test_shares_lie_between_0_and_1(case) -> None:
    prediction, truth, spacing = case
    pair = LabelMapPair(prediction.astype(int), truth.astype(int), spacing).pair([1])
    shares = {name: metric(pair) for name, metric in METRICS.items() if metric.share}
    assert len(shares) > 15
    assert all(math.isnan(value) or 0 <= value <= 1 for value in shares.values()), shares


@given(masks())
def test_macro_iou_as_scikit_learn(case) -> None:
    from sklearn.metrics import jaccard_score

    prediction, truth = (mask.ravel().astype(int) for mask in case[:2])
    expected = jaccard_score(truth, prediction, average="macro", labels=np.unique([truth, prediction]))
    assert METRICS["IoU_macro"](pair_of(*case[:2])) == pytest.approx(expected)


@settings(max_examples=40)
@given(LABELS, LABELS)
def test_a_region_is_the_union_of_its_labels(prediction: np.ndarray, truth: np.ndarray) -> None:
    region = LabelMapPair(prediction, truth, (3, 1, 1)).pair([1, 3])
    union = LabelMapPair(np.isin(prediction, (1, 3)).astype(int), np.isin(truth, (1, 3)).astype(int), (3, 1, 1)).pair(
        [1]
    )
    for metric in METRICS.values():
        assert metric(region) == pytest.approx(metric(union), nan_ok=True)


@given(LABELS, LABELS)
def test_counts_as_nnunet(prediction: np.ndarray, truth: np.ndarray) -> None:
    from nnunetv2.evaluation.evaluate_predictions import compute_tp_fp_fn_tn

    case = LabelMapPair(prediction, truth, (1, 1, 1), ignore=3)
    for values in ([1], [1, 2]):
        predicted, true = np.isin(prediction, values), np.isin(truth, values)
        pair = case.pair(values)
        assert (pair.tp, pair.fp, pair.fn, pair.tn) == compute_tp_fp_fn_tn(true, predicted, truth == 3)


@settings(max_examples=40)
@given(masks(empty=True))
def test_a_score_is_never_quietly_missing(case) -> None:
    """Undefined values are those that the definition announces, no others; nothing is better than the truth."""
    pair = pair_of(*case[:2])
    perfect = pair_of(case[1], case[1])
    for metric in METRICS.values():
        value, best = metric(pair), metric(perfect)
        if pair.predicted and pair.true:
            # Those of empty cases say nothing about others.
            assert math.isnan(value) == (metric.group == "empty")
        if metric.group in ("counts", "published") or math.isnan(value) or math.isnan(best):
            continue
        assert {"higher": value <= best, "lower": value >= best, "zero": abs(value) >= abs(best)}[metric.better]


OF_ALL_CASES = {name: metric for name, metric in METRICS.items() if metric.group != "empty"}


@pytest.mark.parametrize("metric", OF_ALL_CASES.values(), ids=OF_ALL_CASES)
def test_a_model_that_predicts_nothing_pays_in_every_metric(metric) -> None:
    truth = np.zeros((8, 8), bool)
    truth[2:5, 2:6] = True
    missed = metric(pair_of(np.zeros_like(truth), truth))
    assert not math.isnan(missed)
    if metric.group != "published" and metric.name not in ("FP", "TN", "lesion_FP"):
        assert missed != metric(pair_of(truth, truth))


def test_volumes_are_in_millilitres() -> None:
    truth = np.zeros((10, 20, 20), np.uint8)
    truth[:5] = 1
    pair = LabelMapPair(np.ones_like(truth), truth, (5, 2, 1)).pair([1])
    assert METRICS["volume_difference"](pair) == pytest.approx(5 * 20 * 20 * 10 / 1000)
    assert METRICS["volume_error"](pair) == METRICS["volume_difference"](pair)
    assert METRICS["RVD"](pair) == 1


@pytest.mark.parametrize(
    ("shape", "spacing", "message"),
    [((2, 3), (1, 1, 1), "one spacing"), ((2, 3, 4, 5), (1, 1, 1, 1), "two or three"), ((2, 3), (0, 1), "positive")],
)
def test_label_maps_that_cannot_be_measured(shape, spacing, message) -> None:
    with pytest.raises(ValueError, match=message):
        LabelMapPair(np.zeros(shape), np.zeros(shape), spacing)
    with pytest.raises(ValueError, match="shape"):
        LabelMapPair(np.zeros((2, 2)), np.zeros((2, 3)), (1, 1))


def test_specificity_on_empty_cases_as_scikit_learn() -> None:
    from sklearn.metrics import recall_score

    generator = np.random.default_rng(0)
    pairs = [
        generator.random((2, 6, 6)) < np.array(density)[:, None, None] for density in ([0.01, 0], [0.02, 0.3]) * 40
    ]
    values = [METRICS["empty_specificity"](pair_of(prediction, truth)) for prediction, truth in pairs]
    volumes = [METRICS["empty_FP_volume"](pair_of(prediction, truth)) for prediction, truth in pairs]
    predicted, true = ([mask[at].any() for mask in pairs] for at in (0, 1))
    assert 0 < np.nanmean(values) < 1
    assert np.nanmean(values) == pytest.approx(recall_score(true, predicted, pos_label=False))
    assert [math.isnan(value) for value in volumes] == [math.isnan(value) for value in values] == true
    alarms = [prediction.sum() for (prediction, truth) in pairs if not truth.any()]
    assert [value for value in volumes if not math.isnan(value)] == pytest.approx(alarms)
