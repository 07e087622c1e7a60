"""CoNIC's ``counts.csv``, compared with its maps.

The table counts the nuclei of each class that touch the central 224 x 224 pixels. A map whose classes or channels are
in another order does not agree with it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_conversion.errors import ConversionError
from dataset_conversion.nuclei_tasks import CLASSES
from dataset_conversion.text_table import read_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CENTRE = 224
_SAMPLE = 256
"""Number of patches, evenly spread over the set, that are compared before anything is written."""

Counts = list[tuple[int, ...]]


@lru_cache(maxsize=2)
def read_counts(path: Path) -> Counts | None:
    """Read the numbers of nuclei of classes 1 to 6 in each patch, by column name; None if there is no such table.

    Raises:
        ConversionError: If the file is something else.
    """
    if not path.is_file():
        return None
    table = read_table(path)
    missing = [name for name in CLASSES.values() if name not in table.columns]
    if missing:
        raise ConversionError(
            f"{path} does not hold counts: it has no column {', '.join(missing)}, its columns are "
            f"{', '.join(table.columns)}"
        )
    counts = []
    for row in table.rows:
        try:
            numbers = [float(row.cells[name]) for name in CLASSES.values()]
        except ValueError as error:
            raise ConversionError(f"{path} line {row.line} does not hold counts: {error}") from error
        if any(not number >= 0 or number % 1 for number in numbers):
            raise ConversionError(f"{path} line {row.line} does not hold counts: {numbers}")
        counts.append(tuple(int(number) for number in numbers))
    return counts


def check_channels(labels: NDArray[Any]) -> None:
    """Check by the values of the whole set that instances come first and classes second.

    Raises:
        ConversionError: If it is the other way round.
    """
    import numpy as np

    rows = _sample(len(labels))
    first, second = (max((int(np.max(labels[row, ..., channel])) for row in rows), default=0) for channel in (0, 1))
    if first <= len(CLASSES) < second:
        raise ConversionError(
            f"labels.npy has its channels swapped: the first goes up to {first}, as classes do, and the second "
            f"up to {second}, as instances do; save labels[..., ::-1]"
        )


@lru_cache(maxsize=2)
def other_order(labels_path: Path, counts_path: Path) -> str:
    """Why the classes of the whole set seem not to be in the order of counts.csv; empty if they are in that order."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    from dataset_conversion.array_rows import open_array

    counts = read_counts(counts_path)
    if not counts:
        return ""
    labels = open_array(labels_path)
    rows = _sample(min(len(labels), len(counts)))
    expected = np.array([counts[row] for row in rows])
    counted = np.array([centre_counts(labels[row, ..., 0], np.clip(labels[row, ..., 1], 0, 255)) for row in rows])
    with_nuclei = counted.any(axis=1) | expected.any(axis=1)
    wrong = (counted != expected).any(axis=1)
    if 2 * np.count_nonzero(wrong) <= np.count_nonzero(with_nuclei):
        return ""
    names = list(CLASSES.values())
    # A class of the maps belongs to the column with which it agrees in most patches; in a tie, to its own column.
    agrees = (counted[:, :, None] == expected[:, None, :]).sum(axis=0)
    _, columns = linear_sum_assignment(2 * agrees + np.eye(len(names), dtype=int), maximize=True)
    order = [names[int(column)] for column in columns]
    likely = 2 * agrees[np.arange(len(names)), columns].min() > len(rows) and order != names
    what = f": they look like {', '.join(f'{value} {name}' for value, name in enumerate(order, 1))}" if likely else ""
    return (
        f"the classes of labels.npy are in another order than in counts.csv, or belong to other patches "
        f"({np.count_nonzero(wrong)} of {len(rows)} patches checked){what}"
    )


def _sample(count: int) -> list[int]:
    """Indices of evenly spread rows."""
    if count <= _SAMPLE:
        return list(range(count))
    return [index * count // _SAMPLE for index in range(_SAMPLE)]


def centre_counts(instances: NDArray[Any], classes: NDArray[Any]) -> tuple[int, ...]:
    """Number of nuclei of each class that touch the centre."""
    import numpy as np

    top, left = ((length - _CENTRE) // 2 for length in instances.shape)
    centre = (slice(max(top, 0), max(top, 0) + _CENTRE), slice(max(left, 0), max(left, 0) + _CENTRE))
    # A table of the pairs that occur is faster than sorting all pixels.
    inside = instances[centre].astype(np.int64)
    occurs = np.zeros((int(inside.max(initial=0)) + 1, 256), dtype=np.bool_)
    occurs[inside, classes[centre]] = True
    return tuple(int(np.count_nonzero(occurs[:, value])) for value in CLASSES)
