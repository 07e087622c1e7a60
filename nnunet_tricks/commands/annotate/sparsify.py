"""``nnunet-tricks annotate sparsify``."""

from __future__ import annotations

import argparse

from nnunet_tricks.commands.annotate.shared import (
    add_dataset,
    add_output,
    add_selection,
    preferred,
    print_report,
    selection_settings,
    warn,
    written,
)
from nnunet_tricks.utilities.wording import some


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.description = (
        "Make a raw data set in which training cases keep the labels of some slices and have nnU-Net's ignore label in "
        "all others, as if nobody had painted them. Images are linked. Validation cases of the fold, and test cases, "
        "keep all labels. The plans are those of the dense data set: do not plan the new one."
    )
    add_dataset(parser, "number or full name of the dense data set, as for nnU-Net's -d; it must be planned")
    add_selection(parser)
    parser.add_argument(
        "--fold",
        type=int,
        default=0,
        metavar="F",
        help="fold whose training cases become sparse (default: %(default)s)",
    )
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the data set, and say how to train with it."""
    from nnunet_tricks.annotation.sparsify import sparsify
    from nnunet_tricks.nnunet.folders import Folders

    report = sparsify(
        Folders.of_environment(),
        arguments.dataset,
        arguments.to,
        selection_settings(arguments),
        fold=arguments.fold,
        dry_run=arguments.dry_run,
    )
    if report.without_object:
        report.notes.append(
            f"no annotated slice of {some(report.without_object)} shows a class: these cases train the background only"
        )
    warn(report.notes)
    if arguments.json:
        print_report(arguments, report)
        return 0
    print(
        f"{written(arguments)} {report.name}, {report.train} training cases with "
        f"{report.budget['slices']} annotated slices ({100 * report.budget['density']:.1f} %), {report.validation} "
        f"validation and {report.test} test cases, dense"
    )
    print(f"  label {report.ignore} marks what nobody annotated; plans copied: {', '.join(report.plans)}")
    if not arguments.dry_run:
        configuration = preferred(report.configurations)
        print(f"Preprocess: nnUNetv2_preprocess -d {arguments.to} -c {configuration}")
        print(f"Train with it: nnUNetv2_train {arguments.to} {configuration} 0 -tr nnUNetTrainerSparseSlices")
    return 0
