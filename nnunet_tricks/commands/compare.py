"""``nnunet-tricks compare``: methods beside their baseline, from nnU-Net's result folders."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_tricks.commands.evaluate import add_metric_arguments, check_places

if TYPE_CHECKING:
    from nnunet_tricks.comparison.folders import Predictions
    from nnunet_tricks.experiment.spec import Comparison

SPECS = (".yaml", ".yml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Compare trained models: mean over cases per class and metric, difference to the baseline, and what the "
        "trainings took. Takes nnU-Net's result folders, or the experiment file that 'nnunet-tricks run' took. What is "
        "missing, unfinished or was trained otherwise is refused by name, never left out of a mean."
    )
    add = parser.add_argument
    add("what", type=Path, nargs="+", metavar="SPEC|FOLDER", help="an experiment file, or models' result folders")
    add("--baseline", metavar="TRAINER", help="compare with this (default: without tricks, a bare base, or the first)")
    add(
        "--finished",
        action="store_true",
        help="of an experiment that still runs: leave out, by name, what is unfinished",
    )
    add("-f", dest="folds", nargs="+", metavar="FOLD", help="only these folds (default: all of the split file)")
    add("--part", default="validation", help="of result folders: validation, test (default: %(default)s)")
    add("--by", metavar="COLUMN", help="a table for each value of this column of the data set's cases.csv")
    add(
        "--group",
        metavar="COLUMN",
        help="column of cases.csv with what a case belongs to, such as a patient: intervals then draw these, not cases",
    )
    add("--cases", type=Path, metavar="FILE", help="that file, if not in the raw data set")
    add(
        "--accept",
        nargs="+",
        default=[],
        choices=("nnunet-version", "plans", "positions"),
        help="compare although this differs between folders, or between headers of prediction and label; a footnote "
        "says so",
    )
    add_metric_arguments(parser)
    add("--out", type=Path, metavar="FILE", help="write the tables: .md or .csv")
    add("--report", type=Path, metavar="DIR", help="write a report with figures: HTML, Markdown, LaTeX, csv")
    add("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Compare, and show the tables."""
    from nnunet_tricks.comparison import across_tables
    from nnunet_tricks.comparison import tables as printed
    from nnunet_tricks.comparison.beside import beside
    from nnunet_tricks.comparison.compare import METRICS, compare
    from nnunet_tricks.comparison.finished import finished
    from nnunet_tricks.comparison.folders import default_workers
    from nnunet_tricks.comparison.metrics import TOLERANCES
    from nnunet_tricks.comparison.report.collect import collect, gathered, of_folders, of_spec
    from nnunet_tricks.comparison.report.render import write
    from nnunet_tricks.utilities.files import write_atomically

    writers = {".md": printed.as_markdown, ".csv": printed.as_csv}
    if arguments.out and arguments.out.suffix not in writers:
        raise ValueError(f"--out is {arguments.out}, and its ending must be .md or .csv")
    check_places(arguments.out)
    if arguments.report and arguments.report.exists() and not arguments.report.is_dir():
        raise ValueError(f"--report is {arguments.report}, and must be a folder")
    if arguments.workers is not None and arguments.workers < 1:
        raise ValueError(f"--workers is {arguments.workers}, and at least 1 is needed")
    settings: dict[str, Any] = {
        "tolerances": arguments.tolerances or TOLERANCES,
        "workers": arguments.workers or default_workers(),
        "baseline": arguments.baseline,
        "by": arguments.by,
        "groups": arguments.group,
        "cases_csv": arguments.cases,
    }
    tables, papers, compared, left_out = [], [], [], []
    for asked in _asked(arguments):
        accept = [*arguments.accept, *(["plans"] if asked.accept_plans else [])]
        regions = arguments.regions or asked.regions
        metrics = arguments.metrics or [*METRICS, *(name for name in asked.printed if name not in METRICS)]
        predictions, without = asked.predictions, ""
        if arguments.finished:
            predictions, without = finished(predictions, baseline=arguments.baseline)
        found = compare(predictions, metrics=metrics, folds=asked.folds, regions=regions, accept=accept, **settings)
        if without:
            found = [replace(table, notes=(without, *table.notes)) for table in found]
            left_out.append(without)
        tables += found
        if arguments.report:
            name = asked.comparison.name if asked.comparison else ""
            columns = {"column": arguments.by or "", "grouped_by": arguments.group or ""}
            compared += gathered(found, regions, name=name, **columns)
        papers += list(beside(found, asked.comparison)) if asked.comparison else []
    more = [one.markdown for one in papers] + list(filter(None, [across_tables.as_markdown(tables)]))
    if arguments.out:
        extra = "".join(f"\n{one}" for one in more) if arguments.out.suffix == ".md" else ""
        write_atomically(arguments.out, writers[arguments.out.suffix](tables) + extra)
    if arguments.report:
        spec = next((place for place in arguments.what if place.suffix in SPECS), None)
        question = of_spec(spec) if spec else of_folders(tables)
        question = replace(question, lock=" ".join([question.lock, *dict.fromkeys(left_out)]))
        rows, facts = collect(compared, question)
        write(arguments.report, rows, facts)
    if arguments.json:
        print(json.dumps({"tables": printed.as_data(tables), "across": across_tables.as_data(tables)}, indent=1))
        return 0
    printed.show(tables)
    for one in more:
        print(f"\n{one}")
    for place in (arguments.out, arguments.report and arguments.report / "report.html"):
        if place:
            print(f"Written: {place}")
    return 0


@dataclass
class _Asked:
    """What one comparison is about.

    Attributes:
        predictions: Of all models.
        folds: Those that must be there; None for all of the split file.
        regions: As ``--regions`` takes them.
        accept_plans: Whether plans may differ, because the experiment says so.
        comparison: Of the experiment file, if there is one.
        printed: Metrics that a paper printed for the same comparison.
    """

    predictions: list[Predictions]
    folds: Sequence[str] | None
    regions: Sequence[str] = ()
    accept_plans: bool = False
    comparison: Comparison | None = None
    printed: Sequence[str] = ()


def _asked(arguments: argparse.Namespace) -> list[_Asked]:
    from nnunet_tricks.comparison.folders import find

    specs = [place for place in arguments.what if place.suffix in SPECS]
    if specs and len(arguments.what) > 1:
        raise ValueError("compare takes one experiment file, or result folders, not both")
    if specs:
        return _of_spec(specs[0], arguments.folds)
    found = [one for place in arguments.what for one in find(place, part=arguments.part, folds=arguments.folds)]
    return [_Asked(found, arguments.folds)]


def _of_spec(file: Path, folds: Sequence[str] | None) -> list[_Asked]:
    from nnunet_tricks.comparison.beside import metrics_of
    from nnunet_tricks.comparison.folders import Predictions
    from nnunet_tricks.comparison.metrics.registry import all_metrics
    from nnunet_tricks.experiment.cells import trained
    from nnunet_tricks.experiment.spec import read_experiment
    from nnunet_tricks.nnunet.folders import Folders

    known = [metric.name for metric in all_metrics()]
    found: dict[str, _Asked] = {}
    for _, one in trained(read_experiment(file), Folders.of_environment()):
        comparison, model = one.comparison, one.model
        wanted = list(folds or comparison.folds)
        regions = comparison.region_words
        several = len(comparison.configurations) > 1 or len(comparison.plans) > 1
        printed = [name for name in metrics_of(comparison) if name in known]
        asked = found.setdefault(comparison.name, _Asked([], wanted, regions, several, comparison, printed))
        if model.fold in wanted:
            asked.predictions += [
                Predictions(model.folder.parent, model.fold, model.predictions(part, comparison.checkpoint).name)
                for part in comparison.parts
            ]
    return list(found.values())
