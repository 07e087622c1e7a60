"""The local queue: one worker per device. Each cell runs once, even if others run the same experiment."""

from __future__ import annotations

import platform
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_tricks.door.commands import command
from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.failures import Failures, refuse_full
from nnunet_tricks.experiment.lock import Lock
from nnunet_tricks.experiment.other_workers import Strangers
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.experiment.signs_of_life import OtherMachines
from nnunet_tricks.utilities.python import words_of_python

POLL = 0.25
"""Seconds between two looks where there is nothing to do yet."""

CPU = "cpu"
"""Start of the names of workers that take every cell."""

HOST = "host"
"""Name of the worker for cells that need no GPU, so that no GPU waits for them."""

LOCK = "lock"

DONE, STARTED, OPEN, RUNNING, ELSEWHERE, FAILED, BLOCKED, LATE = (
    "done",
    "started",
    "open",
    "running",
    "running elsewhere",
    "failed",
    "blocked",
    "out of budget",
)

BY_HAND = "running by hand"
"""State in a dry run of a cell that somebody runs without a queue; a queue waits for it as for any other."""

Fits = Callable[[Cell], bool]


@dataclass
class CellProgress:
    """How far a cell is.

    Attributes:
        cell: The cell.
        state: One of this module's words.
        device: Device on which it runs or ran.
        began: Start of its current attempt, by ``time.monotonic``.
        failures: Number of failed attempts of this queue.
        seconds: Duration of this queue's attempts.
        why: Reason of a failure, or who else works at it, in words.
        told: Whether ``why`` is complete, so that the cell's log need not be shown.
    """

    cell: Cell
    state: str
    device: str = ""
    began: float = 0.0
    failures: int = 0
    seconds: float = 0.0
    why: str = ""
    told: bool = False


@dataclass
class LocalQueue:
    """Runs cells on the devices of this machine.

    Attributes:
        cells: All cells, lowest rank first, with every cell that they need.
        devices: ``cpu`` (``cpu_2`` and so on for several at a time), or numbers of GPUs; each gets a worker.
        variables: Environment variables of the commands.
        retries: Number of times that a failed cell is tried again.
        fits: Says whether there is time for a cell; other cells are left out.
        tell: Function that the workers call with each change.
        tell_busy: Function that a worker calls with its device, once, if another queue uses that device.
        stopped: Reason to start nothing more, in a sentence; empty as long as there is none.
    """

    cells: Sequence[Cell]
    devices: Sequence[str]
    variables: Mapping[str, str]
    retries: int = 1
    fits: Fits = lambda _: True
    tell: Callable[[CellProgress], None] = lambda _: None
    tell_busy: Callable[[str], None] = lambda _: None
    progress: dict[str, CellProgress] = field(init=False)
    stopped: str = field(init=False, default="")

    def __post_init__(self) -> None:
        """Find out what is done already."""
        self.progress = {cell.key: CellProgress(cell, cell.state) for cell in self.cells}
        self._strangers = Strangers()
        self._failures = Failures()
        for progress in self.progress.values():
            # A cell that looks done is not, as long as somebody does it again.
            if progress.state == DONE and (sign := self._strangers.running(progress.cell)):
                progress.state, progress.why = ELSEWHERE, sign.words
        self._changed = threading.Condition()
        self._stopped = False
        self._keepers: dict[str, subprocess.Popen[bytes]] = {}
        self._errors: list[BaseException] = []
        self._others = OtherMachines()
        self._busy: set[str] = set()

    def run(self, look: Callable[[], None] = lambda: None) -> bool:
        """Work until no cell is left that can be done.

        Args:
            look: Function that is called a few times per second.

        Returns:
            Whether every cell is done.
        """
        workers = [threading.Thread(target=self._guarded, args=(device,), daemon=True) for device in self._lanes()]
        for worker in workers:
            worker.start()
        try:
            while any(worker.is_alive() for worker in workers):
                look()
                time.sleep(POLL)
        finally:
            self._stop(workers)
        if self._errors:
            raise self._errors[0]
        return all(progress.state == DONE for progress in self.progress.values())

    def _lanes(self) -> list[str]:
        only_host = not any(cell.on_device for cell in self.cells)
        if any(device.startswith(CPU) for device in self.devices):
            return list(self.devices)
        return [HOST] if only_host else [*self.devices, HOST]

    def _guarded(self, device: str) -> None:
        try:
            self._work(device)
        except BaseException as error:
            with self._changed:
                self._errors.append(error)
                self._stopped = True

    def _work(self, device: str) -> None:
        """One worker: takes a cell, keeps it, takes the next."""
        while (taken := self._next(device)) is not None:
            progress, locks = taken
            try:
                if progress.cell.is_done():  # by somebody else, between our look and our lock
                    self._set(progress, DONE)
                    continue
                keeper = self._start(progress.cell, device, locks)
            except (OSError, ValueError) as error:
                self._failed(progress, str(error))
                continue
            finally:
                for lock in locks:
                    lock.release()
            message = keeper.communicate()[1].decode(errors="replace").strip()
            for lock in locks:
                lock.end()
            with self._changed:
                self._keepers.pop(progress.cell.key, None)
                progress.seconds += time.monotonic() - progress.began
            if self._stopped:
                self._set(progress, progress.cell.state)
            elif progress.cell.is_done():
                self._failures.forget()
                self._set(progress, DONE)
            else:
                self._failed(progress, _why(progress.cell, keeper.returncode, message))

    def _next(self, device: str) -> tuple[CellProgress, tuple[Lock, ...]] | None:
        """The next cell that can start, with its lock and the device's; None if there will be none."""
        while not self._stopped and not self.stopped:
            with self._changed:
                waiting = self._look(device)
                if not waiting:
                    return None
                if taken := self._take(device, waiting):
                    return taken
                self._changed.wait(POLL)
        return None

    def _look(self, device: str) -> list[CellProgress]:
        """The cells that this worker could do now or later."""
        for progress in self.progress.values():
            if progress.state == ELSEWHERE and progress.cell.is_done() and not self._strangers.running(progress.cell):
                self._set(progress, DONE)
            if progress.state in (OPEN, STARTED) and any(self._is_lost(key) for key in progress.cell.after):
                self._set(progress, BLOCKED)
            if progress.state in (OPEN, STARTED) and not self.fits(progress.cell):
                self._set(progress, LATE)
        mine = [progress for progress in self.progress.values() if self._is_for(progress.cell, device)]
        return [progress for progress in mine if progress.state in (OPEN, STARTED, ELSEWHERE, RUNNING)]

    def _is_lost(self, key: str) -> bool:
        return self.progress[key].state in (FAILED, BLOCKED, LATE)

    def _is_for(self, cell: Cell, device: str) -> bool:
        if device.startswith(CPU):
            return True
        return cell.on_device == (device != HOST)

    def _take(self, device: str, waiting: Sequence[CellProgress]) -> tuple[CellProgress, tuple[Lock, ...]] | None:
        ready = [progress for progress in waiting if progress.state != RUNNING and self._is_ready(progress.cell)]
        # A cell that failed within seconds comes after the others: they show whether the fault is its own.
        ready.sort(key=lambda progress: self._failures.has(progress.cell.key))
        own: Lock | None = None
        try:
            # One cell at a time on a device, even if an earlier queue was killed and its last cell still runs.
            own = device_lock(self.cells[0].states, device) if ready else None
            if ready and own is None and device not in self._busy:
                self._busy.add(device)
                self.tell_busy(device)
            for progress in ready:
                lock = self._lock_of(progress)
                if lock is None:
                    continue
                if own is None:
                    lock.release()
                    continue
                progress.began, progress.device, progress.why = time.monotonic(), device, ""
                self._set(progress, RUNNING)
                taken, own = (own, lock), None
                return progress, taken
        except OSError as error:
            # Cells that run go on: the full disk may not affect them.
            self._stop_beginning(refuse_full(error) or str(error))
        finally:
            if own is not None:
                own.release()
        return None

    def _lock_of(self, progress: CellProgress) -> Lock | None:
        """A cell's lock; None if somebody works at it, with or without a queue."""
        lock = Lock.take(progress.cell.folder / LOCK)
        if lock is None or self._others.work_at(progress.cell.folder):
            why = ""
        elif sign := self._strangers.at(progress.cell):
            why = sign.words
        else:
            return lock
        if lock is not None:
            lock.release()
        if progress.state != ELSEWHERE or progress.why != why:
            progress.why = why
            self._set(progress, ELSEWHERE)
        return None

    def _is_ready(self, cell: Cell) -> bool:
        return all(self.progress[key].state == DONE for key in cell.after)

    def _start(self, cell: Cell, device: str, locks: Sequence[Lock]) -> subprocess.Popen[bytes]:
        cell.prepare()
        observer = cell.observer()
        program, *arguments = cell.words()
        words = [program if Path(program).is_absolute() else command(program), *arguments]
        variables = {**self.variables, **({"CUDA_VISIBLE_DEVICES": device} if device.isdecimal() else {})}
        keeper = subprocess.Popen(
            [*words_of_python("nnunet_tricks.experiment.keeper"), str(cell.folder), device, *words],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[lock.descriptor for lock in locks],
            # Ctrl-C reaches only the queue, which then ends its keepers.
            start_new_session=True,
        )
        for lock in locks:
            lock.hand_to(keeper.pid)
        if keeper.stdin is not None:
            # The keeper waits for this line, so that nothing runs without its lock.
            with suppress(BrokenPipeError):
                keeper.stdin.write(f"{observer.as_json()}\n".encode())
                keeper.stdin.flush()
        with self._changed:
            self._keepers[cell.key] = keeper
            if self._stopped:  # while it was being started
                _tell_to_end(keeper)
        return keeper

    def _failed(self, progress: CellProgress, why: str) -> None:
        with self._changed:
            progress.failures += 1
            progress.why = why
            self._failures.add(progress.cell, why, time.monotonic() - progress.began)
            others = [
                each.cell.key
                for each in self.progress.values()
                if each.state in (OPEN, STARTED, RUNNING) and each is not progress and self._is_ready(each.cell)
            ]
            self._stop_beginning(self._failures.reason(others))
        self._set(progress, FAILED if progress.failures > self.retries or self.stopped else progress.cell.state)

    def _stop_beginning(self, why: str) -> None:
        """Start nothing more; what runs goes on to its end."""
        if why and not self.stopped:
            with self._changed:
                self.stopped = why
                for waiting in self.progress.values():
                    if waiting.failures and waiting.state in (OPEN, STARTED):
                        self._set(waiting, FAILED)
                self._changed.notify_all()

    def _set(self, progress: CellProgress, state: str) -> None:
        with self._changed:
            if progress.state != state:
                progress.state = state
                self.tell(progress)
                # Only after a change, or waiting workers would wake each other all the time.
                self._changed.notify_all()

    def _stop(self, workers: Sequence[threading.Thread]) -> None:
        """End what still runs, after a Ctrl-C or a signal."""
        with self._changed:
            self._stopped = True
            for keeper in self._keepers.values():
                _tell_to_end(keeper)
            self._changed.notify_all()
        for worker in workers:
            worker.join()


def device_lock(states: Path, device: str) -> Lock | None:
    """The lock of a device of this machine, or None if a cell runs on it.

    Args:
        states: Folder of states.
        device: Name of the device in the queue.
    """
    return Lock.take(states / "devices" / f"{platform.node()}_{device}.lock")


def _tell_to_end(keeper: subprocess.Popen[bytes]) -> None:
    """End a keeper, which ends its command."""
    with suppress(ProcessLookupError):
        keeper.terminate()


def _why(cell: Cell, code: int, message: str) -> str:
    """Why a cell failed: the last message of its keeper, or the reason in its record."""
    if message:
        return message.splitlines()[-1]
    if not code:
        return "ended with exit code 0, but did not make what it should"
    attempts = Record.read(cell.folder).attempts
    told = attempts[-1].why if attempts else ""
    return f"exit code {code}: {told}" if told else f"exit code {code}"
