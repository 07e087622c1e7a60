"""``nnunet-tricks annotate import``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_tricks.commands.annotate.shared import add_number, add_output, print_report, warn, written
from nnunet_tricks.utilities.wording import some

if TYPE_CHECKING:
    from nnunet_tricks.annotation.painted import ImportReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.description = (
        "Make a raw data set from label maps that annotators painted by a plan of 'annotate select'. Only the selected "
        "slices may be painted: paint elsewhere is refused. Selected slices without paint are named, and count as "
        "background. Everything else gets nnU-Net's ignore label."
    )
    parser.add_argument("plan", metavar="PLAN", type=Path, help="the .json that 'annotate select' wrote")
    parser.add_argument("images", metavar="IMAGES", type=Path, help="folder of the images")
    parser.add_argument(
        "labels", metavar="LABELS", type=Path, help="folder of the label maps, named like their cases (without _0000)"
    )
    add_number(parser)
    parser.add_argument("--name", required=True, help="name of the new data set, without its number")
    parser.add_argument(
        "--classes",
        nargs="+",
        required=True,
        metavar="CLASS",
        help="names and painted numbers, such as kidney=1 tumour=7; names alone have the numbers 1, 2, and so on. "
        "Classes that nobody has painted yet may be among them. Segments in 3D Slicer's .seg.nrrd are matched by name",
    )
    parser.add_argument(
        "--channels",
        nargs="+",
        required=True,
        metavar="CHANNEL",
        help="names of the channels; nnU-Net normalises CT in its own way",
    )
    parser.add_argument(
        "--accept-unpainted",
        action="store_true",
        help="cases on which nothing was painted are background; without this they count as not done",
    )
    parser.add_argument(
        "--other-values",
        choices=("refuse", "background", "ignore"),
        default="refuse",
        help="meaning of painted values and segments that belong to no class (default: %(default)s)",
    )
    parser.add_argument(
        "--overlaps",
        choices=("refuse", "higher"),
        default="refuse",
        help="voxels in segments of two classes are refused, or go to the class with the higher number "
        "(default: %(default)s)",
    )
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the data set, and say what was made of doubtful paint."""
    from nnunet_tricks.annotation import selection
    from nnunet_tricks.annotation.painted import import_painted
    from nnunet_tricks.annotation.painted_check import PaintRules
    from nnunet_tricks.nnunet.folders import Folders

    plan = selection.read(arguments.plan)
    warn(selection.differences_of_table(plan, arguments.plan))
    report = import_painted(
        Folders.of_environment(),
        plan,
        arguments.images,
        arguments.labels,
        arguments.to,
        arguments.name,
        classes=arguments.classes,
        channels=arguments.channels,
        rules=PaintRules(arguments.other_values, arguments.overlaps, arguments.accept_unpainted),
        dry_run=arguments.dry_run,
    )
    warn(_warnings(report, arguments.other_values))
    if arguments.json:
        print_report(arguments, report)
        return 0
    cases = f"{report.cases} case{'s' * (report.cases != 1)} of {report.channels} channel{'s' * (report.channels > 1)}"
    print(f"{written(arguments)} {report.name}, {cases} with {report.slices} annotated slices")
    changed = {value: number for value, number in report.values.items() if value != number}
    if changed:
        print("  painted values became " + ", ".join(f"{value} -> {number}" for value, number in changed.items()))
    print(f"  label {report.ignore} marks what nobody annotated; nnU-Net's own validation scores annotated slices only")
    if not arguments.dry_run:
        print(
            f"Plan: nnUNetv2_plan_and_preprocess -d {arguments.to} -fpe DatasetFingerprintExtractorAnnotated "
            "--verify_dataset_integrity"
        )
        print(f"Train with it: nnUNetv2_train {arguments.to} 3d_fullres 0 -tr nnUNetTrainerSparseSlices")
    return 0


def _warnings(report: ImportReport, other_values: str) -> Iterator[str]:
    if report.empty:
        count, names = _slices(report.empty)
        yield f"{count} selected slices have no paint and count as background: {names}"
    if report.left_out:
        count, names = _slices(report.left_out)
        yield f"{count} selected slices are painted with no class throughout and count as not annotated: {names}"
    for meaning, cases in report.by_number.items():
        yield (
            f"no segment of {some(cases)} has the name of a class, so numbers decided: {meaning}. If that is wrong, "
            "rename the segments in 3D Slicer, or give the classes the segments' names"
        )
    if report.waiting:
        yield f"{len(report.waiting)} selected cases have no label map and are left out: {some(report.waiting)}"
    if report.absent:
        yield f"no label map shows {some(report.absent)}; dataset.json still names it"
    if report.others:
        meaning = "are background" if other_values == "background" else "count as not annotated"
        yield f"painted voxels of no class {meaning}: {_voxels(report.others)}"
    if report.overlaps:
        yield f"classes share voxels, which go to the class with the higher number: {_voxels(report.overlaps)}"


def _slices(by_case: Mapping[str, Sequence[int]]) -> tuple[int, str]:
    """How many slices there are, and their numbers in ITK-SNAP, case by case."""
    names = [f"{case} (ITK-SNAP {some([*map(str, slices)])})" for case, slices in by_case.items()]
    return sum(map(len, by_case.values())), some(names, "; ")


def _voxels(counts: Mapping[str, int]) -> str:
    return some([f"{name}: {voxels} voxels" for name, voxels in counts.items()])
