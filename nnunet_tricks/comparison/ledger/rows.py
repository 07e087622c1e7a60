"""The rows of the ledger and their file. Standard library only, so that ``show`` and ``ledger`` are fast.

``rows.json`` beside this file is the ledger of the package, and is installed with it. ``nnunet-tricks ledger add``
writes rows, and nobody else does: each row is computed from a verified report.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

SCHEMA = 1
"""Version of the file's schema: other versions are refused."""

FILE = Path(__file__).with_name("rows.json")
IN_CHECKOUT = Path("nnunet_tricks", "comparison", "ledger", "rows.json")
"""The same file in a checkout, below its folder."""

DECIDED = ("helps", "hurts")
WITHIN_NOISE, UNDECIDED = "within noise", "undecided"

SHOWN = 0.0005
"""Smallest difference that tables show."""

MADE_FROM = {"HalfAnterior": "Hippocampus"}
"""Data sets with the cases of another one whose names do not say so."""

BARE = {"MedISeg2D": "the bare base", "MedISeg3D": "the bare base"}
"""The bases of the trick paper in 2D and 3D, and one name for both: the column of a table tells the dimension."""


@dataclass(frozen=True, kw_only=True)
class LedgerReport:
    """A verified report that rows come from.

    Attributes:
        id: Name of the report in rows: folder of the report below the checkout, with slashes.
        experiment: Name of the experiment.
        locked_at: Time at which the experiment file was locked, in ISO 8601.
        cases_sha256: SHA-256 of the report's table of all cases.
        question_sha256: SHA-256 of the locked experiment file, with Unix line ends.
        left_out: Sentence that names trainings that were not finished; empty if all were.
        versions: Versions of the packages that made the report.
    """

    id: str
    experiment: str
    locked_at: str
    cases_sha256: str
    question_sha256: str
    left_out: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """Page of the report below the checkout."""
        return f"{self.id}/report.md"

    @property
    def verify(self) -> str:
        """Line that verifies the report, from a fresh clone."""
        return f"nnunet-tricks verify {self.id}"


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """What one trick did in one comparison.

    Attributes:
        report: Id of the report.
        comparison: Name of the comparison in the experiment; empty for the only one.
        dataset: Data set without its number, such as ``Hippocampus``.
        dimension: Number of axes of the patches; 0 where the configuration's name does not tell.
        part: Part of the data.
        trick: Tricks that were added to the baseline, with parameters, in words: ``Tversky_alpha0p3`` or ``A + B``.
        tricks: Names of these tricks without parameters, as ``show`` takes them.
        base: Tricks of the baseline; empty for nnU-Net's default.
        without: Tricks of the baseline that were left out.
        trainer: Trainer of the first run, with what was done with its models after a plus sign.
        baseline: Trainer of the baseline's first run.
        configuration: Name of the configuration.
        size: Size of the training in words: epochs, patch, network.
        epochs: Number of epochs.
        metric: Metric of the verdict.
        direction: Direction of the metric: ``higher``, ``lower`` or ``zero``.
        label: Class of the verdict, or ``mean of classes``.
        of_baseline: Value of the baseline.
        difference: Difference to the baseline.
        low: Lower end of the 95 % interval; None where nothing is known.
        high: Upper end.
        p: P value after Holm's correction.
        word: Verdict.
        noise: Repeatability limit of the baseline's trainings; None where nothing is known.
        runs: Numbers of runs of baseline and trick.
        folds: Number of folds.
        cases: Number of cases.
        better: Number of cases in which the trick is better by more than 0.01.
        worse: Number of cases in which it is worse by more than 0.01.
        cost: Time relative to the baseline; None where it is not known.
        where: Sentences of the per-case analysis that found a pattern.
    """

    report: str
    comparison: str
    dataset: str
    dimension: int
    part: str
    trick: str
    tricks: tuple[str, ...]
    base: tuple[str, ...]
    without: tuple[str, ...]
    trainer: str
    baseline: str
    configuration: str
    size: str
    epochs: int
    metric: str
    direction: str
    label: str
    of_baseline: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    word: str
    noise: float | None
    runs: tuple[int, int]
    folds: int
    cases: int
    better: int
    worse: int
    cost: float | None
    where: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Trick and base, as the tables name a row."""
        return name_of(self.trick, self.base)

    @property
    def is_bare(self) -> bool:
        """Whether the trick was added to the trick paper's base, and not to nnU-Net's default."""
        return not BARE.keys().isdisjoint(self.base)

    @property
    def data(self) -> str:
        """Data set with the dimension, as the tables name a column."""
        return f"{self.dataset} {self.dimension}D" if self.dimension else self.dataset

    @property
    def interval(self) -> str:
        """The interval in words."""
        return interval_of(self.low, self.high)

    @property
    def gain(self) -> float:
        """Difference, positive where the trick is better; 0 where no side is, nothing is known, or tables show 0."""
        difference = self.difference or 0.0
        sign = {"higher": 1.0, "lower": -1.0}.get(self.direction, 0.0)
        return sign * difference if abs(difference) >= SHOWN else 0.0


@dataclass(frozen=True, kw_only=True)
class LedgerInteraction:
    """What one trick gained in 3D less what it gained in 2D, on the same cases.

    Attributes:
        report: Id of the report.
        dataset: Data set without its number.
        trick: Tricks that were added, or ``mean of all tricks``.
        in_2d: Difference to the baseline in 2D.
        in_3d: Difference to the baseline in 3D.
        difference: Difference in 3D minus difference in 2D.
        low: Lower end of the 95 % interval.
        high: Upper end.
        p: P value after Holm's correction.
        word: Verdict.
    """

    report: str
    dataset: str
    trick: str
    in_2d: float | None
    in_3d: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    word: str

    @property
    def interval(self) -> str:
        """The interval in words."""
        return interval_of(self.low, self.high)


@dataclass(frozen=True)
class Ledger:
    """Everything that the file has.

    Attributes:
        reports: Reports, in the order in which they were added.
        rows: Rows of all reports.
        interactions: Trick by dimension, of the reports that have both dimensions.
    """

    reports: tuple[LedgerReport, ...] = ()
    rows: tuple[LedgerRow, ...] = ()
    interactions: tuple[LedgerInteraction, ...] = ()

    @property
    def by_id(self) -> dict[str, LedgerReport]:
        """The reports by their ids."""
        return {report.id: report for report in self.reports}

    def of_trick(self, name: str) -> tuple[LedgerRow, ...]:
        """Rows in which a trick was added, or left out, whatever its parameters.

        Args:
            name: Name of the trick, such as ``Tversky``.
        """
        return tuple(
            row for row in self.rows if name in row.tricks or name in {word.partition("_")[0] for word in row.without}
        )

    @property
    def sources(self) -> dict[str, str]:
        """For each data set that from which it was made, with the same cases: itself, or one whose name it begins with.

        Examples:
            >>> sources_of(["Hippocampus", "Hippocampus_labels0p1", "Liver"])["Hippocampus_labels0p1"]
            'Hippocampus'
        """
        return sources_of(row.dataset for row in self.rows)

    def without(self, report: str) -> Ledger:
        """The ledger without one report and what came from it."""
        return Ledger(
            tuple(other for other in self.reports if other.id != report),
            tuple(row for row in self.rows if row.report != report),
            tuple(row for row in self.interactions if row.report != report),
        )

    def joined(self, other: Ledger) -> Ledger:
        """Both ledgers in one."""
        return Ledger(self.reports + other.reports, self.rows + other.rows, self.interactions + other.interactions)

    @property
    def text(self) -> str:
        """The content of the file."""
        content = {
            "schema": SCHEMA,
            "reports": [asdict(report) for report in self.reports],
            "rows": [asdict(row) for row in self.rows],
            "interactions": [asdict(row) for row in self.interactions],
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def sources_of(names: Iterable[str]) -> dict[str, str]:
    """For each data set that from which it was made; see ``Ledger.sources``."""
    origins = {name: MADE_FROM.get(name, name) for name in names}
    return {
        name: min((other for other in origins.values() if f"{origin}_".startswith(f"{other}_")), key=len)
        for name, origin in origins.items()
    }


def name_of(trick: str, base: tuple[str, ...]) -> str:
    """A trick with the base that it was added to.

    Examples:
        >>> name_of("Tversky", ()), name_of("Freeze", ("Adam_lr0p001",)), name_of("OHEM", ("MedISeg3D",))
        ('Tversky', 'Freeze on Adam_lr0p001', 'OHEM on the bare base')
    """
    return f"{trick} on {', '.join(BARE.get(word, word) for word in base)}" if base else trick


def interval_of(low: float | None, high: float | None) -> str:
    """An interval in words.

    Examples:
        >>> interval_of(-0.0123, 0.5), interval_of(None, None)
        ('-0.012 to +0.500', 'unknown')
    """
    return "unknown" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"
