"""Tables of a comparison for the terminal, Markdown, csv and JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nnunet_tricks.comparison import worth
from nnunet_tricks.comparison.compare import Row, Table
from nnunet_tricks.comparison.marked import inline
from nnunet_tricks.comparison.marked import table as marked_table
from nnunet_tricks.comparison.scores import Score
from nnunet_tricks.comparison.statistics.model import Effect
from nnunet_tricks.comparison.table import as_json

COLLAPSED = "collapsed"
WIDE = 10_000
"""Characters; no table is wider."""

SIGNED = "Signed: difference to {baseline}. Mean over cases of all folds; in brackets how many count, if not all."
CSV_COLUMNS = (
    "dataset",
    "part",
    "subgroup",
    "configuration",
    "plans",
    "trainer",
    "folds",
    "runs",
    "cases",
    "label",
    "metric",
    "unit",
    "mean",
    "difference",
    "low",
    "high",
    "p_holm",
    "counted",
    "collapsed",
    "seconds_per_epoch",
    "memory_bytes",
    "device_memory_bytes",
)


def title(table: Table) -> str:
    """What a table compares."""
    group = table.group
    folds = "fold" if len(group.folds) == 1 else "folds"
    words = [group.dataset, group.baseline.configuration, group.part, f"{folds} {', '.join(group.folds)}"]
    cases = table.rows[0].cases // len(table.rows[0].method.runs)
    return ", ".join([*words, f"{cases} cases", *([table.subgroup] if table.subgroup else [])])


def cells(table: Table, label: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one class."""
    metrics = table.rows[0].scores[label]
    header = ["method", *(name + (f" [{score.unit}]" if score.unit != "1" else "") for name, score in metrics.items())]
    rows = []
    for row in table.rows:
        name = table.group.short(row.method)
        if any(word.startswith(f"{label} in fold") for word in row.collapsed):
            name += f" ({COLLAPSED})"
        rows.append([name, *(_cell(score, row) for score in row.scores[label].values())])
    return header, rows


def costs(table: Table) -> tuple[list[str], list[list[str]]]:
    """Header and rows of what the trainings took; in brackets as a ratio to the baseline."""
    header = ["method", "folds", "runs", "s/epoch", "memory [GB]", "GPU memory [GB]"]
    base = table.rows[0].cost
    rows = [
        [
            table.group.short(row.method),
            str(len(row.method.folds)),
            str(len(row.method.runs)),
            _beside(row.cost.epoch, base.epoch, 1, first=row is table.rows[0]),
            _beside(row.cost.memory, base.memory, 1e9, first=row is table.rows[0]),
            _beside(row.cost.device_memory, base.device_memory, 1e9, first=row is table.rows[0]),
        ]
        for row in table.rows
    ]
    used = [index for index in range(len(header)) if index < 4 or any(row[index] != "-" for row in rows)]
    return [header[index] for index in used], [[row[index] for index in used] for row in rows]


def notes(table: Table) -> list[str]:
    """All that has to be known to read it."""
    signed = SIGNED.format(baseline=table.group.short(table.group.baseline))
    collapsed = [
        f"{table.group.short(row.method)} {COLLAPSED}: it predicts no {', no '.join(row.collapsed)}. Counted, not left "
        "out: 0 in Dice, IoU, recall and precision, the image's diagonal in distances."
        for row in table.rows
        if row.collapsed
    ]
    judged = worth.reasons(table.statistics) if table.statistics else []
    return [signed, *collapsed, *table.notes, *judged]


def as_markdown(tables: Iterable[Table]) -> str:
    """All tables as Markdown."""
    return "\n\n".join(f"### {inline(title(table))}\n\n{below_title(table)}" for table in tables) + "\n"


def below_title(table: Table) -> str:
    """All of a table but its title, as Markdown."""
    parts = []
    for name, cells_of in _named(table):
        parts += [f"**{inline(name)}**", marked_table(*cells_of)]
    parts.append("\n".join(f"- {inline(note)}" for note in notes(table)))
    return "\n\n".join(parts)


def show(tables: Iterable[Table]) -> None:
    """Print all tables on the terminal."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    if not console.is_terminal:
        # A file or a pipe has room.
        console = Console(width=200)
    for table in tables:
        console.print(title(table), style="bold", highlight=False, markup=False)
        for name, (header, rows) in _named(table):
            drawn = _drawn(name, header, rows)
            if Measurement.get(console, console.options.update(max_width=WIDE), drawn).maximum > console.width:
                # Differences below the means, so that no number is cut off.
                drawn = _drawn(name, _stacked(header), map(_stacked, rows))
            console.print(drawn)
        for note in notes(table):
            console.print(f"- {note}", highlight=False, markup=False, soft_wrap=True)


def _drawn(name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Any:
    """A table of rich whose numbers stay whole; only the names in its first column may be broken."""
    from rich import box
    from rich.table import Table as Drawn
    from rich.text import Text

    # As Text: rich takes the brackets of a unit, [mm], for its markup.
    drawn = Drawn(title=Text(name), title_justify="left", box=box.SIMPLE_HEAD)
    for index, word in enumerate(header):
        drawn.add_column(Text(word), justify="right" if index else "left", no_wrap=bool(index), overflow="fold")
    for row in rows:
        drawn.add_row(*map(Text, row))
    return drawn


def _stacked(row: Sequence[str]) -> list[str]:
    return [row[0], *(word.replace(" ", "\n") for word in row[1:])]


def as_csv(tables: Iterable[Table]) -> str:
    """One line for each number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for line in _lines(tables):
        writer.writerow({key: _plain(value) for key, value in line.items()})
    return text.getvalue()


def as_data(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {
            "dataset": table.group.dataset,
            "part": table.group.part,
            "subgroup": table.subgroup,
            "baseline": table.group.baseline.name,
            "folds": table.group.folds,
            "methods": [_method_data(row) for row in table.rows],
            "statistics": _statistics_data(table),
            "notes": notes(table),
        }
        for table in tables
    ]


def _statistics_data(table: Table) -> Any:
    """All that was found but the single cases, which the long table has."""
    return None if table.statistics is None else _for_json(asdict(table.statistics))


def _for_json(value: Any) -> Any:
    if isinstance(value, float):
        return as_json(value)
    if isinstance(value, Mapping):
        return {key: _for_json(one) for key, one in value.items() if key != "differences"}
    return [_for_json(one) for one in value] if isinstance(value, tuple | list) else value


def _method_data(row: Row) -> dict[str, Any]:
    return {
        "name": row.method.name,
        "trainer": row.method.trainer,
        "plans": row.method.plans,
        "configuration": row.method.configuration,
        "runs": row.method.runs,
        "cases": row.cases,
        "collapsed": row.collapsed,
        "seconds_per_epoch": row.cost.epoch,
        "memory_bytes": row.cost.memory,
        "device_memory_bytes": row.cost.device_memory,
        "scores": {
            label: {name: _score_data(score) for name, score in metrics.items()}
            for label, metrics in row.scores.items()
        },
    }


def _score_data(score: Score) -> dict[str, Any]:
    difference = None if score.difference is None else as_json(score.difference)
    return {"mean": as_json(score.mean), "difference": difference, "counted": score.counted, "unit": score.unit}


def _lines(tables: Iterable[Table]) -> Iterator[dict[str, Any]]:
    for table in tables:
        tricks = table.statistics.tricks if table.statistics else ()
        for row, trick in zip(table.rows, (None, *tricks), strict=False):
            effects = trick.effects if trick else {}
            shared = {
                "dataset": table.group.dataset,
                "part": table.group.part,
                "subgroup": table.subgroup,
                "configuration": row.method.configuration,
                "plans": row.method.plans,
                "trainer": row.method.trainer,
                "folds": " ".join(row.method.folds),
                "runs": " ".join(map(str, row.method.runs)),
                "cases": row.cases,
                "collapsed": ", ".join(row.collapsed),
                "seconds_per_epoch": row.cost.epoch,
                "memory_bytes": row.cost.memory,
                "device_memory_bytes": row.cost.device_memory,
            }
            for label, metrics in row.scores.items():
                for name, score in metrics.items():
                    yield shared | {
                        "label": label,
                        "metric": name,
                        "unit": score.unit,
                        "mean": score.mean,
                        "difference": score.difference,
                        **_worth(effects, label, name),
                        "counted": score.counted,
                    }


def _worth(effects: Mapping[str, Mapping[str, Effect]], label: str, metric: str) -> dict[str, float | None]:
    effect = effects.get(label, {}).get(metric)
    if effect is None:
        return {"low": None, "high": None, "p_holm": None}
    return {"low": effect.interval.low, "high": effect.interval.high, "p_holm": effect.p.holm}


def _named(table: Table) -> Iterator[tuple[str, tuple[list[str], list[list[str]]]]]:
    for label in table.rows[0].scores:
        yield label, cells(table, label)
    yield from _named_after(table)


def _named_after(table: Table) -> Iterator[tuple[str, worth.Cells]]:
    """What follows the means of each class."""
    found = table.statistics
    if found and found.tricks:
        yield f"is it real? {found.metric}, {found.label}", worth.verdicts(found)
        yield "all tests", worth.significance(found)
        yield "ranks", worth.ranks(found)
        yield "cases", worth.extremes(found)
    yield "cost", costs(table)


def _cell(score: Score, row: Row) -> str:
    """``0.873 (+0.012)``, as the papers print it."""
    if math.isnan(score.mean):
        return "undefined"
    digits = 3 if score.unit == "1" else 2
    words = f"{score.mean:.{digits}f}"
    if score.difference is not None and not math.isnan(score.difference):
        words += f" ({score.difference:+.{digits}f})"
    return words if score.counted == row.cases else f"{words} [{score.counted}]"


def _beside(value: float | None, base: float | None, unit: float, *, first: bool) -> str:
    """``20.4 (x1.14)``: a cost, and what it is of the baseline's."""
    if value is None:
        return worth.NOTHING
    return f"{value / unit:.1f}" + (f" (x{value / base:.2f})" if base and not first else "")


def _plain(value: Any) -> Any:
    """For csv: nothing for NaN, nine digits, since the last of sixteen depend on the processor."""
    if isinstance(value, float):
        return "" if math.isnan(value) else float(f"{value:.9g}")
    return "" if value is None else value
