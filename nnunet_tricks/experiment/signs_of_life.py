"""Signs of life beside locks, for shared file systems whose locks do not reach other machines.

Whoever works at a cell rewrites a small file every few seconds. Others look whether it changes. They compare no times,
because clocks of machines differ.
"""

from __future__ import annotations

import os
import platform
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_tricks.experiment.claims import BEAT as FILE
from nnunet_tricks.experiment.claims import PATIENCE, has_changed
from nnunet_tricks.utilities.files import write_atomically

SECONDS = 10.0
"""Seconds between two signs of life."""


class SignsOfLife:
    """Gives signs of life in a folder for as long as a with block lasts.

    Attributes:
        folder: The folder of the file.
    """

    def __init__(self, folder: Path) -> None:
        """Write nothing yet."""
        self.folder = folder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> SignsOfLife:
        """Write the first sign, and go on in a thread."""
        self._write(0)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and remove the file."""
        self._ended.set()
        self._thread.join()
        (self.folder / FILE).unlink(missing_ok=True)

    def _go_on(self) -> None:
        number = 0
        while not self._ended.wait(SECONDS):
            number += 1
            # A disk that is full for a while must not end a training.
            with suppress(OSError):
                self._write(number)

    def _write(self, number: int) -> None:
        write_atomically(self.folder / FILE, f"{platform.node()} {os.getpid()} {number}\n")


@dataclass
class OtherMachines:
    """Watches for work on other machines.

    Attributes:
        patience: Seconds without a sign of life after which a process is taken for dead.
    """

    patience: float = PATIENCE
    _seen: dict[Path, tuple[str, float]] = field(default_factory=dict)

    def work_at(self, folder: Path) -> bool:
        """Whether a process of another machine works there or may; only a second look can tell that it is dead."""
        try:
            content = (folder / FILE).read_text(encoding="utf-8")
        except OSError:
            return False
        if content.partition(" ")[0] == platform.node():
            return False  # on one machine locks are enough
        return has_changed(self._seen, folder, content, self.patience)
