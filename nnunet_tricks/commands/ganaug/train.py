"""``nnunet-tricks ganaug train``: train a GAN that draws images for masks."""

from __future__ import annotations

import argparse
import json

from nnunet_tricks.commands.ganaug.shared import add_dataset, add_training, device_of
from nnunet_tricks.utilities.progress import shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the action to its parser."""
    add_dataset(parser)
    add_training(parser, "200 for each training case")
    add = parser.add_argument
    add("--generator", choices=("unet", "spade"), default="unet", help="unet of pix2pix, or spade, sharper at labels")
    add("--plain", action="store_true", help="tell the generator the mask alone, as pix2pix: no means and deviations")
    add(
        "--neighbours",
        type=int,
        metavar="N",
        help="slices on either side whose masks it is told, too (default: 1 for 3D configurations, otherwise 0)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train it."""
    from nnunet_tricks.tricks.synthesis.cases import FoldCases
    from nnunet_tricks.tricks.synthesis.discriminator import check_installed
    from nnunet_tricks.tricks.synthesis.training import GanTraining, facts_of

    cases = FoldCases.of(arguments.dataset, arguments.configuration, arguments.fold, arguments.plans)
    check_installed()
    cases.check_foreground()
    facts = facts_of(
        cases,
        steps=arguments.steps,
        batch=arguments.batch,
        seed=arguments.seed,
        generator=arguments.generator,
        style=not arguments.plain,
        width=arguments.width,
        neighbours=int(len(cases.patch) == 3) if arguments.neighbours is None else arguments.neighbours,
    )
    training = GanTraining(cases, facts, device_of(arguments), restart=arguments.restart)
    before = training.gan.step_number
    if not arguments.dry_run:
        steps = training.run(save_every=arguments.save_every)
        for _ in shown(steps, "steps", facts.steps - before):
            pass
    noted, place = training.gan.noted(), cases.place
    if arguments.json:
        outcome = {"folder": str(place.folder), "begun_at": before, "dry_run": arguments.dry_run}
        hidden = ("cases", "ranges")
        print(json.dumps({**outcome, **{k: v for k, v in vars(noted).items() if k not in hidden}}, indent=1))
        return 0
    what = f"a GAN of {place.dataset}, fold {place.fold}, on {len(cases.names)} training cases"
    if arguments.dry_run:
        print(f"Would train {what}: steps {before} to {facts.steps}, batch {facts.batch}, in {place.folder}")
        return 0
    went_on = f", from step {before}" if before else ""
    print(f"Trained {what}: {facts.steps} steps{went_on}")
    print(f"  mean absolute error {noted.l1[0]:.3f} at first, {noted.l1[1]:.3f} at last; grey values from -1 to 1")
    print(f"  {place.gallery}: mask, real image, synthetic one, a new mask, the image for it")
    print(f"Next: {place.command('sample')} -n 200")
    return 0
