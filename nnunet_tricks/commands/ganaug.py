"""``nnunet-tricks ganaug``: train a GAN that draws images for masks, and draw synthetic training images with it."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from nnunet_tricks.utilities.progress import shown

if TYPE_CHECKING:
    import torch

    from nnunet_tricks.tricks.synthesis.cases import FoldCases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Synthetic images for nnUNetTrainerGANAug. 'train' trains a pix2pix on the preprocessed training cases of a "
        "fold, and 'sample' draws images for new masks with it. Both see no validation case. Files are in the folder "
        "'ganaug' beside the preprocessed data."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    train = actions.add_parser("train", help="train a GAN, or go on where it was interrupted")
    add = train.add_argument
    add("--steps", type=int, metavar="N", help="steps of the training (default: 200 for each training case)")
    add("--batch", type=int, default=1, metavar="N", help="images of a step (default: %(default)s)")
    add("--generator", choices=("unet", "spade"), default="unet", help="unet of pix2pix, or spade, sharper at labels")
    add("--plain", action="store_true", help="tell the generator the mask alone, as pix2pix: no means and deviations")
    add("--width", type=int, default=64, metavar="N", help="channels of the first layer (default: %(default)s)")
    add("--save-every", type=int, default=1000, metavar="N", help="steps between checkpoints (default: %(default)s)")
    add("--restart", action="store_true", help="begin anew, and replace the GAN that is there")
    sample = actions.add_parser("sample", help="draw synthetic pairs of a new mask and its image")
    add = sample.add_argument
    add("-n", dest="pairs", type=int, required=True, metavar="N", help="number of pairs")
    add("--replace", action="store_true", help="replace pairs that are there")
    for action in actions.choices.values():
        add = action.add_argument
        add("dataset", metavar="DATASET", help="number or full name of the data set, as nnU-Net's -d")
        add("-f", dest="fold", required=True, metavar="FOLD", help="fold whose training cases are used, or all")
        add("-c", dest="configuration", default="2d", metavar="CONFIGURATION", help="configuration (default: 2d)")
        add("-p", dest="plans", default="nnUNetPlans", metavar="PLANS", help="plans (default: nnUNetPlans)")
        add("--seed", type=int, default=0, help="seed of all random draws (default: %(default)s)")
        add("--device", default="", help="device, such as cuda or cpu (default: a GPU if there is one)")
        add("--dry-run", action="store_true", help="check everything, and write nothing")
        add("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action."""
    from nnunet_tricks.tricks.synthesis.cases import FoldCases

    for option in ("steps", "batch", "width", "save_every", "pairs"):
        number = getattr(arguments, option, None)
        if number is not None and number < 1:
            name = "-n" if option == "pairs" else f"--{option.replace('_', '-')}"
            raise ValueError(f"{name} must be at least 1, got {number}")
    cases = FoldCases.of(arguments.dataset, arguments.configuration, arguments.fold, arguments.plans)
    return {"train": _train, "sample": _sample}[arguments.action](arguments, cases)


def _train(arguments: argparse.Namespace, cases: FoldCases) -> int:
    from nnunet_tricks.tricks.synthesis.discriminator import check_installed
    from nnunet_tricks.tricks.synthesis.training import GanTraining, facts_of

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
    )
    training = GanTraining(cases, facts, _device(arguments), restart=arguments.restart)
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


def _sample(arguments: argparse.Namespace, cases: FoldCases) -> int:
    from nnunet_tricks.tricks.synthesis.sampling import Sampling

    sampling = Sampling(
        cases, pairs=arguments.pairs, seed=arguments.seed, device=_device(arguments), replace=arguments.replace
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


def _device(arguments: argparse.Namespace) -> torch.device:
    import torch

    if not arguments.device:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(arguments.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"--device {arguments.device} cannot be used here: {first}") from error
    return device
