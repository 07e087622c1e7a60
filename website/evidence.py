"""What is known of a trick: verdicts of our experiments, and what it costs by our benchmarks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from nnunet_tricks.catalogue.naming import IllegalName, parse
from website.places import ROOT

_HEADING = re.compile(r"^#{2,3} (?:[^:\n]+: )?(Dataset.*)$|^\*\*is it real\? (.*)\*\*$", re.M)
_BASELINE = re.compile(r"^- Signed.*: difference to (\w+)\.", re.M)


@dataclass(frozen=True)
class Verdict:
    """A row of a table of verdicts.

    Attributes:
        tricks: Names of the tricks that the baseline does not have.
        trainer: Name of the trainer, and what is done with its models.
        baseline: Name of the baseline.
        data: Data set, configuration, part, folds and number of cases.
        measure: Metric and class.
        difference: Difference to the baseline with its sign.
        interval: 95 % interval of the difference.
        word: Verdict.
        page: Page of the experiment, from the root of the repository.
    """

    tricks: tuple[str, ...]
    trainer: str
    baseline: str
    data: str
    measure: str
    difference: str
    interval: str
    word: str
    page: str


def verdicts_on(trick: str) -> list[Verdict]:
    """Verdicts on trainers that switch a trick."""
    return [verdict for verdict in _verdicts() if trick in verdict.tricks]


def mentions_of(trick: str) -> list[str]:
    """Pages of experiments that have trained a trick without a verdict, from the root of the repository."""
    judged = {verdict.page for verdict in verdicts_on(trick)}
    pages = sorted(ROOT.glob("experiments/*.md")) + sorted(ROOT.glob("experiments/*/README.md"))
    names = ((page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8")) for page in pages)
    return [
        name for name, text in names if name not in judged and re.search(rf"nnUNetTrainer{trick}(?![a-zA-Z])", text)
    ]


@cache
def _verdicts() -> tuple[Verdict, ...]:
    tables = sorted(ROOT.glob("experiments/*/table.md")) + sorted(ROOT.glob("experiments/*/report/report.md"))
    return tuple(verdict for table in tables for verdict in _in_table(table.relative_to(ROOT).as_posix()))


def _in_table(name: str) -> Iterator[Verdict]:
    text = (ROOT / name).read_text(encoding="utf-8")
    page = "/".join([*name.split("/")[:2], "README.md"])
    data = ""
    for heading in _HEADING.finditer(text):
        if heading.group(1):
            data = heading.group(1)
            continue
        below = text[heading.end() :]
        noted = _BASELINE.search(below)
        baseline = noted[1] if noted else ""
        for line in below.split("\n\n")[1].splitlines()[2:]:
            method, difference, interval, _, _, word = (cell.strip() for cell in line.strip("| ").split("|"))
            tricks = tuple(name for name in _tricks_of(method) if name not in _tricks_of(baseline))
            yield Verdict(tricks, method, baseline, data, heading.group(2), difference, interval, word, page)


def _tricks_of(method: str) -> list[str]:
    """Tricks of a method, such as ``nnUNetTrainerTversky_4epochs+TTA_none``; none of somebody else's trainer."""
    trainer, *inference = method.split("+")
    try:
        trained = [trick.info.name for trick in parse(trainer).tricks]
    except IllegalName:
        return []
    return trained + [words.partition("_")[0] for words in inference]


@dataclass(frozen=True)
class Cost:
    """What a trick costs.

    Attributes:
        what: Thing that was measured.
        beside: Thing that it was measured beside.
        time: Time in multiples of that.
        memory: Peak memory in words; empty where it was not measured.
        file: File of the result, from the root of the repository.
    """

    what: str
    beside: str
    time: float
    memory: str
    file: str


def costs_of(trick: str) -> list[Cost]:
    """Measured costs of a trick; empty if there are none."""
    return [cost for measured in (_losses, _augmentations, _networks) for cost in measured(trick)]


def _losses(trick: str) -> Iterator[Cost]:
    file = "benchmarks/results/loss_step.json"
    for dimensions, result in _results(file).items():
        row = result["losses"].get(trick)
        if row:
            shape = " x ".join(map(str, result["shape"]))
            memory = f"{row['peak_memory_in_logits']:.1f} x the logits"
            yield Cost(f"loss and gradient, {dimensions} ({shape})", "nnU-Net's loss", row["ratio"], memory, file)


def _augmentations(trick: str) -> Iterator[Cost]:
    for file in ("benchmarks/results/augmentation.json", "benchmarks/results/default_augmentation.json"):
        for size, rows in _results(file).items():
            row = rows.get(trick)
            if row:
                memory = f"{row['megabytes']:.0f} MB" if "megabytes" in row else ""
                # There the ratio says how many times as fast it is.
                yield Cost(f"augmentation of a patch, {size}", "nnU-Net's augmentation", 1 / row["ratio"], memory, file)


def _networks(trick: str) -> Iterator[Cost]:
    file = "benchmarks/results/ife.json"
    for configuration, rows in _results(file)["steps"].items():
        row, plain = rows.get(trick), rows.get("plain U-Net")
        if row and plain:
            time = row["milliseconds"] / plain["milliseconds"]
            yield Cost(f"training step, {configuration}", "nnU-Net's network", time, "", file)
    file = "benchmarks/results/networks.json"
    if row := _results(file, "networks").get(trick):
        shape = " x ".join(map(str, row["batch"]))
        dimensions = f"{len(row['batch']) - 2}D"
        time = row["over planned"]["ratio"]
        yield Cost(f"training step, {dimensions} ({shape})", "nnU-Net's planned U-Net", time, "", file)
    file = "benchmarks/results/blocks.json"
    for dimensions, row in _results(file, "blocks").get(trick, {}).items() if (ROOT / file).is_file() else ():
        shape = " x ".join(map(str, row["batch"]))
        memory = f"{row['activations over planned']:.2f} x its activations"
        if "over planned" in row:
            time = row["over planned"]["ratio"]
            yield Cost(f"training step, {dimensions} ({shape})", row["beside"], time, memory, file)


@cache
def _results(file: str, key: str = "results") -> dict[str, Any]:
    results: dict[str, Any] = json.loads((ROOT / file).read_text(encoding="utf-8"))[key]
    return results
