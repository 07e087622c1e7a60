"""Whether the learning rate was too large."""

from __future__ import annotations

import math

from nnunet_tricks.comparison.diagnosis.finding import Finding
from nnunet_tricks.comparison.diagnosis.training import RATE, Training
from nnunet_tricks.nnunet.training_log import LoggedEpoch

RATE_TOO_LARGE = "learning rate too large"

RATES = {"SGD": 0.1, "Adam": 0.005}
"""Learning rates above which it is the first suspect. nnU-Net has 0.01 for SGD, and up to 0.001 for AdamW."""


def rate_limit(training: Training) -> float:
    """Learning rate of the training's optimizer above which it is suspected."""
    return RATES["Adam"] if "Adam" in training.text("optimizer") else RATES["SGD"]


def too_large(training: Training, epoch: LoggedEpoch) -> Finding | None:
    """The finding that the learning rate is too large, where it is larger than anything usual."""
    rate = epoch.rate if math.isfinite(epoch.rate) else training.decimal(RATE) or 0.0
    limit = rate_limit(training)
    if rate <= limit:
        return None
    usual = "0.001 or less" if limit == RATES["Adam"] else "0.01"
    return Finding(
        RATE_TOO_LARGE,
        "",
        "likely",
        (f"the learning rate was {rate:.4g}, and nnU-Net's for this optimizer is {usual}",),
        ("train again with nnU-Net's rate; where that is too large as well, let it rise slowly, with Warmup",),
        ("SGD", "Warmup"),
    )
