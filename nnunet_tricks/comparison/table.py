"""The long table: one row for each number."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from nnunet_tricks.comparison.evaluate import MeasuredCase
from nnunet_tricks.utilities.files import replacing, write_atomically


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricRow:
    """One metric of one class in one case; columns are empty where a folder does not tell them.

    Attributes:
        dataset: Full name of the data set.
        configuration: Name of nnU-Net's configuration.
        plans: Stem of the plans file.
        trainer: Class name of the trainer.
        fold: Fold, as nnU-Net's command takes it.
        run: Number of the repetition, from the trainer's name.
        part: Part of the data: ``validation``, ``test`` or the like.
        case: Identifier of the case.
        label: Name of the class or region.
        metric: Name of the metric.
        value: Value of the metric; NaN where it is not defined.
        unit: Unit of the value.
    """

    dataset: str = ""
    configuration: str = ""
    plans: str = ""
    trainer: str = ""
    fold: str = ""
    run: int = 1
    part: str = ""
    case: str
    label: str
    metric: str
    value: float
    unit: str

    def as_data(self) -> dict[str, Any]:
        """The row for JSON, which knows neither NaN nor infinity."""
        return asdict(self) | {"value": as_json(self.value)}


COLUMNS = tuple(field.name for field in fields(MetricRow))
AT_ONCE = 10_000
"""Number of rows that become text together, so that a large table stays in little memory."""

_columns = attrgetter(*COLUMNS)


def rows_of(measured: Iterable[MeasuredCase], **columns: Any) -> list[MetricRow]:
    """The rows of measured cases.

    Args:
        measured: Measured cases.
        **columns: Columns that are the same in all rows.
    """
    return [
        MetricRow(**columns, case=case.files.case, label=label, metric=metric, value=value, unit=unit)
        for case in measured
        for label, metrics in case.values.items()
        for metric, (value, unit) in metrics.items()
    ]


def as_json(value: float) -> float | str | None:
    """A number that JSON can hold: None for NaN, ``inf`` and ``-inf`` as words."""
    return None if math.isnan(value) else value if math.isfinite(value) else str(value)


def write(rows: Iterable[MetricRow], file: Path) -> None:
    """Write the table; undefined values are empty.

    Args:
        rows: Rows to write.
        file: File to write; its ending is ``.csv`` or ``.parquet``.

    Raises:
        ValueError: If the ending is another one, or parquet is not installed.
    """
    if file.suffix == ".csv":
        write_atomically(file, as_csv(rows))
    elif file.suffix == ".parquet":
        _write_parquet([asdict(row) for row in rows], file)
    else:
        raise ValueError(f"--out is {file}, and its ending must be .csv or .parquet")


def as_csv(rows: Iterable[MetricRow]) -> str:
    """The table as text: numbers with all their digits, undefined ones empty."""
    value = COLUMNS.index("value")
    parts, lines = [], [list(COLUMNS)]
    for row in rows:
        line = list(_columns(row))
        line[value] = "" if math.isnan(row.value) else repr(row.value)
        lines.append(line)
        if len(lines) >= AT_ONCE:
            parts.append(_as_text(lines))
            lines.clear()
    return "".join([*parts, _as_text(lines)])


def _as_text(lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _write_parquet(data: Iterable[Mapping[str, Any]], file: Path) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ValueError("parquet needs 'pip install \"nnunet_tricks[parquet]\"', or take .csv") from None
    types = {"run": pyarrow.int64(), "value": pyarrow.float64()}
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in COLUMNS])
    with replacing(file) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist(list(data), schema=schema), temporary)
