"""The definitions in ``docs/metrics.md``, from the registry.

``python -m nnunet_tricks.comparison.definitions`` writes them.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from nnunet_tricks.comparison.metrics import Metric, all_metrics
from nnunet_tricks.comparison.undefined import best_of
from nnunet_tricks.utilities.blocks import with_block
from nnunet_tricks.utilities.files import write_atomically

WIDTH = 160
"""Longest line of a document."""

BEGIN, END = "<!-- metrics: begin -->", "<!-- metrics: end -->"
FAMILIES = {
    "counts": "Counts (always measured)",
    "overlap": "Overlap",
    "volume": "Volume",
    "empty": "Cases without the class",
    "surface": "Distances between border voxels",
    "subvoxel": "Distances between surfaces, as DeepMind defines them",
    "surface_px": "Distances between border voxels in pixels",
    "subvoxel_px": "Distances between surfaces in pixels",
    "lesion": "Lesions",
    "ife": "Metrics of the IFE paper",
    "published": "Results of the IFE paper's code",
}
HEADER = (
    "| metric | unit | better | both empty | only the truth has voxels | only the prediction has voxels |",
    "|---|---|---|---|---|---|",
)


def as_markdown() -> str:
    """For each family a list of definitions, and a table of units, directions and rules for empty masks."""
    parts = []
    for family, title in FAMILIES.items():
        metrics = [metric for metric in all_metrics([1]) if metric.group == family]
        definitions, rows = map(_definition, metrics), map(_row, metrics)
        parts.append("\n".join([f"### {title}: `{family}`", "", *definitions, "", *HEADER, *rows]))
    return "\n\n".join(parts)


def inserted(document: str, definitions: str) -> str:
    """The document with its definitions replaced.

    Raises:
        ValueError: If the document has no place for them.
    """
    return with_block(document, BEGIN, END, definitions)


def _definition(metric: Metric) -> str:
    """An item of a list, with a line for each sentence if it does not fit into one."""
    item = f"- **`{metric.name}`**: {metric.definition}"
    return item if len(item) <= WIDTH else re.sub(r"\. (?=[A-Z])", ".\n  ", item)


def _row(metric: Metric) -> str:
    both_empty, missed, invented = metric.empty_values.values()
    alarm_is_undefined = isinstance(metric.invented, float) and math.isnan(metric.invented)
    if both_empty == "undefined" and not alarm_is_undefined:
        both_empty = f"undefined, {best_of(metric.name):g} beside another method's false alarm"
    return f"| `{metric.name}` | {metric.unit} | {metric.better} | {both_empty} | {missed} | {invented} |"


def main(arguments: Sequence[str]) -> int:
    """Write the definitions into a document, ``docs/metrics.md`` of the current folder if none is given."""
    file = Path(arguments[0] if arguments else "docs/metrics.md")
    write_atomically(file, inserted(file.read_text(encoding="utf-8"), as_markdown()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
