"""nnU-Net's summary of a validation, without classes that a case is not annotated for."""

from __future__ import annotations

import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_tricks.nnunet.annotated_classes import AnnotatedClasses


def of_annotated(summary: dict[str, Any], table: AnnotatedClasses, ending: str) -> dict[str, Any]:
    """A summary in which such a class of such a case is undefined, and does not count in means.

    nnU-Net itself gives it a Dice of 0 if any voxel is predicted, since its label map has none.

    Args:
        summary: As nnU-Net's ``load_summary_json`` reads it.
        table: Table of the data set.
        ending: Ending of the files of cases.
    """
    known = deepcopy(summary)
    for entry in known["metric_per_case"]:
        case = Path(entry["reference_file"]).name.removesuffix(ending)
        for label, metrics in entry["metrics"].items():
            if not table.knows(case, label if isinstance(label, (tuple, list)) else (label,)):
                entry["metrics"][label] = dict.fromkeys(metrics, float("nan"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a class that is undefined everywhere
        for label, means in known["mean"].items():
            cases = [entry["metrics"][label] for entry in known["metric_per_case"]]
            known["mean"][label] = {
                metric: float(np.nanmean([np.nan if case[metric] is None else case[metric] for case in cases]))
                for metric in means
            }
    foreground = [means for label, means in known["mean"].items() if label != 0]
    known["foreground_mean"] = {
        metric: float(np.mean([means[metric] for means in foreground])) for metric in known["foreground_mean"]
    }
    return known
