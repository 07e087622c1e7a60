"""``nnunet-tricks annotate interpolate``."""

from __future__ import annotations

import argparse

from nnunet_tricks.commands.annotate.shared import (
    METHODS,
    add_dataset,
    add_learning,
    add_output,
    learning_settings,
    preferred,
    print_report,
    warn,
    written,
)
from nnunet_tricks.utilities.wording import some


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.description = (
        "Make a raw data set in which slices without annotation have interpolated labels, from one that 'annotate "
        "sparsify' or 'annotate import' made. Cases that are already dense stay as they are."
    )
    add_dataset(parser, "number or full name of the sparse data set")
    parser.add_argument("--method", choices=METHODS, default="sdf", help="default: %(default)s")
    parser.add_argument(
        "--accept-changed", action="store_true", help="accept files that differ from those that the manifest recorded"
    )
    add_learning(parser, "beside the sparse data set's preprocessed data")
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the data set."""
    from nnunet_tricks.annotation.filled import fill
    from nnunet_tricks.nnunet.folders import Folders

    report = fill(
        Folders.of_environment(),
        arguments.dataset,
        arguments.to,
        arguments.method,
        learning=learning_settings(arguments),
        accept_changed=arguments.accept_changed,
        dry_run=arguments.dry_run,
    )
    if report.empty:
        warn([f"no annotated slice of {some(report.empty)} shows a class: these cases are all background"])
    if report.partly:
        warn([f"{report.partly} selected slices are annotated in part: masks were made without them"])
    if report.linked_partly:
        warn([f"{some(report.linked_partly)} have voxels that nobody annotated, and stay as they are"])
    if arguments.json:
        print_report(arguments, report)
        return 0
    print(f"{written(arguments)} {report.name}, {report.filled} cases interpolated, {report.linked} dense as before")
    if not arguments.dry_run and report.configurations:
        print(f"Preprocess: nnUNetv2_preprocess -d {arguments.to} -c {preferred(report.configurations)}")
    return 0
