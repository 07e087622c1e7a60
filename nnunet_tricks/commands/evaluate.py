"""``nnunet-tricks evaluate``: predictions measured against labels."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnunet_tricks.comparison.evaluate import MeasuredCase, MeasuringSettings
    from nnunet_tricks.comparison.table import MetricRow
    from nnunet_tricks.nnunet.annotated_classes import AnnotatedClasses
    from nnunet_tricks.nnunet.classes import Classes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Measure predictions: per case and class, and the mean over cases. If PREDICTIONS holds nnU-Net's results of a "
        "model or a fold, leave out LABELS: they are found where nnU-Net has them. Results are kept beside the "
        "predictions and used again until files or definitions change."
    )
    add = parser.add_argument
    add("predictions", type=Path, metavar="PREDICTIONS", help="folder of predictions, or a model's result folder")
    add("labels", type=Path, nargs="?", metavar="LABELS", help="folder of labels with the same file names")
    add("--part", default="validation", help="what to measure in a result folder (default: %(default)s)")
    add("-f", dest="folds", nargs="+", metavar="FOLD", help="only these folds of a result folder")
    add("--dataset-json", type=Path, metavar="FILE", help="dataset.json, if it is not found beside the files")
    add(
        "-l",
        "--labels",
        dest="named",
        nargs="+",
        metavar="LABEL",
        help="labels to measure if there is no dataset.json: values such as 1 2, or values with names such as kidney=1 "
        "tumor=2; 'ignore=3' leaves out voxels that nobody annotated",
    )
    add(
        "--chill",
        action="store_true",
        help="leave out labels without a prediction, as nnU-Net's evaluation does",
    )
    add(
        "--accept",
        nargs="+",
        default=[],
        choices=("positions",),
        help="measure by index even if headers put prediction and label at different places; a line says so",
    )
    add_metric_arguments(parser)
    add("--out", type=Path, metavar="FILE", help="write the long table, one row for each number: .csv or .parquet")
    add("--summary", type=Path, metavar="FILE", help="write totals in the form of nnU-Net's summary.json")
    add("--definitions", action="store_true", help="only print the definitions of the chosen metrics")
    add("--json", action="store_true", help="print the result as JSON")


def add_metric_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is measured; ``compare`` takes the same."""
    add = parser.add_argument
    add(
        "--regions",
        nargs="+",
        default=[],
        metavar="NAME=LABELS",
        help="measure unions of labels, such as kidney=1+2 tumor=2, instead of the data set's classes",
    )
    add(
        "--metrics",
        nargs="+",
        metavar="METRIC",
        help="names such as HD95, NSD@3, or families: overlap, volume, empty, surface, subvoxel, lesion, ife, "
        "published, all; '_px' behind a distance means pixels (default: overlap volume surface)",
    )
    add(
        "--tolerance",
        dest="tolerances",
        type=float,
        nargs="+",
        metavar="MM",
        help="tolerances of the surface Dice NSD (default: 1 2)",
    )
    add("--workers", type=int, metavar="N", help="processes (default: as nnU-Net, at most one for each core)")


def run(arguments: argparse.Namespace) -> int:
    """Measure, and show the means."""
    if arguments.definitions:
        _print_definitions(arguments)
        return 0
    from nnunet_tricks.comparison import positions, table
    from nnunet_tricks.comparison.metrics import DEFAULT, TOLERANCES, shown

    if arguments.out and arguments.out.suffix not in (".csv", ".parquet"):
        raise ValueError(f"--out is {arguments.out}, and its ending must be .csv or .parquet")
    check_places(arguments.out, arguments.summary)
    if arguments.labels and arguments.folds:
        raise ValueError("-f chooses folds of a result folder: leave it out where LABELS are given")
    if not arguments.labels and (arguments.chill or arguments.dataset_json or arguments.named):
        raise ValueError(
            "--chill, --dataset-json and --labels go with LABELS, the folder: result folders are complete and say it "
            "themselves"
        )
    if arguments.named and arguments.dataset_json:
        raise ValueError("--labels and --dataset-json both say what the labels mean: give one of them")
    rows, measured, classes = _in_folder(arguments) if arguments.labels else _in_results(arguments)
    position_note = positions.note({str(case.files.prediction): case.displacement for case in measured})
    if position_note:
        print(f"Note: {position_note}", file=sys.stderr)
    for absent in _absent(measured):
        print(f"Note: {absent}", file=sys.stderr)
    if arguments.out:
        table.write(rows, arguments.out)
    if arguments.summary:
        from nnunet_tricks.comparison import summary

        summary.write(summary.summary(measured, classes), arguments.summary)
    if arguments.json:
        print(json.dumps([row.as_data() for row in rows], indent=1))
        return 0
    _print_means(rows, len(measured), shown(arguments.metrics or DEFAULT, arguments.tolerances or TOLERANCES))
    for file in filter(None, (arguments.out, arguments.summary)):
        print(f"Written: {file}")
    return 0


def _absent(measured: Sequence[MeasuredCase]) -> Iterator[str]:
    """Classes that are nowhere: a mask of 0 and 255 has no label 1, but its numbers look like those of a bad model."""
    for label in measured[0].values if measured else ():
        counts = [case.values[label] for case in measured if case.is_annotated(label)]
        for count, files in (("FN", "label maps"), ("FP", "predictions")):
            if not any(of_case["TP"][0] + of_case[count][0] for of_case in counts):
                yield f"{label} is in none of the {files}. Are their values those that were asked for?"


def check_places(*files: Path | None) -> None:
    """Whether the folders of files to write are there: asked before hours of measuring.

    Raises:
        ValueError: If a folder is not there.
    """
    for file in filter(None, files):
        if not file.absolute().parent.is_dir():
            raise ValueError(f"{file} cannot be written: there is no folder {file.absolute().parent}")


def check_workers(arguments: argparse.Namespace) -> None:
    """Whether ``--workers`` is a number of processes.

    Raises:
        ValueError: If it is below 1.
    """
    if arguments.workers is not None and arguments.workers < 1:
        raise ValueError(f"--workers is {arguments.workers}, and at least 1 is needed")


def _settings(arguments: argparse.Namespace, classes: Classes, annotated: AnnotatedClasses | None) -> MeasuringSettings:
    """What the arguments ask for.

    Raises:
        ValueError: If there is no such metric, or no worker.
    """
    from nnunet_tricks.comparison.evaluate import MeasuringSettings
    from nnunet_tricks.comparison.folders import default_workers
    from nnunet_tricks.comparison.metrics import DEFAULT, TOLERANCES, chosen

    check_workers(arguments)
    metrics = tuple(arguments.metrics or DEFAULT)
    tolerances = tuple(arguments.tolerances or TOLERANCES)
    chosen(metrics, tolerances)
    workers = arguments.workers or default_workers()
    by_index = "positions" in arguments.accept
    return MeasuringSettings(classes, metrics, tolerances, workers, by_index=by_index, annotated=annotated)


def _in_results(arguments: argparse.Namespace) -> tuple[list[MetricRow], list[MeasuredCase], Classes]:
    from nnunet_tricks.comparison import folders
    from nnunet_tricks.comparison.evaluate import evaluate
    from nnunet_tricks.comparison.table import rows_of

    predictions = folders.find(arguments.predictions, part=arguments.part, folds=arguments.folds)
    classes = folders.classes_of(predictions[0].description, arguments.regions)
    settings = _settings(arguments, classes, predictions[0].annotated)
    rows: list[MetricRow] = []
    measured: list[MeasuredCase] = []
    for prediction in predictions:
        cases = evaluate(prediction.folder, prediction.files(), settings)
        measured += cases
        rows += rows_of(cases, **prediction.columns)
    _print_left_out(settings, measured)
    return rows, measured, classes


def _in_folder(arguments: argparse.Namespace) -> tuple[list[MetricRow], list[MeasuredCase], Classes]:
    from nnunet_tricks.comparison import folders
    from nnunet_tricks.comparison.evaluate import evaluate
    from nnunet_tricks.comparison.table import rows_of

    for folder in (arguments.predictions, arguments.labels):
        if not folder.is_dir():
            raise ValueError(f"{folder} is not there")
    classes, ending = _meaning(arguments)
    truth = folders.labels_in(arguments.labels, ending)
    files = folders.matched(arguments.predictions, truth, ending, chill=arguments.chill)
    settings = _settings(arguments, classes, _table(arguments))
    measured = evaluate(arguments.predictions, files, settings)
    _print_left_out(settings, measured)
    return rows_of(measured), measured, classes


def _meaning(arguments: argparse.Namespace) -> tuple[Classes, str]:
    """What the labels mean, and the ending of the files."""
    from nnunet_tricks.comparison import folders
    from nnunet_tricks.nnunet.classes import Classes

    if arguments.named:
        classes = Classes.named(arguments.named)
        ending = folders.shared_ending(arguments.predictions, arguments.labels)
        return classes.with_regions(arguments.regions) if arguments.regions else classes, ending
    description = _description(arguments)
    return folders.classes_of(description, arguments.regions), str(description["file_ending"])


def _table(arguments: argparse.Namespace) -> AnnotatedClasses | None:
    """The table beside the labels, or beside ``dataset.json``, that says which classes each case is annotated for."""
    from nnunet_tricks.nnunet import annotated_classes
    from nnunet_tricks.nnunet.folders import read_json

    labels = arguments.labels.absolute()
    given = [arguments.dataset_json.absolute().parent] if arguments.dataset_json else []
    for folder in (*given, labels, labels.parent):
        if (folder / annotated_classes.FILE).is_file():
            description = arguments.dataset_json or folder / "dataset.json"
            return annotated_classes.beside(folder, read_json(description)) if description.is_file() else None
    return None


def _print_left_out(settings: MeasuringSettings, measured: Sequence[MeasuredCase]) -> None:
    from nnunet_tricks.comparison.evaluate import left_out

    note = left_out(settings.annotated, settings.classes, [case.files.case for case in measured])
    if note:
        print(f"Note: {note}", file=sys.stderr)


def _description(arguments: argparse.Namespace) -> dict[str, Any]:
    """The ``dataset.json`` that belongs to the files."""
    from nnunet_tricks.nnunet.folders import read_json

    predictions, labels = arguments.predictions.absolute(), arguments.labels.absolute()
    # In nnU-Net's results it stands beside the folds.
    folders = (predictions, labels, labels.parent, predictions.parent.parent)
    places = [folder / "dataset.json" for folder in folders]
    for file in [arguments.dataset_json] if arguments.dataset_json else places:
        if file.is_file():
            description = dict(read_json(file))
            if not isinstance(description.get("file_ending"), str):
                raise ValueError(f"{file} names no file_ending")
            return description
    raise ValueError(
        f"no dataset.json in {arguments.predictions}, in {arguments.labels} or above it, so nobody knows what the "
        "labels mean: name them, such as --labels 1 2, or give the file with --dataset-json"
    )


def _print_means(rows: Sequence[MetricRow], cases: int, names: Sequence[str]) -> None:
    from nnunet_tricks.comparison import drawing
    from nnunet_tricks.comparison.evaluate import mean
    from nnunet_tricks.comparison.text_table import PrintedTable

    by_metric: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        if row.metric in names:
            by_metric.setdefault((row.metric, row.unit), {}).setdefault(row.label, []).append(row.value)
    labels = tuple(dict.fromkeys(row.label for row in rows))
    cells = tuple(
        (
            metric if unit == "1" else f"{metric} [{unit}]",
            *(_mean_in_words(values[label], mean(values[label])) for label in labels),
        )
        for (metric, unit), values in by_metric.items()
    )
    partly = any(cell.endswith(")") for line in cells for cell in line[1:])
    note = "In brackets: how many cases count, where others are undefined." if partly else ""
    drawing.draw(drawing.console(), PrintedTable(f"Mean over {cases} cases", ("metric", *labels), cells, note))


def _mean_in_words(values: Sequence[float], mean: float) -> str:
    counted = sum(not math.isnan(value) for value in values)
    number = "undefined" if math.isnan(mean) else f"{mean:.4g}"
    return number if counted in (0, len(values)) else f"{number} ({counted})"


def _print_definitions(arguments: argparse.Namespace) -> None:
    from nnunet_tricks.comparison.metrics import DEFAULT, TOLERANCES, chosen

    for metric in chosen(arguments.metrics or DEFAULT, arguments.tolerances or TOLERANCES):
        print(f"{metric.name} [{metric.unit}], better: {metric.better}\n  {metric.definition}\n  {metric.when_empty}")
