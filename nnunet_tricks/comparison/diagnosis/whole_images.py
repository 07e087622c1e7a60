"""Scores of whole images that are far below those of patches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from statistics import fmean

from nnunet_tricks.comparison.diagnosis.finding import Finding
from nnunet_tricks.comparison.diagnosis.symptom import WORSE, Symptom, column
from nnunet_tricks.comparison.diagnosis.training import Training

FALSE_ALARMS = "false alarms in whole images"
SMALL_CASES = "cases of which little is found count as much as others"
MISSES = "objects missed in whole images"

GAP = 0.2
"""Difference of pseudo-Dice and validation that is much."""


def worse_than_patches(training: Training) -> Iterator[Symptom]:
    """Scores of whole images that are far below those of patches."""
    if training.fold == "all":
        return
    for name, score in training.scores.items():
        if name not in training.names:
            continue
        values = column(training.epochs[-5:], training.names.index(name))
        pseudo = [value for value in values if not math.isnan(value)]
        if not pseudo or math.isnan(score.dice) or fmean(pseudo) - score.dice < GAP:
            continue
        seen = (
            f"'{name}': pseudo-Dice {fmean(pseudo):.2f} in the last epochs, validation {score.dice:.2f}",
            f"in whole images {score.true} voxels of it were found, {score.missed} missed, and {score.false} were "
            "false alarms",
        )
        yield Symptom(
            WORSE,
            seen,
            ("order of the regions",),
            partial(_worse, training, name, seen, fmean(pseudo)),
            (name,),
        )


def _worse(training: Training, name: str, seen: tuple[str, ...], pseudo: float) -> Finding:
    score = training.scores[name]
    if pseudo - score.pooled < GAP / 2:
        return Finding(
            SMALL_CASES,
            WORSE,
            "likely",
            (*seen, f"over the voxels of all cases together, as pseudo-Dice is computed, it is {score.pooled:.2f}"),
            (
                "nothing is broken: pseudo-Dice pools voxels, and the validation averages cases, in which small and "
                "missed objects count as much as large ones. nnunet-tricks evaluate shows each case",
                "sampling and losses that look at small objects",
            ),
            ("Blob", "ClassBalancedSampling"),
            (name,),
        )
    if score.false > 2 * score.missed:
        return Finding(
            FALSE_ALARMS,
            WORSE,
            "likely",
            (
                *seen,
                "training patches show objects more often than whole images do, so the rest was learned less",
            ),
            ("more patches from anywhere", "remove small pieces afterwards: nnunet-tricks tune"),
            ("Oversample_fraction0",),
            (name,),
        )
    return Finding(
        MISSES,
        WORSE,
        "possible",
        (*seen, "objects stand in the middle of patches in training, and anywhere in whole images"),
        (
            "nnunet-tricks predict with its views shows whether the place in the patch matters",
            "compare the size of patches and images: nnunet-tricks plan --patch makes larger patches",
        ),
        ("Oversample_fraction0",),
        (name,),
    )
