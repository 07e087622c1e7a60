"""Runs one cell's command to its end, even if the queue that started it is killed.

It is a process of its own. It holds the cell's lock, writes log and record, and ends the command when it is ended. So a
killed queue loses nothing, and the next queue waits for what still runs.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, NoReturn

from nnunet_tricks.experiment.observer import Observer, versions
from nnunet_tricks.experiment.processes import (
    MARK,
    dying_with_parent,
    end_leftovers,
    memory_of_children,
    memory_of_gpu,
    memory_of_session,
)
from nnunet_tricks.experiment.record import LOG, Attempt, Record, last_lines
from nnunet_tricks.experiment.signs_of_life import SignsOfLife

SAMPLE = 2.0
"""Seconds between two looks at what the command has written."""

MEMORY_SAMPLE = 10.0
"""Seconds between two looks at the memory. Adding up that of all processes takes about 0.1 s of CPU time."""

PATIENCE = 20.0
"""Seconds that a command is given to end by itself."""

RESERVE = "reserve"
RESERVED = 65536
"""Bytes of a file that is removed when the disk is full, so that the record can still be written."""

FULL = (errno.ENOSPC, errno.EDQUOT)
NO_SPACE = ("No space left on device", "Disk quota exceeded")
NOT_BEGUN = 74
"""Exit code if the command did not start: the system's code for input and output errors."""


def main(arguments: Sequence[str]) -> int:
    """Keep one command.

    One line on standard input says what to record. If it is missing, the queue died before it could hand over the
    cell's lock, and nothing is done.

    Args:
        arguments: The cell's folder, the device, then the command's words.

    Returns:
        The command's exit code; 128 and the signal's number if a signal ended it.
    """
    folder, device, *words = arguments
    line = sys.stdin.readline()
    if not line:
        return NOT_BEGUN
    try:
        return keep(Path(folder), device, words, Observer.of_json(line))
    except OSError as error:
        with suppress(OSError):
            print(_told(error, Path(folder)), file=sys.stderr, flush=True)
        return NOT_BEGUN


def keep(folder: Path, device: str, words: Sequence[str], observer: Observer | None = None) -> int:
    """Keep one command. The caller holds the cell's lock and is the main thread.

    Args:
        folder: Folder of the cell.
        device: ``cpu`` or the number of a GPU.
        words: The command.
        observer: Looks at what the command writes; None to look at nothing.

    Returns:
        Exit code, as for ``main``.

    Raises:
        OSError: If the cell's folder cannot be written to.
    """
    end_leftovers(folder)
    observer = observer or Observer()
    attempt = Attempt(command=shlex.join(words), began=time.time(), device=device, versions=versions())
    record = observer.begin(Record.read(folder)).begin(folder, attempt)
    (folder / RESERVE).write_bytes(os.urandom(RESERVED))
    signal.signal(signal.SIGTERM, _leave)
    peak, gpu, start = 0, None, time.monotonic()
    with SignsOfLife(folder), (folder / LOG).open("a", encoding="utf-8") as log:
        log.write(f"$ {attempt.command}\n")
        log.flush()
        process = _start(words, folder, log)
        try:
            looked = 0.0
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(SAMPLE)
                    break
                record = _seen(record, observer, folder)
                if time.monotonic() - looked > MEMORY_SAMPLE:
                    looked, used = time.monotonic(), memory_of_gpu(device)
                    peak = max(peak, memory_of_session(process.pid))
                    gpu = max(filter(None, (gpu, used)), default=None)
        finally:
            _end(process)
            seconds = time.monotonic() - start
            code = process.returncode
            memory = max(peak, memory_of_children())
            why = out_of_space(folder) if code else ""
            (folder / RESERVE).unlink(missing_ok=True)
            ended = replace(attempt, seconds=round(seconds, 2), returncode=code, memory=memory, device_memory=gpu)
            observer.look(record).end(folder, replace(ended, why=why))
    return code if code >= 0 else 128 - code


def out_of_space(folder: Path) -> str:
    """A sentence if a command failed because the disk is full; empty if it did not.

    Args:
        folder: Folder of the cell, with the command's log.
    """
    told = next((words for line in last_lines(folder) for words in NO_SPACE if words in line), "")
    try:
        # The command's own message may be lost for the same reason.
        (folder / f"{RESERVE}.more").write_bytes(os.urandom(RESERVED))
    except OSError as error:
        told = told or (str(error.strerror) if error.errno in FULL else "")
    finally:
        with suppress(OSError):
            (folder / f"{RESERVE}.more").unlink(missing_ok=True)
    return _no_space(told, folder) if told else ""


def _no_space(told: str, folder: Path) -> str:
    free = ""
    with suppress(OSError):
        left = shutil.disk_usage(folder).free / 1e9
        # Loading processes share memory through files, and containers have little room for those.
        free = f", {left:.2f} GB free{'; perhaps it was /dev/shm or the folder of temporary files' if left > 2 else ''}"
    return f"{told} ({folder}{free}): make room, then start the same command again"


def _told(error: OSError, folder: Path) -> str:
    return _no_space(str(error.strerror), folder) if error.errno in FULL else str(error)


def _seen(record: Record, observer: Observer, folder: Path) -> Record:
    """The record with what the command has written by now; a disk that is full for a while must not end it."""
    now = observer.look(record)
    if now is not record:
        with suppress(OSError):
            return now.written(folder)
    return record


def _start(words: Sequence[str], folder: Path, log: IO[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        env={**os.environ, MARK: str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        # A session of its own, so that everything it starts can be ended with it.
        start_new_session=True,
        preexec_fn=dying_with_parent(),
    )


def _leave(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that still runs, and everything that it has started."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
            if number == signal.SIGKILL:
                return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
