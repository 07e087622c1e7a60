"""Checks trainers one after the other and shows the results, for ``nnunet-tricks conformance``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nnunet_tricks.catalogue import CATALOGUE, naming
from nnunet_tricks.conformance.baseline import check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.contract import check_contract
from nnunet_tricks.conformance.grid import FULL_GRID, Situation, pairwise
from nnunet_tricks.conformance.outcome import ConformanceReport
from nnunet_tricks.conformance.ranks import RankPair
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.conformance.table import explanations, line, overview, show_tables
from nnunet_tricks.door import trainers
from nnunet_tricks.door.lookup import find_trainer
from nnunet_tricks.training.trainer import TrickTrainer

UNCOMPILED = tuple(step for step in STEPS if step != "compile")
"""Steps of a network of ours that was compiled for such images before. Torch needs longer for it than all other steps
together, and what labels change about such a network is the number of channels that it returns."""


def run(names: Sequence[str], *, whole_grid: bool, as_json: bool, keep: Path | None) -> int:
    """Check trainers.

    Args:
        names: Names of trainers or tricks; empty for every trick of the catalogue.
        whole_grid: Whether to take every situation rather than a pairwise selection.
        as_json: Whether to print JSON rather than tables.
        keep: Folder for everything that is written, ``None`` for a temporary one.

    Returns:
        1 if something failed, else 0.

    Raises:
        ValueError: If there is no trainer of a name, or the folder is not empty.
    """
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise ValueError(f"--keep {keep} must be a new or an empty folder, and this one is not")
    checked = [_find(name) for name in names or [info.trainer for info in CATALOGUE]]
    situations = FULL_GRID if whole_grid else pairwise()
    console = Console(file=sys.stdout)  # this stream, even while the sandbox redirects others' output
    reports = []
    with (
        RankPair() as pair,
        Bench(keep and keep.resolve()) as bench,
        _progress(console, shown=console.is_terminal and not as_json) as bar,
    ):
        task = bar.add_task("", total=sum(len(situations) + (3 if _is_ours(trainer) else 2) for trainer in checked))
        for report in _check(checked, situations, bench, pair):
            reports.append(report)
            bar.update(task, advance=1, description=f"{report.trainer}, {report.situation}")
            if not console.is_terminal and not as_json:
                print(line(report), flush=True)
    if as_json:
        print(to_json(reports))
    else:
        if console.is_terminal:
            show_tables(console, reports)
        if len(checked) > 1:
            print("\n".join(["", *overview(reports)]))
        print("\n".join(["", *(explanations(reports) or ["Everything holds."])]))
        if keep:
            print(f"Data, results, logs and tracebacks are in {keep}.")
    return 0 if all(report.passed for report in reports) else 1


def to_json(reports: Sequence[ConformanceReport]) -> str:
    """All results as JSON.

    Examples:
        >>> json.loads(to_json([ConformanceReport("nnUNetTrainer", "contract")]))["ok"]
        True
    """
    return json.dumps({"ok": all(report.passed for report in reports), "reports": list(map(_data, reports))}, indent=2)


def _find(name: str) -> type[nnUNetTrainer]:
    tricks = {info.name for info in CATALOGUE}
    return find_trainer(f"{naming.PREFIX}{name}" if name.partition("_")[0] in tricks else name)


def _check(
    checked: Sequence[type[nnUNetTrainer]], situations: Sequence[Situation], bench: Bench, pair: RankPair
) -> Iterator[ConformanceReport]:
    for trainer in checked:
        yield check_contract(trainer)
        compiled: set[str] = set()
        for situation in situations:
            known = situation.dimension in compiled and len(situations) < len(FULL_GRID) and _brings_network(trainer)
            report = bench.check(trainer, situation, steps=UNCOMPILED if known else tuple(STEPS))
            yield report
            compiled |= {situation.dimension} if report.has_passed("compile") else set()
        yield pair.check(trainer)
        if _is_ours(trainer):
            yield check_baseline(bench, trainer, _claims(naming.parse(trainer.__name__)))


def _claims(name: naming.TrainerName) -> list[str]:
    length = ["schedule"] if name.epochs != naming.DEFAULT_EPOCHS else []
    return [hook for trick in name.tricks if not trick.info.own for hook in trick.info.claims] + length


def _brings_network(trainer: type[nnUNetTrainer]) -> bool:
    return _is_ours(trainer) and "network.backbone" in _claims(naming.parse(trainer.__name__))


def _is_ours(trainer: type[nnUNetTrainer]) -> bool:
    return issubclass(trainer, TrickTrainer) and trainers.is_made_here(trainer)


def _progress(console: Console, *, shown: bool) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    return Progress(
        *columns, console=console, transient=True, disable=not shown, redirect_stdout=False, redirect_stderr=False
    )


def _data(report: ConformanceReport) -> dict[str, Any]:
    situation = asdict(report.situation) if isinstance(report.situation, Situation) else {"check": report.situation}
    steps = [asdict(outcome) | {"status": outcome.status.value} for outcome in report.outcomes]
    return {"trainer": report.trainer, **situation, "ok": report.passed, "steps": steps}
