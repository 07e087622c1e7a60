"""``nnunet-tricks merge``: one data set of several that were annotated for different classes."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Make one raw data set of several, with one list of labels. Labels of the same name become one class. "
        "annotated.json in the new data set says which classes each case is annotated for, so that "
        "nnUNetTrainerPartialLabels, evaluate and compare know it. Images are linked, not copied."
    )
    add = parser.add_argument
    add("datasets", nargs="+", metavar="DATASET", help="numbers or full names of the data sets, as nnU-Net's -d")
    add("--to", type=int, required=True, metavar="NUMBER", help="number of the new data set, from 1 to 999")
    add("--name", default="", help="its name behind the number (default: the others' names)")
    add("--dry-run", action="store_true", help="write nothing")
    add("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Merge, and say what came out."""
    from nnunet_tricks.annotation.merged import merge
    from nnunet_tricks.nnunet.folders import Folders

    folders = Folders.of_environment()
    merged = merge(folders, arguments.datasets, arguments.to, arguments.name, dry_run=arguments.dry_run)
    if arguments.json:
        print(json.dumps(asdict(merged), indent=1))
        return 0
    print(f"{'Would make' if arguments.dry_run else 'Made'} {merged.name}: {merged.cases} training cases")
    for label, cases in merged.annotated.items():
        print(f"  {merged.labels[label]} {label}: annotated in {cases} cases")
    for first, second in merged.never_together:
        print(f"Note: no case is annotated for both {first} and {second}: where they touch, nothing tells them apart.")
    for note in merged.notes:
        print(f"Note: {note}.")
    if not arguments.dry_run:
        print(f"Next: nnUNetv2_plan_and_preprocess -d {arguments.to}")
        print(f"      nnUNetv2_train {arguments.to} 3d_fullres 0 -tr nnUNetTrainerPartialLabels")
    return 0
