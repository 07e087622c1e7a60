import numpy as np
import pytest
from hypothesis import given
from scipy import ndimage

from nnunet_tricks.comparison.metrics import LabelMapPair, chosen
from nnunet_tricks.comparison.metrics.correction import _contours, _polygon, correction_efforts
from tests.comparison.metrics.cases import blobs, masks


def square(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((60, 60), bool)
    mask[start:stop, start:stop] = True
    return mask


def test_thin_errors_are_free_and_thick_ones_are_not() -> None:
    truth = square(15, 45)
    assert correction_efforts(np.roll(truth, 3, axis=1), truth) == 0
    assert correction_efforts(np.roll(truth, 14, axis=1), truth) > 0


def test_an_island_costs_one_click() -> None:
    truth = square(5, 25)
    assert correction_efforts(truth | square(35, 55), truth) == 1


def test_a_hole_is_drawn() -> None:
    truth = square(5, 55)
    with_hole = truth & ~square(20, 40)
    assert correction_efforts(with_hole, truth) == 1
    # A notch at the border shares two sides with the background.
    notched = truth.copy()
    notched[5:25, 20:40] = False
    assert correction_efforts(notched, truth) > 1


def test_a_volume_is_its_slices() -> None:
    prediction, truth = blobs(0, (40, 44))
    volume = np.stack([prediction, truth, np.zeros_like(truth)]), np.stack([truth, truth, np.zeros_like(truth)])
    (metric,) = [metric for metric in chosen(["HCE"]) if metric.name == "HCE"]
    pair = LabelMapPair(*(mask.astype(np.uint8) for mask in volume), (1, 1, 1)).pair([1])
    assert metric(pair) == correction_efforts(prediction, truth)


@given(masks(dimensions=(2,)))
def test_contours_are_the_border_in_steps_of_one(case) -> None:
    """All pixels with a face neighbour outside, each contour connected to a ring."""
    mask = case[0]
    contours = list(_contours(mask))
    border = mask & ~ndimage.binary_erosion(mask)
    drawn = np.zeros_like(mask)
    for contour in contours:
        for place, following in zip(contour, [*contour[1:], contour[0]], strict=True):
            drawn[place] = True
            assert max(abs(place[0] - following[0]), abs(place[1] - following[1])) == (1 if len(contour) > 1 else 0)
    np.testing.assert_array_equal(drawn, border)
    padded = np.pad(mask, 1)
    holes = ndimage.label(~padded)[1] - 1
    assert len(contours) == ndimage.label(mask, np.ones((3, 3)))[1] + holes


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ([(0, c) for c in range(30)], 2),
        ([(0, c) for c in range(20)] + [(r, 19) for r in range(1, 20)], 3),
        ([(1, 1)], 1),
    ],
)
def test_polygons(line: list[tuple[int, int]], count: int) -> None:
    from skimage.measure import approximate_polygon

    assert len(_polygon(line)) == count
    if len(line) > 2:
        np.testing.assert_array_equal(_polygon(line), approximate_polygon(np.array(line), 2))
