"""How often compare's intervals cover the truth, how often it claims what is not so, and how often it finds what is.

Made-up Dice of a baseline and one trick whose true difference is known: cases differ (standard deviation 0.08), the
trick suits some cases better than others (0.03), each training, one run on one fold, is better or worse as a whole
(0.01), and each case scatters between runs (0.02). Five folds, unless said otherwise.

python -m benchmarks.coverage [--draws 2000] [--out benchmarks/results/coverage.json]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import save
from nnunet_tricks.comparison.statistics.bootstrap import signs, weights
from nnunet_tricks.comparison.statistics.components import contrast
from nnunet_tricks.comparison.statistics.deciding import Design
from nnunet_tricks.comparison.statistics.effects import Chance, effects_of
from nnunet_tricks.comparison.statistics.model import HELPS, HURTS, WORDS
from nnunet_tricks.comparison.statistics.noise import noise_floor
from nnunet_tricks.comparison.statistics.values import Cases, Values
from nnunet_tricks.comparison.statistics.verdict import verdict

CASES = (20, 50, 200)
GAIN = 0.02
SUITS, SCATTER, ANATOMY = 0.03, 0.02, 0.08
BOOTSTRAP = 1000
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
    """

    cases: int
    runs: tuple[int, int]
    folds: int = 5
    training: float = 0.01
    of_trick: float = 0.01
    skewed: bool = False
    shared: bool = False


def worlds() -> Iterator[tuple[str, World]]:
    """Every setting by its name."""
    for cases in CASES:
        for runs in ((3, 2), (2, 2), (3, 1), (2, 1), (1, 1)):
            yield "reruns" if max(runs) > 1 else "no rerun", World(cases=cases, runs=runs)
        for runs in ((3, 2), (3, 1)):
            yield "one fold", World(cases=cases, runs=runs, folds=1)
        for runs in ((3, 2), (3, 1)):
            yield "trick twice as noisy", World(cases=cases, runs=runs, of_trick=0.02)
        yield "skewed", World(cases=cases, runs=(3, 2), skewed=True)
        yield "folds of a run alike", World(cases=cases, runs=(3, 2), shared=True)


def main() -> None:
    """Simulate, print a table, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = []
    print("setting               cases runs  covered  of these models  false claims  power  half width")
    for name, world in worlds():
        found = simulated(world, arguments.draws)
        results.append({"setting": name, **asdict(world), **found})
        print(
            f"{name:21} {world.cases:5} {world.runs[0]}, {world.runs[1]}  {found['covered']:7.3f}  "
            f"{found['covered_of_these_models']:15.3f}  {found['false_claims']:12.3f}  {found['power']:5.2f}  "
            f"{found['half_width']:.4f}",
            flush=True,
        )
    if arguments.out:
        save(arguments.out, {"draws": arguments.draws, "gain_for_power": GAIN, "settings": results})


def simulated(world: World, draws: int, seed: int = 0) -> dict[str, Any]:
    """Shares of draws.

    Args:
        world: What to draw from.
        draws: How many.
        seed: Of all chance.
    """
    generator = np.random.default_rng(seed)
    covered = of_these = width = 0.0
    without, with_gain = Counter[str](), Counter[str]()
    for _ in range(draws):
        values, luck = drawn(world, 0.0, generator)
        word, effect = judged(values, generator)
        without[word] += 1
        covered += 0.0 in effect
        of_these += luck in effect
        width += (effect.high - effect.low) / 2
        with_gain[judged(drawn(world, GAIN, generator)[0], generator)[0]] += 1
    return {
        "covered": covered / draws,
        "covered_of_these_models": of_these / draws,
        "false_claims": (without[HELPS] + without[HURTS]) / draws,
        "power": with_gain[HELPS] / draws,
        "wrong_side": with_gain[HURTS] / draws,
        "half_width": width / draws,
        "words_without_effect": {word: without[word] / draws for word in WORDS},
        "words_with_gain": {word: with_gain[word] / draws for word in WORDS},
    }


def drawn(world: World, gain: float, generator: np.random.Generator) -> tuple[Values, float]:
    """Values of baseline and trick, and by how much the trick's trainings were luckier."""
    folds = np.arange(world.cases) % world.folds
    anatomy = generator.normal(0.85, ANATOMY, world.cases)
    if world.skewed:
        suits = SUITS * (generator.exponential(size=world.cases) - 1)
    else:
        suits = generator.normal(0, SUITS, world.cases)
    arrays, luck = [], []
    for place, (runs, deviation) in enumerate(zip(world.runs, (world.training, world.of_trick), strict=True)):
        of_runs = generator.normal(0, deviation, (runs, 1 if world.shared else world.folds))
        trainings = np.broadcast_to(of_runs, (runs, world.folds))[:, folds]
        scatter = generator.normal(0, SCATTER, (runs, world.cases))
        arrays.append((anatomy + place * (gain + suits) + trainings + scatter)[:, None])
        luck.append(trainings.mean())
    names = [f"case_{number:03d}" for number in range(world.cases)]
    values = Values(
        metric="Dice",
        unit="1",
        labels=("organ",),
        methods=(("nnUNetTrainer", "nnUNetPlans", "3d"), ("nnUNetTrainerTrick", "nnUNetPlans", "3d")),
        runs=tuple(tuple(range(1, runs + 1)) for runs in world.runs),
        shared=(False, False),
        arrays=tuple(arrays),
        cases=Cases.of({name: str(fold) for name, fold in zip(names, folds, strict=True)}, None),
    )
    return values, luck[1] - luck[0]


def judged(values: Values, generator: np.random.Generator) -> tuple[str, Any]:
    """Verdict and interval of the trick."""
    groups = len(values.cases.group_names)
    chance = Chance(weights(values.cases, BOOTSTRAP, generator), *signs(groups, 100, generator))
    ((effect),) = [found["organ"] for found in effects_of(values, [{1: 1.0, 0: -1.0}], chance, "higher")]
    found = contrast(values, {1: 1.0, 0: -1.0})
    design = Design(
        folds=len(values.cases.fold_names),
        folds_there=len(values.cases.fold_names),
        groups=effect.groups,
        runs=(len(values.runs[0]), len(values.runs[1])),
        variance_cases=float(found.variance_cases[0]),
        training=float(found.training[0]) if found.freedom_runs else float("nan"),
        hours=(1.0, 1.0),
    )
    return verdict(effect, noise_floor(values, 0)["organ"], design).word, effect.interval


if __name__ == "__main__":
    main()
