"""Totals in the form of nnU-Net's ``summary.json``, with all metrics that were measured."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_tricks.comparison.evaluate import MeasuredCase, mean
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.utilities.files import write_atomically


def summary(measured: Sequence[MeasuredCase], classes: Classes) -> dict[str, Any]:
    """Numbers per case, per class over cases, and over classes.

    As in nnU-Net a case in which a metric is undefined does not count for its class, and a class in which it is
    undefined everywhere makes the mean over classes NaN.
    """
    keys = {name: classes.key(name) for name in classes.values}
    cases: list[dict[str, Any]] = [
        {
            "reference_file": str(case.files.truth),
            "prediction_file": str(case.files.prediction),
            "metrics": {keys[label]: _completed(metrics) for label, metrics in case.values.items()},
        }
        for case in measured
    ]
    names = list(next(iter(cases[0]["metrics"].values())))
    means = {key: {name: mean(case["metrics"][key][name] for case in cases) for name in names} for key in keys.values()}
    foreground = {name: _plain_mean([values[name] for values in means.values()]) for name in names}
    return {"foreground_mean": foreground, "mean": means, "metric_per_case": cases}


def write(content: Mapping[str, Any], file: Path) -> None:
    """Write a summary as nnU-Net does: sorted keys, four spaces."""
    write_atomically(file, json.dumps(content, indent=4, sort_keys=True))


def _completed(metrics: Mapping[str, tuple[float, str]]) -> dict[str, float]:
    values = {
        name: int(value) if unit == "voxels" and not math.isnan(value) else value
        for name, (value, unit) in metrics.items()
    }
    values["n_pred"], values["n_ref"] = values["TP"] + values["FP"], values["TP"] + values["FN"]
    return values


def _plain_mean(values: Sequence[float]) -> float:
    return math.nan if any(map(math.isnan, values)) else mean(values)
