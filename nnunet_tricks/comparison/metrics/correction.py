"""Human correction efforts: the number of clicks that would fix a prediction.

Qin et al., "Highly accurate dichotomous image segmentation", ECCV 2022. Errors thinner than a tolerance cost nothing,
unless they cut off a part of the truth's skeleton. The border between an error and a correct region is drawn with the
control points of a polygon. A region without such a border is removed or added with one click.
"""

# mypy: untyped-calls-exclude="skimage"
from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nnunet_tricks.comparison.metrics.definition import Metric
from nnunet_tricks.comparison.metrics.nearest import Mask
from nnunet_tricks.comparison.metrics.pair import MaskPair

RELAX = 5
"""Distance in pixels up to which errors are forgiven."""

EPSILON = 2.0
"""Largest distance in pixels of the polygon from the border."""

SMALL = 64
"""Edge length in pixels of the images that the published code measures."""

CROSS = ndimage.generate_binary_structure(2, 1)
CLOCKWISE = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
Point = tuple[int, int]
Grey = NDArray[np.float64]


def correction_efforts(prediction: Mask, truth: Mask) -> int:
    """Number of control points and clicks for one image.

    Examples:
        >>> truth = np.zeros((40, 40), dtype=bool)
        >>> truth[10:30, 10:30] = True
        >>> correction_efforts(truth, truth), correction_efforts(np.roll(truth, 2, axis=0), truth)
        (0, 0)
    """
    hits = prediction & truth
    return _efforts(prediction & ~truth, truth & ~prediction, hits, prediction | truth, _skeleton(truth))


def published_efforts(prediction: Mask, truth: Mask) -> int:
    """Number of control points and clicks as IFE's code counts them.

    It works on 64x64 pixels. Their grey borders count as foreground, and as errors.
    """
    predicted, true = (_resized(mask) for mask in (prediction, truth))
    hits = (predicted > 0) & (true > 0)
    full = np.where(hits, 255.0, 0.0)
    return _efforts(predicted != full, true != full, hits, (predicted > 0) | (true > 0), _skeleton(true > 128))


def _efforts(invented: Mask, missed: Mask, hits: Mask, union: Mask, skeleton: Mask) -> int:
    core = ndimage.binary_erosion(union, CROSS, iterations=RELAX, border_value=1)
    false = _thick(invented, core, ~(hits | missed))
    lost = _thick(missed, core, ~(hits | invented)) | (skeleton & ~hits)
    return _drawn(false, hits | lost) + _drawn(lost, ~(hits | false | lost))


def _thick(errors: Mask, core: Mask, allowed: Mask) -> Mask:
    """Errors that reach into the core, grown back to their border."""
    grown = errors & core
    for _ in range(RELAX):
        grown = ndimage.binary_dilation(grown, CROSS) & allowed
    return grown & errors


def _drawn(errors: Mask, right: Mask) -> int:
    """Number of control points on borders between errors and correct regions, plus regions without such a border."""
    near = ndimage.binary_dilation(right, CROSS)
    regions, count = ndimage.label(errors, np.ones((3, 3)))
    seen = np.zeros(errors.shape, dtype=bool)
    drawn: set[int] = set()
    points = 0
    for contour in _contours(errors):
        pieces: list[list[Point]] = [[]]
        for place in contour:
            if seen[place] or not near[place]:
                pieces.append([])
                continue
            seen[place] = True
            pieces[-1].append(place)
            drawn.add(int(regions[place]))
        points += sum(len(_polygon(piece)) for piece in _joined([piece for piece in pieces if piece]))
    return points + count - len(drawn)


def _joined(pieces: list[list[Point]]) -> list[list[Point]]:
    """Join first and last piece if they are one border that was started in its middle."""
    if len(pieces) > 1:
        (first_row, first_column), (last_row, last_column) = pieces[0][0], pieces[-1][-1]
        if max(abs(first_row - last_row), abs(first_column - last_column)) == 1:
            return [*pieces[1:-1], [*pieces[-1], *pieces[0][::-1]]]
    return pieces


def _polygon(piece: Sequence[Point]) -> Sequence[Point]:
    """Approximation of an open line by the algorithm of Ramer, Douglas and Peucker."""
    if len(piece) < 3:
        return piece
    line = np.asarray(piece, dtype=np.float64)
    chord = line[-1] - line[0]
    length = float(np.hypot(*chord))
    offsets = line - line[0]
    if length:
        away = np.abs(offsets[:, 0] * chord[1] - offsets[:, 1] * chord[0]) / length
    else:
        away = np.hypot(offsets[:, 0], offsets[:, 1])
    furthest = int(away.argmax())
    if away[furthest] <= EPSILON:
        return [piece[0], piece[-1]]
    return [*_polygon(piece[: furthest + 1])[:-1], *_polygon(piece[furthest:])]


def _contours(mask: Mask) -> Iterator[list[Point]]:
    """Outer borders of regions and borders of their holes, as ordered pixels of the mask."""
    padded = np.pad(mask, 1)
    regions, _ = ndimage.label(padded, np.ones((3, 3)))
    background, _ = ndimage.label(~padded, CROSS)
    starts = [(_first(place, regions == index + 1), (0, -1)) for index, place in _places(regions)]
    outside = background[0, 0]
    for index, place in _places(background):
        if index + 1 != outside:
            row, column = _first(place, background == index + 1)
            starts.append(((row, column - 1), (0, 1)))
    for start, away in sorted(starts):
        yield [(row - 1, column - 1) for row, column in _followed(padded, start, away)]


def _places(labels: NDArray[np.int32]) -> Iterator[tuple[int, tuple[slice, ...]]]:
    for index, place in enumerate(ndimage.find_objects(labels)):
        if place is not None:
            yield index, place


def _first(place: tuple[slice, ...], mask: Mask) -> Point:
    """The first pixel in reading order."""
    row = place[0].start
    return row, place[1].start + int(mask[row, place[1]].argmax())


def _followed(mask: Mask, start: Point, away: Point) -> list[Point]:
    """Suzuki and Abe's border following, from a pixel whose neighbour in direction ``away`` is background."""
    turn = CLOCKWISE.index(away)
    first = next((place for place in _around(start, turn, 1) if mask[place]), None)
    if first is None:
        return [start]
    border = [start]
    before, here = first, start
    while True:
        direction = CLOCKWISE.index((before[0] - here[0], before[1] - here[1]))
        following = next(place for place in _around(here, direction - 1, -1) if mask[place])
        if following == start and here == first:
            return border
        before, here = here, following
        border.append(here)


def _around(place: Point, direction: int, step: int) -> Iterator[Point]:
    for turn in range(8):
        row, column = CLOCKWISE[(direction + step * turn) % 8]
        yield place[0] + row, place[1] + column


def _skeleton(truth: Mask) -> Mask:
    from skimage.morphology import skeletonize

    skeleton: Mask = skeletonize(truth)
    return skeleton


def _resized(mask: Mask) -> Grey:
    """The mask as 64x64 pixels from 0 to 255, by linear interpolation without smoothing."""
    places = [(np.arange(SMALL) + 0.5) * length / SMALL - 0.5 for length in mask.shape]
    grid = np.meshgrid(
        *(np.clip(place, 0, length - 1) for place, length in zip(places, mask.shape, strict=True)), indexing="ij"
    )
    return np.rint(ndimage.map_coordinates(255.0 * mask, grid, order=1))


def _of_slices(pair: MaskPair, published: bool) -> float:
    """Efforts for an image, or their sum over the slices of a volume."""
    function = published_efforts if published else correction_efforts
    prediction, truth = pair.whole()
    if prediction.ndim == 2:
        return function(prediction, truth)
    return sum(function(*both) for both in zip(prediction, truth, strict=True) if both[0].any() or both[1].any())


HCE = Metric(
    name="HCE",
    group="ife",
    definition=(
        "human correction efforts. They are the control points of polygons, within 2 pixels, along borders between "
        "errors and correct regions, plus clicks on regions without such a border. Errors thinner than 5 pixels are "
        "free. The slices of a volume are added up"
    ),
    unit="clicks",
    better="lower",
    function=lambda pair: _of_slices(pair, published=False),
    both_empty=0.0,
    missed="formula",
    invented="formula",
)

PUBLISHED_HCE = Metric(
    name="published_HCE",
    group="published",
    definition="IFE's code: HCE of masks scaled down to 64x64 pixels, so errors up to 8 % of the side are free",
    unit="clicks",
    better="lower",
    function=lambda pair: _of_slices(pair, published=True),
    both_empty=0.0,
    missed="formula",
    invented="formula",
)
