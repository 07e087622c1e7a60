"""The table of ``docs/blocks.md``, from the catalogue and measured costs: ``python -m website.blocks_table``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import TrickInfo

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "blocks.md"
RESULTS = ROOT / "benchmarks" / "results" / "blocks.json"
BEGIN = "<!-- blocks: begin, written by 'python -m website.blocks_table' -->"
END = "<!-- blocks: end -->"

SLOTS = {
    "network.width": "the control",
    "network.block": "stages",
    "network.attention": "after each stage",
    "network.gates": "skip connections",
    "network.path": "skip connections",
    "network.skips": "skip connections",
    "network.bottleneck": "lowest resolution",
    "network.shape": "second path",
    "network.stem": "beginning of a ResNet",
    "network.input": "input",
}
"""Slots in the order of the table, and where in the network they are."""
COUNTED = ("parameters", "multiply-adds", "activations")
"""What is counted from shapes, as the file of results calls it."""


def blocks() -> Iterator[tuple[TrickInfo, str]]:
    """Parts of nnU-Net's planned network in the order of their slots, and where they are."""
    for slot, place in SLOTS.items():
        for info in CATALOGUE:
            if slot in info.hooks and "network.backbone" not in info.hooks:
                yield info, place


def table(results: Mapping[str, Any]) -> str:
    """The table in Markdown.

    Args:
        results: Measured blocks of ``benchmarks/results/blocks.json`` by name, then by ``2D`` and ``3D``.
    """
    lines = [
        "| part | where | what it is | parameters | multiply-adds | features | step, 2D | step, 3D |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for info, place in blocks():
        rows = results.get(info.name, {})
        # In 3D where it is for both: that is where costs decide.
        counts = rows.get("3D") or rows.get("2D") or {}
        counted = [f"{counts[f'{what} over planned']:.2f}" if counts else "" for what in COUNTED]
        timed = [rows.get(key, {}).get("over planned") for key in ("2D", "3D")]
        steps = [f"{over['ratio']:.2f}" if over else "" for over in timed]
        cells = (f"`{info.name}`", place, info.summary, *counted, *steps)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def inserted(page: str) -> str:
    """The page with the table of today between its markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    results = json.loads(RESULTS.read_text(encoding="utf-8"))["blocks"] if RESULTS.is_file() else {}
    return f"{before}{BEGIN}\n\n{table(results)}\n\n{END}{after}"


def main() -> None:
    """Write the table into the page."""
    PAGE.write_text(inserted(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
