"""What was measured once: a file beside the predictions, valid until they, their labels or the definitions change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_tricks.comparison.metrics import VERSION
from nnunet_tricks.comparison.positions import Displacement
from nnunet_tricks.utilities.files import write_atomically

FILE = "nnunet_tricks_metrics.json"

Values = dict[str, dict[str, tuple[float, str]]]
"""Number and unit for each class, written as its label values, and metric."""


@dataclass
class MetricsCache:
    """Metrics of the cases of one folder of predictions.

    Attributes:
        folder: Folder of the predictions.
        cases: Stamp and values of each case.
        name: Name of the file.
    """

    folder: Path
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    name: str = FILE

    @classmethod
    def of(cls, predictions: Path, name: str = FILE) -> MetricsCache:
        """The cache of a folder; empty if there is none, or if its definitions are others."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads((predictions / name).read_text(encoding="utf-8"))
            if content["version"] == VERSION:
                return cls(predictions, dict(content["cases"]), name)
        return cls(predictions, name=name)

    def get(self, case: str, stamp: str) -> Values:
        """What was measured in a case; empty if its files have changed since."""
        known = self.cases.get(case, {})
        if known.get("stamp") != stamp:
            return {}
        return {
            label: {metric: (float(value), str(unit)) for metric, (value, unit) in metrics.items()}
            for label, metrics in known["values"].items()
        }

    def displacement(self, case: str) -> Displacement:
        """How far the headers of a measured case put its voxels apart."""
        return Displacement(*self.cases[case].get("apart", ()))

    def put(
        self,
        case: str,
        stamp: str,
        values: Mapping[str, Mapping[str, tuple[float, str]]],
        displacement: Displacement | None = None,
    ) -> None:
        """Keep what was measured, together with what is known already."""
        known = self.get(case, stamp)
        for label, metrics in values.items():
            known[label] = known.get(label, {}) | dict(metrics)
        self.cases[case] = {"stamp": stamp, "values": known}
        if displacement and displacement.matters:
            self.cases[case]["apart"] = [displacement.voxels, displacement.mm, displacement.turned]

    def save(self) -> None:
        """Write the file; nothing is kept in a folder that cannot be written."""
        with suppress(OSError):
            write_atomically(self.folder / self.name, json.dumps({"version": VERSION, "cases": self.cases}))


def stamp(prediction: Path, truth: Path, ignore: int | None) -> str:
    """A text that changes whenever one of the files does.

    Examples:
        >>> stamp(Path(__file__), Path(__file__), None) == stamp(Path(__file__), Path(__file__), 3)
        False
    """
    known = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in (prediction, truth)]
    return f"{known[0][1]} {known[0][2]} {known[1]} ignore {ignore}"
