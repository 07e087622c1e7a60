"""One word for a trick, with the reason."""

from __future__ import annotations

import math

from nnunet_tricks.comparison.statistics.components import LEAST_FREEDOM
from nnunet_tricks.comparison.statistics.deciding import Design, plans
from nnunet_tricks.comparison.statistics.model import (
    ALPHA,
    HELPS,
    HURTS,
    UNDECIDED,
    WITHIN_NOISE,
    DecisionPlan,
    Effect,
    NoiseFloor,
    Verdict,
)
from nnunet_tricks.comparison.undefined import alarm_of, is_published

ASSUMED = " There is one result of it; further ones are assumed to differ as the baseline's trainings do."


def verdict(effect: Effect, noise: NoiseFloor, design: Design) -> Verdict:
    """Judge an effect.

    ``helps`` and ``hurts``: the 95 % interval, with the run-to-run part, excludes 0, and p is below 5 % after Holm's
    correction over all tricks. ``within noise``: neither of these, and the interval lies within the repeatability limit
    of the baseline's runs. ``undecided``: everything else, and always as long as the baseline was trained only once.

    Args:
        effect: Effect in the primary metric.
        noise: Noise floor of the baseline.
        design: Design of the comparison.
    """
    estimate = f"{_number(effect.difference, effect)} [{_number(effect.interval.low, effect)}, "
    estimate += f"{_number(effect.interval.high, effect)}] {_stands_on(effect)}"
    refusal = _refusal(effect)
    if refusal:
        return Verdict(word=UNDECIDED, why=refusal)
    if effect.better == "zero":
        return Verdict(
            word=UNDECIDED,
            why=f"{effect.metric} is best at 0 and can be wrong on both sides of it, so no sign of a difference is "
            "better.",
        )
    if not noise.is_known:
        return Verdict(
            word=UNDECIDED,
            why="The baseline was trained once, so it is unknown how much repeated trainings of the same thing differ. "
            f"The difference of {_number(effect.difference, effect)} may be nothing else.",
            decide=(design.plan(runs=1 if design.folds > 1 else 2),),
        )
    if not math.isfinite(effect.interval.low):
        return Verdict(word=UNDECIDED, why="A single case, or group of cases, says nothing about others.")
    if design.freedom_runs() < LEAST_FREEDOM:
        return Verdict(
            word=UNDECIDED,
            why="One rerun on one fold says too little about how trainings differ."
            if design.folds == 1
            else "Most cases are in one fold, and one rerun says too little about how its trainings differ.",
            decide=(design.plan(runs=1),),
        )
    if not any(pair.difference for pair in effect.differences):
        return Verdict(
            word=WITHIN_NOISE,
            why="No case differs from the baseline at all. Was the trick really trained, or the baseline again?",
        )
    assumed = "" if design.runs[1] > 1 else ASSUMED
    limit = _size(noise.repeatability, effect)
    if 0.0 not in effect.interval and effect.p.holm < ALPHA:
        beyond = "larger" if abs(effect.difference) > noise.repeatability else "not larger"
        return Verdict(
            word=HELPS if effect.gain > 0 else HURTS,
            why=f"{estimate}, p = {effect.p.holm:.2g} over all tricks; {beyond} than the repeatability "
            f"limit of the baseline's trainings ({limit}).{assumed}",
        )
    if -noise.repeatability <= effect.interval.low and effect.interval.high <= noise.repeatability:
        return Verdict(
            word=WITHIN_NOISE,
            why=f"{estimate} lies within the repeatability limit of the baseline's trainings ({limit}).{assumed}",
        )
    decide = plans(design, effect.difference, noise.repeatability)
    corrected = "" if 0.0 in effect.interval else f" after correction for all tricks (p = {effect.p.holm:.2g})"
    end = "" if decide else " No affordable number of extra folds or runs would decide it."
    return Verdict(
        word=UNDECIDED,
        why=f"{estimate} leaves open whether it helps or hurts{corrected}.{assumed}{end}",
        decide=decide,
    )


def _refusal(effect: Effect) -> str:
    """Reason why no verdict is possible, whatever was trained; empty if one is possible."""
    of = f"{effect.cases} cases"
    if is_published(effect.metric):
        return (
            f"{effect.metric} is a paper's formula with its flaws. It serves to compare tables, and no word rests on "
            "it. Dice, IoU or NSD allow a verdict."
        )
    if not effect.cases:
        return f"{effect.metric} is not defined in any case."
    if effect.infinite:
        return (
            f"{effect.metric} is infinite in {effect.infinite} of {of}, for example where a method misses everything, "
            f"so there is no mean to judge. {_better_and_worse(effect)} Metrics with a worst value, such as Dice, "
            "allow a verdict."
        )
    if math.isnan(effect.difference):
        return f"{effect.metric} is not defined in any case of at least one class."
    if effect.one_sided and alarm_of(effect.metric) is None:
        return (
            f"In {effect.one_sided} of {of} nothing is there, and the two methods differ in whether they predict "
            f"something. How many {effect.unit} a false alarm is worth is a convention, so no word rests on "
            f"{effect.metric}. {_better_and_worse(effect)} Metrics with a worst value, such as Dice or NSD, allow a "
            "verdict."
        )
    if effect.unexplained:
        return (
            f"Beside {of} that count there are {effect.unexplained} in which {effect.metric} is undefined for one "
            "method, although the other's value cannot come from a false alarm. The reason is unknown, so no word is "
            "given."
        )
    return ""


def _better_and_worse(effect: Effect) -> str:
    return f"The trick is better in {_count(effect.wins, 'case')} and worse in {_count(effect.losses, 'case')}."


def _stands_on(effect: Effect) -> str:
    """Number of cases, and how many of them are defined only by the rule of ``comparison.undefined``."""
    cases = f"over {_count(effect.cases, 'case')}"
    if not effect.one_sided:
        return cases
    return f"{cases} (in {effect.one_sided} nothing is there, and a false alarm counts as a loss)"


def in_words(plan: DecisionPlan) -> str:
    """A plan in words.

    Examples:
        >>> in_words(DecisionPlan(folds=3, runs=0, trainings=6, hours=14.2))
        '3 more folds (6 trainings, about 14 GPU hours)'
        >>> in_words(DecisionPlan(folds=0, runs=1, trainings=4, hours=float("nan")))
        '1 more run of both (4 trainings)'
    """
    what = _count(plan.folds, "more fold") if plan.folds else f"{_count(plan.runs, 'more run')} of both"
    trainings = _count(plan.trainings, "training")
    if math.isnan(plan.hours):
        return f"{what} ({trainings})"
    hours = f"{plan.hours:.0f}" if plan.hours >= 10 else f"{plan.hours:.1f}"
    return f"{what} ({trainings}, about {hours} {plan.unit})"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _number(value: float, effect: Effect) -> str:
    return f"{value:+.3f}" if effect.unit == "1" else f"{value:+.2f} {effect.unit}"


def _size(value: float, effect: Effect) -> str:
    return f"{value:.3f}" if effect.unit == "1" else f"{value:.2f} {effect.unit}"
