"""Trick by dimension: the interaction is the plain difference of differences, and no word is given for nothing."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.ledger_design import DESIGNS, LedgerDesign, false_dimension_words, false_words
from nnunet_tricks.comparison.dimension_tables import (
    ComparedDimension,
    as_data,
    dimension_comparisons,
    dimension_tables,
)
from nnunet_tricks.comparison.statistics.analyse import AnalysisOptions, analyse
from nnunet_tricks.comparison.statistics.dimension import (
    DIMENSION_WORDS,
    LESS_IN_3D,
    MORE_IN_3D,
    DimensionPair,
    by_dimension,
    dimension_of,
)
from nnunet_tricks.comparison.statistics.model import UNDECIDED, WITHIN_NOISE
from nnunet_tricks.comparison.table import MetricRow
from nnunet_tricks.experiment.spec import read_experiment
from tests.checkout import ROOT
from tests.comparison.statistics.made import BASELINE, OTHER, TRICK, noisy, rows_of

DRAWS = 200
PLANS = "nnUNetPlans"
FLAT, VOLUME = "2d_small", "3d_fullres_tiny"
TRAINERS = (BASELINE, TRICK, OTHER)
PAIR = DimensionPair(*(tuple((name, PLANS, place) for name in TRAINERS) for place in (FLAT, VOLUME)))


def both(
    generator: np.random.Generator, gains: dict[str, tuple[float, float]], runs: int = 3, **settings
) -> list[MetricRow]:
    """Rows of both dimensions, with gains of each trick in 2D and 3D."""
    rows = []
    for at, configuration in enumerate((FLAT, VOLUME)):
        arrays = {
            name: noisy(generator, runs, 40, gain=gains.get(name, (0.0, 0.0))[at], **settings) for name in TRAINERS
        }
        rows += [replace(row, configuration=configuration) for row in rows_of(arrays)]
    return rows


def test_the_interaction_is_the_difference_of_differences() -> None:
    rows = both(np.random.default_rng(0), {TRICK: (0.0, 0.03)})
    means = {
        (name, place): np.mean(
            [row.value for row in rows if row.trainer.startswith(name) and row.configuration == place]
        )
        for name in TRAINERS
        for place in (FLAT, VOLUME)
    }
    effects = {effect.trick: effect for effect in by_dimension(rows, PAIR, draws=DRAWS)}
    for name in (TRICK, OTHER):
        flat, volume = (means[name, place] - means[BASELINE, place] for place in (FLAT, VOLUME))
        assert effects[name].flat == pytest.approx(flat)
        assert effects[name].volume == pytest.approx(volume)
        assert effects[name].effect.difference == pytest.approx(volume - flat)
        assert effects[name].effect.difference in effects[name].effect.interval
    mean = np.mean([effects[name].effect.difference for name in (TRICK, OTHER)])
    assert effects[""].effect.difference == pytest.approx(mean)


@pytest.mark.parametrize(
    ("gains", "word"),
    [((0.1, 0.0), LESS_IN_3D), ((0.0, 0.1), MORE_IN_3D), ((0.05, 0.05), None)],
)
def test_words(gains: tuple[float, float], word: str | None) -> None:
    rows = both(np.random.default_rng(1), {TRICK: gains}, runs=5, training=0.003)
    first, *_ = by_dimension(rows, PAIR, draws=DRAWS)
    assert first.word == word if word else first.word in (WITHIN_NOISE, UNDECIDED)
    assert first.word in DIMENSION_WORDS
    assert f"{first.effect.difference:+.3f}" in first.why


def test_the_dimensions_can_be_exchanged() -> None:
    rows = both(np.random.default_rng(2), {TRICK: (0.02, 0.06)})
    there = by_dimension(rows, PAIR, draws=DRAWS)
    back = by_dimension(rows, DimensionPair(PAIR.volume, PAIR.flat), draws=DRAWS)
    for effect, other in zip(there, back, strict=True):
        assert effect.effect.difference == pytest.approx(-other.effect.difference)
        assert effect.effect.p.p == pytest.approx(other.effect.p.p)


def test_a_single_run_decides_nothing() -> None:
    rows = both(np.random.default_rng(3), {TRICK: (0.0, 0.3)}, runs=1)
    assert {effect.word for effect in by_dimension(rows, PAIR, draws=DRAWS)} == {UNDECIDED}


def test_a_metric_where_less_is_better() -> None:
    rows = [replace(row, metric="HD95") for row in both(np.random.default_rng(4), {TRICK: (0.0, -0.2)}, runs=5)]
    first, *_ = by_dimension(rows, PAIR, draws=DRAWS)
    assert first.effect.difference < 0
    assert first.word == MORE_IN_3D


def compared(rows: list[MetricRow], configuration: str) -> ComparedDimension:
    own = [row for row in rows if row.configuration == configuration]
    methods = tuple((name, PLANS, configuration) for name in TRAINERS)
    return ComparedDimension(analyse(own, AnalysisOptions(draws=DRAWS)), methods, own, {}, draws=DRAWS)


def test_pairs_are_found_by_the_names_of_configurations() -> None:
    rows = both(np.random.default_rng(5), {TRICK: (0.1, 0.0)}, runs=5)
    sides = [compared(rows, FLAT), compared(rows, VOLUME)]
    (comparison,) = dimension_comparisons(sides)
    assert comparison.configurations == (FLAT, VOLUME)
    assert [effect.trick for effect in comparison.effects] == [TRICK, OTHER, ""]
    (table,) = dimension_tables([comparison])
    assert [row[-1] for row in table.rows] == [effect.word for effect in comparison.effects]
    (data,) = as_data([comparison])
    assert data["methods"][0]["trick"] == TRICK
    assert list(dimension_comparisons(sides[:1])) == []
    elsewhere = [replace(row, dataset="Dataset002_Other") for row in rows]
    assert list(dimension_comparisons([sides[0], compared(elsewhere, VOLUME)])) == []
    fewer = [row for row in rows if row.case != "case_000"]
    assert list(dimension_comparisons([sides[0], compared(fewer, VOLUME)])) == []


def test_names_of_configurations() -> None:
    assert [dimension_of(name) for name in ("2d", "2d_small", "3d_lowres", "3D_mine", "mine")] == [2, 2, 3, 3, 0]


@pytest.mark.parametrize("shared", [True, False])
def test_a_few_designs_give_no_words_for_nothing(shared: bool) -> None:
    """``python -m benchmarks.ledger_design`` simulates the whole designs."""
    draws = 40
    small = LedgerDesign(name="small", cases=40, folds=2, tricks=4, shared=shared)
    # 5 % and three standard errors.
    most = draws * 0.05 + 3 * (draws * 0.05 * 0.95) ** 0.5
    assert false_dimension_words(small, draws) * draws <= most
    assert false_words(small, draws) * draws <= most


def test_designs_are_those_of_the_experiment_files() -> None:
    for design in DESIGNS:
        (comparison,) = read_experiment(ROOT / "experiments" / "ledger" / f"{design.name}.yaml").comparisons
        runs = (len(comparison.baseline_runs), len(comparison.runs))
        assert (len(comparison.folds), len(comparison.arms) - 1, runs) == (design.folds, design.tricks, design.runs)
        assert all(arm.ours and arm.ours.shared == design.shared for arm in comparison.arms)
