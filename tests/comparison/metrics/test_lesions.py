import numpy as np
import pytest
from hypothesis import given
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from nnunet_tricks.comparison.metrics import detection
from nnunet_tricks.comparison.metrics.detection import Detection, detect
from tests.comparison.metrics.cases import masks


def row(text: str) -> np.ndarray:
    return np.array([letter == "#" for letter in text])


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        ("##..##....", "##..##....", Detection(2, 0, 0)),
        ("##........", "##..##....", Detection(1, 1, 0)),
        ("##..##..##", "##........", Detection(1, 0, 2)),
        ("##########", "#.#.#.#.#.", Detection(1, 4, 0)),  # One blob over all finds one of them.
        (".........#", "##########", Detection(1, 0, 0)),  # IoU 0.1 is just enough.
        ("..........", "##..##....", Detection(0, 2, 0)),
        ("##..##....", "..........", Detection(0, 0, 2)),
        ("...##.....", "##...##...", Detection(0, 2, 1)),
    ],
)
def test_matching(prediction: str, truth: str, expected: Detection) -> None:
    assert detect(row(prediction), row(truth)) == expected


def test_corners_touch() -> None:
    diagonal = np.eye(4, dtype=bool)
    assert detect(diagonal, diagonal) == Detection(1, 0, 0)


def test_the_assignment_with_the_most_matches_counts() -> None:
    # The middle prediction fits both true lesions, the left one only the first: both are found.
    prediction, truth = row("##.#####.."), row("####..####")
    assert detect(prediction, truth) == Detection(2, 0, 0)


def one_by_one(prediction: np.ndarray, truth: np.ndarray) -> Detection:
    """Every lesion as a mask of its own."""
    lesions = []
    for mask in (prediction, truth):
        labels, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
        lesions.append([labels == number for number in range(1, count + 1)])
    fits = np.array(
        [[10 * (mine & other).sum() >= (mine | other).sum() for other in lesions[1]] for mine in lesions[0]], float
    ).reshape(len(lesions[0]), len(lesions[1]))
    matches = int(fits[linear_sum_assignment(fits, maximize=True)].sum())
    return Detection(matches, len(lesions[1]) - matches, len(lesions[0]) - matches)


@given(masks(empty=True))
def test_as_one_by_one_however_the_voxels_are_counted(case) -> None:
    prediction, truth, _ = case
    expected = one_by_one(prediction, truth)
    for chunk in (1, 5, detection.CHUNK):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(detection, "CHUNK", chunk)
            assert detect(prediction, truth) == expected


def test_more_lesions_than_16_bits_can_count() -> None:
    truth = np.zeros((41, 81, 161), bool)
    truth[::2, ::2, ::2] = True
    prediction = truth.copy()
    prediction[0] = False
    count = int(truth.sum())
    assert count > 2**16
    assert detect(prediction, truth) == Detection(count - int(truth[0].sum()), int(truth[0].sum()), 0)


@given(masks(empty=True))
def test_swapping_swaps_missed_and_invented(case) -> None:
    forth, back = detect(case[0], case[1]), detect(case[1], case[0])
    assert (forth.found, forth.missed, forth.invented) == (back.found, back.invented, back.missed)
    assert detect(case[1], case[1]).missed == 0
