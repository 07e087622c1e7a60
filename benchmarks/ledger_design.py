"""False words under the designs of experiments/ledger/, in simulated experiments in which no trick does anything.

An experiment has many tricks, so what counts is the share of whole experiments with any false word: ``helps`` or
``hurts`` in the table of a data set, ``more in 3D`` or ``less in 3D`` in that of trick by dimension. Cases differ with
a standard deviation of 0.08 and trainings, one run on one fold, with 0.02, as light networks do. Each case scatters
between runs (0.03), and a trick suits some cases better than others (0.03), in each dimension anew. What is done with
trained models changes a case by 0.02, half of the variance alike in all runs. Ensembles have one result, beside the
mean of the runs. Where runs share their randomness, nine tenths of the variance of a training are the same for all
methods of a run.

python -m benchmarks.ledger_design [--draws 1000] [--only NAME] [--seconds S]
    [--out benchmarks/results/ledger_design.json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import save
from nnunet_tricks.comparison.statistics.analyse import AnalysisOptions, analyse
from nnunet_tricks.comparison.statistics.dimension import LESS_IN_3D, MORE_IN_3D, DimensionPair, by_dimension
from nnunet_tricks.comparison.statistics.model import HELPS, HURTS
from nnunet_tricks.comparison.table import MetricRow

ANATOMY, TRAINING, SCATTER, SUITS, CHANGES = 0.08, 0.02, 0.03, 0.03, 0.02
COMMON = 0.9
"""Part of the variance of trainings that is the same for all methods of a run, where they share their randomness."""

LEVEL = 0.7
BOOTSTRAP = 200
DIMENSION = "trick by dimension"
PLANS = "nnUNetPlans"
OF_EACH = ("TTA_none", "KeepLargest_face", "FillHoles")
"""Rows of inference with a result of each trained baseline."""
OF_ALL = ("EnsembleAverage_of5", "EnsembleVote_of5")
"""Rows of inference with one result of all of them."""
CONFIGURATIONS = ("2d_light", "3d_light")


@dataclass(frozen=True, kw_only=True)
class LedgerDesign:
    """Size of an experiment.

    Attributes:
        name: Name of the experiment file.
        cases: Number of cases in the compared folds together.
        folds: Number of folds.
        tricks: Number of tricks.
        runs: Numbers of runs of the baseline and of each trick.
        shared: Whether runs share their randomness.
        inference: Whether rows of inference stand beside the tricks, as in the ledger: ``OF_EACH`` and ``OF_ALL``.
    """

    name: str
    cases: int
    folds: int
    tricks: int
    runs: tuple[int, int] = (5, 2)
    shared: bool = False
    inference: bool = False

    def __str__(self) -> str:
        """The name, as tests show it."""
        return self.name


DESIGNS = (
    LedgerDesign(name="hippocampus", cases=42, folds=1, tricks=10, inference=True),
    LedgerDesign(name="polyps", cases=60, folds=1, tricks=10, inference=True),
    LedgerDesign(name="nuclei", cases=36, folds=1, tricks=10, inference=True),
    LedgerDesign(name="bare_hippocampus", cases=42, folds=1, tricks=10, inference=True),
    LedgerDesign(name="bare_polyps", cases=60, folds=1, tricks=8, inference=True),
    LedgerDesign(name="bare_nuclei", cases=36, folds=1, tricks=8, inference=True),
    LedgerDesign(name="more_hippocampus", cases=42, folds=1, tricks=5),
    LedgerDesign(name="more_polyps", cases=60, folds=1, tricks=5),
    LedgerDesign(name="more_nuclei", cases=36, folds=1, tricks=10),
    LedgerDesign(name="weights_polyps", cases=60, folds=1, tricks=2),
    LedgerDesign(name="weights_nuclei", cases=36, folds=1, tricks=2),
)
"""The designs of the experiment files. That of trick by dimension is the first one, in both dimensions."""


def false_words(design: LedgerDesign, draws: int, *, seed: int = 0) -> float:
    """Share of experiments in which any of the tricks, none of which does anything, gets a word."""
    return float(np.mean([_has_false_word(design, generator) for generator in _generators(draws, seed)]))


def false_dimension_words(design: LedgerDesign, draws: int, *, seed: int = 0) -> float:
    """Share of experiments in which any trick is said to gain more in one dimension."""
    return float(np.mean([_has_false_dimension(design, generator) for generator in _generators(draws, seed)]))


def _has_false_word(design: LedgerDesign, generator: np.random.Generator) -> bool:
    statistics = analyse(_rows(design, generator, CONFIGURATIONS[1]), AnalysisOptions(draws=BOOTSTRAP))
    return any(trick.verdict.word in (HELPS, HURTS) for trick in statistics.tricks)


def _has_false_dimension(design: LedgerDesign, generator: np.random.Generator) -> bool:
    names = [*_trainers(design), *(f"{next(_trainers(design))}+{row}" for row in _inference(design))]
    pair = DimensionPair(*(tuple((name, PLANS, place) for name in names) for place in CONFIGURATIONS))
    rows = [row for configuration in CONFIGURATIONS for row in _rows(design, generator, configuration)]
    effects = by_dimension(rows, pair, draws=BOOTSTRAP)
    return any(effect.word in (MORE_IN_3D, LESS_IN_3D) for effect in effects if effect.trick)


def _generators(draws: int, seed: int) -> Iterator[np.random.Generator]:
    return (np.random.default_rng([seed, draw]) for draw in range(draws))


def _inference(design: LedgerDesign) -> tuple[str, ...]:
    return (*OF_EACH, *OF_ALL) if design.inference else ()


def _trainers(design: LedgerDesign) -> Iterator[str]:
    end = "_10epochs_shared" if design.shared else "_10epochs"
    yield f"nnUNetTrainer{end}"
    for number in range(1, design.tricks + 1):
        yield f"nnUNetTrainerFocal_gamma{number}p5{end}"


def _rows(design: LedgerDesign, generator: np.random.Generator, configuration: str) -> list[MetricRow]:
    anatomy = LEVEL + generator.normal(0, ANATOMY, design.cases)
    folds = np.arange(design.cases) % design.folds
    together = generator.normal(0, TRAINING, (max(design.runs), design.folds))
    common = COMMON if design.shared else 0.0
    rows: list[MetricRow] = []
    of_baseline: list[NDArray[np.float64]] = []
    for place, trainer in enumerate(_trainers(design)):
        suits = generator.normal(0, SUITS, design.cases) if place else np.zeros(design.cases)
        for run in range(1, design.runs[min(place, 1)] + 1):
            own = generator.normal(0, TRAINING, design.folds)
            training = (common**0.5 * together[run - 1] + (1 - common) ** 0.5 * own)[folds]
            values = anatomy + suits + training + generator.normal(0, SCATTER, design.cases)
            rows += _of_run(trainer + (f"_run{run}" if run > 1 else ""), configuration, run, folds, values)
            if not place:
                of_baseline.append(values)
    for name in _inference(design):
        alike = generator.normal(0, CHANGES * 0.5**0.5, design.cases)
        of_models = of_baseline if name in OF_EACH else [np.mean(of_baseline, axis=0)]
        for run, values in enumerate(of_models, 1):
            own = generator.normal(0, CHANGES * 0.5**0.5, design.cases)
            end = f"_run{run}" if run > 1 else ""
            rows += _of_run(f"{next(_trainers(design))}{end}+{name}", configuration, run, folds, values + alike + own)
    return rows


def _of_run(
    trainer: str, configuration: str, run: int, folds: NDArray[np.int_], values: NDArray[np.float64]
) -> Iterator[MetricRow]:
    for case, (fold, value) in enumerate(zip(folds, values, strict=True)):
        yield MetricRow(
            dataset="Dataset501_Made",
            configuration=configuration,
            plans=PLANS,
            trainer=trainer,
            fold=str(fold),
            run=run,
            part="validation",
            case=f"case_{case:03d}",
            label="organ",
            metric="Dice",
            value=float(value),
            unit="1",
        )


def main() -> None:
    """Simulate the designs, and save the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="CPU time of a design, at most")
    parser.add_argument("--only", choices=[*(design.name for design in DESIGNS), DIMENSION])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ledger_design.json"))
    arguments = parser.parse_args()
    known = json.loads(arguments.out.read_text())["designs"] if arguments.out.exists() else {}
    for name, (design, judge) in judged().items():
        if arguments.only in (None, name):
            began, words = process_time(), []
            for generator in _generators(arguments.draws, 0):
                words.append(judge(design, generator))
                if process_time() - began > arguments.seconds:
                    break
            known[name] = {"design": asdict(design), "experiments": len(words), "with_a_false_word": sum(words)}
            print(f"{name}: any false word in {sum(words)} of {len(words)} experiments", flush=True)
            save(arguments.out, {"designs": known})


def judged() -> dict[str, tuple[LedgerDesign, Callable[[LedgerDesign, np.random.Generator], bool]]]:
    """Every design with what is looked for in its experiments."""
    designs = {design.name: (design, _has_false_word) for design in DESIGNS}
    return {**designs, DIMENSION: (DESIGNS[0], _has_false_dimension)}


if __name__ == "__main__":
    main()
