"""One look at the voxels gives what applying each setting would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_tricks.tricks.inference.thresholds import logit_shifts
from nnunet_tricks.tricks.inference.tuning.overlap import COUNTS, SIZES, THRESHOLDS, USUAL, dice, overlaps
from nnunet_tricks.tricks.postprocessing.steps import keep_largest, remove_small

CLASSES = {"kidney": (1,), "tumor": (2,)}
REGIONS = {"organ": (1, 2), "tumor": (2,)}


def _dice(prediction: np.ndarray, truth: np.ndarray, labels: tuple[int, ...]) -> float:
    found, there = np.isin(prediction, labels), np.isin(truth, labels)
    return float(dice(np.array((found & there).sum()), np.array(found.sum()), np.array(there.sum())))


@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=20)
def test_every_candidate_is_what_doing_it_gives(seed: int, with_ignored: bool) -> None:
    generator = np.random.default_rng(seed)
    shape = (1, 14, 15)
    scores = generator.normal(size=(3, *shape)) * 3
    probabilities = (np.exp(scores) / np.exp(scores).sum(0)).astype(np.float32)
    segmentation = probabilities.argmax(0).astype(np.uint8)
    truth = generator.choice(3, shape).astype(np.uint8)
    ignore = 3 if with_ignored else None
    if with_ignored:
        truth[generator.random(shape) < 0.2] = 3
    measured = overlaps(probabilities, segmentation, truth, CLASSES, regions=False, ignore=ignore)
    counted = truth != 3
    for name, (label,) in CLASSES.items():
        for position, threshold in enumerate(THRESHOLDS):
            shifts = np.array(logit_shifts({name: threshold}, ["background", *CLASSES], regions=False))
            changed = (np.log(probabilities.astype(float)) + shifts.reshape(3, 1, 1, 1)).argmax(0)
            expected = _dice(changed[counted], truth[counted], (label,))
            assert measured[name].by_threshold[position] == pytest.approx(expected, abs=0.02)
        assert measured[name].by_threshold[USUAL] == pytest.approx(
            _dice(segmentation[counted], truth[counted], (label,)), abs=1e-9
        )
        for position, size in enumerate(SIZES):
            changed = remove_small(segmentation, label, voxels=int(size))
            assert measured[name].by_size[position] == pytest.approx(_dice(changed[counted], truth[counted], (label,)))
        for position, count in enumerate(COUNTS):
            changed = keep_largest(segmentation, label, count=count) if count else segmentation
            assert measured[name].by_count[position] == pytest.approx(_dice(changed[counted], truth[counted], (label,)))


def test_regions_have_thresholds_of_their_own() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.random((2, 1, 20, 20), dtype=np.float32)
    truth = generator.choice(3, (1, 20, 20))
    segmentation = np.where(probabilities[1] > 0.5, 2, np.where(probabilities[0] > 0.5, 1, 0))
    measured = overlaps(probabilities, segmentation, truth, REGIONS, regions=True)
    for position, (name, labels) in enumerate(REGIONS.items()):
        for at, threshold in enumerate(THRESHOLDS):
            found, there = probabilities[position] > threshold, np.isin(truth, labels)
            expected = dice(np.array((found & there).sum()), np.array(found.sum()), np.array(there.sum()))
            assert measured[name].by_threshold[at] == pytest.approx(float(expected))


def test_the_usual_threshold_is_among_the_candidates_and_so_are_the_papers_sizes() -> None:
    assert THRESHOLDS[USUAL] == 0.5
    assert {0, 10, 80, 120, 5000} <= set(SIZES.tolist())
