"""Runs one cell's command to its end, even if the queue that began it is killed meanwhile.

A process of its own: it holds the cell's lock, writes its log and record, and takes the command along when it ends. So
a killed queue loses nothing, and the next one waits for what still runs.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, NoReturn

from nnunet_tricks.experiment.beat import Beat
from nnunet_tricks.experiment.processes import (
    MARK,
    dying_with_parent,
    end_leftovers,
    memory_of_children,
    memory_of_gpu,
    memory_of_session,
)
from nnunet_tricks.experiment.record import LOG, Attempt, Record

SAMPLE = 2.0
"""Seconds between two looks at the memory."""

GPU_SAMPLE = 10.0
PATIENCE = 20.0
"""Seconds that a command has to end by itself."""


def main(arguments: Sequence[str]) -> int:
    """Keep one command.

    Args:
        arguments: The cell's folder, the device, then the command's words.

    Returns:
        The command's exit code; 128 and the signal's number if a signal ended it.
    """
    folder, device, *words = arguments
    return keep(Path(folder), device, words)


def keep(folder: Path, device: str, words: Sequence[str]) -> int:
    """Keep one command; whoever calls it holds the cell's lock, and is the main thread.

    Args:
        folder: The cell's.
        device: ``cpu`` or a GPU's number.
        words: The command.

    Returns:
        As ``main``.
    """
    end_leftovers(folder)
    attempt = Attempt(command=shlex.join(words), began=time.time(), device=device)
    record = Record.read(folder).begin(folder, attempt)
    signal.signal(signal.SIGTERM, _leave)
    peak, gpu = 0, None
    with Beat(folder), (folder / LOG).open("a", encoding="utf-8") as log:
        log.write(f"$ {attempt.command}\n")
        log.flush()
        process = _start(words, folder, log)
        try:
            looked = 0.0
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(SAMPLE)
                    break
                peak = max(peak, memory_of_session(process.pid))
                if time.monotonic() - looked > GPU_SAMPLE:
                    looked, used = time.monotonic(), memory_of_gpu(device)
                    gpu = max(filter(None, (gpu, used)), default=None)
        finally:
            _end(process)
            seconds = time.time() - attempt.began
            code = process.returncode
            memory = max(peak, memory_of_children())
            record.end(
                folder, replace(attempt, seconds=round(seconds, 2), returncode=code, memory=memory, device_memory=gpu)
            )
    return code if code >= 0 else 128 - code


def _start(words: Sequence[str], folder: Path, log: IO[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        env={**os.environ, MARK: str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        # A session of its own, so that all that it starts can be ended with it.
        start_new_session=True,
        preexec_fn=dying_with_parent(),
    )


def _leave(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that still runs, and whatever it has left running."""
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
