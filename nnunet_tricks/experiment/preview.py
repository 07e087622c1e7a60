"""What an experiment would do, how long it takes and how much disk it fills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnunet_tricks.experiment.costs import Costs, size_in_words
from nnunet_tricks.experiment.forecast import Slot
from nnunet_tricks.experiment.loading import Loading
from nnunet_tricks.experiment.local import DONE
from nnunet_tricks.experiment.nnunet_cells import Train
from nnunet_tricks.utilities.durations import in_words
from nnunet_tricks.utilities.terminal import LEAST, name_lines, wrapped
from nnunet_tricks.utilities.wording import some

EARLY = 1
"""First number in the rank of the baseline and the first trick."""


def as_text(
    slots: Sequence[Slot], costs: Costs, *, workers: int, budget: float | None, columns: int | None = None
) -> str:
    """A table of the cells in their order, and the totals.

    Args:
        slots: Forecast of each cell.
        costs: Costs of the cells, for the space on disk.
        workers: Number of cells at a time.
        budget: Seconds that there are; None for no limit.
        columns: Width of the terminal; None for a file or a pipe, where each cell has one line.
    """
    rows = [("", "state", "takes", "ends after", "cell")]
    for number, slot in enumerate(slots, 1):
        outside = "" if slot.fits else "  (out of budget)"
        seconds = "" if slot.state == DONE else _time(slot.seconds)
        ends = "" if slot.state == DONE else _time(slot.ends)
        rows.append((str(number), slot.state, seconds, ends, slot.cell.key + outside))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    heads = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=False)) for row in rows]
    lines = [f"{head}  {row[4]}" for head, row in zip(heads, rows, strict=True)]
    if columns is not None and max(map(len, lines)) > columns:
        lines = _in_width(heads, [row[4] for row in rows], columns)
    sums = [*_sums(slots, costs, workers, budget), *_loading(costs), *_strangers(slots)]
    return "\n".join([*lines, "", *(line for words in sums for line in wrapped(words, columns))])


def _in_width(heads: Sequence[str], keys: Sequence[str], columns: int) -> list[str]:
    """Lines for a narrow terminal: a data set is named where it changes, and long keys go on in further lines.

    Args:
        heads: Heading and rows of the table without its last column, as long as each other.
        keys: Heading and cells of the last column.
        columns: Width of the terminal.
    """
    beside = len(heads[0]) + 2 + LEAST <= columns
    indent = " " * (len(heads[0]) + 2 if beside else 2)
    lines = [f"{heads[0]}  {keys[0]}" if beside else heads[0].rstrip()]
    dataset = ""
    for head, key in zip(heads[1:], keys[1:], strict=True):
        folder, slash, rest = key.partition("/")
        if folder != dataset:
            dataset = folder
            lines.append(indent + folder + slash)
        first, *others = (indent + part for part in name_lines(rest, columns - len(indent)))
        lines += [head + first[len(head) :]] if beside else [head.rstrip(), first]
        lines += others
    return lines


def as_data(slots: Sequence[Slot], costs: Costs) -> list[dict[str, Any]]:
    """The forecast as data for programs."""
    return [
        {
            "cell": slot.cell.key,
            "state": slot.state,
            "seconds": slot.seconds,
            "ends": slot.ends,
            "fits": slot.fits,
            "bytes": 0 if slot.state == DONE else costs.bytes(slot.cell),
            "command": slot.cell.words(),
            "after": slot.cell.after,
            "others": slot.sign.words if slot.sign else None,
        }
        for slot in slots
    ]


def _sums(slots: Sequence[Slot], costs: Costs, workers: int, budget: float | None) -> list[str]:
    todo = [slot for slot in slots if slot.state != DONE]
    if not todo:
        return [f"All {len(slots)} cells are done."]
    unknown = sum(slot.seconds is None for slot in todo)
    work = sum(slot.seconds or 0.0 for slot in todo)
    lines = [f"{len(slots) - len(todo)} of {len(slots)} cells done; {in_words(work)} of work left"]
    if unknown:
        lines[0] += f" and {unknown} cells of unknown duration: only preprocessed data can be timed"
    else:
        lines[0] += f", {in_words(max(slot.ends or 0.0 for slot in todo))} with {workers} at a time"
        early = [slot.ends for slot in todo if slot.cell.rank[:1] == (EARLY,) and slot.ends is not None]
        lines += [f"Baseline and first trick on all folds: after {in_words(max(early))}"] if early else []
    sizes = [costs.bytes(slot.cell) for slot in todo]
    at_least = " or more: some sizes are not known yet" if None in sizes else ""
    lines.append(f"Disk: {size_in_words(sum(filter(None, sizes)))}{at_least}")
    if budget is not None:
        trainings = [slot for slot in slots if isinstance(slot.cell, Train)]
        fit = sum(slot.fits for slot in trainings)
        lines.append(f"In {in_words(budget)}: {fit} of {len(trainings)} trainings")
    return lines


def _loading(costs: Costs) -> list[str]:
    """How many of nnU-Net's workers each configuration needs."""
    known = {group: Loading.of(timing) for group, timing in costs.timings.items()}
    return [f"{group}: {sentence}." for group, loading in known.items() if loading for sentence in loading.sentences]


def _strangers(slots: Sequence[Slot]) -> list[str]:
    """One line for each person or program that works at cells without a queue."""
    cells: dict[tuple[str, bool], list[str]] = {}
    for slot in slots:
        if slot.sign:
            cells.setdefault((slot.sign.words, slot.sign.is_sure), []).append(slot.cell.key)
    return [
        f"{some(keys)}: {words}. 'run' {'waits for its end' if is_sure else 'looks twice before it goes on with it'}."
        for (words, is_sure), keys in cells.items()
    ]


def _time(seconds: float | None) -> str:
    return "?" if seconds is None else in_words(seconds)
