"""``nnunet-tricks pretext``: images without labels, for trainings that need none."""

from __future__ import annotations

import argparse
import json

from nnunet_tricks.utilities.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Images without labels, for trainings such as nnUNetTrainerPretextGenesis. Put them into imagesUn of the raw "
        "data set, with names as in imagesTr. 'prepare' preprocesses them as nnU-Net does the others, into a folder "
        "beside. Pretext trainings of the configuration then learn from them, too; all other trainings do not see them."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    prepare = actions.add_parser("prepare", help="preprocess the images in imagesUn")
    prepare.add_argument("dataset", metavar="DATASET", help="number or full name of the data set, as nnU-Net's -d")
    prepare.add_argument(
        "-c",
        dest="configuration",
        metavar="CONFIGURATION",
        default="3d_fullres",
        help="configuration to preprocess for (default: %(default)s)",
    )
    prepare.add_argument(
        "-p", dest="plans", metavar="PLANS", default="nnUNetPlans", help="plans file (default: %(default)s)"
    )
    prepare.add_argument("--overwrite", action="store_true", help="preprocess those again that are there already")
    prepare.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action."""
    from nnunet_tricks.tricks.pretraining.pretext.preparing import prepare

    prepared = prepare(
        arguments.dataset,
        configuration=arguments.configuration,
        plans=arguments.plans,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        print(json.dumps({**prepared._asdict(), "folder": str(prepared.folder)}, indent=2))
        return 0
    gone = f"; {prepared.removed} that imagesUn has no more were removed" if prepared.removed else ""
    say(f"{prepared.images} images without labels are in {prepared.folder}, {prepared.new} of them new{gone}")
    command = f"nnUNetv2_train {arguments.dataset} {arguments.configuration} 0 -tr nnUNetTrainerPretextGenesis"
    say(f"Train on them: {command}" + ("" if arguments.plans == "nnUNetPlans" else f" -p {arguments.plans}"))
    return 0
