"""What sparse annotation costs in time, and how good interpolated masks are.

python -m benchmarks.annotation PART [...] [--out benchmarks/results/annotation.json]

Each part goes into the file by its name, and leaves the others there as they are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.measuring import save


def main() -> None:
    """Measure a part, print it, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parts = parser.add_subparsers(dest="part", required=True)
    training = parts.add_parser("training", help="training step and loader against nnU-Net's trainer")
    training.add_argument("dataset", help="full name of a dense, preprocessed data set")
    training.add_argument("configuration")
    training.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    results = {"training": _training}[arguments.part](arguments)
    if arguments.out:
        before = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
        before.pop("machine", None)
        save(arguments.out, {**before, **results})


def _training(arguments: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.annotation_training import measured, printed

    rows = measured(arguments.dataset, arguments.configuration, arguments.rounds)
    print(*printed(rows), sep="\n")
    name = f"training {arguments.dataset} {arguments.configuration}"
    return {name: {"rounds": arguments.rounds, "trainers": rows}}


if __name__ == "__main__":
    main()
