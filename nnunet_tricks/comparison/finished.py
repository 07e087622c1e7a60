"""What of an experiment can be compared while it still runs."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_tricks.comparison.checks import unfinished
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.comparison.methods import grouped
from nnunet_tricks.utilities.wording import some


def finished(predictions: Sequence[Predictions], *, baseline: str | None = None) -> tuple[list[Predictions], str]:
    """Leave out every run that lacks a fold, with all its folds.

    Args:
        predictions: Of all models that were asked for.
        baseline: As ``grouped`` takes it.

    Returns:
        Those that are finished, and a note that names the others; empty if there are none.

    Raises:
        ValueError: If no run of a baseline is finished, or nothing else.
    """
    lacking = {one.model for one in predictions if unfinished(one)}
    kept = [one for one in predictions if one.model not in lacking]
    if not lacking:
        return kept, ""
    there = {
        (one.dataset, one.part, one.baseline.name) for one in grouped(kept, baseline=baseline) if len(one.methods) > 1
    }
    for group in grouped(predictions, baseline=baseline):
        if (group.dataset, group.part, group.baseline.name) not in there:
            raise ValueError(
                f"{group.dataset}, {group.part}: {group.baseline.name} and something to compare it with are not "
                "finished yet"
            )
    names = some(sorted({model.name.partition("__")[0] for model in lacking}))
    return kept, f"Not all that was asked: left out, as not finished, {names}; corrections are for the rest."
