"""Results of steps and situations, and how an error becomes one line. Standard library only."""

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
    """Raised by a step whose check fails; the message says what is wrong and, if known, how to fix it."""


@dataclass(frozen=True)
class StepOutcome:
    """Result of one step.

    Attributes:
        step: Name of the step.
        status: Whether it passed.
        reason: One line; empty if it passed.
        seconds: Duration.
    """

    step: str
    status: Status
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class ConformanceReport:
    """Results of a trainer in one situation.

    Attributes:
        trainer: Name of the trainer.
        situation: The situation, or the name of a check that needs none.
        outcomes: Results of its steps, in order.
    """

    trainer: str
    situation: Situation | str
    outcomes: tuple[StepOutcome, ...] = field(default=())

    @property
    def failures(self) -> tuple[StepOutcome, ...]:
        """The steps that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.status is Status.FAIL)

    @property
    def passed(self) -> bool:
        """Whether no step failed."""
        return not self.failures

    def has_passed(self, step: str) -> bool:
        """Whether a step of this name was taken and went well."""
        return any(outcome.step == step and outcome.status is Status.PASS for outcome in self.outcomes)

    @property
    def skipped(self) -> bool:
        """Whether no step applied."""
        return bool(self.outcomes) and all(outcome.status is Status.NOT_APPLICABLE for outcome in self.outcomes)

    @property
    def seconds(self) -> float:
        """Duration of all steps."""
        return sum(outcome.seconds for outcome in self.outcomes)

    def explain(self) -> list[str]:
        """One line per reason of failure: the failed steps, then the reason."""
        steps: dict[str, list[str]] = {}
        for outcome in self.failures:
            steps.setdefault(outcome.reason, []).append(outcome.step)
        return [f"{self.trainer}, {self.situation}: {', '.join(names)}: {reason}" for reason, names in steps.items()]


def one_line(error: BaseException) -> str:
    """An exception in one line: its type, the first line of its message, where it was raised.

    For an assertion without a message the line of code stands in.

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
