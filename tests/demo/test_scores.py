import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnunet_tricks.demo.scores import mean_scores, scores_of
from nnunet_tricks.nnunet.classes import Classes

ORGANS = Classes.of({"labels": {"background": 0, "kidney": 1, "tumour": 2}})
MAPS = arrays(np.uint8, (2, 3, 4), elements=st.integers(0, 2))


def test_scores_of_masks_counted_by_hand() -> None:
    truth = np.array([[[1, 1, 1, 1, 0], [2, 2, 0, 0, 0]]])
    prediction = np.array([[[1, 1, 1, 0, 1], [2, 1, 0, 0, 0]]])
    scores = scores_of(prediction, truth, ORGANS)
    assert scores["kidney"] == pytest.approx({"Dice": 6 / 9, "IoU": 3 / 6, "recall": 3 / 4, "precision": 3 / 5})
    assert scores["tumour"] == pytest.approx({"Dice": 2 / 3, "IoU": 1 / 2, "recall": 1 / 2, "precision": 1})


def test_regions_and_ignored_voxels() -> None:
    classes = Classes.of({"labels": {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3}})
    truth = np.array([[[1, 2, 3, 3, 0]]])
    prediction = np.array([[[2, 2, 2, 0, 1]]])
    scores = scores_of(prediction, truth, classes)
    assert (scores["whole"]["recall"], scores["whole"]["precision"]) == (1, 2 / 3)
    assert (scores["core"]["recall"], scores["core"]["precision"]) == (1, 1 / 2)


@given(MAPS)
def test_the_truth_scores_one(truth: np.ndarray) -> None:
    for scores in scores_of(truth, truth, ORGANS).values():
        assert all(score in (1, None) for score in scores.values())


def test_what_is_missed_scores_zero_and_what_is_absent_nothing() -> None:
    truth = np.array([[[1, 1, 0]]])
    scores = scores_of(np.zeros_like(truth), truth, ORGANS)
    assert set(scores["kidney"].values()) == {0}
    assert set(scores["tumour"].values()) == {None}


def test_the_mean_leaves_out_cases_without_the_class() -> None:
    absent, half, full = ({"Dice": score} for score in (None, 0.5, 1.0))
    scores = mean_scores([{"a": absent, "b": absent}, {"a": half, "b": absent}, {"a": full, "b": absent}])
    assert scores == {"a": {"Dice": 0.75}, "b": {"Dice": None}}


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2\).*\(2, 1\)"):
        scores_of(np.zeros((1, 2)), np.zeros((2, 1)), ORGANS)
