"""Tables and sentences that say what differences are worth."""

from __future__ import annotations

import math
from collections.abc import Iterable

from nnunet_tricks.comparison.statistics.model import CaseDifference, Effect, Interaction, Statistics
from nnunet_tricks.comparison.statistics.noise import in_words as noise_in_words
from nnunet_tricks.comparison.statistics.verdict import in_words as plan_in_words
from nnunet_tricks.comparison.text_table import NOTHING, PrintedTable

EXTREMES = 3
"""Number of the best and of the worst cases that are named."""

CASES_ALONE = (
    "Without reruns, intervals cover cases only: how much these models would differ on other images, not how much "
    "newly trained ones would."
)
TESTS = (
    "Two-sided p values for the metric of the verdicts; in brackets after Holm's correction over the tricks. Only the "
    "first takes reruns into account; the others hold only for the models that were trained. * is the IFE paper's "
    "star: p < 0.05 in the paired t-test, uncorrected. False claim: probability that the true difference has the other "
    "sign. Detectable: smallest true difference that this design finds with a power of 80 %."
)


def number(value: float, unit: str = "1", *, signed: bool = False) -> str:
    """A value with three digits if it is a share, with two if it has a unit.

    Examples:
        >>> number(0.01234, signed=True), number(3.14159, "mm"), number(float("nan"))
        ('+0.012', '3.14', '-')
    """
    if not math.isfinite(value):
        return NOTHING
    return f"{value:{'+' if signed else ''}.{3 if unit == '1' else 2}f}"


def chance(p: float) -> str:
    """A probability in words: three digits, or less than 0.001.

    Examples:
        >>> chance(0.0312), chance(0.00002), chance(float("nan"))
        ('0.031', '<0.001', '-')
    """
    if not math.isfinite(p):
        return NOTHING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def verdicts(statistics: Statistics) -> PrintedTable:
    """The difference of each trick, its interval and its verdict."""
    header = ("method", "difference", "95 % interval", "p (Holm)", "better/tie/worse", "verdict")
    rows = []
    for trick in statistics.tricks:
        effect = statistics.primary(trick)
        low, high = (number(end, effect.unit, signed=True) for end in (effect.interval.low, effect.interval.high))
        rows.append(
            (
                trick.name,
                number(effect.difference, effect.unit, signed=True),
                f"{low} to {high}",
                # What cases alone say is a test of two models, not of a trick.
                chance(effect.p.holm) if effect.has_runs else NOTHING,
                f"{effect.wins}/{effect.ties}/{effect.losses}",
                trick.verdict.word,
            )
        )
    title = f"is it real? {statistics.metric}, {statistics.label}"
    return PrintedTable(title, header, tuple(rows), verdict_column=len(header) - 1)


def significance(statistics: Statistics) -> PrintedTable:
    """All tests in metric and class of the verdicts; ``TESTS`` says what they are."""
    header = ("method", "p with reruns", "permutation", "Wilcoxon", "t-test", "false claim", "detectable")
    rows = []
    for trick in statistics.tricks:
        effect = statistics.primary(trick)
        tests = (effect.p, effect.permutation, effect.wilcoxon, effect.t_test)
        cells = [f"{chance(test.p)} ({chance(test.holm)})" for test in tests]
        cells[0] = cells[0] if effect.has_runs else NOTHING
        cells[-1] += effect.stars
        claim = effect.false_claim if effect.has_runs else effect.false_claim_cases
        rows.append((trick.name, *cells, chance(claim), number(effect.detectable, effect.unit)))
    return PrintedTable("all tests", header, tuple(rows))


def ranks(statistics: Statistics) -> PrintedTable:
    """The place of each method, and how it moves when cases and trainings are drawn anew."""
    header = ("method", "place", "mean of draws", "95 % of draws", "best in")
    rows = []
    for method in (statistics.baseline, *statistics.tricks):
        method_ranks = method.ranks
        low, high = (f"{end:.0f}" for end in (method_ranks.interval.low, method_ranks.interval.high))
        places = low if low == high else f"{low} to {high}"
        rows.append(
            (method.name, str(method_ranks.place), f"{method_ranks.mean:.1f}", places, _share(method_ranks.first))
        )
    return PrintedTable("ranks", header, tuple(rows))


def extremes(statistics: Statistics) -> PrintedTable:
    """The cases in which each trick helped and hurt most."""
    header = ("method", "best cases", "worst cases")
    rows = []
    for trick in statistics.tricks:
        effect = statistics.primary(trick)
        ranked = effect.ranked()
        best, worst = ranked[:EXTREMES], ranked[: -EXTREMES - 1 : -1]
        rows.append((trick.name, _cases(best, effect), _cases(worst, effect)))
    return PrintedTable("cases", header, tuple(rows))


def reasons(statistics: Statistics) -> list[str]:
    """Why each verdict is what it is, and what would decide; then everything else that is not in a table."""
    lines = []
    for trick in statistics.tricks:
        ways = " or ".join(map(plan_in_words, trick.verdict.decide))
        lines.append(
            f"{trick.name} {trick.verdict.word}: {trick.verdict.why}{f' What would decide: {ways}.' if ways else ''}"
        )
    lines += map(_interaction_in_words, statistics.interactions)
    for method in (statistics.baseline, *statistics.tricks):
        if method.calibration:
            lines.append(
                f"{method.name}: expected calibration error {method.calibration.ece:.3f}, Brier score "
                f"{method.calibration.brier:.3f} over {method.calibration.cases} cases."
            )
    if any(not statistics.primary(trick).has_runs for trick in statistics.tricks):
        lines.append(CASES_ALONE)
    return [*lines, noise_in_words(statistics.noise_floor, statistics.baseline.name)]


def stability(statistics: Statistics) -> str:
    """How stable the ranking is, as statisticians measure it."""
    return f"{statistics.draws} draws; mean Kendall's tau with the ranking found: {statistics.stability:.2f}."


def _interaction_in_words(interaction: Interaction) -> str:
    effect = interaction.effect
    values = (effect.difference, effect.interval.low, effect.interval.high)
    difference, low, high = (number(value, effect.unit, signed=True) for value in values)
    p = f", p = {chance(effect.p.holm)} over all pairs" if effect.has_runs else ""
    return f"{' and '.join(interaction.tricks)} together less the sum of each alone: {difference} [{low}, {high}]{p}."


def _cases(cases: Iterable[CaseDifference], effect: Effect) -> str:
    return ", ".join(f"{case.case} {number(case.difference, effect.unit, signed=True)}" for case in cases)


def _share(share: float) -> str:
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"
