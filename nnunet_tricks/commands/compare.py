"""``nnunet-tricks compare``: methods beside their baseline, from nnU-Net's result folders.

Only what declares the arguments is imported at the top, so that ``--help`` stays fast. Each function imports what it
needs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_tricks.commands.evaluate import add_metric_arguments, check_places, check_workers

if TYPE_CHECKING:
    from nnunet_tricks.comparison.comparison_table import ComparisonTable
    from nnunet_tricks.comparison.dimension_tables import ComparedDimension
    from nnunet_tricks.comparison.folders import Predictions
    from nnunet_tricks.comparison.report.collect import ReportedComparison
    from nnunet_tricks.comparison.text_table import PrintedTable
    from nnunet_tricks.experiment.spec import Comparison
    from nnunet_tricks.nnunet.model import Model

SPECS = (".yaml", ".yml")
ENDINGS = (".md", ".csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Compare trained models: mean over cases per class and metric, difference to the baseline, and cost of the "
        "trainings. Takes nnU-Net's result folders, or the experiment file of 'nnunet-tricks run'. If a model is "
        "missing, unfinished or was trained in another way, the command stops and names it."
    )
    add = parser.add_argument
    add("what", type=Path, nargs="+", metavar="SPEC|FOLDER", help="an experiment file, or models' result folders")
    add("--baseline", metavar="TRAINER", help="baseline (default: without tricks, else a bare base, else the first)")
    add(
        "--finished",
        action="store_true",
        help="if an experiment is still running, leave out unfinished trainings and name them",
    )
    add("-f", dest="folds", nargs="+", metavar="FOLD", help="only these folds (default: all of the split file)")
    add("--part", default="validation", help="part of result folders: validation, test (default: %(default)s)")
    add("--by", metavar="COLUMN", help="a table for each value of this column of the data set's cases.csv")
    add(
        "--group",
        metavar="COLUMN",
        help="column of cases.csv with the group of each case, such as its patient; intervals then resample groups",
    )
    add("--cases", type=Path, metavar="FILE", help="cases.csv, if it is not in the raw data set")
    add(
        "--accept",
        nargs="+",
        default=[],
        choices=("lengths", "nnunet-version", "plans", "positions"),
        help="compare even if this differs between folders, or between headers of prediction and label; a footnote "
        "says so",
    )
    add_metric_arguments(parser)
    add("--out", type=Path, metavar="FILE", help="write the tables: .md or .csv")
    add("--report", type=Path, metavar="DIR", help="write a report with figures: HTML, Markdown, LaTeX, csv")
    add(
        "--no-pictures",
        dest="pictures",
        action="store_false",
        help="no slices of images in the report, where they must not be published",
    )
    add("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Compare, and show the tables."""
    from nnunet_tricks.comparison import across_tables, dimension_tables, drawing, tables
    from nnunet_tricks.comparison.beside import beside

    _check(arguments)
    comparisons: list[ReportedComparison] = []
    printed: list[PrintedTable] = []
    for selection in _selections(arguments):
        own = _compared(selection, arguments)
        comparisons += own
        if selection.comparison:
            printed += beside(_tables(own), selection.comparison)
    all_tables = _tables(comparisons)
    sections = [table.markdown_section for table in printed]
    dimensions = list(dimension_tables.dimension_comparisons(map(_side, comparisons)))
    sections += filter(None, [across_tables.as_markdown(all_tables), dimension_tables.as_markdown(dimensions)])
    if arguments.out:
        _write_tables(arguments.out, all_tables, sections)
    if arguments.report:
        _write_report(arguments, comparisons)
    if arguments.json:
        data = {
            "tables": tables.as_data(all_tables),
            "across": across_tables.as_data(all_tables),
            "by_dimension": dimension_tables.as_data(dimensions),
        }
        print(json.dumps(data, indent=1))
        return 0
    tables.show(all_tables)
    console = drawing.console()
    if console.is_terminal:
        for table in (
            *printed,
            *across_tables.titled(all_tables),
            *dimension_tables.dimension_tables(dimensions),
        ):
            console.print()
            drawing.draw(console, table)
    else:
        for section in sections:
            print(f"\n{section}")
    for place in (arguments.out, arguments.report and arguments.report / "report.html"):
        if place:
            print(f"Written: {place}")
    return 0


@dataclass
class PredictionSelection:
    """Predictions that are compared together.

    Attributes:
        predictions: Predictions of all models.
        folds: Folds that must be there; None for all of the split file.
        regions: Unions of labels, as ``--regions`` takes them.
        accept_plans: Whether plans may differ, because the experiment says so.
        comparison: Comparison of the experiment file, if there is one.
        printed: Metrics that a paper printed for the same comparison.
    """

    predictions: list[Predictions]
    folds: Sequence[str] | None
    regions: Sequence[str] = ()
    accept_plans: bool = False
    comparison: Comparison | None = None
    printed: Sequence[str] = ()


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what could not be written, before hours of measuring."""
    if arguments.out and arguments.out.suffix not in ENDINGS:
        raise ValueError(f"--out is {arguments.out}, and its ending must be {' or '.join(ENDINGS)}")
    check_places(arguments.out)
    if arguments.report and arguments.report.exists() and not arguments.report.is_dir():
        raise ValueError(f"--report is {arguments.report}, and must be a folder")
    check_workers(arguments)


def _selections(arguments: argparse.Namespace) -> list[PredictionSelection]:
    from nnunet_tricks.comparison.folders import find

    specs = [place for place in arguments.what if place.suffix in SPECS]
    if specs and len(arguments.what) > 1:
        raise ValueError("compare takes one experiment file, or result folders, not both")
    if specs:
        return _of_spec(specs[0], arguments.folds)
    predictions = [
        prediction for place in arguments.what for prediction in find(place, part=arguments.part, folds=arguments.folds)
    ]
    return [PredictionSelection(predictions, arguments.folds)]


def _of_spec(file: Path, folds: Sequence[str] | None) -> list[PredictionSelection]:
    from nnunet_tricks.comparison.beside import metrics_of
    from nnunet_tricks.comparison.metrics.registry import all_metrics
    from nnunet_tricks.experiment.cells import inferred, trained
    from nnunet_tricks.experiment.spec import read_experiment
    from nnunet_tricks.nnunet.folders import Folders

    known = [metric.name for metric in all_metrics()]
    selections: dict[str, PredictionSelection] = {}
    experiment, nnunet_folders = read_experiment(file), Folders.of_environment()
    for _, cell in trained(experiment, nnunet_folders):
        comparison, model = cell.comparison, cell.model
        wanted = list(folds or comparison.folds)
        if comparison.name not in selections:
            selections[comparison.name] = PredictionSelection(
                [],
                wanted,
                regions=comparison.region_words,
                accept_plans=len(comparison.configurations) > 1 or len(comparison.plans) > 1,
                comparison=comparison,
                printed=[name for name in metrics_of(comparison) if name in known],
            )
        if model.fold in wanted:
            selections[comparison.name].predictions += _of_parts(model, comparison)
    for _, result in inferred(experiment, nnunet_folders):
        if result.result.fold in (folds or result.comparison.folds):
            selections[result.comparison.name].predictions += _of_parts(result.result, result.comparison)
    return list(selections.values())


def _of_parts(model: Model, comparison: Comparison) -> list[Predictions]:
    from nnunet_tricks.comparison.folders import Predictions

    return [
        Predictions(model.folder.parent, model.fold, model.predictions(part, comparison.checkpoint).name)
        for part in comparison.parts
    ]


def _compared(selection: PredictionSelection, arguments: argparse.Namespace) -> list[ReportedComparison]:
    from nnunet_tricks.comparison.compare import METRICS, ComparisonQuestion, compare
    from nnunet_tricks.comparison.finished import finished
    from nnunet_tricks.comparison.folders import default_workers
    from nnunet_tricks.comparison.grouping import grouped
    from nnunet_tricks.comparison.metrics import TOLERANCES
    from nnunet_tricks.comparison.report.collect import ReportedComparison

    predictions, left_out = selection.predictions, ""
    if arguments.finished:
        predictions, left_out = finished(predictions, baseline=arguments.baseline)
    question = ComparisonQuestion(
        metrics=arguments.metrics or [*METRICS, *(name for name in selection.printed if name not in METRICS)],
        tolerances=arguments.tolerances or TOLERANCES,
        regions=arguments.regions or selection.regions,
        folds=selection.folds,
        accept=[*arguments.accept, *(["plans"] if selection.accept_plans else [])],
        column=arguments.by or "",
        grouped_by=arguments.group or "",
        cases_csv=arguments.cases,
        left_out=left_out,
        workers=arguments.workers or default_workers(),
    )
    groups = grouped(predictions, baseline=arguments.baseline)
    name = selection.comparison.name if selection.comparison else ""
    return [
        ReportedComparison(result, models, name)
        for models, result in zip(groups, compare(groups, question), strict=True)
    ]


def _tables(comparisons: Sequence[ReportedComparison]) -> list[ComparisonTable]:
    return [table for comparison in comparisons for table in comparison.result.tables]


def _side(comparison: ReportedComparison) -> ComparedDimension:
    """A comparison as one side of a comparison of 2D with 3D."""
    from nnunet_tricks.comparison.dimension_tables import ComparedDimension

    facts = comparison.result.facts
    methods = tuple((method.trainer, method.plans, method.configuration) for method in facts.group.methods)
    return ComparedDimension(
        comparison.result.table.statistics, methods, comparison.result.rows, facts.case_groups, facts.seed, facts.draws
    )


def _write_tables(file: Path, tables: Sequence[ComparisonTable], sections: Sequence[str]) -> None:
    from nnunet_tricks.comparison.tables import as_csv, as_markdown
    from nnunet_tricks.utilities.files import write_atomically

    if file.suffix == ".csv":
        write_atomically(file, as_csv(tables))
    else:
        write_atomically(file, as_markdown(tables) + "".join(f"\n{section}" for section in sections))


def _write_report(arguments: argparse.Namespace, comparisons: Sequence[ReportedComparison]) -> None:
    from nnunet_tricks.comparison.report.collect import collect, of_folders, of_spec
    from nnunet_tricks.comparison.report.render import write

    spec = next((place for place in arguments.what if place.suffix in SPECS), None)
    question = of_spec(spec) if spec else of_folders(comparisons)
    left_out = dict.fromkeys(comparison.result.question.left_out for comparison in comparisons)
    question = replace(question, left_out=" ".join(filter(None, left_out)))
    write(arguments.report, *collect(comparisons, question, pictures=arguments.pictures))
