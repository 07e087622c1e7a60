"""``nnunet-tricks ganaug translate``: give a data set the look of another one, as a new raw data set."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from nnunet_tricks.commands.ganaug.shared import add_training, device_of
from nnunet_tricks.utilities.progress import shown

if TYPE_CHECKING:
    from nnunet_tricks.tricks.synthesis.translation.cycle_gan import CycleTraining
    from nnunet_tricks.tricks.synthesis.translation.data_set import TranslatedDataSet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the action to its parser."""
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="number or full name of the data set whose images get another look")
    add("other", metavar="OTHER", help="number or full name of the data set with that look; its labels are not used")
    add("--to", type=int, required=True, metavar="NUMBER", help="number of the new data set")
    add_training(parser, "200 for each training case of the larger data set")
    add("--blocks", type=int, metavar="N", help="residual blocks (default: 9 for crops from 256 on, otherwise 6)")
    add("--replace", action="store_true", help="write a translated data set anew that is there")


def run(arguments: argparse.Namespace) -> int:
    """Train what is left to train, and write the data set."""
    from nnunet_tricks.nnunet.folders import Folders
    from nnunet_tricks.tricks.synthesis.discriminator import check_installed
    from nnunet_tricks.tricks.synthesis.translation.cycle_gan import CycleTraining
    from nnunet_tricks.tricks.synthesis.translation.data_set import TranslatedDataSet
    from nnunet_tricks.tricks.synthesis.translation.grey_values import RawGreyValues
    from nnunet_tricks.tricks.synthesis.translation.pair import DataSetPair
    from nnunet_tricks.tricks.synthesis.translation.translator import Translator

    check_installed("ganaug translate")
    names = arguments.dataset, arguments.other
    pair = DataSetPair.of(*names, arguments.configuration, arguments.fold, arguments.plans)
    data = TranslatedDataSet(Folders.of_environment(), pair, arguments.to, replace=arguments.replace)
    for note in pair.notes():
        print(f"warning: {note}", file=sys.stderr)
    facts = pair.facts(
        steps=arguments.steps,
        batch=arguments.batch,
        seed=arguments.seed,
        width=arguments.width,
        blocks=arguments.blocks,
    )
    device = device_of(arguments)
    training = CycleTraining(pair, facts, device, restart=arguments.restart)
    before = training.gan.step_number
    if not arguments.dry_run:
        for _ in shown(training.run(save_every=arguments.save_every), "steps", facts.steps - before):
            pass
        along = partial(shown, what="reading grey values", total=len(pair.other.names))
        grey = RawGreyValues.of(pair.other, data.other, along)
        for _ in shown(data.write(Translator.trained(pair.place, device), grey), "cases", len(pair.source.names)):
            pass
    _tell(arguments, training, data, before)
    return 0


def _tell(arguments: argparse.Namespace, training: CycleTraining, data: TranslatedDataSet, before: int) -> None:
    noted, place = training.gan.noted(), training.pair.place
    folder = data.folders.raw / data.name
    if arguments.json:
        outcome: dict[str, Any] = {"folder": str(folder), "gan": str(place.folder), "begun_at": before}
        hidden = ("cases", "other_cases", "ranges", "other_ranges")
        settings = {name: value for name, value in vars(noted).items() if name not in hidden}
        print(json.dumps({**outcome, "dry_run": arguments.dry_run, **settings}, indent=1))
        return
    what = f"between {noted.dataset} and {noted.other}, fold {noted.fold}"
    counts = f"{len(noted.cases)} and {len(noted.other_cases)} training cases"
    if arguments.dry_run:
        print(f"Would train a CycleGAN {what}, on {counts}: steps {before} to {noted.steps}, in {place.folder}")
        print(f"Would write {len(noted.cases)} translated cases: {folder}")
        return
    went_on = f", from step {before}" if before else ""
    print(f"Trained a CycleGAN {what}, on {counts}: {noted.steps} steps{went_on}")
    print(f"  mean error of there and back {noted.cycle[0]:.3f} at first, {noted.cycle[1]:.3f} at last")
    print(f"  {place.gallery}: an image, with the other look, back again; one of the other data set, with the own look")
    print(f"Wrote {len(noted.cases)} translated cases: {folder}")
    print("Look at the pictures first: are objects where they were?")
    print(f"Next: nnUNetv2_plan_and_preprocess -d {arguments.to}")
