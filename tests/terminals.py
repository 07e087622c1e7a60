"""Programs at real terminals of a given width, and what they show there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

ESCAPE = re.compile(r"\x1b\[[\d;?]*[a-zA-Z]")
CALL = "import sys; from nnunet_tricks.cli import main; sys.exit(main())"
PATIENCE = 60
"""Seconds for a shell to answer on a very busy machine."""


@dataclass(frozen=True)
class Shown:
    """What a program showed.

    Attributes:
        code: Exit code.
        text: All that it printed.
    """

    code: int
    text: str

    @property
    def plain(self) -> str:
        return ESCAPE.sub("", self.text)

    @property
    def lines(self) -> list[str]:
        return self.plain.splitlines()

    @property
    def words(self) -> list[str]:
        """Words in their order, without the backslashes that join lines of a command."""
        return [word for word in self.plain.split() if word != "\\"]


def _open(columns: int) -> tuple[int, int]:
    ours, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return ours, terminal


def at_terminal(
    columns: int, *words: object, python: object = sys.executable, environment: Mapping[str, str] | None = None
) -> Shown:
    """Run ``nnunet-tricks`` at a terminal.

    Args:
        columns: Width of the terminal.
        words: Words after ``nnunet-tricks``.
        python: Interpreter.
        environment: Environment variables beside those of this process, or in place of them.
    """
    ours, terminal = _open(columns)
    variables = {"TERM": "xterm", **os.environ, **(environment or {})}
    for name in ("COLUMNS", "FORCE_COLOR"):
        variables.pop(name, None)
    command = [str(python), "-c", CALL, *map(str, words)]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=variables) as process:
        os.close(terminal)
        shown = b""
        with suppress(OSError):  # how a terminal says that nobody writes to it any more
            while part := os.read(ours, 65536):
                shown += part
    os.close(ours)
    return Shown(process.returncode, shown.decode(errors="replace").replace("\r\n", "\n"))


class ShellSession:
    """An interactive shell at a terminal, to press keys in."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        ours, terminal = _open(200)
        variables = {**os.environ, "TERM": "xterm", **environment}
        self._process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, env=variables, start_new_session=True
        )
        os.close(terminal)
        self._ours = ours

    def press(self, keys: str, until: str) -> str:
        """Press keys, and return what the shell shows until a pattern is there."""
        os.write(self._ours, keys.encode())
        shown, end = "", time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if select.select([self._ours], [], [], 0.1)[0]:
                shown += os.read(self._ours, 65536).decode(errors="replace")
                if re.search(until, plain := ESCAPE.sub("", shown), re.DOTALL):
                    return plain
        raise AssertionError(f"no {until} within {PATIENCE} s in {shown!r}")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)
