"""``nnunet-tricks ensemble``: one segmentation of several."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Make one folder of predictions of several: of different folds, runs, trainers or configurations. average is "
        "nnUNetv2_ensemble; vote needs no probabilities."
    )
    add = parser.add_argument
    add("-i", dest="folders", type=Path, nargs="+", required=True, metavar="FOLDER", help="predictions of each member")
    add("-o", dest="output", type=Path, required=True, help="folder for the result")
    add("--method", choices=("average", "vote"), default="average", help="default: %(default)s")
    add("--weights", type=float, nargs="+", default=(), metavar="W", help="of the members, in the order of -i")
    add("--save_probabilities", "--save_npz", action="store_true", help="write the mean probabilities, too")
    add("--uncertainty", action="store_true", help="write maps of entropy and disagreement, and cases.csv")
    add("-np", dest="processes", type=int, default=1, help="processes (default: %(default)s)")
    add("--continue_ensemble", dest="resume", action="store_true", help="keep cases that are complete")
    add("--overwrite", action="store_true", help="delete older results in the output folder first")
    add("--dry-run", action="store_true", help="check everything, write nothing")
    add("--disable_progress_bar", action="store_true", help="no progress bar")
    add("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Make it."""
    from nnunet_tricks.tricks.inference.ensemble import EnsembleSettings, ensemble

    if arguments.processes < 1:
        raise ValueError(f"-np is {arguments.processes}, and at least 1 process is needed")
    settings = EnsembleSettings(
        method=arguments.method,
        weights=tuple(arguments.weights),
        probabilities=arguments.save_probabilities,
        uncertainty=arguments.uncertainty,
    )
    result = ensemble(
        arguments.folders,
        arguments.output,
        settings,
        processes=arguments.processes,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        dry_run=arguments.dry_run,
        progress=not (arguments.disable_progress_bar or arguments.json),
    )
    if arguments.json:
        print(json.dumps({"cases": list(result.cases), "seconds": dict(result.seconds)}, indent=1))
    elif arguments.dry_run:
        print(f"Would make {len(result.cases)} cases of {len(arguments.folders)} members by {arguments.method}.")
    else:
        kept = len(result.cases) - len(result.seconds)
        print(
            f"{len(result.seconds)} cases of {len(arguments.folders)} members by {arguments.method}"
            + (f"; {kept} were there already." if kept else ".")
        )
    return 0
