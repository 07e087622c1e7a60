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
    "network.block": "what a stage is made of",
    "network.attention": "attention after a stage",
    "network.gates": "gates on skip connections",
    "network.path": "path of skip connections",
    "network.skips": "skip connections",
    "network.bottleneck": "lowest resolution",
    "network.shape": "second path",
    "network.stem": "beginning of a ResNet",
    "network.input": "input",
}
"""Slots in the order of the table, and where in the network they are."""


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
        "| part | where | what it is | paper | parameters | step, 2D | step, 3D |",
        "|---|---|---|---|---:|---:|---:|",
    ]
    for info, place in blocks():
        rows = results.get(info.name, {})
        parameters = next((f"{row['parameters over planned']:.2f}" for row in rows.values()), "")
        steps = [f"{rows[key]['over planned']['ratio']:.2f}" if key in rows else "" for key in ("2D", "3D")]
        cells = (f"`{info.name}`", place, info.summary, info.paper.short, parameters, *steps)
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
