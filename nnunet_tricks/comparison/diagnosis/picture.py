"""The curves of trainings, with marks where something was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from nnunet_tricks.comparison.diagnosis.diagnose import Diagnosis
from nnunet_tricks.comparison.diagnosis.symptom import column


def draw(diagnoses: Sequence[Diagnosis], file: Path) -> None:
    """Draw losses, pseudo Dice of each class and learning rate of each fold; findings are lines at their epoch.

    Args:
        diagnoses: What was found in the folds; one row each.
        file: PNG to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.6 * len(diagnoses)), layout="constrained")
    rows = figure.subplots(len(diagnoses), 3, squeeze=False)
    for (loss, dice, rate), diagnosis in zip(rows, diagnoses, strict=True):
        training = diagnosis.training
        numbers = [epoch.number for epoch in training.epochs]
        loss.plot(numbers, [epoch.train for epoch in training.epochs], label="training loss")
        loss.plot(numbers, [epoch.validation for epoch in training.epochs], label="validation loss")
        for index in range(max((len(epoch.dice) for epoch in training.epochs), default=0)):
            dice.plot(numbers, column(training.epochs, index), label=training.name(index))
        dice.set_ylim(-0.02, 1.02)
        rate.plot(numbers, [epoch.rate for epoch in training.epochs], label="learning rate")
        for axes in (loss, dice, rate):
            for finding in diagnosis.findings:
                if finding.epoch is not None:
                    axes.axvline(finding.epoch, color="tab:red", linestyle=":")
            axes.set_xlabel("epoch")
            if len(axes.get_lines()) and len(axes.get_legend_handles_labels()[1]) <= 10:
                axes.legend(fontsize="small")
        loss.set_title(f"fold {training.fold}")
        dice.set_title("pseudo-Dice")
        causes = "; ".join(finding.cause for finding in diagnosis.findings) or "nothing was found"
        rate.set_title(fill(causes, 50), fontsize="small")
    figure.savefig(file, dpi=100)
