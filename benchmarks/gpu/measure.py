"""Step time and memory of losses, instructive features, networks and augmentation on a GPU, in about eight minutes.

    python -m benchmarks.gpu.measure --out results.json                  # on a machine with CUDA
    python -m benchmarks.gpu.measure --cpu --quick --out results.json    # the same code on tiny patches, without a GPU

It needs torch with torchvision, the folder that ``pack.py`` has packed, and nothing else: neither data nor a network.
Everything is measured beside nnU-Net's own, in rounds whose order changes: losses on logits of 2x3x128x128x128 and
12x3x512x512, whole training steps with autocast on patches of these sizes, torch.compile, and DDP with two processes
on one device. What the time does not suffice for is listed as left out, and not guessed. What fails has an error in
place of its numbers. Each result is saved when it is done, so that a run that is cut short has results.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.augmentation import augmentation
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.compiling import compiled
from benchmarks.gpu.failures import in_words, noted
from benchmarks.gpu.losses import losses
from benchmarks.gpu.machine import machine
from benchmarks.gpu.networks import enhanced, other_networks
from benchmarks.gpu.settings import Measurements, Settings
from benchmarks.gpu.timing import free
from benchmarks.gpu.two_processes import two_processes

MINUTES = 8.0
RESERVE = 20.0
"""Seconds that are kept for saving and ending."""

PARTS = {"losses": 0.3, "steps": 0.4, "networks": 0.65, "compile": 0.8, "augmentation": 0.9, "ddp": 1.0}
"""Each part, and the share of the time at which it must have ended, in their order."""

MEASURES: dict[str, Callable[[Settings], Measurements]] = {
    "losses": losses,
    "steps": enhanced,
    "networks": other_networks,
    "compile": compiled,
    "augmentation": augmentation,
    "ddp": two_processes,
}


def main(words: Sequence[str] | None = None) -> int:
    """Measure all parts, and save after each result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results.json"))
    parser.add_argument("--cpu", action="store_true", help="measure on the CPU: to try the script, not for figures")
    parser.add_argument("--quick", action="store_true", help="tiny patches and few rounds")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="these networks (default: all, or two if quick)")
    arguments = parser.parse_args(words)
    # Before torch is imported: nnU-Net would compile whatever it can.
    os.environ.setdefault("nnUNet_compile", "f")
    import torch

    if not arguments.cpu and not torch.cuda.is_available():
        print("no GPU is here: add --cpu --quick to try the script", file=sys.stderr)
        return 2
    try:
        require_writable(arguments.out)
    except OSError as error:
        print(f"results cannot be written to {arguments.out}: {error.strerror or error}", file=sys.stderr)
        return 2
    device = torch.device("cpu" if arguments.cpu else "cuda:0")
    budget = Budget(max(60 * arguments.minutes - RESERVE, 1.0))
    results: dict[str, Any] = {"machine": machine(device), "quick": arguments.quick, "minutes": arguments.minutes}
    settings = Settings(device, arguments.quick, budget, arguments.networks)

    def keep() -> None:
        save(arguments.out, {**results, "left_out": budget.left_out, "seconds": round(budget.spent, 1)})

    for name, share in PARTS.items():
        if name not in arguments.only:
            continue
        budget.until(share)
        print(f"\n{name} ({budget.spent:.0f} s so far)", flush=True)
        results[name] = {}
        measure(MEASURES[name], settings, results[name], keep)
        keep()
    print(f"\nWritten: {arguments.out} after {budget.spent:.0f} s; left out: {', '.join(budget.left_out) or 'nothing'}")
    return 0


def measure(
    part: Callable[[Settings], Measurements], settings: Settings, rows: dict[str, Any], keep: Callable[[], None]
) -> None:
    """Measure a part, and keep each row when it is done. What fails costs neither other rows nor other parts."""
    try:
        for name, result in part(settings):
            with noted(rows, name):
                rows[name] = result()
            free(settings)
            keep()
    except Exception as error:
        rows["error"] = in_words(error)
        print(f"  {rows['error']}", flush=True)


def require_writable(file: Path) -> None:
    """Make the file's folder, and write beside the file to try it.

    Raises:
        OSError: If results cannot be saved there.
    """
    if file.is_dir():
        raise IsADirectoryError("it is a folder")
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = part_of(file)
    beside.write_text("", encoding="utf-8")
    beside.unlink()


def part_of(file: Path) -> Path:
    """The file that results are in until they are complete."""
    return file.with_name(file.name + ".part")


def save(file: Path, results: Mapping[str, Any]) -> None:
    """Write results, completely or not at all."""
    beside = part_of(file)
    beside.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    beside.replace(file)


if __name__ == "__main__":
    sys.exit(main())
