"""Every row and network of the papers with the name that runs it: ``docs/papers.md``, written from experiment files.

``python -m nnunet_tricks.experiment.papers_page`` writes it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_tricks.catalogue import in_papers
from nnunet_tricks.catalogue.naming import PREFIX, IllegalName, parse
from nnunet_tricks.experiment.printed import Printed
from nnunet_tricks.experiment.spec import Comparison, Experiment, read_experiment
from nnunet_tricks.utilities.blocks import with_block
from nnunet_tricks.utilities.files import write_atomically

BEGIN = "<!-- papers: begin, written by 'python -m nnunet_tricks.experiment.papers_page' -->"
END = "<!-- papers: end -->"

PAPERS = {"Trick paper": "tricks_", "IFE paper": "ife_", "Slice paper": "slices_"}
"""Papers with tables, and how the names of their experiment files begin."""

MOST_NAMED = 20
"""Ways to train that are listed for a figure; of more than these the page has the first and the last."""

NOT_YET = "not there yet"


@dataclass(frozen=True)
class Row:
    """A row of a paper's table.

    Attributes:
        label: What the paper calls it.
        way: What runs it, as Markdown.
    """

    label: str
    way: str


def as_markdown(folder: Path) -> str:
    """Rows of all tables, then the networks of each paper and the survey's losses.

    Args:
        folder: Folder of the experiment files.

    Raises:
        SpecError: If a file is not right.
    """
    parts = []
    for paper, start in PAPERS.items():
        files = sorted(folder.glob(f"{start}*.yaml"), key=_in_order)
        parts += [f"## {paper}", *(_table_of(read_experiment(file)) for file in files)]
        parts += [f"### {what}\n\n`{command}`" for what, command in in_papers.COMMANDS.get(paper, {}).items()]
    parts.append("## Networks")
    for paper, networks in in_papers.NETWORKS.items():
        rows = [(name, _trainer(trainer)) for name, trainer in networks.items()]
        parts.append("\n".join([f"### {paper}: networks", "", *_lines(("network", "name"), rows)]))
    losses = [(name, _trainer(trainer)) for name, trainer in in_papers.LOSSES.items()]
    parts += ["## Losses of the survey", "\n".join(_lines(("loss (equation)", "name"), losses))]
    return "\n\n".join(parts)


def inserted(document: str, tables: str) -> str:
    """The document with its tables replaced.

    Raises:
        ValueError: If the document has no place for them.
    """
    return with_block(document, BEGIN, END, tables)


def _in_order(file: Path) -> tuple[str, int]:
    kind, number = re.fullmatch(r"(.*?)(\d*)", file.stem, re.S).groups()  # type: ignore[union-attr]
    # Tables before figures.
    return kind.replace("figure", "~"), int(number or 0)


def _table_of(experiment: Experiment) -> str:
    """Heading, lengths of training, and rows of a file."""
    printed = [comparison for comparison in experiment.comparisons if comparison.printed]
    rows = _printed_rows(printed) if printed else _drawn_rows(experiment.comparisons)
    link = f"[{experiment.file.name}](../experiments/{experiment.file.name})"
    title = (experiment.description or _first_comment(experiment.file)).partition(", ")[2]
    title = title[:1].upper() + title[1:]
    lines = [f"### {title}", "", f"{link}. {_lengths(printed or experiment.comparisons)}", ""]
    head = ("row", "name", "data") if printed else ("way to train", "name", "data")
    cells = [(row.label, row.way, ", ".join(dict.fromkeys(columns))) for row, columns in rows.items()]
    return "\n".join([*lines, *_lines(head, cells)])


def _first_comment(file: Path) -> str:
    return file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def _printed_rows(comparisons: Iterable[Comparison]) -> dict[Row, list[str]]:
    """Rows that the paper printed, each with the columns of the table; what no comparison names comes last."""
    rows: dict[Row, list[str]] = {}
    named: dict[str, set[str]] = {}
    tables: dict[str, Mapping[str, object]] = {}
    for comparison in comparisons:
        printed: Printed | None = comparison.printed
        if printed is None:
            continue
        columns = [column for chosen in printed.datasets.values() for column in chosen.values()]
        tables |= {column: printed.rows[column] for column in columns}
        for label, row in printed.labels.items():
            kept = [column for column in columns if row in printed.rows[column]]
            if kept:
                rows.setdefault(Row(row, _way(comparison, label)), []).extend(kept)
                for column in kept:
                    named.setdefault(column, set()).add(row)
    for column, table in tables.items():
        for row in table:
            if row not in named.get(column, set()):
                rows.setdefault(Row(row, NOT_YET), []).append(column)
    return rows


def _drawn_rows(comparisons: Iterable[Comparison]) -> dict[Row, list[str]]:
    """Ways to train where the paper draws a figure."""
    rows: dict[Row, list[str]] = {}
    for comparison in comparisons:
        data = _data(comparison)
        labels = list(comparison.ways)
        shown = labels if len(labels) <= MOST_NAMED else [labels[0], labels[1], labels[-1]]
        for label in shown:
            rows.setdefault(Row(label.removeprefix(PREFIX), _way(comparison, label)), []).append(data)
        if len(shown) < len(labels):
            more = Row(f"{len(labels) - len(shown)} more", "as in the file")
            rows.setdefault(more, []).append(data)
    return rows


def _way(comparison: Comparison, label: str) -> str:
    """What runs a row: the trainer without its length, the configuration if there are several, and what is missing."""
    if label not in comparison.ways:
        return f"{NOT_YET}: `{label}`"
    trainer, configuration, plans = comparison.ways[label]
    name = f"`{re.sub(r'_[0-9]+epochs', '', trainer)}`"
    where = []
    if configuration != comparison.configurations[0]:
        where.append(f"-c {configuration}")
    if plans != comparison.plans[0]:
        where.append(f"-p {plans}")
    missing = next((arm.missing for arm in comparison.arms if trainer.startswith(arm.name) and arm.missing), ())
    waits = f", waits for {', '.join(f'`{token}`' for token in missing)}" if missing else ""
    return " ".join([name, *(f"`{words}`" for words in where)]) + waits


def _lengths(comparisons: Iterable[Comparison]) -> str:
    """Epochs of each data set's trainings."""
    lengths: dict[int, list[str]] = {}
    for comparison in comparisons:
        epochs = comparison.baseline.ours.epochs if comparison.baseline.ours else 0
        data = _data(comparison)
        if data not in lengths.setdefault(epochs, []):
            lengths[epochs].append(data)
    if len(lengths) == 1:
        return f"{next(iter(lengths))} epochs."
    return "Epochs: " + ", ".join(f"{epochs} for {', '.join(data)}" for epochs, data in lengths.items()) + "."


def _data(comparison: Comparison) -> str:
    """The data as a comparison's name begins with it, else numbers of data sets."""
    named, comma, _ = comparison.name.partition(", ")
    return named if comma else "data set " + ", ".join(comparison.datasets)


def _trainer(name: str) -> str:
    """A trainer as Markdown, if it is one of ours, nnU-Net's, or has not been made yet."""
    trainer = name.partition(" ")[0]
    if trainer == in_papers.PLANNED:
        return f"`{name}`"
    try:
        parse(trainer)
    except IllegalName:
        return NOT_YET
    return f"`{name}`"


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for line in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |"


def main(arguments: Sequence[str]) -> int:
    """Write the tables into a document, ``docs/papers.md`` of the current folder if none is given."""
    file = Path(arguments[0] if arguments else "docs/papers.md")
    tables = as_markdown(file.parent.parent / "experiments")
    write_atomically(file, inserted(file.read_text(encoding="utf-8"), tables))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
