"""Results of the statistics as plain values, which tables, reports and programs read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nnunet_tricks.comparison.rounding import rounded

HELPS, HURTS, WITHIN_NOISE, UNDECIDED = "helps", "hurts", "within noise", "undecided"
WORDS = (HELPS, HURTS, WITHIN_NOISE, UNDECIDED)

LEVEL = 0.95
"""Confidence level of every interval."""

ALPHA = 0.05
"""Significance level of every test, after Holm's correction."""

REPEATABILITY = 1.959963984540054 * math.sqrt(2)
"""Limit below which two values with a standard deviation of 1 differ in 95 % of pairs."""


@dataclass(frozen=True)
class Interval:
    """95 % interval of a value; both ends are NaN where nothing is known."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        """Whether a value lies within the interval, ends included."""
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Significance:
    """P value of one trick, as it is and corrected for the number of tricks.

    Attributes:
        p: Two-sided p value.
        holm: P value adjusted by Holm over all tricks of the comparison, in the same metric and class.
    """

    p: float
    holm: float


@dataclass(frozen=True, kw_only=True)
class CaseDifference:
    """One case with and without the trick; values are means over runs.

    Attributes:
        case: Identifier of the case.
        fold: Fold in which it was predicted.
        group: Group of the case, such as a patient; the case itself without a group column.
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
        """Trick minus baseline; 0 where the two differ by rounding only."""
        if self.trick == self.baseline:
            return 0.0
        return float(rounded(self.trick - self.baseline, max(abs(self.trick), abs(self.baseline))))


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Difference of one trick to the baseline in one metric of one class.

    Attributes:
        label: Class, or ``mean of classes``.
        metric: Name of the metric.
        unit: Unit of the difference, of the interval and of all other values with a unit.
        better: Direction of the metric: ``higher``, ``lower`` or ``zero``.
        difference: Trick minus baseline; mean over the cases in which the metric is defined for any method.
        interval: 95 % interval of the difference, cut off at differences that the metric cannot have. With
            ``has_runs`` it covers both retraining and new cases. Without it, it covers new cases predicted by exactly
            these trained models.
        has_runs: Whether there are reruns, so that the interval includes how trainings differ.
        cases: Number of pairs.
        one_sided: Number of cases in which the metric is undefined for one of the two methods: one correctly predicts
            nothing, the other gives a false alarm.
        unexplained: Number of such cases in which the other method's value cannot come from a false alarm.
        infinite: Number of cases with an infinite value.
        groups: Number of independent groups; equal to ``cases`` without a group column.
        error_cases: Standard error from the cases.
        error_runs: Standard error from trainings; NaN without reruns.
        freedom: Degrees of freedom of both errors together (Satterthwaite).
        detectable: Smallest true difference that this design detects with a power of 80 %; infinite if that is more
            than two values of the metric can differ.
        p: Test of no difference, including the run-to-run part where it is known. The verdict uses it.
        wilcoxon: Wilcoxon's signed rank test over groups. Like the next two it judges the trained models only.
        permutation: Permutation test that flips the signs of the groups' differences.
        t_test: Paired t-test over cases, the source of the IFE paper's stars.
        false_claim: Probability that the trick's true difference has the opposite sign.
        false_claim_cases: Same probability computed from cases alone, as in arXiv 2505.04720.
        wins: Number of cases in which the trick is better by more than ``tie``.
        ties: Number of cases in which the two differ by at most ``tie``.
        losses: Number of cases in which the trick is worse by more than ``tie``.
        tie: Largest difference that counts as a tie.
        differences: Both values of each case, sorted by case.
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
        """The difference, positive where the trick is better; NaN for metrics that are best at 0."""
        return {"higher": 1.0, "lower": -1.0}.get(self.better, math.nan) * self.difference

    def ranked(self) -> tuple[CaseDifference, ...]:
        """The cases, sorted so that those that the trick helped most come first."""
        return tuple(sorted(self.differences, key=lambda pair: (-self.gain_in(pair), pair.case)))

    def gain_in(self, case: CaseDifference) -> float:
        """Gain of the trick in a case; for metrics that are best at 0, how much closer to 0 it is."""
        if self.better == "zero":
            return float(rounded(abs(case.baseline) - abs(case.trick), max(abs(case.baseline), abs(case.trick))))
        return -case.difference if self.better == "lower" else case.difference


@dataclass(frozen=True, kw_only=True)
class NoiseFloor:
    """How much repeated trainings of the same baseline differ.

    Attributes:
        label: Class, or ``mean of classes``.
        metric: Name of the metric.
        unit: Unit of ``deviation``, ``limit`` and ``spread``.
        runs: Number of runs of the baseline; below 2 nothing is known and the values are NaN.
        freedom: Degrees of freedom: runs beyond the first, in each fold; fewer where folds differ in size.
        deviation: Standard deviation of a run's mean over all folds.
        interval: 95 % interval of the deviation.
        limit: Limit below which 19 of 20 pairs of further runs differ, t * sqrt(2) * deviation. It uses Student's
            quantile, since the deviation is estimated from few runs.
        means: Mean of each run.
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
        """Repeatability limit of ISO 5725, 1.96 * sqrt(2) * deviation. It equals ``limit`` for a known deviation.

        It is the smaller of the two. ``within noise`` uses it, so that a lack of reruns never leads to that verdict.
        """
        return REPEATABILITY * self.deviation

    @property
    def spread(self) -> float:
        """Largest minus smallest mean of a run."""
        low, high = min(self.means), max(self.means)
        return 0.0 if low == high else high - low


@dataclass(frozen=True, kw_only=True)
class DecisionPlan:
    """Extra trainings that would decide an open question.

    Attributes:
        folds: Number of extra folds for the existing runs.
        runs: Number of extra runs of trick and baseline on all folds.
        trainings: Number of trainings that this takes.
        hours: Hours that they take on the device of the existing trainings; NaN if unknown.
        unit: Unit of the hours.
    """

    folds: int
    runs: int
    trainings: int
    hours: float
    unit: str = "GPU hours"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One word for a trick, with the reason.

    Attributes:
        word: Verdict, one of ``WORDS``.
        why: Sentence that gives the reason.
        decide: Plans that would decide, cheapest first. Empty if it is decided or nothing affordable would decide it.
    """

    word: str
    why: str
    decide: tuple[DecisionPlan, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CostRatio:
    """Cost of a trick as a ratio to the baseline: 1 is equal, NaN is unknown."""

    epoch: float
    memory: float
    device_memory: float
    training: float = math.nan

    @property
    def time(self) -> float:
        """That of whole trainings where it was asked for, else that of an epoch."""
        return self.epoch if math.isnan(self.training) else self.training


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Calibration of probabilities, where they were kept (``nnUNetv2_train --npz``).

    Attributes:
        ece: Expected calibration error, 15 bins: mean gap between the highest probability and how often it is right.
        brier: Mean squared distance of the probabilities from the truth, 0 to 2.
        cases: Number of cases with probabilities.
    """

    ece: float
    brier: float
    cases: int


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Rank of a method when cases and trainings are resampled; 1 is best.

    Attributes:
        place: Rank by the observed means.
        mean: Mean rank over the draws.
        interval: Range of ranks that holds 95 % of the draws.
        first: Share of draws in which the method is best.
        shares: Share of draws in each place, first place first.
    """

    place: int
    mean: float
    interval: Interval
    first: float
    shares: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """Results of one method.

    Attributes:
        name: Short name, as in the tables.
        trainer: Class name of the trainer of its first run.
        runs: Numbers of its runs.
        means: Means over cases, folds and runs, by label and metric.
        ranks: Ranks in the primary metric.
        calibration: Calibration of its probabilities; None where none were kept.
    """

    name: str
    trainer: str
    runs: tuple[int, ...]
    means: Mapping[str, Mapping[str, float]]
    ranks: Ranks
    calibration: Calibration | None = None


@dataclass(frozen=True, kw_only=True)
class TrickResult(MethodResult):
    """Results of one trick.

    Attributes:
        effects: Effects by label and metric.
        verdict: Verdict on the primary metric.
        cost: Cost as a ratio to the baseline.
    """

    effects: Mapping[str, Mapping[str, Effect]]
    verdict: Verdict
    cost: CostRatio


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """Interaction of two tricks of a factorial design: whether together they do more or less than the sum of both.

    Attributes:
        tricks: Names of the tricks.
        effect: Effect in the primary metric: together - first alone - second alone + baseline.
    """

    tricks: tuple[str, str]
    effect: Effect


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Results on one data set, part and subgroup.

    Attributes:
        dataset: Full name of the data set.
        configuration: Configuration of the baseline.
        part: Part of the data set, such as ``validation`` or ``test``.
        subgroup: Subgroup of the cases; empty for all cases.
        folds: Folds that were compared.
        label: Class of the verdicts.
        metric: Metric of the verdicts.
        baseline: Results of the baseline.
        tricks: Results of the tricks, in the order of the table.
        noise: Noise floor of the baseline, by label and metric.
        interactions: Interactions of a factorial design; empty for other designs.
        draws: Number of draws of the bootstrap.
        stability: Mean of Kendall's tau between the observed ranking and those of the draws.
        notes: Notes that a reader needs.
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
        """The effect on which a trick's verdict is based."""
        return trick.effects[self.label][self.metric]

    @property
    def noise_floor(self) -> NoiseFloor:
        """Noise floor of the primary metric."""
        return self.noise[self.label][self.metric]


@dataclass(frozen=True, kw_only=True)
class Signs:
    """One trick across data sets.

    Attributes:
        name: Name of the trick's trainer.
        differences: Differences in the primary metric, by data set.
        gains: Number of data sets in which it was better.
        losses: Number of data sets in which it was worse.
        p: Exact two-sided sign test.
        words: Verdicts by data set.
    """

    name: str
    differences: Mapping[str, float]
    gains: int
    losses: int
    p: Significance
    words: Mapping[str, str]
