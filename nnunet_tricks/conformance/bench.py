"""Runs trainers through situations, on tiny data that are made once."""

from __future__ import annotations

import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.outcome import ConformanceReport, NotApplicableError, Status, StepOutcome, one_line
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.conformance.steps import NEEDS, STEPS, unsuited
from nnunet_tricks.conformance.tiny_data import TinyData, make_tiny_data
from nnunet_tricks.nnunet.sandbox import sandbox
from nnunet_tricks.training import network_sizes


class Bench:
    """A folder with tiny data sets, and room for trainings.

    Attributes:
        folder: Folder for everything that is written.
        baselines: Observations of trainers that others are compared with, by trainer and situation.

    Examples:
        >>> from nnunet_tricks.conformance.grid import Situation
        >>> from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
        >>> with Bench() as bench:
        ...     bench.check(nnUNetTrainer, Situation("labels", "2d", True), steps=("build", "train steps")).passed
        True
    """

    def __init__(self, keep: Path | None = None) -> None:
        """Open the bench.

        Args:
            keep: Folder for everything that is written; a temporary one, removed on closing, if not given.
        """
        self._temporary = None if keep else tempfile.TemporaryDirectory(prefix="nnunet_tricks_conformance_")
        self.folder = keep or Path(self._temporary.name if self._temporary else "")
        self.baselines: dict[tuple[type[nnUNetTrainer], Situation], dict[str, Any]] = {}
        self._data: dict[tuple[str, bool], TinyData] = {}
        self._number = count()

    def __enter__(self) -> Bench:
        """Return the bench."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the folder, unless it is to be kept."""
        if self._temporary:
            self._temporary.cleanup()

    def check(
        self, trainer: type[nnUNetTrainer], situation: Situation, *, steps: tuple[str, ...] = tuple(STEPS)
    ) -> ConformanceReport:
        """Take a trainer through the steps of a situation.

        Args:
            trainer: The class.
            situation: The situation.
            steps: Names from ``STEPS``.

        Returns:
            How each step went. Never raises for what the trainer does.
        """
        with self.room(trainer, situation) as run:
            outcomes: dict[str, StepOutcome] = {}
            for name in steps:
                outcomes[name] = _attempt(name, STEPS[name], run, outcomes)
        return ConformanceReport(trainer.__name__, situation, tuple(outcomes.values()))

    @contextmanager
    def room(self, trainer: type[nnUNetTrainer], situation: Situation) -> Iterator[Run]:
        """A sandbox with an empty results folder, for one trainer in one situation."""
        data = self.data(situation.labels, flat=situation.dimension == "2d")
        folder = (
            self.folder / "runs" / f"{next(self._number):03d}_{trainer.__name__}_{str(situation).replace(' ', '_')}"
        )
        folder.mkdir(parents=True)
        with sandbox(
            raw=self.folder / "raw",
            preprocessed=self.folder / "preprocessed",
            results=folder / "results",
            log=folder / "output.txt",
            more={network_sizes.VARIABLE: "small"},
        ):
            yield Run(trainer, situation, data, folder)
        if self._temporary:
            shutil.rmtree(folder)

    def data(self, labels: str, *, flat: bool) -> TinyData:
        """A data set, made on first use."""
        if (labels, flat) not in self._data:
            raw, preprocessed = self.folder / "raw", self.folder / "preprocessed"
            with sandbox(raw=raw, preprocessed=preprocessed, results=self.folder / "results"):
                self._data[labels, flat] = make_tiny_data(raw, preprocessed, labels=labels, flat=flat)
        return self._data[labels, flat]


def _attempt(name: str, step: Callable[[Run], None], run: Run, before: dict[str, StepOutcome]) -> StepOutcome:
    needed = before.get(NEEDS.get(name, ""))
    if needed and needed.status is Status.FAIL:
        return StepOutcome(name, Status.NOT_APPLICABLE, f"not reached: {needed.step}")
    lone = needed and needed.step == "first stage" and run.situation.dimension != "cascade"
    if needed and needed.status is Status.NOT_APPLICABLE and not lone:
        return StepOutcome(name, Status.NOT_APPLICABLE, needed.reason)
    if reason := unsuited(name, run.trainer):
        return StepOutcome(name, Status.NOT_APPLICABLE, reason)
    start = perf_counter()
    try:
        step(run)
        status, reason = Status.PASS, ""
    except NotApplicableError as error:
        status, reason = Status.NOT_APPLICABLE, str(error)
    except Exception as error:
        status, reason = Status.FAIL, one_line(error)
        traceback.print_exc(file=sys.stdout)  # the sandbox's log
        run.forget()
    return StepOutcome(name, status, reason, perf_counter() - start)
