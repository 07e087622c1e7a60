"""When cells fail one after the other for the same reason: then a queue need not try the rest."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.keeper import FULL, NO_SPACE
from nnunet_tricks.experiment.record import last_lines

QUICK = 60.0
"""Seconds within which a cell fails that has hardly begun: nnU-Net needs some to import."""

ALIKE = 3
"""So many ways to train that fail alike speak for all others; one alone may be wrong on every fold."""


@dataclass
class Failures:
    """Cells that have failed within seconds since one was done, by what they said last."""

    _reasons: dict[str, str] = field(default_factory=dict)
    _whole: str = ""

    def add(self, cell: Cell, why: str, seconds: float) -> None:
        """One more.

        Args:
            cell: Which one.
            why: In words.
            seconds: How long its attempt took.
        """
        if any(words in why for words in NO_SPACE):
            self._whole = why
        if seconds <= QUICK:
            last = [line for line in last_lines(cell.folder, 1) if not line.startswith("$ ")]
            self._reasons[cell.key] = "; ".join([why, *last])
        else:
            self.forget()

    def forget(self) -> None:
        """Something was done, or failed in its own way."""
        self._reasons.clear()

    def has(self, key: str) -> bool:
        """Whether a cell is among them, or another fold of the same model."""
        return _family(key) in self._families

    def reason(self, others: Collection[str]) -> str:
        """Why nothing more should be begun, in a sentence; empty if it should.

        Args:
            others: Keys of the cells that could be done or are.
        """
        if self._whole:
            return f"stopped: {self._whole}; nothing more is begun, and no retries are spent"
        alike = {_without_names(reason) for reason in self._reasons.values()}
        untried = {_family(key) for key in others} - self._families
        enough = len(self._families) >= ALIKE if untried else len(self._families) > 1 or len(self._reasons) >= ALIKE
        if len(alike) != 1 or not enough:
            return ""
        reason = list(self._reasons.values())[-1]
        return (
            f"stopped: {len(self._reasons)} cells in a row failed within seconds, all with '{reason}'; nothing more is "
            "begun, and no retries are spent. Once that is put right, start the same command again"
        )

    @property
    def _families(self) -> set[str]:
        return set(map(_family, self._reasons))


def refuse_full(error: OSError) -> str:
    """The sentence for a disk that is full; empty if that is not the error."""
    if error.errno not in FULL:
        return ""
    where = f" ({error.filename})" if error.filename else ""
    return f"stopped: {error.strerror}{where}; nothing more is begun. Make room, then start the same command again"


def _family(key: str) -> str:
    """What a cell's key says but for the fold: the model, or the plans of a data set."""
    return "/".join(key.split("/")[:2])


def _without_names(reason: str) -> str:
    """Without numbers and paths, in which cells that fail alike differ."""
    return re.sub(r"\S*/\S*|\d+", "", reason)
