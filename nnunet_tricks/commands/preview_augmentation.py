"""``nnunet-tricks preview-augmentation``: what a trainer's augmentation does to a patch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

DEFAULT = "3d_fullres"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Draw one patch of a preprocessed data set as a training reads it, and several results of the trainer's "
        "augmentation; outlines are the classes or regions. Volumes show their middle slice. Works with any trainer, "
        "also nnU-Net's own. Nothing is written to nnU-Net's folders. Without a split the patch may come from any case."
    )
    parser.add_argument("dataset", metavar="DATASET", help="number or full name of the data set, as nnU-Net's -d")
    parser.add_argument("-tr", dest="trainer", metavar="TRAINER", default="nnUNetTrainer", help="default: %(default)s")
    configuration = f"default: {DEFAULT}, or the first in the plans"
    parser.add_argument("-c", dest="configuration", metavar="CONFIGURATION", help=configuration)
    parser.add_argument("-p", dest="plans", metavar="PLANS", default="nnUNetPlans", help="default: %(default)s")
    parser.add_argument("-f", dest="fold", metavar="FOLD", default="0", help="default: %(default)s")
    parser.add_argument("--draws", type=int, default=16, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed, which selects the patch and its draws (default: %(default)s)",
    )
    parser.add_argument(
        "-o", dest="out", metavar="FILE", type=Path, default=Path("augmentation.png"), help="default: %(default)s"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing picture")
    parser.add_argument("--json", action="store_true", help="print what was drawn as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Draw the picture, and print what it shows."""
    if not 1 <= arguments.draws <= 64:
        raise ValueError(f"--draws must be from 1 to 64, got {arguments.draws}")
    if not (arguments.fold == "all" or arguments.fold.isdecimal()):
        raise ValueError(f"-f must be a number or 'all', got '{arguments.fold}'")
    if arguments.out.exists() and not arguments.overwrite:
        raise ValueError(f"{arguments.out} already exists: name another picture with -o, or give --overwrite")
    from nnunet_tricks.nnunet import plans_file
    from nnunet_tricks.pictures.augmentation.draws import preview
    from nnunet_tricks.pictures.augmentation.picture import draw

    file = plans_file.find(arguments.dataset, plans_name=arguments.plans)
    planned = plans_file.read(file)["configurations"]
    configuration = arguments.configuration or (DEFAULT if DEFAULT in planned else next(iter(planned)))
    fold = arguments.fold if arguments.fold == "all" else int(arguments.fold)
    shown = preview(file, arguments.trainer, configuration, fold, draws=arguments.draws, seed=arguments.seed)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draw(shown, f"{arguments.trainer}, {file.parent.name}, {configuration}", arguments.out)
    read, size = (tuple(patch.image.shape[1:]) for patch in (shown.read, shown.draws[0]))
    if arguments.json:
        print(
            json.dumps(
                {
                    "trainer": arguments.trainer,
                    "configuration": configuration,
                    "case": shown.case,
                    "read": read,
                    "patch": size,
                    "mirrored_at_inference": shown.axes,
                    "not_shown": shown.mixing,
                    "draws": len(shown.draws),
                    "picture": str(arguments.out),
                },
                indent=2,
            )
        )
        return 0
    axes = ", ".join(map(str, shown.axes)) or "none"
    print(f"{len(shown.draws)} draws of a patch of {shown.case}, in {arguments.out}")
    print(f"  reads {'x'.join(map(str, read))} voxels for patches of {'x'.join(map(str, size))}")
    print(f"  axes mirrored at inference: {axes}")
    if shown.mixing:
        print(f"  {shown.mixing} is not in the picture: it mixes the patches of a batch after all this")
    return 0
