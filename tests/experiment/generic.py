"""Cells whose commands are a line of bash: the queue does not know what it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_tricks.experiment.cell import Cell
from tests.checkout import IMPORT


@dataclass(frozen=True, kw_only=True)
class Shell(Cell):
    """Runs a line, and is done when its file is there.

    Attributes:
        line: For bash.
        made: The file.
    """

    line: str
    made: Path

    def words(self) -> list[str]:
        return ["/bin/bash", "-c", self.line]

    def is_made(self) -> bool:
        return self.made.exists()


def counting(folder: Path, key: str, *, seconds: float = 0.0, after: Sequence[str] = (), rank: int = 0) -> Shell:
    """A cell that writes one line each time it begins and one when it ends, with a pause between."""
    begun, made = folder / f"{key}.begun", folder / f"{key}.made"
    line = f"echo x >> {begun}; sleep {seconds}; echo x >> {made}"
    return Shell(key=key, states=folder / "states", line=line, made=made, after=tuple(after), rank=(rank,))


def lines(file: Path) -> int:
    """How often something happened."""
    return len(file.read_text().splitlines()) if file.exists() else 0


def script(folder: Path, count: int, seconds: float, device: str) -> list[str]:
    """A program that runs ``count`` such cells, all of which need the first one."""
    code = f"""
import os
from pathlib import Path
from nnunet_tricks.experiment.local import LocalQueue
from tests.experiment.generic import counting
folder = Path({str(folder)!r})
cells = [counting(folder, f"c{{n}}", seconds={seconds}, after=["c0"] if n else [], rank=n) for n in range({count})]
raise SystemExit(not LocalQueue(cells, [{device!r}], dict(os.environ)).run())
"""
    return [sys.executable, "-c", IMPORT + code]
