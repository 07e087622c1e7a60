"""How often compare's intervals cover the truth, how often it claims what is not so, and how often it finds what is.

Made-up Dice of a baseline and one trick whose true difference is known: cases differ (standard deviation 0.08), the
trick suits some cases better than others (0.03), each training, one run on one fold, is better or worse as a whole
(0.01), and each case scatters between runs (0.02). Five equal folds, unless said otherwise. Beside words and intervals:
how often two further trainings of the baseline differ by less than the noise floor says, and how often a pattern is
found behind gains that have none.

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
"""Mean Dice of the baseline, and its further trainings, which the statistics do not see."""

BOOTSTRAP = 1000
TOGETHER = 50
"""So many experiments are made at a time, as classes of one."""

WHEN_CASES, WHEN_DRAWS = (25, 60, 200), 399
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class World:
    """What trainings and cases are like.

    Attributes:
        cases: In all folds together.
        runs: Of baseline and trick.
        folds: Each with its own cases.
        training: Standard deviation of a training of the baseline.
        of_trick: The same of the trick.
        skewed: Whether the trick does nothing in most cases and much in a few.
        shared: Whether all folds of a run are better or worse together, which the statistics do not believe.
        sizes: Cases of each fold; equal ones if empty.
        patients: Images of each patient, whose gains are alike and who are dealt to the folds; each image stands for
            itself if empty.
        heavy: Whether all that is drawn has Student's distribution with 3 degrees of freedom, heavy tails.
        rare: Cases that have a third class, fold by fold; two more classes are in all. Then it is the mean of the
            classes that is judged. No such classes if empty.
        alarms: Chance of baseline and trick to predict something in a healthy case.
        healthy: Share of cases in which nothing is there.
        collapse: Chance of a training of baseline and trick to predict nothing at all.
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
        """With folds of such sizes."""
        return cls(cases=sum(sizes), folds=len(sizes), sizes=sizes, runs=runs)

    @classmethod
    def of_patients(cls, *images: int, runs: tuple[int, int]) -> World:
        """With patients of so many images."""
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
    """Every setting by its name."""
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
"""Settings in which the words are meant to hold; the others show what the statistics cannot know."""


def main() -> None:
    """Simulate, print a table, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--only", default="", help="settings whose name has this in it")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = []
    print("setting                    cases runs   covered of these false  power wrong  half width  within floor")
    for name, world in worlds():
        if arguments.only not in name:
            continue
        found = simulated(world, arguments.draws)
        results.append({"setting": name, **asdict(world), **found})
        floor = found["pairs_within_noise_floor"]
        print(
            f"{name:26} {world.cases:5} {world.runs[0]:2}, {world.runs[1]}  {_share(found['covered']):>7}  "
            f"{_share(found['covered_of_these_models']):>7} {found['false_claims']:6.3f} {found['power']:6.3f} "
            f"{found['wrong_side']:5.3f}  {found['half_width']:.4f}       {_share(floor)}"
            f"{f' alarms {world.alarms}' if world.healthy else ''}",
            flush=True,
        )
    patterns = []
    for one in false_patterns(arguments.draws) if arguments.only in "patterns" else ():
        patterns.append(one)
        print(f"patterns, {one['gains']:32} {one['cases']:4} cases: {one['found']:.3f}, {one['power']:.3f}", flush=True)
    if arguments.out:
        save(
            arguments.out,
            {"draws": arguments.draws, "gain_for_power": GAIN, "settings": results, "patterns": patterns},
        )


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"


def simulated(world: World, draws: int, seed: int = 0) -> dict[str, Any]:
    """Shares of draws.

    Args:
        world: What to draw from.
        draws: How many.
        seed: Of all chance.
    """
    generator = np.random.default_rng(seed)
    count = 1 if world.rare else TOGETHER
    covered = of_these = width = within = 0.0
    without, with_gain = Counter[str](), Counter[str]()
    truth = world.healthy * (world.alarms[0] - world.alarms[1])
    for first in range(0, draws, count):
        number = min(count, draws - first)
        values, luck, further = drawn(world, number, generator)
        for at, one in enumerate(judged(values, number, generator, (0.0,) if truth else (0.0, GAIN))):
            without[one.words[0]] += 1
            with_gain[one.words[-1]] += 1
            covered += 0.0 in one.interval
            of_these += luck[at] in one.interval
            width += (one.interval.high - one.interval.low) / 2
            within += further[at] < one.limit
    if truth:
        # Nothing here is without a real difference.
        without = Counter()
    return {
        "covered": None if truth else covered / draws,
        "covered_of_these_models": None if truth else of_these / draws,
        "false_claims": (without[HELPS] + without[HURTS]) / draws,
        "power": with_gain[HELPS if truth >= 0 else HURTS] / draws,
        "wrong_side": with_gain[HURTS if truth >= 0 else HELPS] / draws,
        "half_width": width / draws,
        # What further trainings have beside a false alarm depends on the trick's.
        "pairs_within_noise_floor": within / draws if world.runs[0] > 1 and not world.healthy else None,
        "words_without_effect": {word: without[word] / draws for word in WORDS},
        "words_with_gain": {word: with_gain[word] / draws for word in WORDS},
    }


def drawn(world: World, number: int, generator: np.random.Generator) -> tuple[Values, Array, Array]:
    """Values of baseline and trick in some experiments without any effect, each of them one class.

    Returns:
        The values; by how much the trick's trainings were luckier; and how far two further trainings of the baseline
        are apart.
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
    there = _there(world, classes)
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
            # What collapses costs is added again, so that there is no effect on the whole.
            array = np.where(fallen, 0.0, array) + share * LEVEL * (world.collapse[0] != world.collapse[1])
        alarm = generator.random(array.shape) < world.alarms[place]
        array = np.where(healthy, np.where(alarm, 0.0, np.nan), array)
        arrays.append(np.where(there, array, np.nan))
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


def _there(world: World, classes: int) -> NDArray[np.bool_]:
    """Which case has which class."""
    there = np.ones((classes, world.cases), np.bool_)
    if world.rare:
        for fold, count in enumerate(world.rare):
            there[0, np.flatnonzero(world.fold_of == fold)[count:]] = False
    return there


def _cases(world: World) -> Cases:
    names = [f"case_{number:03d}" for number in range(world.cases)]
    patients = np.repeat(np.arange(len(world.patients)), world.patients)
    groups = {name: f"patient {one}" for name, one in zip(names, patients, strict=False)} if world.patients else None
    folds = ("all" if world.test else str(fold) for fold in world.fold_of)
    return Cases.of(dict(zip(names, folds, strict=True)), groups)


@dataclass(frozen=True)
class Judgement:
    """What is said of one experiment.

    Attributes:
        words: For each true gain.
        interval: Of the difference without gain.
        limit: Of the noise floor.
    """

    words: tuple[str, ...]
    interval: Interval
    limit: float


def judged(
    values: Values, number: int, generator: np.random.Generator, gains: tuple[float, ...] = (0.0,)
) -> Iterator[Judgement]:
    """Judge each experiment, and again with what the trick gains on top.

    The same functions as ``effects_of`` calls, without its tests of cases alone, on which no word stands.
    """
    found = contrast(values, {0: -1.0, 1: 1.0})
    moved = moved_by(weights(values.cases, BOOTSTRAP, generator), found.influence)
    shifted = [replace(found, value=found.value + gain) for gain in gains]
    ends, p = [limits(one, moved) for one in shifted], [p_values(one) for one in shifted]
    floors = list(noise_floor(values, 0).values())
    for place in [-1] if number == 1 else range(number):
        design = _design(values, found, place)
        intervals = [Interval(float(low[place]), float(high[place])) for low, high in ends]
        effects = [
            _effect(values, float(one.value[place]), interval, float(of[place]))
            for one, interval, of in zip(shifted, intervals, p, strict=True)
        ]
        words = tuple(verdict(effect, floors[place], design).word for effect in effects)
        yield Judgement(words, intervals[0], floors[place].limit)


def _design(values: Values, found: Contrast, place: int) -> Design:
    return Design(
        folds=len(values.cases.fold_names),
        folds_there=len(values.cases.fold_names),
        groups=len(values.cases.group_names),
        runs=(len(values.runs[0]), len(values.runs[1])),
        variance_cases=float(found.variance_cases[place]),
        training=float(np.broadcast_to(found.training, found.value.shape)[place]),
        own=(float(found.own[0, place]), float(found.own[1, place])),
        equal_folds=float(found.folds[place]),
        own_cases=values.cases.fold_names != ("all",),
        hours=(1.0, 1.0),
    )


def _effect(values: Values, difference: float, interval: Interval, p: float) -> Effect:
    """As far as a verdict reads it."""
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
    """How often a pattern is found behind gains that have none, and behind gains that have one."""
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
    found = fit(traits, slope * traits[:, 0] + chance + offsets, list(map(str, folds)), seed=seed, draws=WHEN_DRAWS)
    return found.p <= 0.05 and found.explained > 0


if __name__ == "__main__":
    main()
