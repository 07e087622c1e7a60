"""``nnunet-tricks annotate``: which slices to annotate, and data sets of what was annotated.

Each sub-command is a module with ``add_arguments`` and ``run``. Heavy packages are imported when it runs.
"""

from __future__ import annotations

import argparse
from types import ModuleType

from nnunet_tricks.commands.annotate import (
    curves,
    grow,
    import_painted,
    interpolate,
    preview,
    quality,
    select,
    sparsify,
    study,
)

SUBCOMMANDS: dict[str, tuple[ModuleType, str]] = {
    "select": (select, "choose the slices to annotate, from images alone"),
    "sparsify": (sparsify, "make a data set with some annotated slices from a dense one"),
    "import": (import_painted, "make a data set from what annotators painted"),
    "preview": (preview, "draw the selected slices, and the paint on them"),
    "interpolate": (interpolate, "make a data set with masks between the annotated slices"),
    "grow": (grow, "add labels where trained models are certain"),
    "quality": (quality, "measure interpolated masks against dense labels"),
    "study": (study, "plan trainings that compare annotation budgets, on dense preprocessed data"),
    "curves": (curves, "draw what these trainings reached, with a table"),
}
"""Each sub-command, its module, and what it is for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a parser for each sub-command."""
    parser.description = (
        "Sparse annotation: choose the slices that annotators paint, make nnU-Net data sets in which all other slices "
        "are ignored, and interpolate masks between them. Slices are axial. They are counted from 0, the most inferior "
        "one, whatever the order in a file."
    )
    commands = parser.add_subparsers(dest="annotate", metavar="WHAT", required=True)
    for name, (module, summary) in SUBCOMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=summary))


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen sub-command."""
    module, _ = SUBCOMMANDS[arguments.annotate]
    return int(module.run(arguments))
