"""The tables of ``docs/ledger.md``, written from the rows: ``python -m nnunet_tricks.comparison.ledger.page``.

Standard library only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from textwrap import wrap

from nnunet_tricks.catalogue import EVERYTHING
from nnunet_tricks.comparison.ledger.cells import LedgerCell, LedgerLine, columns_of, lines_of
from nnunet_tricks.comparison.ledger.rows import DECIDED, UNDECIDED, WITHIN_NOISE, Ledger, LedgerRow
from nnunet_tricks.comparison.ledger.stored import read_ledger
from nnunet_tricks.utilities.blocks import with_block
from nnunet_tricks.utilities.files import write_atomically

BEGIN = "<!-- ledger: begin, written by 'python -m nnunet_tricks.comparison.ledger.page' -->"
END = "<!-- ledger: end -->"

NOTHING = "-"
WIDTH = 160
"""Characters of a line of Markdown, at most; tables are longer."""


def as_markdown(ledger: Ledger) -> str:
    """What moved anything, the table of tricks by data sets, trick by dimension, each row, and the reports."""
    lines, columns = lines_of(ledger), columns_of(ledger)
    parts = ["## In one minute", *_summary(ledger, lines)]
    for title, bare in (("Tricks by data sets", False), ("On the bare base", True)):
        if shown := [line for line in lines if line.is_bare == bare]:
            of_shown = [column for column in columns if any(column in line.cells for line in shown)]
            parts += [f"## {title}", _table(_header(of_shown), [_line(line, of_shown) for line in shown])]
    if ledger.interactions:
        parts += ["## Trick by dimension", _by_dimension(ledger)]
    wheres = list(dict.fromkeys(_where(row, sentence) for row in ledger.rows for sentence in row.where))
    if wheres:
        many = (
            f"{len(wheres)} patterns in {len(ledger.rows)} rows. Each row was asked for each class, so some of these "
            "are chance."
        )
        lines_of_all = (line for where in wheres for line in _wrapped(f"- {where}", "  "))
        parts += ["## Helps where?", many, "\n".join(lines_of_all)]
    parts.append("## Every row")
    for report in ledger.reports:
        rows = [row for row in ledger.rows if row.report == report.id]
        parts += [
            f"### {report.experiment}",
            *_report(ledger, report.id),
            _table(DETAILS, [_details(row) for row in rows]),
        ]
    return "\n\n".join(parts)


def _where(row: LedgerRow, sentence: str) -> str:
    """A sentence that begins with the report's name of a method, with the ledger's name in its place."""
    return f"{row.data}: {row.name}, {sentence.partition(', ')[2]}"


def inserted(document: str, tables: str) -> str:
    """The document with its tables replaced.

    Raises:
        ValueError: If the document has no place for them.
    """
    return with_block(document, BEGIN, END, tables)


def printed(row: LedgerRow | LedgerLine) -> str:
    """What papers printed for the tricks of a row: points of Dice that it adds to the paper's bare baseline."""
    names = row.tricks if isinstance(row, LedgerRow) else next(iter(row.cells.values())).row.tricks
    shown = row.trick if isinstance(row, LedgerRow) else next(iter(row.cells.values())).row.trick
    if len(names) != 1 or shown.endswith("_none"):
        return ""
    return ", ".join(
        f"{measured.dataset} {measured.delta:+.2f}"
        + (f" ({measured.row})" if measured.row.casefold() != names[0].casefold() else "")
        for info in EVERYTHING
        if info.name == names[0]
        for measured in info.measured
    )


def summary(ledger: Ledger) -> list[str]:
    """Sentences for a reader who has one minute."""
    lines = lines_of(ledger)
    rows = [cell.row for line in lines for cell in line.cells.values()]
    if not rows:
        return ["The ledger has no rows yet."]
    counts = {word: sum(row.word == word for row in rows) for word in (*DECIDED, WITHIN_NOISE, UNDECIDED)}
    sizes = _range([row.epochs for row in rows], "d")
    sentences = [
        f"{len(lines)} tricks, {len({*ledger.sources.values()})} data sets in {len({row.data for row in rows})} "
        f"settings, {len(rows)} cells. "
        f"{counts['helps']} helped, {counts['hurts']} hurt, {counts[WITHIN_NOISE]} were within noise, "
        f"{counts[UNDECIDED]} are undecided.",
        f"Trainings had {sizes} epochs on a CPU, most with small networks and patches. nnU-Net's own have 1000.",
    ]
    for word, title in (("helps", "Helped"), ("hurts", "Hurt")):
        named = [f"{row.name} ({row.data}, {row.difference:+.3f})" for row in rows if row.word == word]
        sentences.append(f"{title}: {', '.join(named) or 'none'}.")
    for column in columns_of(ledger):
        near = [row for row in rows if row.data == column and row.word == WITHIN_NOISE]
        near.sort(key=lambda row: abs(row.difference or 0.0))
        if near:
            named = [f"{row.name} ({_signed(row.difference)})" for row in near]
            sentences.append(f"Within the noise of reruns on {column}: {', '.join(named)}.")
    return sentences + [_size(column, [row for row in rows if row.data == column]) for column in columns_of(ledger)]


def _size(column: str, rows: Sequence[LedgerRow]) -> str:
    """At what size of training the verdicts on one data set were found, and what could have been seen there."""
    epochs = _range([row.epochs for row in rows], "d")
    patches = sorted({patch for row in rows for patch in re.findall(r"patch ([\dx]+)", row.size)}, key=_edges)
    levels = [row.of_baseline for row in rows if row.of_baseline is not None]
    metric = "/".join(sorted({row.metric for row in rows}))
    widths = [
        (row.high - row.low) / 2
        for row in rows
        if row.word == UNDECIDED and row.low is not None and row.high is not None
    ]
    parts = [f"Size on {column}: {epochs} epoch{'' if epochs == '1' else 's'}"]
    parts += [f"patch {' or '.join(patches)}"] if patches else []
    parts += [f"baselines reached {_range(levels, '.2f')} {metric}"] if levels else []
    seen = f" Half of the undecided intervals reach ±{median(widths):.2g} or more." if widths else ""
    return f"{', '.join(parts)}.{seen}"


def _edges(patch: str) -> list[int]:
    return [int(edge) for edge in patch.split("x")]


def _range(values: Sequence[float], form: str) -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def _summary(ledger: Ledger, lines: Sequence[LedgerLine]) -> Iterator[str]:
    yield "\n".join(line for sentence in summary(ledger) for line in _wrapped(f"- {sentence}", "  "))
    signs = [line for line in lines if line.p is not None]
    if signs:
        yield "\n".join(
            _wrapped(
                f"{len(signs)} tricks were tried on more than one data set. With so few data sets no sign test can say "
                "much: five with the same sign give p = 0.06, six give 0.03."
            )
        )


def _header(columns: Sequence[str]) -> list[str]:
    return ["trick", *columns, "better/worse data sets", "papers printed (points of Dice)"]


def _line(line: LedgerLine, columns: Sequence[str]) -> list[str]:
    cells = [_cell(line.cells[column]) if column in line.cells else NOTHING for column in columns]
    signs = NOTHING if line.p is None else f"{line.better}/{line.worse}, p = {line.p:.2g}"
    return [line.name, *cells, signs, printed(line) or NOTHING]


def _cell(cell: LedgerCell) -> str:
    row = cell.row
    word = f"**{row.word}**" if row.word in DECIDED else row.word
    more = f", {len(cell.others)} more below" if cell.others else ""
    runs = f"{row.runs[1]} run{'' if row.runs[1] == 1 else 's'}"
    length = f"{row.epochs} epoch{'' if row.epochs == 1 else 's'}"
    cost = "" if row.cost is None else f", {row.cost:.2g}x"
    link = f"[report](../{row.report}/report.md)"
    return f"{word}<br>{row.interval}<br>{runs}, {length}, {row.cases} cases{cost}, {link}{more}"


def _by_dimension(ledger: Ledger) -> str:
    header = ("trick", "data", "in 2D", "in 3D", "3D minus 2D, 95 % interval", "verdict")
    rows = [
        (row.trick, row.dataset, _signed(row.in_2d), _signed(row.in_3d), row.interval, row.word)
        for row in ledger.interactions
    ]
    return _table(header, rows)


DETAILS = (
    "trick",
    "data",
    "verdict",
    "difference",
    "95 % interval",
    "baseline",
    "runs of baseline, trick",
    "cases better/worse of all",
    "training",
    "cost",
)


def _details(row: LedgerRow) -> tuple[str, ...]:
    return (
        row.name,
        row.data,
        f"**{row.word}**" if row.word in DECIDED else row.word,
        _signed(row.difference),
        row.interval,
        NOTHING if row.of_baseline is None else f"{row.of_baseline:.3f} {row.metric}",
        f"{row.runs[0]}, {row.runs[1]}" + (f" on {row.folds} folds" if row.folds > 1 else ""),
        f"{row.better}/{row.worse} of {row.cases}",
        row.size,
        NOTHING if row.cost is None else f"{row.cost:.2g}x",
    )


def _report(ledger: Ledger, name: str) -> Iterator[str]:
    report = ledger.by_id[name]
    yield "\n".join(_wrapped(f"[{name}](../{report.page}), locked on {report.locked_at}. {report.left_out}".rstrip()))
    yield f"```bash\n{report.verify}\n```"


def _signed(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _wrapped(text: str, indent: str = "") -> list[str]:
    return wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def main(arguments: Sequence[str]) -> int:
    """Write the tables into a page, ``docs/ledger.md`` of the current folder if none is given."""
    file = Path(arguments[0] if arguments else "docs/ledger.md")
    write_atomically(file, inserted(file.read_text(encoding="utf-8"), as_markdown(read_ledger())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
