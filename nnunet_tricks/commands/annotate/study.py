"""``nnunet-tricks annotate study``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_tricks.annotation.study import design
from nnunet_tricks.commands.annotate.shared import add_json, warn
from nnunet_tricks.commands.annotate.study_costs import add_prices, prices_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nnunet_tricks.annotation.study.costs import Amount, Prices, SliceCounts

CENTRES = ("nnunet", "uniform", "lits", "atlas")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.description = (
        "Print what annotation would cost for each density and share of volumes, and which settings need equally many "
        "slices. Write an experiment file for 'nnunet-tricks run'. Only the dense data set is needed: the trainings "
        "blank its labels as they read them."
    )
    parser.add_argument("dataset", metavar="DATASET", help="number or full name of the dense, preprocessed data set")
    parser.add_argument("-c", dest="configuration", default="3d_fullres", metavar="NAME", help="default: %(default)s")
    parser.add_argument("-p", dest="plans", default="nnUNetPlans", metavar="NAME", help="default: %(default)s")
    parser.add_argument("-f", dest="fold", type=int, default=0, metavar="F", help="default: %(default)s")
    for option, default, text in (
        ("--density", design.DENSITIES, "shares of slices"),
        ("--volumes", design.VOLUMES, "shares of volumes"),
    ):
        parser.add_argument(
            option, type=float, nargs="+", metavar="SHARE", default=list(default), help=f"{text}; default: the paper's"
        )
    parser.add_argument(
        "--policy", nargs="+", choices=design.POLICIES, default=list(design.POLICIES), help="default: all"
    )
    parser.add_argument("--no-mi", action="store_true", help="leave out interpolated masks")
    parser.add_argument(
        "--centres", choices=CENTRES, default="nnunet", help="how patches are centred (default: %(default)s)"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of each training (default: nnU-Net's 1000)")
    parser.add_argument("--repeats", type=int, default=design.REPEATS, metavar="N", help="default: %(default)s")
    add_prices(parser)
    parser.add_argument(
        "-o", dest="out", type=Path, metavar="FILE", help="experiment file to write, such as slices.yaml"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what each setting needs, and write the experiment file."""
    from nnunet_tricks.annotation.labels import IGNORE
    from nnunet_tricks.annotation.study.costs import amount
    from nnunet_tricks.annotation.study.training_volumes import training_volumes
    from nnunet_tricks.nnunet.folders import Folders

    if arguments.repeats < 1 or (arguments.epochs is not None and arguments.epochs < 1):
        raise ValueError("--repeats and --epochs must be at least 1")
    points = design.grid(arguments.density, arguments.volumes, arguments.policy, interpolated=not arguments.no_mi)
    if not points:
        raise ValueError("only the reference would be trained: give a --density or --volumes below 1")
    folders = Folders.of_environment()
    dataset = folders.dataset(arguments.dataset)
    if IGNORE in folders.description(dataset)["labels"]:
        warn(
            [
                f"{dataset} has voxels that nobody annotated, and a study needs dense labels: slices without any label "
                "are chosen and counted like all others"
            ]
        )
    prices = prices_of(arguments)
    volumes = training_volumes(folders, dataset, arguments.plans, arguments.configuration, arguments.fold)
    amounts = {point: amount(point, volumes, prices) for point in (*points, design.DENSE)}
    if arguments.out:
        _write(arguments, points)
    trainings = (len(points) + 1) * arguments.repeats
    if arguments.json:
        settings = [_as_json(point, arguments.centres, need) for point, need in amounts.items()]
        print(json.dumps({"dataset": dataset, "trainings": trainings, "settings": settings}, indent=2))
        return 0
    print(f"{dataset}, fold {arguments.fold}: {_counted(volumes)}")
    _print_amounts(amounts, prices)
    print(f"{len(points)} settings and the reference, {arguments.repeats} times each: {trainings} trainings")
    if arguments.out:
        print(f"Written: {arguments.out}. To see how long it takes: nnunet-tricks run {arguments.out} --dry-run")
    return 0


def _write(arguments: argparse.Namespace, points: Sequence[design.Point]) -> None:
    from nnunet_tricks.annotation.study.plan import StudySetting, experiment_file
    from nnunet_tricks.utilities.files import write_atomically

    setting = StudySetting(
        name=arguments.out.stem,
        dataset=arguments.dataset,
        configuration=arguments.configuration,
        fold=arguments.fold,
        epochs=arguments.epochs,
        repeats=arguments.repeats,
        centres=arguments.centres,
    )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    command = f"Budgets of annotated slices, as 'nnunet-tricks annotate study {arguments.dataset}' planned them."
    write_atomically(arguments.out, experiment_file(setting, points, command))


def _counted(volumes: Mapping[str, SliceCounts]) -> str:
    slices = sum(counts.slices for counts in volumes.values())
    with_object = sum(counts.with_object for counts in volumes.values())
    return f"{len(volumes)} training volumes, {slices} slices, {with_object} with objects"


def _print_amounts(amounts: Mapping[design.Point, Amount], prices: Prices) -> None:
    from nnunet_tricks.annotation.study import plan

    differ = (prices.empty, prices.object, prices.volume) != (1, 1, 0)
    print(*plan.table(amounts, differ), sep="\n")
    print(*plan.budget_lines(amounts, differ), sep="\n")


def _as_json(point: design.Point, centres: str, needed: Amount) -> dict[str, Any]:
    """A setting and what it needs; ``volumes`` is the share of them, ``annotated_volumes`` their number."""
    counted = {"slices": needed.slices, "annotated_volumes": needed.volumes, "cost": needed.cost}
    return {**vars(point), "trainer": point.trainer(centres), **counted}
