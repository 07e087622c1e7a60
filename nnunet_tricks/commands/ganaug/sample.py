"""``nnunet-tricks ganaug sample``: draw synthetic training images with a trained GAN."""

from __future__ import annotations

import argparse
import json

from nnunet_tricks.commands.ganaug.shared import add_dataset, device_of
from nnunet_tricks.utilities.progress import shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the action to its parser."""
    add_dataset(parser)
    add = parser.add_argument
    add("-n", dest="pairs", type=int, required=True, metavar="N", help="number of pairs")
    add("--replace", action="store_true", help="replace pairs that are there")


def run(arguments: argparse.Namespace) -> int:
    """Draw them."""
    from nnunet_tricks.tricks.synthesis.cases import FoldCases
    from nnunet_tricks.tricks.synthesis.sampling import Sampling

    cases = FoldCases.of(arguments.dataset, arguments.configuration, arguments.fold, arguments.plans)
    sampling = Sampling(
        cases, pairs=arguments.pairs, seed=arguments.seed, device=device_of(arguments), replace=arguments.replace
    )
    if not arguments.dry_run:
        for _ in shown(sampling.run(), "pairs", arguments.pairs):
            pass
    place = cases.place
    if arguments.json:
        outcome = {"folder": str(place.samples), "pairs": arguments.pairs, "dry_run": arguments.dry_run}
        print(json.dumps(outcome, indent=1))
        return 0
    verb = "Would draw" if arguments.dry_run else "Drew"
    print(f"{verb} {arguments.pairs} synthetic pairs of {place.dataset}, fold {place.fold}: {place.samples}")
    if not arguments.dry_run:
        plans = "" if place.plans == "nnUNetPlans" else f" -p {place.plans}"
        training = f"{arguments.dataset} {place.configuration} {place.fold} -tr nnUNetTrainerGANAug{plans}"
        print(f"Next: nnUNetv2_train {training}")
    return 0
