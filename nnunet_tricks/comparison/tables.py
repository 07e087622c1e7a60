"""Tables of a comparison for the terminal, Markdown, csv and JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nnunet_tricks.comparison import drawing, worth
from nnunet_tricks.comparison.comparison_table import ComparisonTable, MethodRow
from nnunet_tricks.comparison.marked import inline
from nnunet_tricks.comparison.scores import Score
from nnunet_tricks.comparison.statistics.model import Effect
from nnunet_tricks.comparison.table import as_json
from nnunet_tricks.comparison.text_table import NOTHING, PrintedTable
from nnunet_tricks.utilities.terminal import wrapped

COLLAPSED = "collapsed"
SIGNED = (
    "Signed numbers: difference to {baseline}. Means over the cases of all folds; square brackets: how many cases "
    "count, if not all."
)
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
OF_TRAINING = "seconds_of_training"
"""One more column, where the time of an epoch does not tell that of a training."""


@dataclass(frozen=True)
class TableNotes:
    """Sentences that a reader of a table has to know.

    Attributes:
        signed: Meaning of the numbers in brackets.
        remarks: Peculiarities of these trainings and cases.
        reasons: Reasons of each verdict.
    """

    signed: str
    remarks: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """All notes, in the order of reading."""
        return [self.signed, *self.remarks, *self.reasons]


def title(table: ComparisonTable) -> str:
    """What a table compares."""
    group = table.group
    folds = "fold" if len(group.folds) == 1 else "folds"
    words = [group.dataset, group.baseline.configuration, group.part, f"{folds} {', '.join(group.folds)}"]
    cases = table.rows[0].cases // len(table.rows[0].method.runs)
    return ", ".join([*words, f"{cases} cases", *([str(table.subgroup)] if table.subgroup else [])])


def scores(table: ComparisonTable, label: str, names: Mapping[str, str] | None = None) -> PrintedTable:
    """Means and differences of one class.

    Args:
        table: Table of a comparison.
        label: Name of the class.
        names: Names to print, by the short names of the methods; None for the short names themselves.
    """
    metrics = table.rows[0].scores[label]
    units = (f" [{score.unit}]" if score.unit != "1" else "" for score in metrics.values())
    header = ("method", *(name + unit for name, unit in zip(metrics, units, strict=True)))
    rows = []
    for row in table.rows:
        name = _name(table, row, names)
        if any(collapse.label == label for collapse in row.collapses):
            name += f" ({COLLAPSED})"
        rows.append((name, *(_cell(score, row) for score in row.scores[label].values())))
    return PrintedTable(label, header, tuple(rows))


def costs(table: ComparisonTable, names: Mapping[str, str] | None = None) -> PrintedTable:
    """What the trainings took; in brackets as a ratio to the baseline.

    Args:
        table: Table of a comparison.
        names: Names to print, by the short names of the methods; None for the short names themselves.
    """
    header = ("method", "folds", "runs", "s/epoch", "min/training", "memory [GB]", "GPU memory [GB]", "s/case")
    baseline = table.rows[0].cost
    rows = [
        (
            _name(table, row, names),
            str(len(row.method.folds)),
            str(len(row.method.runs)),
            _beside(row.cost.epoch, baseline.epoch, 1, first=row is table.rows[0]),
            _beside(row.cost.training, baseline.training, 60, first=row is table.rows[0]),
            _beside(row.cost.memory, baseline.memory, 1e9, first=row is table.rows[0]),
            _beside(row.cost.device_memory, baseline.device_memory, 1e9, first=row is table.rows[0]),
            _beside(row.cost.case, baseline.case, 1, first=row is table.rows[0]),
        )
        for row in table.rows
    ]
    used = [index for index in range(len(header)) if index < 4 or any(row[index] != NOTHING for row in rows)]
    return PrintedTable(
        "cost", tuple(header[index] for index in used), tuple(tuple(row[index] for index in used) for row in rows)
    )


def _name(table: ComparisonTable, row: MethodRow, names: Mapping[str, str] | None) -> str:
    short = table.group.short(row.method)
    return short if names is None else names[short]


def notes(table: ComparisonTable) -> TableNotes:
    """All that has to be known to read a table."""
    collapsed = [
        f"{table.group.short(row.method)} {COLLAPSED}: it predicts no {', no '.join(map(str, row.collapses))}. "
        "These cases count as 0 in Dice, IoU, recall and precision, and as the image's diagonal in distances."
        for row in table.rows
        if row.collapses
    ]
    return TableNotes(
        SIGNED.format(baseline=table.group.short(table.group.baseline)),
        (*collapsed, *table.notes),
        tuple(worth.reasons(table.statistics)),
    )


def as_markdown(tables: Iterable[ComparisonTable]) -> str:
    """All tables as Markdown."""
    return "\n\n".join(f"### {inline(title(table))}\n\n{below_title(table)}" for table in tables) + "\n"


def below_title(table: ComparisonTable) -> str:
    """All of a table but its title, as Markdown."""
    parts = []
    for text_table in _text_tables(table):
        parts += [f"**{inline(text_table.title)}**", text_table.markdown]
    parts.append("\n".join(f"- {inline(note)}" for note in notes(table).lines))
    return "\n\n".join(parts)


def show(tables: Iterable[ComparisonTable]) -> None:
    """Print all tables on the terminal."""
    console = drawing.console()
    for table in tables:
        console.print(title(table), style="bold", highlight=False, markup=False)
        for text_table in _text_tables(table):
            drawing.draw(console, text_table)
        for note in notes(table).lines:
            for line in wrapped(note, console.width if console.is_terminal else None, first="- ", rest="  "):
                drawing.say(console, line)


def as_csv(tables: Iterable[ComparisonTable]) -> str:
    """The tables as csv, one line for each number."""
    text, lines = io.StringIO(), list(_lines(tables))
    columns = [*CSV_COLUMNS, *([OF_TRAINING] if any(line[OF_TRAINING] is not None for line in lines) else [])]
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for line in lines:
        writer.writerow({key: _plain(value) for key, value in line.items()})
    return text.getvalue()


def as_data(tables: Iterable[ComparisonTable]) -> list[dict[str, Any]]:
    """The tables for JSON."""
    return [
        {
            "dataset": table.group.dataset,
            "part": table.group.part,
            "subgroup": str(table.subgroup or ""),
            "baseline": table.group.baseline.name,
            "folds": table.group.folds,
            "methods": [_method_data(row) for row in table.rows],
            # All that was found but the single cases, which the long table has.
            "statistics": _for_json(asdict(table.statistics)),
            "notes": notes(table).lines,
        }
        for table in tables
    ]


def _for_json(value: Any) -> Any:
    if isinstance(value, float):
        return as_json(value)
    if isinstance(value, Mapping):
        return {key: _for_json(member) for key, member in value.items() if key != "differences"}
    return [_for_json(member) for member in value] if isinstance(value, tuple | list) else value


def _method_data(row: MethodRow) -> dict[str, Any]:
    return {
        "name": row.method.name,
        "trainer": row.method.trainer,
        "plans": row.method.plans,
        "configuration": row.method.configuration,
        "runs": row.method.runs,
        "cases": row.cases,
        "collapsed": [str(collapse) for collapse in row.collapses],
        "seconds_per_epoch": row.cost.epoch,
        "memory_bytes": row.cost.memory,
        "device_memory_bytes": row.cost.device_memory,
        "seconds_per_case": row.cost.case,
        OF_TRAINING: row.cost.training,
        "scores": {
            label: {name: _score_data(score) for name, score in metrics.items()}
            for label, metrics in row.scores.items()
        },
    }


def _score_data(score: Score) -> dict[str, Any]:
    difference = None if score.difference is None else as_json(score.difference)
    return {"mean": as_json(score.mean), "difference": difference, "counted": score.counted, "unit": score.unit}


def _lines(tables: Iterable[ComparisonTable]) -> Iterator[dict[str, Any]]:
    for table in tables:
        effects_by_name = {trick.name: trick.effects for trick in table.statistics.tricks}
        for row in table.rows:
            effects = effects_by_name.get(table.group.short(row.method), {})
            shared = {
                "dataset": table.group.dataset,
                "part": table.group.part,
                "subgroup": str(table.subgroup or ""),
                "configuration": row.method.configuration,
                "plans": row.method.plans,
                "trainer": row.method.trainer,
                "folds": " ".join(row.method.folds),
                "runs": " ".join(map(str, row.method.runs)),
                "cases": row.cases,
                "collapsed": ", ".join(map(str, row.collapses)),
                "seconds_per_epoch": row.cost.epoch,
                "memory_bytes": row.cost.memory,
                "device_memory_bytes": row.cost.device_memory,
                OF_TRAINING: row.cost.training,
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


def _text_tables(table: ComparisonTable) -> Iterator[PrintedTable]:
    """The means of each class, and what follows them."""
    for label in table.rows[0].scores:
        yield scores(table, label)
    statistics = table.statistics
    if statistics.tricks:
        yield worth.verdicts(statistics)
        yield worth.significance(statistics)
        yield worth.ranks(statistics)
        yield worth.extremes(statistics)
    yield costs(table)


def _cell(score: Score, row: MethodRow) -> str:
    """A score as the papers print it: ``0.873 (+0.012)``."""
    if math.isnan(score.mean):
        return "undefined"
    digits = 3 if score.unit == "1" else 2
    words = f"{score.mean:.{digits}f}"
    if score.difference is not None and not math.isnan(score.difference):
        words += f" ({score.difference:+.{digits}f})"
    return words if score.counted == row.cases else f"{words} [{score.counted}]"


def _beside(value: float | None, baseline: float | None, unit: float, *, first: bool) -> str:
    """A cost, and its ratio to the baseline's: ``20.4 (x1.14)``."""
    if value is None:
        return NOTHING
    return f"{value / unit:.1f}" + (f" (x{value / baseline:.2f})" if baseline and not first else "")


def _plain(value: Any) -> Any:
    """A cell of a csv file: empty for NaN, nine digits, since the last of sixteen depend on the processor."""
    if isinstance(value, float):
        return "" if math.isnan(value) else float(f"{value:.9g}")
    return "" if value is None else value
