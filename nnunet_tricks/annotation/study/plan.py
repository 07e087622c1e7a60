"""The plan of a study, as printed lines and as an experiment file for ``nnunet-tricks run``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnunet_tricks.annotation.study.costs import Amount
from nnunet_tricks.annotation.study.design import DENSE, Point, equal_budgets


@dataclass(frozen=True, kw_only=True)
class StudySetting:
    """What all trainings of a study share.

    Attributes:
        name: Name of the study.
        dataset: Number or full name of the data set.
        configuration: Configuration of nnU-Net.
        fold: Fold whose training cases are annotated.
        epochs: Epochs of nnU-Net, 250 steps each; ``None`` for its 1000.
        repeats: Number of trainings of each setting, each with its own choice of slices and volumes.
        centres: Table by which patches are centred.
    """

    name: str
    dataset: str
    configuration: str
    fold: int
    epochs: int | None
    repeats: int
    centres: str


def table(amounts: Mapping[Point, Amount], prices_differ: bool) -> list[str]:
    """Lines with slices and costs, a row for each density and a column for each share of volumes.

    Args:
        amounts: Annotation that each setting needs.
        prices_differ: Whether costs differ from the numbers of slices.
    """
    plain = {(point.density, point.volumes): amount for point, amount in amounts.items()}
    shares = sorted({share for _, share in plain})
    lines = ["density  " + "".join(f"{f'{share:.4g} of volumes':>29}" for share in shares)]
    for density in sorted({density for density, _ in plain}):
        cells = []
        for share in shares:
            need = plain.get((density, share))
            cost = f", costs {need.cost:.0f}" if need and prices_differ else ""
            cells.append(f"{f'{need.slices} slices{cost}' if need else '':>29}")
        lines.append(f"{density:<9.4g}" + "".join(cells))
    return lines


def budget_lines(amounts: Mapping[Point, Amount], prices_differ: bool) -> list[str]:
    """Lines with settings that need equally many slices, which may differ in cost."""
    lines = []
    for budget, line in equal_budgets(amounts).items():
        parts = []
        for density, share in line:
            need = next(a for p, a in amounts.items() if (p.density, p.volumes) == (density, share))
            parts.append(f"{density:.4g} x {share:.4g}" + (f" costs {need.cost:.0f}" if prices_differ else ""))
        lines.append(f"{float(budget):.4%} of all slices: " + ", ".join(parts))
    return lines


def experiment_file(setting: StudySetting, points: Sequence[Point], command: str) -> str:
    """Write the text of the file.

    Args:
        setting: Choices that all trainings share.
        points: Settings of the trainings.
        command: Comment for the first line.
    """
    names = [point.trainer(setting.centres) for point in points]
    lines = [
        f"# {command}",
        "# The reference is the same trainer on all slices, not nnU-Net's own: both ignore padding and centre patches",
        "# in the same way. Repetitions choose other slices and volumes.",
        f"name: {setting.name}",
        f"datasets: [{setting.dataset}]",
        f"configurations: [{setting.configuration}]",
        *([f"epochs: {setting.epochs}"] if setting.epochs else []),
        f"folds: [{setting.fold}]",
        f"runs: {setting.repeats}",
        f"baseline: {DENSE.trainer(setting.centres)}",
        "trainers:",
        *(f"  - {name}" for name in names),
    ]
    return "\n".join(lines) + "\n"
