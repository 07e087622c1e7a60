"""One word for a trick, and why."""

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
    Effect,
    NoiseFloor,
    Plan,
    Verdict,
)

ASSUMED = " The trick was trained once: its trainings are taken to differ as the baseline's do."


def verdict(effect: Effect, noise: NoiseFloor, design: Design) -> Verdict:
    """Judge an effect.

    ``helps`` and ``hurts``: the 95 % interval, with the run-to-run part, leaves out 0, and p is below 5 % after Holm's
    correction over all tricks. ``within noise``: not so, and the interval lies within what two runs of the baseline
    differ by. ``undecided``: all else, and whatever was found while nobody has trained the baseline twice.

    Args:
        effect: In the primary metric.
        noise: Of the baseline.
        design: What was done.
    """
    found = f"{_number(effect.difference, effect)} [{_number(effect.interval.low, effect)}, "
    found += f"{_number(effect.interval.high, effect)}]"
    if not math.isfinite(effect.difference):
        return Verdict(word=UNDECIDED, why=f"{effect.metric} is not defined in any case of both.")
    if effect.better == "zero":
        return Verdict(word=UNDECIDED, why=f"{effect.metric} can be wrong on both sides of 0: no difference is better.")
    if not noise.is_known:
        return Verdict(
            word=UNDECIDED,
            why=f"The baseline was trained once, so nobody knows how much trainings differ that differ in nothing; a "
            f"difference of {_number(effect.difference, effect)} may be just that.",
            decide=(design.plan(runs=1 if design.folds > 1 else 2),),
        )
    if math.isnan(effect.interval.low):
        return Verdict(word=UNDECIDED, why="A single case, or group of cases, says nothing about others.")
    if design.freedom_runs() < LEAST_FREEDOM:
        return Verdict(
            word=UNDECIDED,
            why="One rerun on one fold says too little about how trainings differ.",
            decide=(design.plan(runs=1),),
        )
    if all(pair.trick == pair.baseline for pair in effect.differences):
        return Verdict(
            word=WITHIN_NOISE,
            why="No case differs from the baseline at all. Was the trick trained, and not the baseline again?",
        )
    assumed = "" if design.runs[1] > 1 else ASSUMED
    limit = _size(noise.limit, effect)
    if 0.0 not in effect.interval and effect.p.holm < ALPHA:
        beyond = "larger" if abs(effect.difference) > noise.limit else "not larger"
        return Verdict(
            word=HELPS if effect.gain > 0 else HURTS,
            why=f"{found}, p = {effect.p.holm:.2g} over all tricks; {beyond} than what two trainings of the "
            f"baseline differ by ({limit}).{assumed}",
        )
    if -noise.limit <= effect.interval.low and effect.interval.high <= noise.limit:
        return Verdict(
            word=WITHIN_NOISE,
            why=f"{found} lies within what two trainings of the baseline differ by ({limit}).{assumed}",
        )
    decide = plans(design, effect.difference, noise.limit)
    corrected = "" if 0.0 in effect.interval else f" after correction for all tricks (p = {effect.p.holm:.2g})"
    end = "" if decide else " No affordable number of folds or runs would tell."
    return Verdict(
        word=UNDECIDED,
        why=f"{found} leaves open whether it helps or hurts{corrected}.{assumed}{end}",
        decide=decide,
    )


def in_words(plan: Plan) -> str:
    """What would decide, for people.

    Examples:
        >>> in_words(Plan(folds=3, runs=0, trainings=6, hours=14.2))
        '3 more folds (6 trainings, about 14 GPU hours)'
        >>> in_words(Plan(folds=0, runs=1, trainings=4, hours=float("nan")))
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
