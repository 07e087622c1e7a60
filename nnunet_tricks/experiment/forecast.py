"""When each cell would start and end, and which ones a budget leaves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.local import BY_HAND, DONE, LOCK, RUNNING
from nnunet_tricks.experiment.lock import is_held
from nnunet_tricks.experiment.other_workers import Sign, Strangers


@dataclass(frozen=True)
class Slot:
    """A cell in time.

    Attributes:
        cell: The cell.
        state: State by its files and its lock.
        seconds: Duration of what is left; None if it is not known.
        ends: Seconds from now to its end; None if its duration, or that of a cell it needs, is not known.
        fits: Whether it ends within the budget; always true without a budget.
        sign: Sign that somebody works at it without a queue; None if there is none.
    """

    cell: Cell
    state: str
    seconds: float | None
    ends: float | None
    fits: bool
    sign: Sign | None = None


def forecast(
    cells: Sequence[Cell],
    seconds: Callable[[Cell], float | None],
    *,
    workers: int = 1,
    budget: float | None = None,
    strangers: Strangers | None = None,
) -> list[Slot]:
    """When each cell runs, if workers take cells by rank.

    Args:
        cells: All cells, lowest rank first.
        seconds: Gives the duration of what is left of a cell.
        workers: Number of cells at a time.
        budget: Seconds that there are; None for no limit.
        strangers: Looks for those who work without a queue; None to skip that.

    Returns:
        One slot for each cell. A cell of unknown duration counts as 0 seconds; its ``ends`` is None.
    """
    free = [0.0] * max(workers, 1)
    known: dict[str, float | None] = {}
    late: set[str] = set()
    slots = []
    for cell in cells:
        state, sign = cell.state, None
        if strangers is not None:
            sign = strangers.running(cell) if state == DONE else strangers.at(cell)
        if state == DONE and sign is None:
            known[cell.key] = 0.0
            slots.append(Slot(cell, state, 0.0, 0.0, True))
            continue
        if is_held(cell.folder / LOCK):
            state, sign = RUNNING, None
        elif sign and sign.is_sure:
            state = BY_HAND
        needed, before = seconds(cell), [known.get(key) for key in cell.after]
        worker = free.index(min(free))
        begins = max(free[worker], *(end or 0.0 for end in before), 0.0)
        end = begins + (needed or 0.0)
        fits = budget is None or (end <= budget and not late & set(cell.after))
        if fits:
            free[worker] = end
        else:
            late.add(cell.key)
        known[cell.key] = None if needed is None or None in before else end
        slots.append(Slot(cell, state, needed, known[cell.key], fits, sign))
    return slots
