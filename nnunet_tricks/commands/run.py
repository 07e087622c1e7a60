"""``nnunet-tricks run``: everything in an experiment file, on this machine or on a cluster."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnunet_tricks.door import link
from nnunet_tricks.door.commands import with_our_trainers
from nnunet_tricks.experiment import preview, stale
from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.cells import make, missing
from nnunet_tricks.experiment.cluster.head import HeadProcess
from nnunet_tricks.experiment.cluster.profile import Profile, read_profile
from nnunet_tricks.experiment.costs import Costs, timed
from nnunet_tricks.experiment.forecast import forecast
from nnunet_tricks.experiment.frozen import freeze, place, state_of
from nnunet_tricks.experiment.job_lines import FORMATS, chains
from nnunet_tricks.experiment.local import CPU, CellProgress, LocalQueue
from nnunet_tricks.experiment.nnunet_cells import MakePlans, Predict
from nnunet_tricks.experiment.other_workers import Strangers
from nnunet_tricks.experiment.queue_display import QueueDisplay, summary
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.experiment.spec import Experiment, read_experiment
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.utilities.durations import seconds_in
from nnunet_tricks.utilities.signals import told_to_end
from nnunet_tricks.utilities.terminal import width, wrapped

RUNNERS = ("local", "print", "snakemake")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Run an experiment file: plan and preprocess once, train baseline and tricks on all folds, predict and "
        "evaluate test parts, each with one of nnU-Net's own commands. Finished work is not repeated: if it is killed "
        "at any point, start the same command again and it continues."
    )
    add = parser.add_argument
    add("spec", type=Path, metavar="SPEC", help="experiment file (YAML)")
    add(
        "--runner",
        choices=RUNNERS,
        default="local",
        help="run here, print lines for other programs, or let Snakemake submit jobs (default: local)",
    )
    add("--profile", help="with --runner snakemake: slurm, lsf, kubernetes, local, or a file (default: local)")
    add(
        "--gpus",
        metavar="N,N",
        help="numbers of the GPUs to use, one worker each (default: $CUDA_VISIBLE_DEVICES, else all)",
    )
    add(
        "--device",
        choices=("cpu", "cuda", "mps"),
        help="nnU-Net's -device (default: cuda if there is a GPU or lines are printed)",
    )
    add("--workers", type=int, default=1, help="cells that run at once without a GPU (default: %(default)s)")
    add("--retries", type=int, help="how often a failed cell is tried again (default: 1, or as in the profile)")
    add(
        "--dry-run", action="store_true", help="only show the cells with their order, state, duration and space on disk"
    )
    add("--no-timing", action="store_true", help="do not time 20 steps of each configuration")
    add("--budget", metavar="TIME", help="start no cell that would not end in this time: 48h, 90min, 2d")
    add(
        "--format",
        choices=tuple(FORMATS),
        default="shell",
        help="format of --runner print, always a bash script (default: %(default)s)",
    )
    add("--options", default="", help="options of every xargs, sbatch or bsub, such as --options='--time=2-0'")
    add("--skip-missing", action="store_true", help="leave out trainings that need a trick that does not exist yet")
    add("--json", action="store_true", help="print the outcome of each cell as JSON")
    add(
        "--lock",
        action="store_true",
        help="only write SPEC.lock.json, before any training has started; reports then say that the file was locked",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the experiment, or show what would run."""
    experiment = read_experiment(arguments.spec)
    if experiment.description:
        _remark(experiment.description)
    for note in (*experiment.notes, *experiment.undecided):
        _remark(f"note: {note}")
    _tell_missing(experiment, skip=arguments.skip_missing)
    if arguments.workers < 1:
        raise ValueError(f"--workers must be at least 1, got {arguments.workers}")
    if arguments.retries is not None and arguments.retries < 0:
        raise ValueError(f"--retries must not be negative, got {arguments.retries}")
    budget = seconds_in(arguments.budget) if arguments.budget else None
    if arguments.lock:
        return _lock(experiment)
    _tell_lock(arguments.spec)
    profile = _profile(arguments)
    devices, device = _devices(arguments, here=arguments.runner != "print" and (profile is None or profile.is_local))
    folders = Folders.of_environment()
    cells = make(experiment, folders, device=device)
    stale.check(cells)
    if not arguments.dry_run and arguments.runner != "print":
        stale.note(cells)
    if profile is not None:
        return _snakemake(arguments, cells, profile, folders, device, devices, budget)
    if arguments.dry_run:
        return _dry_run(arguments, cells, devices, budget)
    if arguments.runner == "print":
        return _print(arguments, cells, device, devices, budget)
    _check_planners(cells)
    return _local(arguments, cells, devices, budget)


def _remark(text: str) -> None:
    """Print something that is no output, in whole words on a terminal."""
    columns = width(sys.stderr)
    # A description may have lines of its own.
    lines = [text] if columns is None else [row for line in text.splitlines() for row in wrapped(line, columns)]
    print(*lines, sep="\n", file=sys.stderr)


def _tell_missing(experiment: Experiment, *, skip: bool) -> None:
    absent = missing(experiment)
    for lack in absent:
        where = f"{lack.comparison}: " if lack.comparison else ""
        _remark(f"missing: {where}{lack.arm} needs {', '.join(lack.tricks)}")
    if absent and not skip:
        raise ValueError(f"{len(absent)} ways to train need tricks that do not exist yet: --skip-missing runs the rest")


def _lock(experiment: Experiment) -> int:
    lock = freeze(experiment, Folders.of_environment())
    print(f"Locked on {lock.locked_at}, before the first of {lock.trainings} trainings: {place(experiment.file)}")
    print("Commit it with the experiment file before you run, so that others can see the time.")
    return 0


def _tell_lock(spec: Path) -> None:
    state = state_of(spec)
    if state.lock and not state.matches:
        _remark(f"note: {state.sentence} Reports will say so.")


def _profile(arguments: argparse.Namespace) -> Profile | None:
    if arguments.runner != "snakemake":
        if arguments.profile:
            raise ValueError("--profile needs --runner snakemake")
        return None
    profile = read_profile(arguments.profile or "local")
    if arguments.gpus and not profile.is_local:
        raise ValueError(f"--gpus is for this machine only; on {profile.scheduler} each training gets one GPU")
    return profile if arguments.retries is None else replace(profile, retries=arguments.retries)


def _devices(arguments: argparse.Namespace, *, here: bool) -> tuple[list[str], str]:
    """The devices of the workers, and nnU-Net's ``-device``.

    Args:
        arguments: Arguments of the command.
        here: Whether cells run on this machine; a login node has no GPU.
    """
    if arguments.gpus:
        numbers = arguments.gpus.split(",")
        if arguments.device not in (None, "cuda"):
            raise ValueError(f"--gpus {arguments.gpus} and --device {arguments.device} contradict each other")
        if not all(number.isdecimal() for number in numbers) or len(set(numbers)) < len(numbers):
            raise ValueError(f"--gpus must be different numbers such as 0,1, got '{arguments.gpus}'")
        return numbers, "cuda"
    if arguments.device == "mps":
        return ["mps"], "mps"
    if arguments.device == CPU:
        return _cpus(arguments.workers), CPU
    if not here:
        return ["0"], "cuda"
    gpus = _gpus()
    if arguments.device == "cuda" and not gpus:
        raise ValueError("nvidia-smi lists no GPU: name them with --gpus 0,1")
    return (gpus, "cuda") if gpus else (_cpus(arguments.workers), CPU)


def _cpus(workers: int) -> list[str]:
    """Names of workers. Each has a lock, so that a second queue on this machine does not double them."""
    return [CPU, *(f"{CPU}_{number}" for number in range(2, workers + 1))]


def _gpus() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # The GPUs that a cluster or a colleague has assigned to us.
        numbers = [number.strip() for number in visible.split(",")]
        if not all(number.isdecimal() for number in numbers) and visible not in ("", "-1"):
            raise ValueError(f"CUDA_VISIBLE_DEVICES is '{visible}': name the GPUs by their numbers, with --gpus 0,1")
        return [number for number in numbers if number.isdecimal()]
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [line.split()[1].rstrip(":") for line in listed.stdout.splitlines() if line.startswith("GPU ")]


def _variables() -> dict[str, str]:
    # Threads that wait by spinning make a step many times slower as soon as the cores have other work.
    return with_our_trainers({"OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1", **os.environ})


def _dry_run(arguments: argparse.Namespace, cells: Sequence[Cell], devices: Sequence[str], budget: float | None) -> int:
    strangers = Strangers()
    for cell in cells:
        strangers.at(cell)  # the first of two looks, as far apart as the timing takes
    costs = Costs(cells, {} if arguments.no_timing else timed(cells, _variables()))
    slots = forecast(cells, costs.seconds, workers=len(devices), budget=budget, strangers=strangers)
    if arguments.json:
        print(json.dumps(preview.as_data(slots, costs), indent=2))
    else:
        print(preview.as_text(slots, costs, workers=len(devices), budget=budget, columns=width()))
    return 0


def _snakemake(
    arguments: argparse.Namespace,
    cells: Sequence[Cell],
    profile: Profile,
    folders: Folders,
    device: str,
    devices: Sequence[str],
    budget: float | None,
) -> int:
    variables = _variables()
    # A login node may be slower or faster than the nodes: only times measured on the nodes count.
    timings = timed(cells, None, machine=profile.name)
    costs = Costs(cells, timings)
    workers = len(devices) if profile.is_local else profile.jobs
    strangers = Strangers() if arguments.dry_run else None
    slots = forecast(cells, costs.seconds, workers=workers, budget=budget, strangers=strangers)
    if arguments.dry_run:
        print(preview.as_text(slots, costs, workers=workers, budget=budget, columns=width()))
    head = HeadProcess(
        arguments.spec,
        [slot.cell for slot in slots if slot.fits],
        profile,
        device,
        folders,
        variables,
        devices=devices,
        timings=timings,
        timing=not arguments.no_timing,
    )
    if arguments.dry_run:
        with tempfile.TemporaryDirectory() as folder:
            return head.dry_run(Path(folder))
    _check_planners(cells)
    with told_to_end():
        complete = head.run()
    _tell(head.progress, arguments.json)
    return 0 if complete and all(slot.fits for slot in slots) else 1


def _print(
    arguments: argparse.Namespace, cells: Sequence[Cell], device: str, devices: Sequence[str], budget: float | None
) -> int:
    if budget is not None:
        costs = Costs(cells, {} if arguments.no_timing else timed(cells, _variables()))
        slots = forecast(cells, costs.seconds, workers=len(devices), budget=budget)
        cells = [slot.cell for slot in slots if slot.fits]
    strangers = Strangers()
    for cell in cells:
        if sign := strangers.running(cell) if cell.is_done() else strangers.at(cell):
            print(f"note: {cell.key}: {sign.words}; wait until it ends before you run its line", file=sys.stderr)
    _link_images(cells)
    print(FORMATS[arguments.format](chains(cells), gpu=device == "cuda", options=arguments.options), end="")
    return 0


def _link_images(cells: Sequence[Cell]) -> None:
    """Link the images that printed lines predict: nobody else will, before these run."""
    unsplit = set()
    for cell in cells:
        if not isinstance(cell, Predict) or cell.is_done():
            continue
        if cell.part.name == "validation" and not cell.part.folders.splits(cell.part.dataset):
            unsplit.add(cell.part.dataset)
        else:
            cell.link_images()
    for dataset in sorted(unsplit):
        print(
            f"note: {dataset} has no split yet, so the images of its validation cases are not linked: print the lines "
            "of predictions again when its first training has begun",
            file=sys.stderr,
        )


def _check_planners(cells: Sequence[Cell]) -> None:
    unfound = sorted({cell.plans for cell in cells if isinstance(cell, MakePlans) and cell.needs_link})
    if unfound and not link.state():
        raise ValueError(
            f"{', '.join(unfound)}: nnU-Net finds our planners only after 'nnunet-tricks link': run that once"
        )


def _local(arguments: argparse.Namespace, cells: Sequence[Cell], devices: Sequence[str], budget: float | None) -> int:
    variables = _variables()
    costs = Costs(cells, timed(cells, variables) if budget is not None and not arguments.no_timing else {})
    end = None if budget is None else time.monotonic() + budget

    def fits(cell: Cell) -> bool:
        return end is None or time.monotonic() + (board.costs.seconds(cell) or 0.0) <= end

    with told_to_end(), QueueDisplay(costs) as board:
        retries = 1 if arguments.retries is None else arguments.retries
        queue = LocalQueue(
            cells, devices, variables, retries=retries, fits=fits, tell=board.tell, tell_busy=board.tell_busy
        )
        complete = queue.run(lambda: board.look(queue))
    _tell(queue.progress, arguments.json, queue.stopped)
    return 0 if complete else 1


def _tell(progress: Mapping[str, CellProgress], as_json: bool, stopped: str = "") -> None:
    """Print the outcome of the cells."""
    if as_json:
        print(json.dumps([_as_data(each) for each in progress.values()], indent=2))
        if stopped:
            print(stopped, file=sys.stderr)
    else:
        print(summary(progress, stopped), file=sys.stderr)


def _as_data(progress: CellProgress) -> dict[str, Any]:
    record = Record.read(progress.cell.folder)
    return {
        "cell": progress.cell.key,
        "state": progress.state,
        "command": progress.cell.words(),
        "attempts": len(record.attempts),
        "seconds": record.seconds,
        "memory": record.device_memory or record.memory,
        "why": progress.why or None,
        "log": str(progress.cell.folder / "log.txt"),
    }
