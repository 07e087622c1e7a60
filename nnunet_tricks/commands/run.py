"""``nnunet-tricks run``: all that an experiment file says, on this machine or as lines for a cluster."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RUNNERS = ("local", "print")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Run an experiment file: plan and preprocess once, train baseline and tricks on all folds, predict and "
        "evaluate test parts, each with one of nnU-Net's own commands. What is done already is not done again; "
        "after a kill at any point the same command goes on."
    )
    add = parser.add_argument
    add("spec", type=Path, metavar="SPEC", help="experiment file (YAML)")
    add("--runner", choices=RUNNERS, default="local", help="run here, or print lines for others (default: local)")
    add(
        "--gpus", metavar="N,N", help="numbers of the GPUs to use, one worker each (default: all that nvidia-smi lists)"
    )
    add("--device", choices=("cpu", "cuda", "mps"), help="nnU-Net's -device (default: cuda if there is a GPU)")
    add("--retries", type=int, default=1, help="how often a cell that failed is tried again (default: %(default)s)")
    add("--skip-missing", action="store_true", help="run all that needs no trick that does not exist yet")
    add("--json", action="store_true", help="print what became of each cell as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    from nnunet_tricks.experiment.cells import make
    from nnunet_tricks.experiment.folders import Folders
    from nnunet_tricks.experiment.spec import read_experiment

    experiment = read_experiment(arguments.spec)
    for note in experiment.notes:
        print(f"note: {note}", file=sys.stderr)
    _tell_missing(experiment, skip=arguments.skip_missing)
    devices, device = _devices(arguments)
    cells = make(experiment, Folders.of_environment(), device=device)
    return _local(arguments, cells, devices)


def _tell_missing(experiment: Any, *, skip: bool) -> None:
    from nnunet_tricks.experiment.cells import missing

    absent = missing(experiment)
    for one in absent:
        where = f"{one.comparison}: " if one.comparison else ""
        print(f"missing: {where}{one.arm} needs {', '.join(one.tricks)}", file=sys.stderr)
    if absent and not skip:
        raise ValueError(f"{len(absent)} ways to train need tricks that do not exist yet: --skip-missing runs the rest")


def _devices(arguments: argparse.Namespace) -> tuple[list[str], str]:
    """The workers' devices, and nnU-Net's ``-device``."""
    if arguments.gpus:
        numbers = arguments.gpus.split(",")
        if arguments.device not in (None, "cuda"):
            raise ValueError(f"--gpus {arguments.gpus} and --device {arguments.device} contradict each other")
        if not all(number.isdecimal() for number in numbers) or len(set(numbers)) < len(numbers):
            raise ValueError(f"--gpus takes numbers, each once, such as 0,1; got '{arguments.gpus}'")
        return numbers, "cuda"
    if arguments.device in ("cpu", "mps"):
        return [arguments.device], arguments.device
    gpus = _gpus()
    if arguments.device == "cuda" and not gpus:
        raise ValueError("nvidia-smi lists no GPU: name them with --gpus 0,1")
    return (gpus, "cuda") if gpus else (["cpu"], "cpu")


def _gpus() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    asked = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [line.split()[1].rstrip(":") for line in asked.stdout.splitlines() if line.startswith("GPU ")]


def _local(arguments: argparse.Namespace, cells: Sequence[Any], devices: Sequence[str]) -> int:
    from nnunet_tricks.door.commands import with_our_trainers
    from nnunet_tricks.experiment.board import Board
    from nnunet_tricks.experiment.local import LocalQueue

    variables = with_our_trainers({"OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1", **os.environ})
    with Board(lambda _: None) as board:
        queue = LocalQueue(cells, devices, variables, retries=arguments.retries, tell=board.tell)
        complete = queue.run(lambda: board.look(queue))
    if arguments.json:
        print(json.dumps([_as_data(one) for one in queue.progress.values()], indent=2))
    return 0 if complete else 1


def _as_data(one: Any) -> dict[str, Any]:
    from nnunet_tricks.experiment.record import Record

    record = Record.read(one.cell.folder)
    return {
        "cell": one.cell.key,
        "state": one.state,
        "command": one.cell.words(),
        "attempts": len(record.attempts),
        "seconds": record.seconds,
        "memory": record.device_memory or record.memory,
        "why": one.why or None,
        "log": str(one.cell.folder / "log.txt"),
    }
