"""``nnunet-tricks pretext``: images without labels, for trainings that need none."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

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
    fewer = actions.add_parser("fewer", help="make a data set in which few training cases have labels")
    fewer.description = (
        "Make a raw data set in which a share of a fold's training cases have labels, to see what labels are worth. "
        "Images of the other training cases go into imagesUn. Files are linked. Validation cases of the fold, and test "
        "cases, keep their labels. The plans are those of the whole data set: do not plan the new one."
    )
    fewer.add_argument("dataset", metavar="DATASET", help="number or full name of the planned data set")
    fewer.add_argument("--to", type=int, required=True, metavar="NUMBER", help="number of the new data set")
    fewer.add_argument("--share", type=float, required=True, help="share of training cases with labels, such as 0.1")
    fewer.add_argument("--fold", type=int, default=0, metavar="F", help="fold of the split (default: %(default)s)")
    fewer.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="which cases keep labels; a larger share contains each smaller one (default: %(default)s)",
    )
    fewer.add_argument("--dry-run", action="store_true", help="only say what would be done")
    fewer.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action."""
    return _fewer(arguments) if arguments.action == "fewer" else _prepare(arguments)


def _fewer(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.annotation.fewer_labels import fewer_labels
    from nnunet_tricks.nnunet.folders import Folders

    report = fewer_labels(
        Folders.of_environment(),
        arguments.dataset,
        arguments.to,
        arguments.share,
        fold=arguments.fold,
        seed=arguments.seed,
        dry_run=arguments.dry_run,
    )
    if arguments.json:
        print(json.dumps(asdict(report), indent=2))
        return 0
    say(
        f"{'Would write' if arguments.dry_run else 'Wrote'} {report.name}: {len(report.labelled)} training cases with "
        f"labels, {report.unlabelled} images without, {report.validation} validation and {report.test} test cases"
    )
    if not arguments.dry_run:
        configuration = "3d_fullres" if "3d_fullres" in report.configurations else report.configurations[0]
        plans = "" if "nnUNetPlans" in report.plans else f" -plans_name {report.plans[0]}"
        say(f"Preprocess: nnUNetv2_preprocess -d {arguments.to} -c {configuration}{plans}")
        plans = plans.replace("-plans_name", "-p")
        say(f"Then the images without labels: nnunet-tricks pretext prepare {arguments.to} -c {configuration}{plans}")
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
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
