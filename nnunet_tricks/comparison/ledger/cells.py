"""The ledger as a table: tricks by data sets, one cell each, and signs across data sets. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb

from nnunet_tricks.comparison.ledger.rows import DECIDED, WITHIN_NOISE, Ledger, LedgerRow

FEWEST = 2
"""Number of data sets from which on there are signs."""


@dataclass(frozen=True)
class LedgerCell:
    """One trick on one data set.

    Attributes:
        row: The row that the cell shows.
        others: Further rows of the same trick on the same data, such as shorter trainings.
    """

    row: LedgerRow
    others: tuple[LedgerRow, ...]


@dataclass(frozen=True)
class LedgerLine:
    """One trick on all data sets.

    Attributes:
        name: Trick and base.
        cells: Cells by column.
        better: Number of data sets on which it was better.
        worse: Number of data sets on which it was worse.
        p: Exact two-sided sign test; None for fewer than two data sets.
    """

    name: str
    cells: dict[str, LedgerCell]
    better: int
    worse: int
    p: float | None

    @property
    def is_bare(self) -> bool:
        """Whether the trick was added to the trick paper's base, and not to nnU-Net's default."""
        return any(cell.row.is_bare for cell in self.cells.values())

    @property
    def words(self) -> set[str]:
        """All verdicts of its cells."""
        return {cell.row.word for cell in self.cells.values()}


def lines_of(ledger: Ledger) -> list[LedgerLine]:
    """Every trick with a base of its own: what moved something, what is within noise, the undecided; each by name."""
    by_name: dict[str, dict[str, list[LedgerRow]]] = {}
    for row in ledger.rows:
        by_name.setdefault(row.name, {}).setdefault(row.data, []).append(row)
    sources = ledger.sources
    lines = [_line(name, columns, sources) for name, columns in by_name.items()]
    return sorted(lines, key=lambda line: (_group(line), line.name.casefold()))


def _group(line: LedgerLine) -> int:
    """0 if it moved something on some data set, 1 if it is known to be within noise on one, else 2."""
    return 0 if line.words & set(DECIDED) else 1 if WITHIN_NOISE in line.words else 2


def columns_of(ledger: Ledger) -> list[str]:
    """Data sets with dimensions, those with most rows first."""
    counts: dict[str, int] = {}
    for row in ledger.rows:
        counts[row.data] = counts.get(row.data, 0) + 1
    return sorted(counts, key=lambda column: (-counts[column], column))


def sign_test(better: int, worse: int) -> float:
    """Exact two-sided sign test; data sets without a difference do not count.

    Examples:
        >>> sign_test(5, 0), sign_test(6, 0), sign_test(1, 1), sign_test(0, 0)
        (0.0625, 0.03125, 1.0, 1.0)
    """
    total = better + worse
    tail = sum(comb(total, count) for count in range(min(better, worse) + 1))
    return min(1.0, 2.0 * tail / 2**total)


def chosen(rows: Sequence[LedgerRow]) -> LedgerRow:
    """The row that stands for several: that of the longest training, then of most runs and cases, then the last."""
    numbered = list(enumerate(rows))
    return max(numbered, key=lambda pair: (pair[1].epochs, min(pair[1].runs), pair[1].cases, pair[0]))[1]


def of_data_set(rows: Iterable[LedgerRow]) -> LedgerRow:
    """The row that stands for one data set, which counts once: in its own dimension, so 3D where there are volumes."""
    rows = list(rows)
    dimension = max(row.dimension for row in rows)
    return chosen([row for row in rows if row.dimension == dimension])


def _line(name: str, columns: dict[str, list[LedgerRow]], sources: Mapping[str, str]) -> LedgerLine:
    cells = {}
    for column, rows in columns.items():
        shown = chosen(rows)
        cells[column] = LedgerCell(shown, tuple(row for row in rows if row is not shown))
    better, worse, p = _signs([cell.row for cell in cells.values()], sources)
    return LedgerLine(name, cells, better, worse, p)


def _signs(rows: Sequence[LedgerRow], sources: Mapping[str, str]) -> tuple[int, int, float | None]:
    """Signs over data sets. Both dimensions of a data set, and those made from it, are the same cases: it counts once.

    Args:
        rows: The row of each column.
        sources: For each data set that from which it was made.
    """
    by_source: dict[str, list[LedgerRow]] = {}
    for row in rows:
        by_source.setdefault(sources[row.dataset], []).append(row)
    # The data set itself comes before what was made from it.
    gains = [
        of_data_set([row for row in of_source if row.dataset == source] or of_source).gain
        for source, of_source in by_source.items()
    ]
    better, worse = sum(value > 0 for value in gains), sum(value < 0 for value in gains)
    return better, worse, sign_test(better, worse) if len(by_source) >= FEWEST else None
