"""``nnunet-tricks annotate curves``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_tricks.annotation.study import design
from nnunet_tricks.catalogue.naming import model_folder
from nnunet_tricks.commands.annotate.shared import warn
from nnunet_tricks.commands.annotate.study_costs import add_prices, prices_of
from nnunet_tricks.utilities.wording import some

if TYPE_CHECKING:
    from nnunet_tricks.annotation.study.costs import Prices
    from nnunet_tricks.annotation.study.outcome import TrainingRow
    from nnunet_tricks.experiment.spec import Comparison
    from nnunet_tricks.nnunet.folders import Folders


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.description = (
        "Read the validation of the finished trainings of an experiment file that 'annotate study' wrote, or of one "
        "like it. Writes NAME.csv, with a row for each training and label, and NAME.png."
    )
    parser.add_argument("spec", metavar="SPEC", type=Path, help="experiment file")
    parser.add_argument(
        "--label", default="mean", help="label whose IoU is drawn (default: %(default)s, over all labels)"
    )
    add_prices(parser)
    parser.add_argument(
        "-o", dest="out", type=Path, metavar="NAME", help="default: beside the experiment file, with its name"
    )


@dataclass
class CollectedTrainings:
    """What the trainings of an experiment file have left.

    Attributes:
        rows: A row for each finished training and label.
        missing: Number of trainings that are not finished.
        broken: Summaries that cannot be read.
        label_names: Names of labels and regions, and how nnU-Net's summaries call them.
    """

    rows: list[TrainingRow] = field(default_factory=list)
    missing: int = 0
    broken: list[str] = field(default_factory=list)
    label_names: dict[str, str] = field(default_factory=dict)


def run(arguments: argparse.Namespace) -> int:
    """Collect the figures of the trainings, and draw them."""
    from nnunet_tricks.annotation.study import figures, outcome
    from nnunet_tricks.experiment.spec import read_experiment
    from nnunet_tricks.nnunet.folders import Folders
    from nnunet_tricks.utilities.files import write_atomically

    folders, prices = Folders.of_environment(), prices_of(arguments)
    collected = CollectedTrainings()
    for comparison in read_experiment(arguments.spec).comparisons:
        _collect(collected, comparison, arguments.spec, folders, prices)
    name = arguments.out or arguments.spec.with_suffix("")
    if collected.broken:
        warn(
            [
                f"{len(collected.broken)} trainings are left out, since nnU-Net's summary is not complete: "
                f"{some(collected.broken)}. Validate again with nnUNetv2_train ... --val"
            ]
        )
    picture = figures.picture(collected.rows, _label(arguments.label, collected.rows, collected.label_names))
    name.parent.mkdir(parents=True, exist_ok=True)
    table_file, picture_file = (name.with_name(name.name + ending) for ending in (".csv", ".png"))
    write_atomically(table_file, outcome.write(collected.rows))
    write_atomically(picture_file, picture)
    if collected.missing:
        warn([f"{collected.missing} trainings are not finished and are left out"])
    print(f"Written: {table_file} and {picture_file}")
    return 0


def _collect(
    collected: CollectedTrainings, comparison: Comparison, spec: Path, folders: Folders, prices: Prices
) -> None:
    """Add the trainings of one comparison."""
    from nnunet_tricks.annotation.study import outcome
    from nnunet_tricks.annotation.study.costs import amount
    from nnunet_tricks.annotation.study.training_volumes import training_volumes
    from nnunet_tricks.nnunet.folders import read_json

    axes = (comparison.datasets, comparison.configurations, comparison.folds, comparison.plans)
    if any(len(values) > 1 for values in axes):
        raise ValueError(f"{spec}: curves need one data set, one configuration, one fold and one name of plans each")
    (dataset_name,), (configuration,), (fold,), (plans,) = axes
    dataset = folders.dataset(dataset_name)
    collected.label_names |= outcome.label_keys(folders.description(dataset)["labels"])
    volumes = training_volumes(folders, dataset, plans, configuration, fold)
    for arm in comparison.arms:
        point = design.point_of(arm.name) if arm.ours else None
        if point is None:
            continue
        for run_number in comparison.runs_of(arm):
            trainer = arm.trainer(run_number)
            folder = folders.results / dataset / model_folder(trainer, plans, configuration) / f"fold_{fold}"
            summary = folder / "validation" / "summary.json"
            if not summary.is_file():
                collected.missing += 1
                continue
            try:
                need = amount(point, volumes, prices, seed=run_number)
                collected.rows += outcome.rows_of(trainer, run_number, point, need, read_json(summary))
            except (ValueError, KeyError, TypeError):
                collected.broken.append(str(summary))


def _label(wanted: str, rows: Sequence[TrainingRow], names: Mapping[str, str]) -> str:
    """The label as nnU-Net's summaries call it, by that or by its name in ``dataset.json``."""
    labels = list(dict.fromkeys(row.label for row in rows))
    label = wanted if wanted in labels else names.get(wanted, wanted)
    if rows and label not in labels:
        known = [*labels, *(name for name, key in names.items() if key in labels)]
        raise ValueError(f"--label must be one of {', '.join(known)}, got '{wanted}'")
    return label
