"""What came out of a step, a situation and a trainer, and how an error becomes one line. Standard library only."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from nnunet_tricks.conformance.grid import Situation

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")  # torch writes some messages in bold


class Status(str, Enum):
    """How a step went."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "n/a"


class NotApplicableError(Exception):
    """Raised by a step that has nothing to check here; the message says why."""


class ViolationError(Exception):
    """Raised by a step whose check went wrong; the message says what and, where known, how to mend it."""


@dataclass(frozen=True)
class StepOutcome:
    """Result of one step.

    Attributes:
        step: Name of the step.
        status: How it went.
        reason: One line; empty if it passed.
        seconds: What it cost.
    """

    step: str
    status: Status
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class ConformanceReport:
    """What a trainer did in one situation.

    Attributes:
        trainer: Name of the trainer.
        situation: The situation, or the name of a check that is no situation.
        outcomes: Its steps in order.
    """

    trainer: str
    situation: Situation | str
    outcomes: tuple[StepOutcome, ...] = field(default=())

    @property
    def failures(self) -> tuple[StepOutcome, ...]:
        """The steps that went wrong."""
        return tuple(outcome for outcome in self.outcomes if outcome.status is Status.FAIL)

    @property
    def passed(self) -> bool:
        """Whether nothing went wrong."""
        return not self.failures

    @property
    def skipped(self) -> bool:
        """Whether no step applied."""
        return bool(self.outcomes) and all(outcome.status is Status.NOT_APPLICABLE for outcome in self.outcomes)

    @property
    def seconds(self) -> float:
        """What all steps cost."""
        return sum(outcome.seconds for outcome in self.outcomes)

    def explain(self) -> list[str]:
        """One line per reason for failing: the steps that it broke, then the reason."""
        steps: dict[str, list[str]] = {}
        for outcome in self.failures:
            steps.setdefault(outcome.reason, []).append(outcome.step)
        return [f"{self.trainer}, {self.situation}: {', '.join(names)}: {reason}" for reason, names in steps.items()]


def one_line(error: BaseException) -> str:
    """The plain reason behind an exception: its type, the first line of its message, where it was raised.

    An assertion without a message is told by its code.

    Examples:
        >>> try:
        ...     [][2]
        ... except IndexError as error:
        ...     print(one_line(error).split(" (")[0])
        IndexError: list index out of range
    """
    lines = [line.strip() for line in _ESCAPES.sub("", str(error)).splitlines() if line.strip()]
    if isinstance(error, ViolationError):
        return lines[0]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    message = lines[0] if lines else (frames[-1].line or "" if frames else "")
    return f"{type(error).__name__}: {message}{where}"
