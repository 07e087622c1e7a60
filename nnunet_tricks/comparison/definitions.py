"""The tables of ``docs/metrics.md``, from the registry: ``python -m nnunet_tricks.comparison.definitions``."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from nnunet_tricks.comparison.metrics import Metric, all_metrics
from nnunet_tricks.comparison.undefined import best_of
from nnunet_tricks.utilities.files import write_atomically

BEGIN, END = "<!-- metrics: begin -->", "<!-- metrics: end -->"
FAMILIES = {
    "counts": "Counts (always measured)",
    "overlap": "Overlap",
    "volume": "Volume",
    "surface": "Distances between border voxels",
    "subvoxel": "Distances between surfaces, as DeepMind defines them",
    "surface_px": "Distances between border voxels in pixels",
    "subvoxel_px": "Distances between surfaces in pixels",
    "lesion": "Lesions",
    "ife": "Of the IFE paper",
    "published": "What the IFE paper's code computes",
}


def as_markdown() -> str:
    """A table for each family."""
    parts = []
    for family, title in FAMILIES.items():
        rows = [metric for metric in all_metrics([1]) if metric.group == family]
        lines = ["| metric | definition | unit | better | where a mask is empty |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"### {title}: `{family}`", "", *lines, *map(_row, rows)]))
    return "\n\n".join(parts)


def inserted(document: str, tables: str) -> str:
    """The document with its tables replaced.

    Raises:
        ValueError: If it has no place for them.
    """
    if BEGIN not in document or END not in document:
        raise ValueError(f"the document has no {BEGIN} ... {END}")
    return f"{document.partition(BEGIN)[0]}{BEGIN}\n\n{tables}\n\n{END}{document.partition(END)[2]}"


def _row(metric: Metric) -> str:
    words = (metric.definition, metric.unit, metric.better, _when_empty(metric))
    return f"| `{metric.name}` | " + " | ".join(word.replace("|", r"\|") for word in words) + " |"


def _when_empty(metric: Metric) -> str:
    """With what both empty counts as where another method's prediction is not empty."""
    beside = f"both empty: undefined, {best_of(metric.name):g} beside another method's false alarm"
    alarm_is_undefined = isinstance(metric.invented, float) and math.isnan(metric.invented)
    return metric.when_empty if alarm_is_undefined else metric.when_empty.replace("both empty: undefined", beside)


def main(arguments: Sequence[str]) -> int:
    """Write the tables into a document, ``docs/metrics.md`` here if not given."""
    file = Path(arguments[0] if arguments else "docs/metrics.md")
    write_atomically(file, inserted(file.read_text(encoding="utf-8"), as_markdown()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
