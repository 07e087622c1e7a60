"""Runs one cell on the node that a scheduler chose.

``python -m nnunet_tricks.experiment.cluster.job FOLDER NAME MARKER`` starts it.
Lock, keeper, log and record are those of the local queue, so that each can go on where the other was interrupted.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnunet_tricks import __version__
from nnunet_tricks.door.commands import command
from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.cluster.cell_file import read_job
from nnunet_tricks.experiment.cluster.rounds import PLAN, TIMED, is_current
from nnunet_tricks.experiment.keeper import keep
from nnunet_tricks.experiment.local import CPU, HOST, LOCK, device_lock
from nnunet_tricks.experiment.lock import Lock
from nnunet_tricks.experiment.other_workers import Strangers
from nnunet_tricks.experiment.record import LOG, last_lines
from nnunet_tricks.experiment.signs_of_life import OtherMachines
from nnunet_tricks.nnunet.folders import read_json
from nnunet_tricks.utilities.files import write_atomically

FAILED, HELD, TAKEN_OVER = 1, 75, 76
"""Exit codes; 75 is the system's for 'try again later'."""

PATIENCE = 10.0
"""Seconds to wait for a lock, since others take it for a moment just to look."""

LONG_AGO = 1.0


def main(arguments: Sequence[str]) -> int:
    """Run one cell; the exit code says whether it is done."""
    folder, name, marker = Path(arguments[0]), arguments[1], Path(arguments[2])
    try:
        code = _run(folder, name)
        if code == 0:
            write_atomically(marker, "")
        return code
    except (OSError, ValueError, KeyError) as error:
        return _say(f"{type(error).__name__}: {error}", FAILED)


def _run(folder: Path, name: str) -> int:
    plan = read_json(folder / PLAN)
    if plan["version"] != __version__:
        raise ValueError(
            f"nnunet_tricks was {plan['version']} when the run began, and is {__version__}: start it again"
        )
    if not is_current(folder):
        return _say("a later run of the same experiment has taken over", TAKEN_OVER)
    work = read_job(folder, name)
    _age(folder, plan, name)
    if isinstance(work, Cell):
        return _do(folder, name, plan, work)
    return _time(folder, name, plan, work)


def _do(folder: Path, name: str, plan: Mapping[str, Any], cell: Cell) -> int:
    lock = _take(cell)
    if lock is None:
        write_atomically(folder / "held" / name, "")
        return _say("somebody else works at this cell", HELD)
    with lock:
        if not cell.is_done():
            device, own = _device(plan, cell)
            cell.prepare()
            observer = cell.observer()
            program, *words = cell.words()
            program = program if Path(program).is_absolute() else command(program)
            try:
                code = keep(cell.folder, device, [program, *words], observer)
            finally:
                if own is not None:
                    own.release()
            if not cell.is_done():
                last = "\n".join(f"  | {line}" for line in last_lines(cell.folder))
                return _say(f"exit code {code}; the end of {cell.folder / LOG}:\n{last}", code or FAILED)
    return 0


def _time(folder: Path, name: str, plan: Mapping[str, Any], cells: Mapping[str, Cell]) -> int:
    """Time a few steps, and write how long cells take; if that fails, the profile's numbers count."""
    from nnunet_tricks.experiment.costs import Costs, timed

    alike = list(cells.values())
    own = _device(plan, alike[0])[1]
    try:
        costs = Costs(alike, timed(alike, os.environ, machine=plan["machine"]))
        known = {job: (costs.seconds(cell), costs.memory(cell)) for job, cell in cells.items()}
    except (OSError, ValueError, KeyError) as error:
        return _say(f"nothing could be timed: {error}", 0)
    finally:
        if own is not None:
            own.release()
    needs = {
        job: {"seconds": seconds, "megabytes": memory / 1e6 if memory else None}
        for job, (seconds, memory) in known.items()
    }
    write_atomically(folder / TIMED / name, json.dumps(needs))
    return 0


def _age(folder: Path, plan: Mapping[str, Any], name: str) -> None:
    """Date back the markers of earlier cells: Snakemake refuses output that is older than input, as clocks differ."""
    for needed in [*plan["cells"][name]["after"], plan["cells"][name]["measure"]]:
        if needed:
            with suppress(OSError):
                os.utime(folder / "done" / plan["cells"][needed]["rule"] / needed, (LONG_AGO, LONG_AGO))


def _take(cell: Cell) -> Lock | None:
    """The cell's lock; None if somebody works at it."""
    others, strangers, began = OtherMachines(), Strangers(), time.monotonic()
    while True:
        lock = Lock.take(cell.folder / LOCK)
        # The head process watches the files of other nodes; a node only knows its own processes.
        if lock is not None and strangers.running(cell):
            lock.release()
            return None
        if lock is not None and not others.work_at(cell.folder):
            return lock
        if lock is not None:
            lock.release()
        # A process of another machine, whose locks are not visible, may be dead: that takes longer to find out.
        if time.monotonic() - began > PATIENCE + (others.patience if lock is not None else 0.0):
            return None
        time.sleep(1.0)


def _device(plan: Mapping[str, Any], cell: Cell) -> tuple[str, Lock | None]:
    """The name of the device; on this machine also its lock, as no scheduler assigns devices here."""
    if plan["scheduler"] != "local":
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0]
        device = getattr(cell, "device", CPU) if cell.on_device else HOST
        return (visible or "0") if device == "cuda" else device, None
    on_cpu = any(device.startswith(CPU) for device in plan["devices"])
    devices = plan["devices"] if cell.on_device or on_cpu else [HOST]
    while True:
        for device in devices:
            if lock := device_lock(cell.states, device):
                if device.isdecimal():
                    os.environ["CUDA_VISIBLE_DEVICES"] = device
                return device, lock
        time.sleep(1.0)


def _say(what: str, code: int) -> int:
    print(f"nnunet-tricks: on {platform.node()}: {what}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
