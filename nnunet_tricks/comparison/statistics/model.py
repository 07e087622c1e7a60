"""What the statistics find, as plain values: what tables, reports and programs read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nnunet_tricks.comparison.rounding import rounded

HELPS, HURTS, WITHIN_NOISE, UNDECIDED = "helps", "hurts", "within noise", "undecided"
WORDS = (HELPS, HURTS, WITHIN_NOISE, UNDECIDED)

LEVEL = 0.95
"""Of every interval."""

ALPHA = 0.05
"""Of every test, after Holm's correction."""


REPEATABILITY = 1.959963984540054 * math.sqrt(2)
"""Of two values with a standard deviation of 1 their difference is smaller in 95 %."""


@dataclass(frozen=True)
class Interval:
    """Where a value lies with 95 % confidence; both ends NaN where nothing is known."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        """Whether a value is within."""
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Significance:
    """A test of one trick, and the same corrected for the number of tricks.

    Attributes:
        p: Two-sided.
        holm: Adjusted by Holm over all tricks of the comparison, of the same metric and class.
    """

    p: float
    holm: float


@dataclass(frozen=True, kw_only=True)
class CaseDifference:
    """One case with and without the trick; means over runs.

    Attributes:
        case: Its identifier.
        fold: In which it was predicted.
        group: What it belongs to, such as a patient; the case itself where no group column was given.
        baseline: Value of the baseline.
        trick: Value of the trick.
    """

    case: str
    fold: str
    group: str
    baseline: float
    trick: float

    @property
    def difference(self) -> float:
        """Trick minus baseline; what rounding makes of equal values is 0."""
        if self.trick == self.baseline:
            return 0.0
        return float(rounded(self.trick - self.baseline, max(abs(self.trick), abs(self.baseline))))


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Difference of one trick to the baseline in one metric of one class.

    Attributes:
        label: Class, or ``mean of classes``.
        metric: Name of the metric.
        unit: Of the difference, the interval and all other values with a unit.
        better: ``higher``, ``lower`` or ``zero``.
        difference: Trick minus baseline; mean over the cases in which the metric is defined for any method.
        interval: Of the difference, 95 %. With ``has_runs`` for training anew and meeting new cases; without it for
            meeting new cases with the very models that were trained.
        has_runs: Whether reruns tell how trainings differ, so that the interval includes it.
        cases: Number of pairs.
        one_sided: Cases in which the metric is undefined for one of both: it predicts nothing where nothing is, and the
            other a false alarm.
        unexplained: Those of them in which the other's value is no false alarm's.
        infinite: Cases in which a value is infinite.
        groups: Number of independent groups; as many as cases without a group column.
        error_cases: Standard error from the cases.
        error_runs: Standard error from trainings; NaN without reruns.
        freedom: Degrees of freedom of both together (Satterthwaite).
        detectable: Smallest true difference that this design finds with a power of 80 %.
        p: Of no difference, with the run-to-run part where it is known; what the verdict stands on.
        wilcoxon: Signed ranks of the cases. Of the trained models: knows nothing of reruns. So do the next two.
        permutation: Signs of the groups' differences flipped.
        t_test: Paired t-test over cases; its stars are those of the IFE paper.
        false_claim: Probability that the trick's true difference has the other sign than the one found.
        false_claim_cases: The same as arXiv 2505.04720 computes it, from cases alone.
        wins: Cases in which the trick is better by more than ``tie``.
        ties: Cases in which both are within ``tie``.
        losses: Cases in which it is worse by more than ``tie``.
        tie: See above.
        differences: Of each case, in the order of their names.
    """

    label: str
    metric: str
    unit: str
    better: str
    difference: float
    interval: Interval
    has_runs: bool
    cases: int
    one_sided: int
    unexplained: int
    infinite: int
    groups: int
    error_cases: float
    error_runs: float
    freedom: float
    detectable: float
    p: Significance
    wilcoxon: Significance
    permutation: Significance
    t_test: Significance
    false_claim: float
    false_claim_cases: float
    wins: int
    ties: int
    losses: int
    tie: float
    differences: tuple[CaseDifference, ...]

    @property
    def stars(self) -> str:
        """``*`` where the uncorrected paired t-test says p < 0.05, as the IFE paper marks its tables."""
        return "*" if self.t_test.p < ALPHA else ""

    @property
    def gain(self) -> float:
        """The difference, positive where the trick is better; NaN where a value can be wrong on both sides of 0."""
        return {"higher": 1.0, "lower": -1.0}.get(self.better, math.nan) * self.difference

    def ranked(self) -> tuple[CaseDifference, ...]:
        """The cases, those in which the trick helped most first."""
        return tuple(sorted(self.differences, key=lambda one: (-self.gain_in(one), one.case)))

    def gain_in(self, case: CaseDifference) -> float:
        """By how much the trick is better in a case; where 0 is best, by how much it is nearer to it."""
        if self.better == "zero":
            return float(rounded(abs(case.baseline) - abs(case.trick), max(abs(case.baseline), abs(case.trick))))
        return -case.difference if self.better == "lower" else case.difference


@dataclass(frozen=True, kw_only=True)
class NoiseFloor:
    """How much trainings of the baseline differ that differ in nothing.

    Attributes:
        label: Class, or ``mean of classes``.
        metric: Name of the metric.
        unit: Of ``deviation``, ``limit`` and ``spread``.
        runs: Of the baseline; below 2 nothing is known and the values are NaN.
        freedom: Degrees of freedom: runs beyond the first, in each fold; fewer where folds differ in size.
        deviation: Standard deviation of a run's mean over all folds.
        interval: Of the deviation, 95 %.
        limit: What two further runs differ by in less than 19 of 20 pairs, t * sqrt(2) * deviation: Student's quantile,
            as the deviation is an estimate of few runs.
        means: Of each run.
    """

    label: str
    metric: str
    unit: str
    runs: int
    freedom: float
    deviation: float
    interval: Interval
    limit: float
    means: tuple[float, ...]

    @property
    def is_known(self) -> bool:
        """Whether there were reruns."""
        return self.freedom > 0

    @property
    def repeatability(self) -> float:
        """Repeatability limit of ISO 5725, 1.96 * sqrt(2) * deviation: ``limit``, if the deviation were known.

        The smaller of the two, so that ``within noise`` is not said for want of reruns.
        """
        return REPEATABILITY * self.deviation

    @property
    def spread(self) -> float:
        """Largest mean of a run minus smallest."""
        low, high = min(self.means), max(self.means)
        return 0.0 if low == high else high - low


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would decide.

    Attributes:
        folds: More folds of what there is.
        runs: More runs of trick and baseline, on all folds.
        trainings: How many trainings that is.
        hours: How long they take on the device of those that were; NaN if that is not known.
        unit: Of the hours.
    """

    folds: int
    runs: int
    trainings: int
    hours: float
    unit: str = "GPU hours"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One word, and why.

    Attributes:
        word: One of ``WORDS``.
        why: A sentence.
        decide: Plans that would decide, cheapest first; empty where it is decided or nothing affordable would.
    """

    word: str
    why: str
    decide: tuple[Plan, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CostRatio:
    """What a trick costs beside the baseline: 1 is the same, NaN unknown."""

    epoch: float
    memory: float
    device_memory: float


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Whether probabilities mean what they say, where they were kept (``nnUNetv2_train --npz``).

    Attributes:
        ece: Expected calibration error, 15 bins: mean gap between the highest probability and how often it is right.
        brier: Mean squared distance of the probabilities from the truth, 0 to 2.
        cases: So many had probabilities.
    """

    ece: float
    brier: float
    cases: int


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """A method's place when cases and trainings are drawn anew; 1 is best.

    Attributes:
        place: By the means that were found.
        mean: Over the draws.
        interval: 95 % of the draws.
        first: Share of draws in which it is best.
        shares: Share of draws in each place, first place first.
    """

    place: int
    mean: float
    interval: Interval
    first: float
    shares: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """All that is known of one method.

    Attributes:
        name: Short name, as in the tables; ``Group.short``.
        trainer: Class name of its first run.
        runs: The repetitions.
        means: By label and metric, over cases, folds and runs.
        ranks: In the primary metric.
        calibration: None where no probabilities were kept.
    """

    name: str
    trainer: str
    runs: tuple[int, ...]
    means: Mapping[str, Mapping[str, float]]
    ranks: Ranks
    calibration: Calibration | None = None


@dataclass(frozen=True, kw_only=True)
class TrickResult(MethodResult):
    """All that is known of one trick.

    Attributes:
        effects: By label and metric.
        verdict: On the primary metric.
        cost: Beside the baseline.
    """

    effects: Mapping[str, Mapping[str, Effect]]
    verdict: Verdict
    cost: CostRatio


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """Whether two tricks of a factorial design do more, or less, together than the sum of each alone.

    Attributes:
        tricks: Their names.
        effect: Together - first alone - second alone + baseline, in the primary metric.
    """

    tricks: tuple[str, str]
    effect: Effect


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What was found on one data set, part and subgroup.

    Attributes:
        dataset: Full name.
        configuration: Of the baseline.
        part: ``validation``, ``test`` or the like.
        subgroup: As in ``Table``.
        folds: Those that were compared.
        label: Class of the verdicts.
        metric: Of the verdicts.
        baseline: What all others are compared with.
        tricks: The others, in the order of the table.
        noise: Of the baseline's runs, by label and metric.
        interactions: Of a factorial design, else empty.
        draws: Of the bootstrap.
        stability: Mean of Kendall's tau between the ranking found and those of the draws.
        notes: What has to be known to read it.
    """

    dataset: str
    configuration: str
    part: str
    subgroup: str
    folds: tuple[str, ...]
    label: str
    metric: str
    baseline: MethodResult
    tricks: tuple[TrickResult, ...]
    noise: Mapping[str, Mapping[str, NoiseFloor]]
    interactions: tuple[Interaction, ...]
    draws: int
    stability: float
    notes: tuple[str, ...]

    def primary(self, trick: TrickResult) -> Effect:
        """The effect that a trick's verdict stands on."""
        return trick.effects[self.label][self.metric]

    @property
    def noise_floor(self) -> NoiseFloor:
        """Of the primary metric."""
        return self.noise[self.label][self.metric]


@dataclass(frozen=True, kw_only=True)
class Signs:
    """One trick across data sets.

    Attributes:
        name: Of the trick's trainer.
        differences: By data set, in the primary metric.
        gains: Data sets in which it was better.
        losses: Data sets in which it was worse.
        p: Exact two-sided sign test.
        words: Verdict by data set.
    """

    name: str
    differences: Mapping[str, float]
    gains: int
    losses: int
    p: Significance
    words: Mapping[str, str]
