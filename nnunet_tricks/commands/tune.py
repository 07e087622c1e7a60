"""``nnunet-tricks tune``: what a trained model can still gain, measured on folds that did not choose."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_tricks.utilities.terminal import say

if TYPE_CHECKING:
    from nnunet_tricks.tricks.inference.tuning.tune import Tuned, TunedStep
    from nnunet_tricks.tricks.inference.tuning.view_choice import ViewChoice, ViewSearch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Choose thresholds, keep-largest and size cuts for a trained model, on the predictions of its "
        "cross-validation. The gain of each fold is measured with what the other folds chose. The naive gain, on the "
        "cases that chose, is printed beside it. What survives is written into a file for 'predict --with' and "
        "'postprocess --with'. --tta also predicts the validation images again, once for each view, and takes the "
        "smallest set of views that all views together beat by no more than the noise."
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL_FOLDER", help="folder with at least two folds, validated with --npz")
    add("-o", dest="output", type=Path, default=Path("tuned.yaml"), help="file to write (default: %(default)s)")
    add(
        "--tta",
        nargs="?",
        const="mirror",
        metavar="SET",
        help="find out which views pay for their time, out of a set of predict --tta (default: mirror)",
    )
    add("--tta-folder", type=Path, metavar="DIR", help="folder for these predictions (default: beside the file)")
    add("-device", default="cuda", help="where --tta predicts: cuda, cpu or mps (default: %(default)s)")
    add("--workers", type=int, default=1, help="processes (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace the file if it is there")
    add("--disable_progress_bar", action="store_true", help="no progress bars")
    add("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Tune, print what each step is worth, and write what survives."""
    from nnunet_tricks.tricks.inference.tuning.tune import tune

    if arguments.workers < 1:
        raise ValueError(f"--workers is {arguments.workers}, and at least 1 is needed")
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
    search = _search(arguments)
    tuned = tune(arguments.model, search=search, workers=arguments.workers, progress=not silent)
    data = _as_data(tuned)
    tuned.settings.write(arguments.output, {**data, "model": str(arguments.model.absolute())})
    if arguments.json:
        print(json.dumps(data, indent=1))
        return 0
    _print(tuned)
    say(f"Written: {arguments.output}")
    return 0


def _search(arguments: argparse.Namespace) -> ViewSearch | None:
    if not arguments.tta:
        return None
    from nnunet_tricks.tricks.inference.tuning.view_choice import ViewSearch

    folder = arguments.tta_folder or arguments.output.with_name(f"{arguments.output.stem}_views")
    return ViewSearch(tta=arguments.tta, folder=folder, device=arguments.device)


def _as_data(tuned: Tuned) -> dict[str, Any]:
    return {
        "cases": tuned.cases,
        "folds": tuned.folds,
        "dice": {name: round(value, 4) for name, value in tuned.before.items()},
        "steps": [
            {
                "kind": step.kind,
                "class": step.label,
                "setting": step.setting,
                "gain": round(step.choice.gain, 5),
                "naive_gain": round(step.choice.naive, 5),
                "p": round(step.choice.p, 5),
                "survives": step.survives,
            }
            for step in tuned.steps
        ],
        "together": {name: round(value, 5) for name, value in tuned.together.items()},
        **({"views": _views_as_data(tuned.views)} if tuned.views else {}),
    }


def _views_as_data(views: ViewChoice) -> dict[str, Any]:
    return {
        "chosen": list(views.chosen),
        "by_fold": {fold: list(names) for fold, names in views.by_fold.items()},
        "dice": round(views.dice, 5),
        "dice_of_all": round(views.dice_of_all, 5),
        "dice_of_image": round(views.dice_of_image, 5),
        "p": round(views.p, 5),
        "seconds": {name: round(seconds, 3) for name, seconds in views.seconds.items()},
        "sets": [
            {"views": list(ranked.views), "dice": round(ranked.dice, 5), "seconds": round(ranked.seconds, 3)}
            for ranked in views.ranked
        ],
    }


def _print(tuned: Tuned) -> None:
    from nnunet_tricks.comparison import drawing
    from nnunet_tricks.comparison.text_table import PrintedTable

    before = ", ".join(f"{name} {value:.4f}" for name, value in tuned.before.items())
    say(f"{tuned.cases} cases of {tuned.folds} folds. Mean Dice: {before}.")
    say("gain: Dice on folds that did not choose the setting; naive: on the cases that chose it.")
    header = ("class and setting", "gain", "naive", "optimism", "p", "")
    rows = tuple(
        (
            f"{step.label} {_in_words(step)}",
            f"{step.choice.gain:+.4f}",
            f"{step.choice.naive:+.4f}",
            f"{step.choice.optimism:+.4f}",
            f"{step.choice.p:.4f}",
            "survives" if step.survives else "",
        )
        for step in tuned.steps
    )
    drawing.draw(drawing.console(), PrintedTable("What each setting gains", header, rows))
    if any(step.survives for step in tuned.steps):
        gains = ", ".join(f"{name} {value:+.4f}" for name, value in tuned.together.items())
        say(f"All that survives, together, on folds that did not choose: {gains}.")
    else:
        say("Nothing survives: no setting gains more than chance would.")
    if tuned.views:
        _print_views(tuned.views)


def _in_words(step: TunedStep) -> str:
    """The setting without the class, which stands before it."""
    if step.setting.startswith(f"{step.label}:"):
        return step.setting.removeprefix(f"{step.label}:")
    return f"{step.kind} {step.setting}"


def _print_views(views: ViewChoice) -> None:
    from nnunet_tricks.comparison import drawing
    from nnunet_tricks.comparison.text_table import PrintedTable

    header = ("best set of so many", "views", "Dice", "s per case")
    rows = tuple(
        (", ".join(ranked.views), str(len(ranked.views)), f"{ranked.dice:.4f}", f"{ranked.seconds:.2f}")
        for ranked in views.ranked
    )
    drawing.draw(drawing.console(), PrintedTable("Views at prediction", header, rows))
    say("The Dice of a set is that on the cases that chose it.")
    times = ", ".join(f"{name} {seconds:.2f}" for name, seconds in views.seconds.items())
    say(f"Seconds per case of each view: {times}.")
    say(
        f"The smallest set within the noise of all: {', '.join(views.chosen)}. On folds that did not choose: Dice "
        f"{views.dice:.4f}; all views {views.dice_of_all:.4f}; the image alone {views.dice_of_image:.4f} (p "
        f"{views.p:.4f})."
    )
