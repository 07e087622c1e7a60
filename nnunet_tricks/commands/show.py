"""``nnunet-tricks show``: everything the catalogue says about one trick or trainer."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from nnunet_tricks.catalogue import after_training
from nnunet_tricks.catalogue.info import TrickInfo, Value
from nnunet_tricks.catalogue.naming import (
    PREFIX,
    IllegalName,
    TrainerName,
    Trick,
    completed,
    ensemble_note,
    is_ours,
    parse,
)
from nnunet_tricks.catalogue.papers import cited
from nnunet_tricks.commands.list import as_data
from nnunet_tricks.comparison.ledger.rows import LedgerRow
from nnunet_tricks.comparison.ledger.stored import read_ledger
from nnunet_tricks.door import external
from nnunet_tricks.utilities.terminal import BOLD, command_lines, styled, width, wrapped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = "Show what one trick or trainer switches, its formula, parameters, paper and an example."
    parser.add_argument("name", help="a trick (Tversky) or a trainer (nnUNetTrainerTversky_alpha0p2_100epochs)")
    parser.add_argument("--cite", action="store_true", help="print only the BibTeX entries")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print everything about the trick or trainer."""
    if after_training.info_of(arguments.name):
        return _show_after_training(arguments)
    name, builds_on = _read(arguments.name)
    if arguments.cite:
        print(_bibtex(name.tricks))
    elif arguments.json:
        tricks = [_data(trick) for trick in name.tricks]
        switched = [str(trick) for trick in name.switched]
        report = {"trainer": str(name), "epochs": name.epochs, "run": name.run, "tricks": tricks, "switched": switched}
        report |= {"builds_on": str(name), "trainer": builds_on} if builds_on else {}
        print(json.dumps(report, indent=2))
    else:
        columns = width()
        if builds_on:
            note = f"{builds_on} is yours and builds on this one; its own changes are not shown."
            print(*wrapped(note, columns), "", sep="\n")
        print(*wrapped(f"{name}: {name.epochs} epochs, run {name.run}", columns, rest="    "), sep="\n")
        if any(trick.info.base for trick in name.tricks):
            print(*wrapped(f"trains with {', '.join(map(str, name.switched))}", columns, rest="    "), sep="\n")
        for trick in name.tricks:
            print(*_lines(trick, columns), sep="\n")
        if note := ensemble_note(builds_on or str(name)):
            print("", *_row("length", note, columns), sep="\n")
        example = completed(name)
        flat = any(trick.info.dimensions == 2 for trick in example.tricks)
        configuration = "2d" if flat else "3d_fullres"
        command = f"nnUNetv2_train 501 {configuration} 0 -tr {builds_on or example}"
        print("", *_example(command, columns), sep="\n")
    return 0


def _show_after_training(arguments: argparse.Namespace) -> int:
    """Print everything about a trick that no trainer has."""
    trick = after_training.read(arguments.name)
    line = after_training.example(trick)
    if arguments.cite:
        print(_bibtex([trick]))
    elif arguments.json:
        # The same keys as for trainers, without those that only a training has.
        tricks = [_data(trick)]
        print(json.dumps({"command": line, "tricks": tricks, "switched": [str(trick)]}, indent=2))
    else:
        columns = width()
        print(f"{trick}: for trained models")
        print(*_lines(trick, columns), "", *_example(line, columns), sep="\n")
    return 0


def _bibtex(tricks: Iterable[Trick]) -> str:
    papers = dict.fromkeys([cited("isensee2021nnunet"), *(paper for trick in tricks for paper in trick.papers)])
    return "\n\n".join(paper.bibtex for paper in papers)


def _read(given: str) -> tuple[TrainerName, str]:
    """The parsed name; and the given name, if it is a user's trainer that builds on one of ours."""
    try:
        return parse(given if is_ours(given) else PREFIX + given), ""
    except IllegalName:
        if not os.environ.get(external.VARIABLE):
            raise
        # Imported only now, since it takes seconds, and only if the user can have trainers.
        from nnunet_tricks.door.lookup import find_trainer
        from nnunet_tricks.training.trainer import TrickTrainer

        with suppress(ValueError):
            trainer = find_trainer(given)
            if issubclass(trainer, TrickTrainer):
                return trainer.trainer_name, given
        raise


def _lines(trick: Trick, columns: int | None) -> Iterator[str]:
    """An empty line, and all that the catalogue says about a trick.

    Args:
        trick: The trick with its settings.
        columns: Width of the terminal; None for a file or a pipe, where lines are as long as their text.
    """
    info = trick.info
    yield ""
    name, *rest = wrapped(f"{info.name}: {info.summary}", columns, rest="    ")
    yield from (styled(info.name, BOLD) + name.removeprefix(info.name), *rest)
    yield from _row("phase", info.phase, columns)
    yield from _row("switches", ", ".join(info.hooks), columns)
    yield from _row("made of" if info.base else "formula", info.formula, columns)
    for index, parameter in enumerate(info.parameters):
        value = trick.settings[parameter.name]
        set_to = "" if value == parameter.default else f", here {_written(value)}"
        if parameter.name not in trick.in_effect:
            set_to = ", here without effect"
        title = "parameters" if index == 0 else ""
        indent = " " * (len(parameter.name) + 2)
        yield from _row(title, f"{parameter.name}: {parameter.help}", columns, indent)
        allowed = f"{parameter.allowed}, default {_written(parameter.default)}{set_to}"
        yield from wrapped(allowed, columns, first=f"{'':11}{indent}", rest=f"{'':11}{indent}")
    if info.beside:
        yield from _row("beside", f"{', '.join(info.beside)}, or another of its kind", columns)
    if needed := _needed(info):
        yield from _row("takes", needed, columns)
    if info.packages:
        text = f"{', '.join(info.packages)}: pip install 'nnunet_tricks[{info.extra}]'"
        yield from _row("needs", text, columns)
    if info.licence:
        yield from _row("licence", info.licence, columns)
    yield from _row("for", ", ".join(info.challenges), columns)
    if info.use_when:
        yield from _row("use it", info.use_when, columns)
    if info.avoid_when:
        yield from _row("better not", info.avoid_when, columns)
    yield from _row("paper", f"{info.paper.short} (--cite for BibTeX)", columns)
    for index, measured in enumerate(info.measured):
        text = (
            f"{measured.dataset}: Dice {measured.baseline:.2f} {measured.delta:+.2f} "
            f"({measured.row} in {measured.source}; one trick added to a bare baseline)"
        )
        yield from _row("measured" if index == 0 else "", text, columns, "  ")
    for index, row in enumerate(_rows(info)):
        yield from _row("ledger" if index == 0 else "", _row_words(row), columns, "  ")


def _data(trick: Trick) -> dict[str, Any]:
    rows = [asdict(row) for row in _rows(trick.info)]
    return as_data(trick.info) | {"settings": trick.settings, "ledger": rows}


def _rows(info: TrickInfo) -> tuple[LedgerRow, ...]:
    return read_ledger().of_trick(info.name)


def _row_words(row: LedgerRow) -> str:
    runs = f"{row.runs[1]} run{'' if row.runs[1] == 1 else 's'}"
    return f"{row.name}, {row.data}: {row.word}, {row.interval} {row.metric} ({runs}, {row.size}; {row.report})"


def _row(title: str, text: str, columns: int | None, indent: str = "") -> list[str]:
    """A title, and its text beside it; further lines are indented."""
    return wrapped(text, columns, first=f"{title:10} ", rest=f"{'':11}{indent}")


def _example(command: str, columns: int | None) -> list[str]:
    return command_lines(command, columns, first=f"{'example':10} ", rest=f"{'':11}  ")


def _needed(info: TrickInfo) -> str:
    """The images that a network takes."""
    if info.base or not info.dimensions:
        return ""
    size = f", {info.minimum} voxels or more along one side" if info.minimum > 1 else ""
    padded = f"; sides are padded to multiples of {info.multiple}" if info.multiple > 1 else ""
    return f"{info.dimensions}D images{size}{padded}"


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "x".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
