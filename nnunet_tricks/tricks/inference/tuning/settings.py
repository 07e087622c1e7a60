"""The small file that ``tune`` writes and ``predict --with`` and ``postprocess --with`` read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nnunet_tricks import __version__
from nnunet_tricks.utilities.files import write_atomically

KEYS = {"labels", "thresholds", "steps"}


@dataclass(frozen=True)
class TunedSettings:
    """What was chosen for a model.

    Attributes:
        labels: ``labels`` of the ``dataset.json`` that it was chosen for.
        thresholds: From a class or region to its threshold.
        steps: Post-processing, as ``postprocess --steps`` takes it.
        tta: Views, as ``predict --tta`` takes them; empty where none were tried.
    """

    labels: Mapping[str, Any]
    thresholds: Mapping[str, float]
    steps: tuple[str, ...]
    tta: str = ""

    def write(self, file: Path, measured: Mapping[str, Any]) -> None:
        """Write it, with what was measured."""
        content = {
            "labels": dict(self.labels),
            "thresholds": {name: round(float(threshold), 6) for name, threshold in self.thresholds.items()},
            "steps": list(self.steps),
            **({"tta": self.tta} if self.tta else {}),
            "measured": dict(measured),
            "nnunet_tricks": __version__,
        }
        write_atomically(file, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def read_tuned(file: Path, labels: Mapping[str, Any]) -> TunedSettings:
    """Read it for a data set.

    Args:
        file: As ``tune`` wrote it.
        labels: ``labels`` of the model's or the predictions' ``dataset.json``.

    Raises:
        ValueError: If it is no such file, or was made for other labels.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or not set(content) >= KEYS:
        raise ValueError(f"{file} is no file of 'nnunet-tricks tune': it must have {', '.join(sorted(KEYS))}")
    if content["labels"] != dict(labels):
        raise ValueError(f"{file} was made for the labels {content['labels']}, and these are {dict(labels)}")
    thresholds, steps = content["thresholds"] or {}, content["steps"] or []
    if not isinstance(thresholds, dict) or not all(isinstance(each, int | float) for each in thresholds.values()):
        raise ValueError(f"{file} has thresholds {thresholds}, and must have a number for each class")
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        raise ValueError(f"{file} has steps {steps}, and must have a list such as [kidney:KeepLargest]")
    return TunedSettings(content["labels"], thresholds, tuple(steps), str(content.get("tta") or ""))
