"""``nnunet-tricks advise``: which tricks are worth trying on a data set, by what its images and labels are like."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nnunet_tricks.comparison.advice.advise import Advice, AdvisedTrick
    from nnunet_tricks.comparison.advice.figures import DataFigures

MOST = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Measure a data set, and name the tricks that are worth trying first, each with the reason, what papers and "
        "the ledger say, and what it costs. Nothing is trained, and nothing is written without --write. Up to 200 "
        "cases are read, raw if they are there, else preprocessed; after 15 seconds no further one."
    )
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="number or full name of the data set, as nnU-Net's -d")
    add("--most", type=int, default=MOST, metavar="N", help="tricks to name at most (default: %(default)s)")
    add("--seconds", type=float, default=15.0, metavar="S", help="time for reading cases (default: %(default)g)")
    add("--write", type=Path, metavar="FILE", help="write an experiment file (.yaml) that tries them")
    add("--epochs", type=int, default=1000, metavar="N", help="epochs in that file (default: %(default)s, nnU-Net's)")
    add("--small", action="store_true", help="small networks and patches in that file, for a training without a GPU")
    add("--json", action="store_true", help="print figures and advice as JSON; 'ledger --score' reads it")


def run(arguments: argparse.Namespace) -> int:
    """Measure, advise, and write the experiment file if asked to."""
    from nnunet_tricks.comparison.advice.advise import advise
    from nnunet_tricks.comparison.advice.reading import read_figures
    from nnunet_tricks.comparison.advice.writing import check_file, write_experiment
    from nnunet_tricks.comparison.ledger.stored import read_ledger
    from nnunet_tricks.nnunet.folders import Folders

    if arguments.most < 1:
        raise ValueError(f"--most is {arguments.most}, and must be at least 1")
    if not arguments.seconds > 0:
        raise ValueError(f"--seconds is {arguments.seconds:g}, and must be above 0")
    if arguments.epochs < 1:
        raise ValueError(f"--epochs is {arguments.epochs}, and must be at least 1")
    if arguments.write:
        check_file(arguments.write)
    figures = read_figures(arguments.dataset, Folders.of_environment(), seconds=arguments.seconds)
    advice = advise(figures, read_ledger())
    if arguments.json:
        print(json.dumps(advice.data, indent=1))
    else:
        _say(advice, arguments.most)
    if arguments.write:
        file = write_experiment(
            advice, arguments.write, most=arguments.most, epochs=arguments.epochs, small=arguments.small
        )
        if not arguments.json:
            print(f"\nWritten: {file}. Next: nnunet-tricks run {file} --dry-run")
    return 0


def _say(advice: Advice, most: int) -> None:
    from nnunet_tricks.comparison.advice.rules import percent
    from nnunet_tricks.utilities.terminal import BOLD, say, styled

    figures = advice.figures
    kind = "pictures" if figures.dimension == 2 else "volumes"
    print(
        styled(f"{figures.dataset}", BOLD) + f": {figures.cases} {kind}, {figures.read} of them read "
        f"({figures.source}) in {figures.seconds:.0f} s"
    )
    for sentence in _whole(figures):
        say(sentence, first="  ", rest="    ")
    for known in figures.classes:
        if not known.cases:
            say(f"{known.name}: in no case that was read", first="  ", rest="    ")
            continue
        near = f" ({percent(known.near)} near another)" if known.near > 0 else ""
        objects = f", {known.count:.0f} object{'' if known.count == 1 else 's'} of {known.size:.0f} voxels{near}"
        places = f", position entropy {known.entropy:.2f}, asymmetry {known.asymmetry:.2f}"
        say(
            f"{known.name}: in {known.cases} cases, {percent(known.share)} of {figures.whole}"
            f"{'' if figures.partial else objects}, contrast {known.contrast:.2f}{'' if figures.partial else places}",
            first="  ",
            rest="    ",
        )
    if not advice.tricks:
        say("No rule speaks for a trick: nnU-Net's default is what to try first.")
    for number, advised in enumerate(advice.tricks[:most], 1):
        print()
        print(styled(f"{number}. {advised.trick}", BOLD) + f"   {advised.command}")
        _say_trick(advised)
    print()
    say(
        "These are rules of thumb. 'nnunet-tricks ledger --score' says how good they were, and an experiment with "
        "reruns says what is true of your data (--write FILE)."
    )


def _whole(figures: DataFigures) -> Iterator[str]:
    """What is true of the images, and what to think of so few of them."""
    from nnunet_tricks.comparison.advice.rules import FEWEST, percent

    shape = " x ".join(f"{side:.0f}" for side in figures.shape)
    steps = " x ".join(f"{step:.3g}" for step in figures.spacing)
    spacing = f" of {steps}" if set(figures.spacing) != {1.0} or figures.dimension == 3 else ""
    annotated = "annotated " if figures.blank else ""
    empty = (
        f"{percent(figures.empty)} of the {annotated}cases have none"
        if figures.empty
        else f"every {annotated}case has some"
    )
    part = f" of {figures.whole}" if figures.ignored > 0 else ""
    digits = 1 if figures.imbalance < 10 else 0
    uneven = f"; largest class {figures.imbalance:.{digits}f} times the smallest" if figures.imbalance > 0 else ""
    yield f"{shape} voxels{spacing}; {percent(figures.foreground)}{part} are foreground, {empty}{uneven} (medians)"
    if figures.blank:
        yield (
            f"Nothing is annotated in {figures.blank} of the cases that were read; figures of classes are without them."
        )
    not_annotated = (
        f"{percent(figures.unannotated)} of an image is not annotated (median; {percent(figures.ignored)} on average)"
    )
    if figures.partial:
        yield (
            f"{not_annotated}, so objects are known in pieces only, and no rule speaks on their form, number, size or "
            "places."
        )
    elif figures.ignored > 0:
        yield f"{not_annotated}."
    if figures.labelled < FEWEST:
        yield (
            f"Only {figures.labelled} {annotated}cases were read, so all figures are rough. Rules on what all cases "
            f"have in common need {FEWEST}."
        )


def _say_trick(advised: AdvisedTrick) -> None:
    from nnunet_tricks.utilities.terminal import say

    for reason in advised.reasons:
        say(reason.text, first="   why:    ", rest="           ")
    say("; ".join(advised.papers) or "no figures", first="   papers: ", rest="           ")
    say("; ".join(advised.ledger_words) or "no rows", first="   ledger: ", rest="           ")
    say(advised.cost, first="   cost:   ", rest="           ")
