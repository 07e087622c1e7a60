import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnunet_tricks.demo.scores import Classes, Counts, mean_scores

ORGANS = Classes.of({"labels": {"background": 0, "kidney": 1, "tumour": 2}})
MAPS = arrays(np.uint8, (2, 3, 4), elements=st.integers(0, 2))


def test_scores_of_masks_counted_by_hand() -> None:
    truth = np.array([[[1, 1, 1, 1, 0], [2, 2, 0, 0, 0]]])
    prediction = np.array([[[1, 1, 1, 0, 1], [2, 1, 0, 0, 0]]])
    counts = ORGANS.count(prediction, truth)
    assert counts == {"kidney": Counts(tp=3, fp=2, fn=1), "tumour": Counts(tp=1, fp=0, fn=1)}
    assert counts["kidney"].scores == pytest.approx({"Dice": 6 / 9, "IoU": 3 / 6, "recall": 3 / 4, "precision": 3 / 5})


def test_regions_and_ignored_voxels() -> None:
    classes = Classes.of({"labels": {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3}})
    truth = np.array([[[1, 2, 3, 3, 0]]])
    prediction = np.array([[[2, 2, 2, 0, 1]]])
    assert classes.count(prediction, truth) == {
        "whole": Counts(tp=2, fp=1, fn=0),
        "core": Counts(tp=1, fp=1, fn=0),
    }


@given(MAPS, MAPS)
def test_dice_and_iou_agree_and_swapping_swaps(prediction: np.ndarray, truth: np.ndarray) -> None:
    forth, back = ORGANS.count(prediction, truth), ORGANS.count(truth, prediction)
    for name in ("kidney", "tumour"):
        scores, swapped = forth[name].scores, back[name].scores
        if scores["Dice"] is None:
            assert scores["IoU"] is None
            continue
        assert scores["IoU"] == pytest.approx(scores["Dice"] / (2 - scores["Dice"]))
        assert scores["Dice"] == swapped["Dice"]
        assert scores["recall"] == swapped["precision"]


@given(MAPS)
def test_the_truth_scores_one(truth: np.ndarray) -> None:
    for counts in ORGANS.count(truth, truth).values():
        assert all(score in (1, None) for score in counts.scores.values())


def test_the_mean_leaves_out_cases_without_the_class() -> None:
    absent, half, full = Counts(tp=0, fp=0, fn=0), Counts(tp=1, fp=1, fn=1), Counts(tp=1, fp=0, fn=0)
    scores = mean_scores([{"a": absent, "b": absent}, {"a": half, "b": absent}, {"a": full, "b": absent}])
    assert scores["a"] == pytest.approx({"Dice": 0.75, "IoU": (1 / 3 + 1) / 2, "recall": 0.75, "precision": 0.75})
    assert all(score is None for score in scores["b"].values())


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2\).*\(2, 1\)"):
        ORGANS.count(np.zeros((1, 2)), np.zeros((2, 1)))
