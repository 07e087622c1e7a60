"""``nnunet-tricks diagnose``: why a training fails, from its log, its settings and its data."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnunet_tricks.comparison.diagnosis.diagnose import Diagnosis
    from nnunet_tricks.comparison.diagnosis.finding import Finding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Say what is likely wrong with a training, of any trainer: classes whose Dice fell to 0 and when, losses that "
        "are NaN, a validation that is much worse than pseudo-Dice, epochs that wait for patches. It reads nnU-Net's "
        "log, debug.json, the validation's summary.json and, where they are, the preprocessed data. Nothing is written "
        "but the picture, and nothing that a checkpoint holds is run. Exit code 1 if something was found."
    )
    parser.add_argument(
        "model",
        metavar="MODEL_FOLDER",
        type=Path,
        help="<trainer>__<plans>__<configuration> in nnUNet_results, or one of its folds; finished or not",
    )
    parser.add_argument(
        "-f", dest="folds", metavar="FOLD", nargs="+", default=(), help="folds to look at (default: all)"
    )
    parser.add_argument("--no-data", dest="data", action="store_false", help="do not look at the preprocessed data")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="draw the curves, with what was found (.png)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found in each fold."""
    from nnunet_tricks.comparison.diagnosis.diagnose import diagnose

    picture: Path | None = arguments.picture
    if picture and (picture.suffix.lower() != ".png" or not picture.absolute().parent.is_dir()):
        raise ValueError(f"--picture takes a file that ends with .png, in a folder that is there, got '{picture}'")
    diagnoses = diagnose(arguments.model, arguments.folds, variables=os.environ, with_data=arguments.data)
    if picture:
        from nnunet_tricks.comparison.diagnosis.picture import draw

        draw(diagnoses, picture)
    if arguments.json:
        print(
            json.dumps({"model": str(arguments.model), "folds": [diagnosis.data for diagnosis in diagnoses]}, indent=2)
        )
    else:
        for diagnosis in diagnoses:
            _say(diagnosis)
        if picture:
            print(f"Written: {picture}")
    return 1 if any(diagnosis.findings for diagnosis in diagnoses) else 0


def _say(diagnosis: Diagnosis) -> None:
    from nnunet_tricks.utilities.terminal import BOLD, say, styled

    training = diagnosis.training
    count = len(training.epochs)
    last = f", {count} epoch{'s' if count > 1 else ''}" if count else ""
    print(styled(f"{training.folder.parent.name}, fold {training.fold}{last}", BOLD))
    for finding in diagnosis.findings:
        _say_finding(finding)
    if not diagnosis.findings:
        nothing = "Nothing was found." if count else "There is no epoch to look at."
        say(nothing, first="  ", rest="  ")
    for note in diagnosis.notes:
        say(note, first="  note: ", rest="        ")


def _say_finding(finding: Finding) -> None:
    from nnunet_tricks.utilities.terminal import RED, YELLOW, say, styled

    about = f" ({', '.join(finding.classes)})" if finding.classes else ""
    colour = RED if finding.certainty == "certain" else YELLOW
    quoted = f'"{finding.symptom}": ' if finding.symptom else ""
    print(f"  {styled(finding.certainty, colour)}: {quoted}{finding.cause}{about}")
    for sentence in finding.seen:
        say(sentence, first="    seen: ", rest="          ")
    for sentence in finding.advice:
        say(sentence, first="    try:  ", rest="          ")
    if finding.tricks:
        say(", ".join(f"nnUNetTrainer{trick}" for trick in finding.tricks), first="    try:  ", rest="          ")
