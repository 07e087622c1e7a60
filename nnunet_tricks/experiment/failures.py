"""Cells that fail one after the other for the same reason: then a queue stops before it tries the rest."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.keeper import FULL, NO_SPACE
from nnunet_tricks.experiment.record import last_lines

QUICK = 60.0
"""A cell that fails within so many seconds has hardly begun: importing nnU-Net takes some."""

ALIKE = 3
"""So many ways to train that fail alike speak for all others; a single one may be broken on every fold."""


@dataclass
class Failures:
    """Cells that failed within seconds since the last success, with the last line of their logs."""

    _reasons: dict[str, str] = field(default_factory=dict)
    _whole: str = ""

    def add(self, cell: Cell, why: str, seconds: float) -> None:
        """Note a failure.

        Args:
            cell: The cell that failed.
            why: Reason in words.
            seconds: Duration of the attempt.
        """
        if any(words in why for words in NO_SPACE):
            self._whole = why
        if seconds <= QUICK:
            last = [line for line in last_lines(cell.folder, 1) if not line.startswith("$ ")]
            self._reasons[cell.key] = "; ".join([why, *last])
        else:
            self.forget()

    def forget(self) -> None:
        """Start counting again: a cell was done, or failed for a reason of its own."""
        self._reasons.clear()

    def has(self, key: str) -> bool:
        """Whether a cell or another fold of its model has failed."""
        return _family(key) in self._families

    def reason(self, others: Collection[str]) -> str:
        """Why nothing more should be started, in a sentence; empty to go on.

        Args:
            others: Keys of the cells that run or could run.
        """
        if self._whole:
            return f"stopped: {self._whole}; nothing more is started, and no retries are used up"
        alike = {_without_names(reason) for reason in self._reasons.values()}
        untried = {_family(key) for key in others} - self._families
        enough = len(self._families) >= ALIKE if untried else len(self._families) > 1 or len(self._reasons) >= ALIKE
        if len(alike) != 1 or not enough:
            return ""
        reason = list(self._reasons.values())[-1]
        return (
            f"stopped: {len(self._reasons)} cells in a row failed within seconds, all with '{reason}'; nothing more is "
            "started, and no retries are used up. Fix that, then start the same command again"
        )

    @property
    def _families(self) -> set[str]:
        return set(map(_family, self._reasons))


def refuse_full(error: OSError) -> str:
    """The sentence for a full disk; empty for any other error."""
    if error.errno not in FULL:
        return ""
    where = f" ({error.filename})" if error.filename else ""
    return f"stopped: {error.strerror}{where}; nothing more is started. Make room, then start the same command again"


def _family(key: str) -> str:
    """The key of a cell without the fold: the model, or the plans of a data set."""
    return "/".join(key.split("/")[:2])


def _without_names(reason: str) -> str:
    """The reason without numbers and paths, which differ between cells that fail alike."""
    return re.sub(r"\S*/\S*|\d+", "", reason)
