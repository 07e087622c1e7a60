"""``nnunet-tricks annotate study`` and ``annotate curves``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_tricks.annotation.study import design
from nnunet_tricks.utilities.wording import some

if TYPE_CHECKING:
    from nnunet_tricks.annotation.study import outcome
    from nnunet_tricks.annotation.study.costs import Amount, Prices, Volume
    from nnunet_tricks.nnunet.folders import Folders

CENTRES = ("nnunet", "uniform", "lits", "atlas")


def add_arguments(commands: Any) -> None:
    """Declare both beside the other sub-commands."""
    study = commands.add_parser("study", help="plan trainings that compare budgets, on dense preprocessed data")
    study.description = (
        "Print what annotation would need for each density and share of volumes, which settings need as many slices, "
        "and write an experiment file for 'nnunet-tricks run'. Nothing but the dense data set has to be there: the "
        "trainings blank its labels as they read them."
    )
    study.add_argument("dataset", metavar="DATASET", help="number or full name of the dense, preprocessed data set")
    study.add_argument("-c", dest="configuration", default="3d_fullres", metavar="NAME", help="default: %(default)s")
    study.add_argument("-p", dest="plans", default="nnUNetPlans", metavar="NAME", help="default: %(default)s")
    study.add_argument("-f", dest="fold", type=int, default=0, metavar="F", help="default: %(default)s")
    for option, default, text in (
        ("--density", design.DENSITIES, "shares of slices"),
        ("--volumes", design.VOLUMES, "shares of volumes"),
    ):
        study.add_argument(
            option, type=float, nargs="+", metavar="SHARE", default=list(default), help=f"{text}; default: the paper's"
        )
    study.add_argument(
        "--policy", nargs="+", choices=design.POLICIES, default=list(design.POLICIES), help="default: all"
    )
    study.add_argument("--no-mi", action="store_true", help="leave out interpolated masks")
    study.add_argument("--centres", choices=CENTRES, default="nnunet", help="of patches (default: %(default)s)")
    study.add_argument("--epochs", type=int, metavar="N", help="of each training (default: nnU-Net's 1000)")
    study.add_argument("--repeats", type=int, default=design.REPEATS, metavar="N", help="default: %(default)s")
    _add_prices(study)
    study.add_argument(
        "-o", dest="out", type=Path, metavar="FILE", help="experiment file to write, such as slices.yaml"
    )
    study.add_argument("--json", action="store_true", help="print the result as JSON")
    curves = commands.add_parser("curves", help="a table and figures of what such trainings reached")
    curves.description = (
        "Read the validation of the finished trainings of an experiment file that 'annotate study' wrote, or one like "
        "it. Writes NAME.csv, a row for each training and label, and NAME.png."
    )
    curves.add_argument("spec", metavar="SPEC", type=Path, help="experiment file")
    curves.add_argument("--label", default="mean", help="whose IoU is drawn (default: %(default)s of all labels)")
    _add_prices(curves)
    curves.add_argument(
        "-o", dest="out", type=Path, metavar="NAME", help="default: beside the experiment file, with its name"
    )


def _add_prices(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what labels cost, in any unit")
    group.add_argument("--slice-cost", type=float, default=1.0, metavar="X", help="a slice without objects; default: 1")
    group.add_argument("--object-cost", type=float, metavar="X", help="a slice with objects; default: as without")
    group.add_argument("--volume-cost", type=float, default=0.0, metavar="X", help="to begin a volume; default: 0")


def run_study(arguments: argparse.Namespace) -> int:
    """Plan."""
    from nnunet_tricks.annotation.labels import IGNORE
    from nnunet_tricks.annotation.study import plan
    from nnunet_tricks.annotation.study.costs import amount
    from nnunet_tricks.nnunet.folders import Folders
    from nnunet_tricks.utilities.files import write_atomically

    if arguments.repeats < 1 or (arguments.epochs is not None and arguments.epochs < 1):
        raise ValueError("--repeats and --epochs must be at least 1")
    points = design.grid(arguments.density, arguments.volumes, arguments.policy, interpolated=not arguments.no_mi)
    if not points:
        raise ValueError("nothing to train but the reference: give a --density or --volumes below 1")
    folders = Folders.of_environment()
    dataset = folders.dataset(arguments.dataset)
    if IGNORE in folders.description(dataset)["labels"]:
        print(
            f"warning: {dataset} has voxels that nobody annotated, and a study needs dense labels: slices without any "
            "are chosen and counted like all others",
            file=sys.stderr,
        )
    prices = _prices(arguments)
    there = _volumes(folders, dataset, arguments.plans, arguments.configuration, arguments.fold)
    amounts = {point: amount(point, there, prices) for point in (*points, design.DENSE)}
    differ = (prices.empty, prices.object, prices.volume) != (1, 1, 0)
    trainings = (len(points) + 1) * arguments.repeats
    if arguments.out:
        setting = plan.Setting(
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
        write_atomically(arguments.out, plan.experiment_file(setting, points, command))
    if arguments.json:
        settings = [_as_json(point, arguments.centres, one) for point, one in amounts.items()]
        print(json.dumps({"dataset": dataset, "trainings": trainings, "settings": settings}, indent=2))
        return 0
    slices, objects = sum(one.slices for one in there.values()), sum(one.with_object for one in there.values())
    print(f"{dataset}, fold {arguments.fold}: {len(there)} training volumes, {slices} slices, {objects} with objects")
    print(*plan.table(amounts, differ), sep="\n")
    print(*plan.budget_lines(amounts, differ), sep="\n")
    print(f"{len(points)} settings and the reference, {arguments.repeats} times each: {trainings} trainings")
    if arguments.out:
        print(f"Written: {arguments.out}. How long: nnunet-tricks run {arguments.out} --dry-run")
    return 0


def run_curves(arguments: argparse.Namespace) -> int:
    """Collect and draw."""
    from nnunet_tricks.annotation.study import figures, outcome
    from nnunet_tricks.annotation.study.costs import amount
    from nnunet_tricks.experiment.spec import read_experiment
    from nnunet_tricks.nnunet.folders import Folders, read_json
    from nnunet_tricks.utilities.files import write_atomically

    folders, prices = Folders.of_environment(), _prices(arguments)
    rows: list[outcome.Row] = []
    missing = 0
    broken: list[str] = []
    names: dict[str, str] = {}
    for part in read_experiment(arguments.spec).comparisons:
        (dataset, *more), (configuration, *others), (fold, *folds) = part.datasets, part.configurations, part.folds
        if more or others or folds or len(part.plans) > 1:
            raise ValueError(f"{arguments.spec}: curves are of one data set, configuration and fold each")
        dataset = folders.dataset(dataset)
        names |= outcome.label_keys(folders.description(dataset)["labels"])
        there = _volumes(folders, dataset, part.plans[0], configuration, fold)
        for arm in part.arms:
            point = design.point_of(arm.name) if arm.ours else None
            if point is None:
                continue
            for run in part.runs_of(arm):
                trainer = arm.trainer(run)
                folder = folders.results / dataset / f"{trainer}__{part.plans[0]}__{configuration}" / f"fold_{fold}"
                summary = folder / "validation" / "summary.json"
                if not summary.is_file():
                    missing += 1
                    continue
                try:
                    found = read_json(summary)
                    rows += outcome.rows_of(trainer, run, point, amount(point, there, prices, seed=run), found)
                except (ValueError, KeyError, TypeError):
                    broken.append(str(summary))
    name = arguments.out or arguments.spec.with_suffix("")
    if broken:
        print(
            f"warning: {len(broken)} trainings are left out, since nnU-Net's summary is not whole: {some(broken)}. "
            "Validate again with nnUNetv2_train ... --val",
            file=sys.stderr,
        )
    drawn = figures.picture(rows, _label(arguments.label, rows, names))
    name.parent.mkdir(parents=True, exist_ok=True)
    files = [name.with_name(name.name + ending) for ending in (".csv", ".png")]
    write_atomically(files[0], outcome.write(rows))
    write_atomically(files[1], drawn)
    if missing:
        print(f"warning: {missing} trainings are not finished and left out", file=sys.stderr)
    print(f"Written: {files[0]} and {files[1]}")
    return 0


def _label(wanted: str, rows: Sequence[outcome.Row], names: Mapping[str, str]) -> str:
    """The label as nnU-Net's summaries have it, of that or of its name in ``dataset.json``."""
    there = list(dict.fromkeys(row.label for row in rows))
    found = wanted if wanted in there else names.get(wanted, wanted)
    if rows and found not in there:
        known = [*there, *(name for name, key in names.items() if key in there)]
        raise ValueError(f"--label must be one of {', '.join(known)}, got '{wanted}'")
    return found


def _as_json(point: design.Point, centres: str, needed: Amount) -> dict[str, Any]:
    """A setting and what it needs; ``volumes`` is the share of them, ``annotated_volumes`` their number."""
    counted = {"slices": needed.slices, "annotated_volumes": needed.volumes, "cost": needed.cost}
    return {**vars(point), "trainer": point.trainer(centres), **counted}


def _prices(arguments: argparse.Namespace) -> Prices:
    from nnunet_tricks.annotation.study.costs import Prices

    with_object = arguments.slice_cost if arguments.object_cost is None else arguments.object_cost
    prices = Prices(arguments.slice_cost, with_object, arguments.volume_cost)
    if min(prices.empty, prices.object, prices.volume) < 0:
        raise ValueError("costs must not be negative")
    return prices


def _volumes(folders: Folders, dataset: str, plans: str, configuration: str, fold: int | str) -> dict[str, Volume]:
    """The training volumes of a fold."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunet_tricks.annotation.labels import IGNORE
    from nnunet_tricks.annotation.split import fold_of
    from nnunet_tricks.annotation.study.costs import volumes_in

    home = folders.preprocessed / dataset
    file = home / f"{plans}.json"
    if not file.is_file():
        raise ValueError(f"there is no {file}: plan and preprocess the data set first, with all labels")
    manager = PlansManager(str(file))
    if configuration not in manager.available_configurations:
        raise ValueError(f"configuration '{configuration}' is not in {file}")
    folder = home / manager.get_configuration(configuration).data_identifier
    if not folder.is_dir():
        raise ValueError(f"there is no {folder}: preprocess configuration '{configuration}' first")
    preprocessed = sorted(found.stem for found in folder.glob("*.pkl"))
    cases = preprocessed if fold == "all" else fold_of(folders, dataset, preprocessed, int(fold))["train"]
    missing = sorted({*cases} - {*preprocessed})
    if missing:
        raise ValueError(f"{folder} lacks {some(missing)}, which the split names: preprocess the data set again")
    ignore = folders.description(dataset)["labels"].get(IGNORE)
    return volumes_in(folder, cases, manager.transpose_forward, ignore)
