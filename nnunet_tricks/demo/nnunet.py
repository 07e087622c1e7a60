"""nnU-Net's own commands as child processes that see only the demo's folders."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nnunet_tricks.door import external
from nnunet_tricks.door.commands import with_our_trainers
from nnunet_tricks.utilities.signals import told_to_end

POLL = 0.2
"""Seconds between two looks at a child."""

TAIL = 12
"""Lines of a failed command's log that the error message shows."""


class CommandFailed(ValueError):
    """Raised when a command of nnU-Net fails."""


def environment(folder: Path, *, processes: int) -> dict[str, str]:
    """The environment for nnU-Net's commands: the caller's, but with the demo's folders and our trainers.

    Args:
        folder: Folder of the demo; its folders raw, preprocessed and results are made if they do not exist.
        processes: Number of processes that load and augment data in a training.

    Raises:
        ValueError: If this nnU-Net could not find our trainers.
    """
    folders = {f"nnUNet_{name}": folder / name for name in ("raw", "preprocessed", "results")}
    for path in folders.values():
        path.mkdir(parents=True, exist_ok=True)
    variables = {
        **os.environ,
        **{variable: str(path) for variable, path in folders.items()},
        "nnUNet_def_n_proc": str(processes),
        "nnUNet_n_proc_DA": str(processes),
        # Compiling the network takes longer than the whole demo.
        "nnUNet_compile": "f",
        # Threads that wait for each other by spinning make a step 100 times slower as soon as the cores have other
        # work; sleeping costs nothing measurable.
        "OMP_WAIT_POLICY": "PASSIVE",
        "nnUNet_wandb_enabled": "0",
        "PYTHONUNBUFFERED": "1",
    }
    variables.pop(external.VARIABLE, None)
    return with_our_trainers(variables)


def run(words: Sequence[str], *, variables: Mapping[str, str], log: Path, watch: Callable[[], None]) -> None:
    """Run one command to its end.

    Args:
        words: The command and its arguments.
        variables: Environment variables of the command.
        log: File for everything that it prints.
        watch: Function that is called a few times per second.

    Raises:
        CommandFailed: If it ends with an error.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        file.write(f"$ {' '.join(words)}\n")
        file.flush()
        # A session of its own, so that its data loading processes can be ended with it.
        process = subprocess.Popen(
            words, env=dict(variables), stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
        try:
            with told_to_end():
                while process.poll() is None:
                    watch()
                    time.sleep(POLL)
        finally:
            _end(process)
    if process.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
        raise CommandFailed(
            f"'{' '.join(words)}' failed with exit code {process.returncode}; the end of {log}:\n" + "\n".join(lines)
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a child that still runs, with everything that it has started."""
    if process.poll() is not None:
        return
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGTERM)
    else:
        process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
