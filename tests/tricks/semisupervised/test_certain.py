"""What an ensemble is certain about, against a loop over voxels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import expit, softmax

from nnunet_tricks.tricks.semisupervised.growing.certain import Outputs, certain_labels, grown

LOGITS = arrays.arrays(np.float32, (2, 3, 2, 3, 2), elements=st.floats(-6, 6, width=32))
"""Two members, three outputs, and a small volume."""
REGIONS = Outputs(("whole", "core", "edge"), ((1, 2, 3), (2, 3), (3,)), (1, 2, 3))


@settings(max_examples=30)
@given(LOGITS, st.floats(0.5, 1), st.floats(0.5, 1))
def test_a_label_is_kept_where_the_mean_reaches_the_threshold_and_all_agree(
    logits: np.ndarray, most: float, organ: float
) -> None:
    members = softmax(logits, 1)
    thresholds = (most, organ, most)
    labels, certain = certain_labels([*members], thresholds, Outputs(("background", "organ", "tumour")))
    for voxel in np.ndindex(labels.shape):
        each = [member[(slice(None), *voxel)] for member in members]
        mean = (each[0] + each[1]) / np.float32(2)
        best = int(np.argmax(mean))
        assert labels[voxel] == best
        agreed = all(int(np.argmax(member)) == best for member in each)
        assert certain[voxel] == (agreed and mean[best] >= np.float32(thresholds[best]))


@settings(max_examples=30)
@given(LOGITS, st.floats(0.5, 1))
def test_regions_are_kept_where_all_of_them_are_certain_and_fit_one_label(logits: np.ndarray, limit: float) -> None:
    members = expit(logits)
    labels, certain = certain_labels([*members], (limit,) * 3, REGIONS)
    for voxel in np.ndindex(labels.shape):
        each = [member[(slice(None), *voxel)] for member in members]
        mean = (each[0] + each[1]) / np.float32(2)
        sure = [max(p, 1 - p) >= np.float32(limit) for p in mean]
        sides = [{bool(member[place] > 0.5) for member in each} | {bool(mean[place] > 0.5)} for place in range(3)]
        last = max((label for label, p in zip(REGIONS.order, mean, strict=True) if p > 0.5), default=0)
        fits = all((last in values) == (p > 0.5) for values, p in zip(REGIONS.regions, mean, strict=True))
        assert labels[voxel] == last
        if min(abs(max(p, 1 - p) - limit) for p in mean) > 1e-5:  # 1 - p is rounded
            assert certain[voxel] == (all(sure) and fits and all(len(side) == 1 for side in sides))


@settings(max_examples=30)
@given(LOGITS, st.floats(0.5, 0.8), st.floats(0, 0.2))
def test_a_higher_threshold_keeps_less(logits: np.ndarray, limit: float, more: float) -> None:
    outputs, members = Outputs(("background", "organ", "tumour")), [*softmax(logits, 1)]
    kept = [certain_labels(members, (level,) * 3, outputs)[1] for level in (limit, limit + more)]
    assert not (kept[1] & ~kept[0]).any()


def test_annotated_voxels_stay_whatever_is_predicted() -> None:
    known = np.array([0, 1, 2, 2], np.uint8)
    labels, unknown = grown(known, np.array([1, 0, 1, 1], np.uint8), np.array([True, True, True, False]), 2)
    assert labels.tolist() == [0, 1, 1, 2]
    assert unknown.tolist() == [False, False, True, True]
    labels, unknown = grown(None, np.array([1, 0], np.uint8), np.array([True, False]), 2)
    assert labels.tolist() == [1, 2]
    assert unknown.all()
    with pytest.raises(ValueError, match="has the shape"):
        grown(known, labels, np.array([True, True]), 2)


@pytest.mark.parametrize(
    ("given_thresholds", "message"),
    [({"": 0.3}, "must be from 0.5 to 1"), ({"": 0.9, "heart": 0.8}, "names 'heart', and the data set has background")],
)
def test_thresholds_that_make_no_sense_are_refused(given_thresholds: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Outputs(("background", "organ")).thresholds(given_thresholds)
