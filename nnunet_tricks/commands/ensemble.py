"""``nnunet-tricks ensemble``: one segmentation of several."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_tricks.utilities.terminal import say

if TYPE_CHECKING:
    from nnunet_tricks.tricks.inference.ensemble import EnsembleSettings
    from nnunet_tricks.tricks.inference.tuning.weights import LearnedWeights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Combine the predictions of several models. These may differ in run, trainer and configuration, but not in "
        "labels. average takes mean probabilities, as nnUNetv2_ensemble does. vote takes the label that most members "
        "predict, and needs no probabilities. weighted and stack need learned weights: --learn finds them on the "
        "cross-validation of the models, and measures each fold with weights that the other folds learned. --with "
        "applies them."
    )
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-i", dest="folders", type=Path, nargs="+", metavar="FOLDER", help="predictions of each member")
    what.add_argument(
        "--learn",
        dest="models",
        type=Path,
        nargs="+",
        metavar="MODEL_FOLDER",
        help="learn weights of these models, validated with --npz, and write them into the file -o",
    )
    add("-o", dest="output", type=Path, required=True, help="folder for the result; with --learn the file of weights")
    add(
        "--method",
        choices=("average", "vote", "weighted", "stack"),
        help="weighted has a learned weight for each member, stack one for each member and class (default: average, "
        "or the method of the file after --with)",
    )
    add(
        "--weights",
        type=float,
        nargs="+",
        default=(),
        metavar="W",
        help="weights of your own for average or vote, one for each member in the order of -i (default: equal)",
    )
    add("--with", dest="learned", type=Path, metavar="FILE", help="use the weights in this file of --learn")
    add("--save_probabilities", "--save_npz", action="store_true", help="write the mean probabilities, too")
    add("--uncertainty", action="store_true", help="write maps of entropy and disagreement, and cases.csv")
    add("-np", dest="processes", type=int, default=1, help="processes (default: %(default)s)")
    add("--continue_ensemble", dest="resume", action="store_true", help="keep cases that are complete")
    add("--overwrite", action="store_true", help="delete older results in the output folder first")
    add("--dry-run", action="store_true", help="check everything, write nothing")
    add("--disable_progress_bar", action="store_true", help="no progress bar")
    add("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Make it, or learn weights for it."""
    if arguments.processes < 1:
        raise ValueError(f"-np is {arguments.processes}, and at least 1 process is needed")
    return _learn(arguments) if arguments.models else _ensemble(arguments)


def _ensemble(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.tricks.inference.ensemble import ensemble

    settings = _settings(arguments)
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
        print(f"Would make {len(result.cases)} cases of {len(arguments.folders)} members by {settings.method}.")
    else:
        kept = len(result.cases) - len(result.seconds)
        print(
            f"{len(result.seconds)} cases of {len(arguments.folders)} members by {settings.method}"
            + (f"; {kept} were there already." if kept else ".")
        )
    return 0


def _settings(arguments: argparse.Namespace) -> EnsembleSettings:
    from nnunet_tricks.tricks.inference.ensemble import EnsembleSettings

    method, weights = arguments.method or "average", tuple(arguments.weights)
    by_output: tuple[tuple[float, ...], ...] = ()
    if arguments.learned:
        from nnunet_tricks.tricks.inference.members import DESCRIPTION, check_models, read_beside
        from nnunet_tricks.tricks.inference.tuning.weights import read_weights

        if weights:
            raise ValueError("--with and --weights both give weights: give one of them")
        labels = read_beside(arguments.folders[0], DESCRIPTION)["labels"]
        learned = read_weights(arguments.learned, labels, len(arguments.folders))
        if arguments.method not in (None, learned.method):
            raise ValueError(f"--method is {method}, and {arguments.learned} has weights for {learned.method}")
        check_models(arguments.folders, learned.models, arguments.learned)
        method, weights, by_output = learned.method, learned.weights, tuple(learned.by_output.values())
    return EnsembleSettings(
        method=method,
        weights=weights,
        by_output=by_output,
        probabilities=arguments.save_probabilities,
        uncertainty=arguments.uncertainty,
    )


def _learn(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.tricks.inference.tuning.weights import learn

    unused = {
        "--weights": arguments.weights,
        "--with": arguments.learned,
        "--save_probabilities": arguments.save_probabilities,
        "--uncertainty": arguments.uncertainty,
        "--continue_ensemble": arguments.resume,
        "--dry-run": arguments.dry_run,
    }
    if given := [name for name, value in unused.items() if value]:
        raise ValueError(f"{given[0]} is for making an ensemble, and --learn only learns weights for it: leave it out")
    if not arguments.method:
        raise ValueError("--method is missing: --learn learns for weighted or for stack")
    if arguments.output.is_dir():
        raise ValueError(
            f"{arguments.output} is a folder: give the name of a file with -o, such as {arguments.output}.yaml"
        )
    if arguments.output.exists() and not arguments.overwrite:
        raise ValueError(f"{arguments.output} is there already: give another file with -o, or --overwrite")
    if not arguments.output.absolute().parent.is_dir():
        raise ValueError(
            f"{arguments.output} cannot be written: there is no folder {arguments.output.absolute().parent}"
        )
    silent = arguments.disable_progress_bar or arguments.json
    result = learn(arguments.models, arguments.method, workers=arguments.processes, progress=not silent)
    data = _as_data(result)
    result.settings.write(arguments.output, data)
    if arguments.json:
        print(json.dumps(data, indent=1))
        return 0
    _print(result)
    print(f"Written: {arguments.output}")
    return 0


def _as_data(result: LearnedWeights) -> dict[str, Any]:
    rows = {name: [round(weight, 4) for weight in row] for name, row in result.learned.by_output.items()}
    return {
        "method": result.method,
        "cases": result.cases,
        "folds": result.folds,
        "dice": {name: round(value, 4) for name, value in result.members.items()},
        "dice_of_equal_weights": round(result.equal, 4),
        "learned": rows or list(result.learned.weights),
        "gain": round(result.gain, 5),
        "naive_gain": round(result.naive, 5),
        "p": round(result.p, 5),
        "survives": result.survives,
    }


def _print(result: LearnedWeights) -> None:
    say(f"{result.cases} cases of {result.folds} folds. Mean Dice of all classes:")
    for name, value in result.members.items():
        say(name, first=f"  {value:.4f}  ", rest=" " * 10)
    say("their mean with equal weights", first=f"  {result.equal:.4f}  ", rest=" " * 10)
    constant = "; the last number is a constant" if result.learned.by_output else ""
    say(f"Learned weights, in the order of the models{constant}:")
    for name, row in (result.learned.by_output or {"": result.learned.weights}).items():
        say(f"{name + ': ' if name else ''}{', '.join(f'{weight:.3f}' for weight in row)}", first="  ", rest="    ")
    say(
        f"Gain over equal weights on folds that did not learn: {result.gain:+.4f} (p {result.p:.4f}); "
        f"naive, on the cases that learned: {result.naive:+.4f}."
    )
    if not result.survives:
        say("The learned weights do not survive: they gain no more than chance would. The file has equal weights.")
