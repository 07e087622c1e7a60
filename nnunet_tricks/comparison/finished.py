"""What of an experiment can be compared while it still runs."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_tricks.comparison.checks import unfinished
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.comparison.grouping import grouped
from nnunet_tricks.utilities.wording import some


def finished(predictions: Sequence[Predictions], *, baseline: str | None = None) -> tuple[list[Predictions], str]:
    """Leave out every run that lacks a fold, with all its folds.

    Args:
        predictions: Predictions of all models of the experiment.
        baseline: Name of the baseline, as ``grouped`` takes it.

    Returns:
        Those that are finished, and a sentence that names the others; empty if there are none.

    Raises:
        ValueError: If no run of a baseline is finished, or nothing else.
    """
    lacking = {prediction.model for prediction in predictions if unfinished(prediction)}
    kept = [prediction for prediction in predictions if prediction.model not in lacking]
    if not lacking:
        return kept, ""
    comparable = {
        (models.group.dataset, models.group.part, models.group.baseline.name)
        for models in grouped(kept, baseline=baseline)
        if len(models.group.methods) > 1
    }
    for group in (models.group for models in grouped(predictions, baseline=baseline)):
        if (group.dataset, group.part, group.baseline.name) not in comparable:
            raise ValueError(
                f"{group.dataset}, {group.part}: {group.baseline.name} and something to compare it with are not "
                "finished yet"
            )
    trainers = {prediction.trainer for prediction in predictions if prediction.model in lacking}
    return kept, (
        f"Not finished and left out: {some(sorted(trainers))}. Corrections for several tricks count only the rest."
    )
