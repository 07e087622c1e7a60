"""Coverage of compare's intervals, its false verdicts, and its power, in simulated experiments.

The experiments have made-up Dice of a baseline and one trick with a known true difference. Cases differ with a standard
deviation of 0.08. The trick suits some cases better than others (0.03). Each training, one run on one fold, is better
or worse as a whole (0.01). Each case scatters between runs (0.02). There are five equal folds, unless said otherwise.
The benchmark also counts how often two further trainings of the baseline differ by less than the noise floor says, and
how often a pattern is found behind gains that have none.

python -m benchmarks.coverage [--draws 2000] [--only WORD] [--out benchmarks/results/coverage.json]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import save
from nnunet_tricks.comparison.statistics.bootstrap import moved_by, weights
from nnunet_tricks.comparison.statistics.components import Contrast, contrast
from nnunet_tricks.comparison.statistics.deciding import Design
from nnunet_tricks.comparison.statistics.interval import limits, p_values
from nnunet_tricks.comparison.statistics.model import (
    HELPS,
    HURTS,
    WORDS,
    CaseDifference,
    Effect,
    Interval,
    Significance,
)
from nnunet_tricks.comparison.statistics.noise import noise_floor
from nnunet_tricks.comparison.statistics.values import Cases, Values
from nnunet_tricks.comparison.statistics.verdict import verdict
from nnunet_tricks.comparison.when import fit

CASES = (20, 50, 200)
GAIN = 0.02
SUITS, SCATTER, ANATOMY = 0.03, 0.02, 0.08
LEVEL, FURTHER = 0.85, 2
"""Mean Dice of the baseline, and the number of its further trainings, which the statistics do not see."""

BOOTSTRAP = 1000
TOGETHER = 50
"""Number of experiments that are simulated at a time, as classes of one data set."""

WHEN_CASES, WHEN_DRAWS = (25, 60, 200), 399
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class World:
    """Properties of trainings and cases.

    Attributes:
        cases: Number of cases in all folds together.
        runs: Numbers of runs of baseline and trick.
        folds: Number of folds, each with its own cases.
        training: Standard deviation of a training of the baseline.
        of_trick: Standard deviation of a training of the trick.
        skewed: Whether the trick does nothing in most cases and much in a few.
        shared: Whether all folds of a run are better or worse together, which the statistics assume not to happen.
        sizes: Number of cases of each fold; equal folds if empty.
        patients: Number of images of each patient. Gains of a patient's images are alike, and patients are distributed
            over the folds. If empty, each image is a patient of its own.
        heavy: Whether everything is drawn from Student's distribution with 3 degrees of freedom, which has heavy tails.
        rare: Number of cases with a third class, fold by fold. Two other classes are in all cases, and the mean of
            classes is judged. No such classes if empty.
        alarms: Probabilities of baseline and trick to predict something in a healthy case.
        healthy: Share of cases with an empty truth.
        collapse: Probabilities that a training of baseline and trick predicts nothing at all.
        test: Whether each fold's model predicts all cases, as on test images, and their mean counts.
    """

    cases: int
    runs: tuple[int, int]
    folds: int = 5
    training: float = 0.01
    of_trick: float = 0.01
    skewed: bool = False
    shared: bool = False
    sizes: tuple[int, ...] = ()
    patients: tuple[int, ...] = ()
    heavy: bool = False
    rare: tuple[int, ...] = ()
    alarms: tuple[float, float] = (0.0, 0.0)
    healthy: float = 0.0
    collapse: tuple[float, float] = (0.0, 0.0)
    test: bool = False

    @classmethod
    def of_folds(cls, *sizes: int, runs: tuple[int, int]) -> World:
        """A world with folds of the given sizes."""
        return cls(cases=sum(sizes), folds=len(sizes), sizes=sizes, runs=runs)

    @classmethod
    def of_patients(cls, *images: int, runs: tuple[int, int]) -> World:
        """A world with patients that have the given numbers of images."""
        return cls(cases=sum(images), patients=images, runs=runs)

    @property
    def fold_of(self) -> NDArray[np.intp]:
        """The fold of each case."""
        if self.patients:
            return np.repeat(np.arange(len(self.patients)) % self.folds, self.patients)
        if self.sizes:
            return np.repeat(np.arange(self.folds), self.sizes)
        return np.arange(self.cases) % self.folds


def worlds() -> Iterator[tuple[str, World]]:
    """All settings with their names."""
    for cases in CASES:
        for runs in ((3, 2), (2, 2), (3, 1), (2, 1), (1, 1)):
            yield "reruns" if max(runs) > 1 else "no rerun", World(cases=cases, runs=runs)
        for runs in ((3, 2), (3, 1), (5, 5), (5, 1)):
            yield "one fold", World(cases=cases, runs=runs, folds=1)
        yield "skewed", World(cases=cases, runs=(3, 2), skewed=True)
        yield "heavy tails", World(cases=cases, runs=(3, 2), heavy=True)
    for sizes in ((5, 5, 5, 5, 40), (5, 5, 5, 5, 180)):
        for runs in ((3, 2), (2, 2), (3, 1), (2, 1)):
            yield "unequal folds", World.of_folds(*sizes, runs=runs)
    for runs in ((3, 2), (2, 2), (2, 1)):
        yield "subgroup in one fold", World.of_folds(30, 2, 2, 1, 1, runs=runs)
        yield "class in one fold", World(cases=60, runs=runs, rare=(10, 1, 1, 0, 0))
        yield "rare class", World(cases=60, runs=runs, rare=(2, 2, 2, 2, 1))
    geometric = tuple(max(1, round(1.25**power)) for power in range(20))
    for images in (
        (40, 40, *(1, 2, 3) * 6),
        (40, 40, *(1, 2, 3) * 12, 1, 2),
        (30, 30, 5, 5, 5, 5, *(1,) * 9),
        geometric,
        (3,) * 12,
        (1, 2, 3, 4) * 3,
        (3,) * 40,
    ):
        for runs in ((3, 2), (2, 1)):
            yield "patients", World.of_patients(*images, runs=runs)
    for cases in (50, 200):
        for runs in ((2, 2), (3, 2), (5, 2), (10, 2)):
            for times in (2, 3):
                yield "trick scatters more", World(cases=cases, runs=runs, of_trick=0.01 * times)
        yield "trick scatters less", World(cases=cases, runs=(3, 2), of_trick=0.003)
    for cases in (60, 200):
        for alarms in ((0.1, 0.1), (0.4, 0.4), (0.05, 0.5), (0.5, 0.05)):
            for runs in ((3, 2), (2, 1)):
                yield "false alarms", World(cases=cases, runs=runs, healthy=0.4, alarms=alarms)
    for runs in ((3, 2), (2, 2)):
        yield "both collapse", World(cases=60, runs=runs, collapse=(0.1, 0.1))
    for cases in (50, 200):
        for runs in ((3, 1), (2, 1)):
            yield "noisier trick trained once", World(cases=cases, runs=runs, of_trick=0.02)
        for share in (0.04, 0.1, 0.3):
            yield "trick alone collapses", World(cases=cases, runs=(3, 2), collapse=(0.0, share))
        yield "trick alone collapses", World(cases=cases, runs=(3, 1), collapse=(0.0, 0.1))
        yield "folds of a run alike", World(cases=cases, runs=(3, 2), shared=True)
    for cases in (50, 200):
        for runs in ((3, 2), (2, 1)):
            yield "test images", World(cases=cases, runs=runs, test=True)


HOLD = (
    "reruns",
    "no rerun",
    "one fold",
    "skewed",
    "heavy tails",
    "unequal folds",
    "subgroup in one fold",
    "class in one fold",
    "rare class",
    "patients",
    "trick scatters more",
    "trick scatters less",
    "false alarms",
    "both collapse",
    "test images",
)
"""Settings in which the verdicts are meant to hold. The others show what the statistics cannot know."""


def main() -> None:
    """Simulate, print a table, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--only", default="", help="only settings whose name contains this")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = []
    print("setting                    cases runs   covered of these false  power wrong  half width  within floor")
    for name, world in worlds():
        if arguments.only not in name:
            continue
        shares = simulated(world, arguments.draws)
        results.append({"setting": name, **asdict(world), **shares})
        floor = shares["pairs_within_noise_floor"]
        print(
            f"{name:26} {world.cases:5} {world.runs[0]:2}, {world.runs[1]}  {_share(shares['covered']):>7}  "
            f"{_share(shares['covered_of_these_models']):>7} {shares['false_claims']:6.3f} {shares['power']:6.3f} "
            f"{shares['wrong_side']:5.3f}  {shares['half_width']:.4f}       {_share(floor)}"
            f"{f' alarms {world.alarms}' if world.healthy else ''}",
            flush=True,
        )
    patterns = []
    for pattern in false_patterns(arguments.draws) if arguments.only in "patterns" else ():
        patterns.append(pattern)
        shown = f"{pattern['gains']:32} {pattern['cases']:4} cases: {pattern['found']:.3f}, {pattern['power']:.3f}"
        print(f"patterns, {shown}", flush=True)
    if arguments.out:
        save(
            arguments.out,
            {"draws": arguments.draws, "gain_for_power": GAIN, "settings": results, "patterns": patterns},
        )


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"


def simulated(world: World, draws: int, seed: int = 0) -> dict[str, Any]:
    """Simulate experiments and return the shares of their outcomes.

    Args:
        world: Properties of the experiments.
        draws: Number of experiments.
        seed: Seed of all random draws.
    """
    generator = np.random.default_rng(seed)
    count = 1 if world.rare else TOGETHER
    covered = covered_of_these = width = within = 0.0
    without_effect, with_gain = Counter[str](), Counter[str]()
    truth = world.healthy * (world.alarms[0] - world.alarms[1])
    for first in range(0, draws, count):
        number = min(count, draws - first)
        values, luck, further = drawn(world, number, generator)
        for at, judgement in enumerate(judged(values, number, generator, (0.0,) if truth else (0.0, GAIN))):
            without_effect[judgement.words[0]] += 1
            with_gain[judgement.words[-1]] += 1
            covered += 0.0 in judgement.interval
            covered_of_these += luck[at] in judgement.interval
            width += (judgement.interval.high - judgement.interval.low) / 2
            within += further[at] < judgement.limit
    if truth:
        # All experiments of this world have a real difference.
        without_effect = Counter()
    return {
        "covered": None if truth else covered / draws,
        "covered_of_these_models": None if truth else covered_of_these / draws,
        "false_claims": (without_effect[HELPS] + without_effect[HURTS]) / draws,
        "power": with_gain[HELPS if truth >= 0 else HURTS] / draws,
        "wrong_side": with_gain[HURTS if truth >= 0 else HELPS] / draws,
        "half_width": width / draws,
        # With false alarms, the values of further trainings depend on those of the trick.
        "pairs_within_noise_floor": within / draws if world.runs[0] > 1 and not world.healthy else None,
        "words_without_effect": {word: without_effect[word] / draws for word in WORDS},
        "words_with_gain": {word: with_gain[word] / draws for word in WORDS},
    }


def drawn(world: World, number: int, generator: np.random.Generator) -> tuple[Values, Array, Array]:
    """Draw several experiments without any effect, each of them as one class.

    Returns:
        Values of baseline and trick; the luck of the trick's trainings minus that of the baseline's; and the difference
        between two further trainings of the baseline.
    """
    folds, cases, classes = world.fold_of, world.cases, 3 if world.rare else number

    def normal(deviation: float, shape: tuple[int, ...]) -> Array:
        drawn = generator.standard_t(3, shape) / np.sqrt(3) if world.heavy else generator.normal(size=shape)
        return np.asarray(deviation * drawn)

    anatomy = LEVEL + normal(ANATOMY, (classes, cases))
    if world.skewed:
        suits = SUITS * (generator.exponential(size=(classes, cases)) - 1)
    elif world.patients:
        of_patient = normal(SUITS, (classes, len(world.patients)))
        suits = np.repeat(of_patient, world.patients, axis=1) + normal(SCATTER, (classes, cases))
    else:
        suits = normal(SUITS, (classes, cases))
    present = _present(world, classes)
    healthy = generator.random((classes, cases)) < world.healthy
    arrays, luck, models = [], [], []
    for place, deviation in enumerate((world.training, world.of_trick)):
        runs = world.runs[place] + (0 if place else FURTHER)
        of_runs = normal(deviation, (runs, classes, 1 if world.shared else world.folds))
        of_runs = np.broadcast_to(of_runs, (runs, classes, world.folds))
        trainings = of_runs[:, :, folds]
        array = anatomy + place * suits + trainings + normal(SCATTER, (runs, classes, cases))
        if world.test:
            scatter = normal(SCATTER, (runs, world.folds, classes, cases))
            of_models = anatomy + place * suits + np.swapaxes(of_runs, 1, 2)[..., None] + scatter
            models.append(of_models[: world.runs[place]])
            array = of_models.mean(1)
        share = world.collapse[place]
        if share:
            fallen = (generator.random(of_runs.shape) < share)[:, :, folds]
            # The cost of the collapses is added back, so that on average there is no effect.
            array = np.where(fallen, 0.0, array) + share * LEVEL * (world.collapse[0] != world.collapse[1])
        alarm = generator.random(array.shape) < world.alarms[place]
        array = np.where(healthy, np.where(alarm, 0.0, np.nan), array)
        arrays.append(np.where(present, array, np.nan))
        luck.append(trainings[: world.runs[place]].mean((0, 2)))
    further = arrays[0][world.runs[0] :]
    with np.errstate(invalid="ignore"):
        apart = np.abs(further[0] - further[1])
    apart = np.abs(np.nansum(further[0] - further[1], axis=1) / np.maximum((~np.isnan(apart)).sum(1), 1))
    values = Values(
        metric="Dice",
        unit="1",
        labels=tuple(f"organ {label}" for label in range(classes)),
        methods=(("nnUNetTrainer", "nnUNetPlans", "3d"), ("nnUNetTrainerTrick", "nnUNetPlans", "3d")),
        runs=tuple(tuple(range(1, runs + 1)) for runs in world.runs),
        shared=(False, False),
        arrays=(arrays[0][: world.runs[0]], arrays[1]),
        cases=_cases(world),
        models=tuple(models),
    )
    difference = luck[1] - luck[0]
    if world.rare:
        signed = np.nansum(further[0] - further[1], axis=1) / np.maximum((~np.isnan(further[0])).sum(1), 1)
        return values, difference.mean(keepdims=True), np.abs(signed.mean(keepdims=True))
    return values, difference, apart


def _present(world: World, classes: int) -> NDArray[np.bool_]:
    """Mask of the classes that each case has, classes x cases."""
    present = np.ones((classes, world.cases), np.bool_)
    if world.rare:
        for fold, count in enumerate(world.rare):
            present[0, np.flatnonzero(world.fold_of == fold)[count:]] = False
    return present


def _cases(world: World) -> Cases:
    names = [f"case_{number:03d}" for number in range(world.cases)]
    patients = np.repeat(np.arange(len(world.patients)), world.patients)
    groups = None
    if world.patients:
        groups = {name: f"patient {patient}" for name, patient in zip(names, patients, strict=False)}
    folds = ("all" if world.test else str(fold) for fold in world.fold_of)
    return Cases.of(dict(zip(names, folds, strict=True)), groups)


@dataclass(frozen=True)
class Judgement:
    """Outcome of one experiment.

    Attributes:
        words: Verdict for each true gain.
        interval: Interval of the difference without gain.
        limit: Limit of the noise floor.
    """

    words: tuple[str, ...]
    interval: Interval
    limit: float


def judged(
    values: Values, number: int, generator: np.random.Generator, gains: tuple[float, ...] = (0.0,)
) -> Iterator[Judgement]:
    """Judge each experiment, once for each gain that is added to the trick.

    This calls the same functions as ``effects_of``, without its tests over cases, which no verdict uses.
    """
    difference = contrast(values, {0: -1.0, 1: 1.0})
    moved = moved_by(weights(values.cases, BOOTSTRAP, generator), difference.influence)
    shifted = [replace(difference, value=difference.value + gain) for gain in gains]
    ends, p = [limits(with_gain, moved) for with_gain in shifted], [p_values(with_gain) for with_gain in shifted]
    floors = list(noise_floor(values, 0).values())
    for place in [-1] if number == 1 else range(number):
        design = _design(values, difference, place)
        intervals = [Interval(float(low[place]), float(high[place])) for low, high in ends]
        effects = [
            _effect(values, float(with_gain.value[place]), interval, float(p_of_classes[place]))
            for with_gain, interval, p_of_classes in zip(shifted, intervals, p, strict=True)
        ]
        words = tuple(verdict(effect, floors[place], design).word for effect in effects)
        yield Judgement(words, intervals[0], floors[place].limit)


def _design(values: Values, difference: Contrast, place: int) -> Design:
    return Design(
        folds=len(values.cases.fold_names),
        folds_there=len(values.cases.fold_names),
        groups=len(values.cases.group_names),
        runs=(len(values.runs[0]), len(values.runs[1])),
        variance_cases=float(difference.variance_cases[place]),
        training=float(np.broadcast_to(difference.training, difference.value.shape)[place]),
        own=(float(difference.own[0, place]), float(difference.own[1, place])),
        equal_folds=float(difference.folds[place]),
        own_cases=values.cases.fold_names != ("all",),
        hours=(1.0, 1.0),
    )


def _effect(values: Values, difference: float, interval: Interval, p: float) -> Effect:
    """An effect in which only the fields that a verdict reads are filled."""
    test, unread = Significance(p=p, holm=p), float("nan")
    pair = CaseDifference(case="", fold="", group="", baseline=0.0, trick=difference)
    return Effect(
        label="",
        metric=values.metric,
        unit=values.unit,
        better="higher",
        difference=difference,
        interval=interval,
        has_runs=True,
        cases=len(values.cases.names),
        one_sided=0,
        unexplained=0,
        infinite=0,
        groups=len(values.cases.group_names),
        error_cases=unread,
        error_runs=unread,
        freedom=unread,
        detectable=unread,
        p=test,
        wilcoxon=test,
        permutation=test,
        t_test=test,
        false_claim=unread,
        false_claim_cases=unread,
        wins=0,
        ties=0,
        losses=0,
        tie=0.01,
        differences=(pair,),
    )


def false_patterns(draws: int) -> Iterator[dict[str, Any]]:
    """Shares of experiments in which a pattern is found, for gains without and with a pattern."""
    for cases in WHEN_CASES:
        for gains in ("alike", "small cases vary more", "lopsided", "lopsided, small cases vary more"):
            false = [_pattern(gains, cases, 0.0, number) for number in range(draws // 2)]
            true = [_pattern(gains, cases, 0.5, number) for number in range(draws // 10)]
            yield {"gains": gains, "cases": cases, "found": float(np.mean(false)), "power": float(np.mean(true))}


def _pattern(gains: str, cases: int, slope: float, seed: int) -> bool:
    generator = np.random.default_rng(seed)
    traits = generator.normal(size=(cases, 4))
    traits[:, 1] = 0.8 * traits[:, 0] + 0.6 * traits[:, 1]
    chance = generator.exponential(size=cases) - 1 if "lopsided" in gains else generator.standard_t(3, cases)
    chance = chance * (np.exp(-0.7 * traits[:, 0]) if "small" in gains else 1.0)
    folds = np.arange(cases) % 5
    offsets = generator.normal(0, 0.5, 5)[folds]
    pattern = fit(traits, slope * traits[:, 0] + chance + offsets, list(map(str, folds)), seed=seed, draws=WHEN_DRAWS)
    return pattern.p <= 0.05 and pattern.explained > 0


if __name__ == "__main__":
    main()
