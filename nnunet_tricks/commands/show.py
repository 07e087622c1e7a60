"""``nnunet-tricks show``: everything the catalogue says about one trick or trainer."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

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
from nnunet_tricks.door import external


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
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
        tricks = [as_data(trick.info) | {"settings": trick.settings} for trick in name.tricks]
        switched = [str(trick) for trick in name.switched]
        report = {"trainer": str(name), "epochs": name.epochs, "run": name.run, "tricks": tricks, "switched": switched}
        report |= {"builds_on": str(name), "trainer": builds_on} if builds_on else {}
        print(json.dumps(report, indent=2))
    else:
        if builds_on:
            print(f"{builds_on} is yours and builds on this one; its own changes are not shown.\n")
        print(f"{name}: {name.epochs} epochs, run {name.run}")
        if any(trick.info.base for trick in name.tricks):
            print(f"trains with {', '.join(map(str, name.switched))}")
        for trick in name.tricks:
            print("\n".join(["", *_lines(trick)]))
        if note := ensemble_note(builds_on or str(name)):
            print(f"\nlength     {note}")
        example = completed(name)
        configuration = "2d" if example.dimensions == 2 else "3d_fullres"
        print(f"\nexample    nnUNetv2_train 501 {configuration} 0 -tr {builds_on or example}")
    return 0


def _show_after_training(arguments: argparse.Namespace) -> int:
    """Print everything about a trick that no trainer has."""
    trick = after_training.read(arguments.name)
    line = after_training.example(trick)
    if arguments.cite:
        print(_bibtex([trick]))
    elif arguments.json:
        # The same keys as for trainers, without those that only a training has.
        tricks = [as_data(trick.info) | {"settings": trick.settings}]
        print(json.dumps({"command": line, "tricks": tricks, "switched": [str(trick)]}, indent=2))
    else:
        print(f"{trick}: for trained models")
        print("\n".join(["", *_lines(trick)]))
        print(f"\nexample    {line}")
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


def _lines(trick: Trick) -> Iterator[str]:
    info = trick.info
    yield f"{info.name}: {info.summary}"
    yield f"phase      {info.phase}"
    yield f"switches   {', '.join(info.hooks)}"
    yield f"{'made of' if info.base else 'formula':10} {info.formula}"
    for index, parameter in enumerate(info.parameters):
        value = trick.settings[parameter.name]
        set_to = "" if value == parameter.default else f", here {_written(value)}"
        if parameter.name not in trick.in_effect:
            set_to = ", here without effect"
        title = "parameters" if index == 0 else ""
        yield f"{title:10} {parameter.name}: {parameter.help}"
        yield f"{'':10} {'':{len(parameter.name)}}  {parameter.allowed}, default {_written(parameter.default)}{set_to}"
    if info.beside:
        yield f"beside     {', '.join(info.beside)}, or another of its kind"
    if needed := _needed(info):
        yield f"takes      {needed}"
    if info.packages:
        yield f"needs      {', '.join(info.packages)}: pip install 'nnunet_tricks[{info.extra}]'"
    if info.licence:
        yield f"licence    {info.licence}"
    yield f"for        {', '.join(info.challenges)}"
    yield f"paper      {info.paper.short} (--cite for BibTeX)"
    for index, measured in enumerate(info.measured):
        title = "measured" if index == 0 else ""
        yield (
            f"{title:10} {measured.dataset}: Dice {measured.baseline:.2f} {measured.delta:+.2f} "
            f"({measured.row} in {measured.source}; one trick added to a bare baseline)"
        )


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
