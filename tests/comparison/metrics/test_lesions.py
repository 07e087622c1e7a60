import numpy as np
import pytest
from hypothesis import given

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


@given(masks(empty=True))
def test_swapping_swaps_missed_and_invented(case) -> None:
    forth, back = detect(case[0], case[1]), detect(case[1], case[0])
    assert (forth.found, forth.missed, forth.invented) == (back.found, back.invented, back.missed)
    assert detect(case[1], case[1]).missed == 0
