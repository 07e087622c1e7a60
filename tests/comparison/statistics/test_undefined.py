"""Cases that only some methods define, infinite values, and what rounding makes of equal ones."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nnunet_tricks.comparison.scores import scores_of
from nnunet_tricks.comparison.statistics.analyse import AnalysisOptions, analyse
from nnunet_tricks.comparison.statistics.effects import MEAN
from nnunet_tricks.comparison.statistics.model import HELPS, HURTS, UNDECIDED, WITHIN_NOISE, Statistics
from nnunet_tricks.comparison.statistics.values import values_of
from nnunet_tricks.comparison.table import MetricRow
from nnunet_tricks.comparison.undefined import completed
from nnunet_tricks.comparison.worth import reasons
from tests.comparison.statistics.made import BASELINE, OTHER, TRICK, noisy, rows_of

RNG = np.random.default_rng
CASES, HEALTHY, DIAGONAL = 60, 39, 250.0


def dice(generator: np.random.Generator, alarms: int, runs: int = 3, gain: float = 0.0) -> np.ndarray:
    """Runs x cases, of which the first are healthy: NaN, or 0 in as many as have a false alarm."""
    array = noisy(generator, runs, CASES, gain=gain)
    array[:, :HEALTHY] = np.nan
    array[:, :alarms] = 0.0
    return array


def judged(rows: list[MetricRow]) -> Statistics:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return analyse(rows)


@pytest.mark.parametrize(("alarms", "word"), [((0, HEALTHY), HURTS), ((HEALTHY, 0), HELPS)])
def test_false_alarms_in_healthy_cases_count_both_ways(alarms, word) -> None:
    """Though the trick is better wherever something is there, or worse."""
    gain = 0.12 if word == HURTS else -0.12
    arrays = {BASELINE: dice(RNG(0), alarms[0]), TRICK: dice(RNG(1), alarms[1], gain=gain)}
    statistics = judged(rows_of(arrays))
    (trick,) = statistics.tricks
    effect = statistics.primary(trick)
    assert trick.verdict.word == word
    assert (effect.cases, effect.one_sided) == (CASES, HEALTHY)
    assert "over 60 cases (in 39 nothing is there" in trick.verdict.why
    filled = [np.where(np.isnan(array), 1.0, array) for array in arrays.values()]
    assert effect.difference == pytest.approx((filled[1] - filled[0]).mean())
    assert (effect.wins, effect.losses)[word == HURTS] == HEALTHY
    difference = (filled[1] - filled[0]).mean(0)
    assert effect.wilcoxon.p == pytest.approx(stats.wilcoxon(difference).pvalue)
    assert effect.t_test.p == pytest.approx(stats.ttest_1samp(difference, 0).pvalue)
    assert effect.permutation.p < 0.001
    assert [case.baseline for case in effect.differences[:2]] == [1.0 - bool(alarms[0])] * 2
    # Means, ranks and the word say the same.
    assert trick.means["organ"]["Dice"] - statistics.baseline.means["organ"]["Dice"] == pytest.approx(effect.difference)
    assert trick.ranks.place == (2 if word == HURTS else 1)
    assert "in 39 of the 60 cases that count" in statistics.notes[0]


def test_false_alarms_of_some_runs_count_by_their_share() -> None:
    base, trick = dice(RNG(0), 0), dice(RNG(1), 0)
    trick[0, 0] = 0.0
    effect = judged(rows_of({BASELINE: base, TRICK: trick})).tricks[0].effects["organ"]["Dice"]
    # One healthy case counts; in the others nobody predicts anything.
    assert (effect.cases, effect.one_sided) == (CASES - HEALTHY + 1, 1)
    assert effect.differences[0].trick == pytest.approx(2 / 3)


def test_all_methods_of_a_table_have_the_same_cases() -> None:
    """A third method's false alarm makes a tie of the other two, and the same mean everywhere."""
    arrays = {BASELINE: dice(RNG(0), 0), TRICK: dice(RNG(1), 0), OTHER: dice(RNG(2), 9)}
    rows = rows_of(arrays)
    statistics = judged(rows)
    tie, loser = (trick.effects["organ"]["Dice"] for trick in statistics.tricks)
    assert tie.cases == loser.cases == CASES - HEALTHY + 9
    assert (tie.one_sided, loser.one_sided) == (0, 9)
    predictions = [
        [
            (row.case, {"organ": {"Dice": (row.value, "1")}})
            for row in rows
            if row.trainer.removesuffix("_run2").removesuffix("_run3") == name
        ]
        for name in arrays
    ]
    means = [scores_of(cases, ["Dice"])["organ"]["Dice"] for cases in completed(predictions)]
    for method, mean in zip((statistics.baseline, *statistics.tricks), means, strict=True):
        assert mean.mean == pytest.approx(method.means["organ"]["Dice"])
        assert mean.counted == 3 * tie.cases


def test_test_images_of_several_models_count_by_their_share() -> None:
    rows = rows_of({BASELINE: dice(RNG(0), 0), TRICK: dice(RNG(1), 1)}, part="test")
    rows = [replace(row, fold=str(fold)) for row in rows for fold in range(4)]
    rows = [replace(row, value=math.nan) if row.fold == "3" and row.case == "case_000" else row for row in rows]
    values = values_of(rows)["Dice"]
    assert values.arrays[1][0, 0, 0] == pytest.approx(1 / 4)
    assert values.arrays[0][0, 0, 0] == 1.0


@pytest.mark.parametrize("alarms", [(0, 20), (20, 0)])
def test_distances_have_no_word_where_a_false_alarm_has_none(alarms) -> None:
    """Its size is a convention; all else follows the rule."""
    arrays = {}
    for name, count, generator in zip((BASELINE, TRICK), alarms, (RNG(0), RNG(1)), strict=True):
        array = dice(generator, 0, gain=0.0 if name == BASELINE else -0.3)
        array[:, :count] = DIAGONAL
        arrays[name] = array
    statistics = judged(rows_of(arrays, metric="HD95", unit="mm"))
    (trick,) = statistics.tricks
    effect = statistics.primary(trick)
    assert trick.verdict.word == UNDECIDED
    assert "In 20 of 41 cases nothing is there" in trick.verdict.why
    assert effect.difference == pytest.approx((-1) ** (alarms[1] == 0) * 20 * DIAGONAL / 41, rel=0.01)
    assert trick.ranks.place == (2 if alarms[1] else 1)


def test_the_same_false_alarms_leave_distances_their_word() -> None:
    base, trick = dice(RNG(0), 0), dice(RNG(1), 0, gain=-0.5)
    base[:, :5] = trick[:, :5] = DIAGONAL
    assert judged(rows_of({BASELINE: base, TRICK: trick}, metric="HD95", unit="mm")).tricks[0].verdict.word == HELPS


def test_misses_that_are_infinite_count_as_losses_and_give_no_word() -> None:
    base, trick = noisy(RNG(0), 3, 30), noisy(RNG(1), 3, 30, gain=0.3)
    trick[:, :5] = -np.inf
    statistics = judged(rows_of({BASELINE: base, TRICK: trick}, metric="conformity"))
    (trick_result,) = statistics.tricks
    effect = statistics.primary(trick_result)
    assert trick_result.verdict.word == UNDECIDED
    assert "infinite in 5 of 30 cases" in trick_result.verdict.why
    assert (effect.cases, effect.wins, effect.losses) == (30, 25, 5)
    assert effect.difference == -math.inf
    assert math.isnan(effect.p.p)
    assert math.isnan(effect.t_test.p)
    assert effect.stars == ""
    worst = np.where(np.isinf(trick), -9.0, trick).mean(0) - base.mean(0)
    worst[:5] = -9.0
    assert effect.wilcoxon.p == pytest.approx(stats.wilcoxon(worst).pvalue)
    assert trick_result.ranks.place == 2
    assert effect.ranked()[-1].difference == -math.inf
    assert reasons(statistics)


def test_infinite_values_of_both_are_as_bad_as_each_other() -> None:
    base, trick = noisy(RNG(0), 2, 30), noisy(RNG(1), 2, 30)
    base[:, :5] = trick[:, :4] = -np.inf
    statistics = judged(rows_of({BASELINE: base, TRICK: trick}, metric="conformity"))
    effect = statistics.primary(statistics.tricks[0])
    assert sum(case.difference == 0 for case in effect.differences) == 4
    assert statistics.tricks[0].ranks.place == 1
    assert "infinite" in reasons(statistics)[-1]


def test_what_is_undefined_for_no_known_reason_has_no_word() -> None:
    """No metric of ours is undefined for one of both where the other has a Dice of 0.8."""
    base, trick = noisy(RNG(0), 3, 60), noisy(RNG(1), 3, 60, gain=0.2)
    trick[:, :9] = np.nan
    statistics = judged(rows_of({BASELINE: base, TRICK: trick}))
    assert statistics.tricks[0].verdict.word == UNDECIDED
    assert "51 cases that count there are 9" in statistics.tricks[0].verdict.why
    assert statistics.tricks[0].means["organ"]["Dice"] - statistics.baseline.means["organ"]["Dice"] == pytest.approx(
        statistics.primary(statistics.tricks[0]).difference
    )


def test_interactions_and_classes_follow_the_rule() -> None:
    names = ["nnUNetTrainer_9epochs", "nnUNetTrainerNoDeepSupervision_9epochs", "nnUNetTrainerTversky_9epochs"]
    both = "nnUNetTrainerTversky_NoDeepSupervision_9epochs"
    arrays = {name: dice(RNG(place), 0, runs=2) for place, name in enumerate([*names, both])}
    arrays[both][:, :HEALTHY] = 0.0
    organ = {name: noisy(RNG(place + 9), 2, CASES) for place, name in enumerate(arrays)}
    statistics = judged(rows_of({name: np.stack([arrays[name], organ[name]], 1) for name in arrays}, labels=("a", "b")))
    (interaction,) = statistics.interactions
    assert interaction.effect.difference < -0.25
    assert interaction.effect.cases == CASES
    effect = statistics.tricks[-1].effects[MEAN]["Dice"]
    assert effect.cases == CASES
    assert effect.differences[0].trick == pytest.approx(organ[both][:, 0].mean() / 2)


def test_a_class_in_few_cases_makes_no_values_that_nobody_measured() -> None:
    base, other = noisy(RNG(0), 2, 40), noisy(RNG(1), 2, 40)
    rare = [np.full((2, 40), np.nan) for _ in range(2)]
    for array, value in zip(rare, (0.5, 0.58), strict=True):
        array[:, :4] = value
    arrays = {BASELINE: np.stack([base, rare[0]], 1), TRICK: np.stack([other, rare[1]], 1)}
    effect = judged(rows_of(arrays, labels=("organ", "rare"))).tricks[0].effects[MEAN]["Dice"]
    for number, case in enumerate(effect.differences):
        expected = [np.nanmean(array[:, :, number].mean(0)) for array in arrays.values()]
        assert (case.baseline, case.trick) == pytest.approx(tuple(expected))
    singles = [(other - base).mean(), 0.08]
    assert effect.difference == pytest.approx(np.mean(singles))
    gains = np.array([case.difference for case in effect.differences])
    assert (effect.wins, effect.losses) == ((gains > 0.01).sum(), (gains < -0.01).sum())
    assert effect.wilcoxon.p == pytest.approx(stats.wilcoxon(gains).pvalue)
    assert effect.t_test.p == pytest.approx(stats.ttest_1samp(gains, 0).pvalue)


@pytest.mark.parametrize(("runs", "trick_runs"), [(3, 2), (5, 3), (7, 6)])
@pytest.mark.parametrize("value", [0.8, 0.1, 1 / 3, 251.7])
def test_equal_values_differ_by_nothing_whatever_their_number_of_runs(runs, trick_runs, value) -> None:
    arrays = {BASELINE: np.full((runs, 40), value), TRICK: np.full((trick_runs, 40), value)}
    statistics = judged(rows_of(arrays))
    effect = statistics.primary(statistics.tricks[0])
    assert effect.difference == effect.interval.low == effect.interval.high == 0
    tests = (effect.p, effect.wilcoxon, effect.permutation, effect.t_test)
    assert [test.p for test in tests] == [1, 1, 1, 1]
    assert effect.stars == ""
    assert all(case.difference == 0 == effect.gain_in(case) for case in effect.differences)
    assert statistics.noise_floor.deviation == statistics.noise_floor.spread == 0
    assert statistics.tricks[0].verdict.word == WITHIN_NOISE
    assert "No case differs" in statistics.tricks[0].verdict.why


def test_ties_that_rounding_broke_are_ties_for_wilcoxon() -> None:
    steps = RNG(0).integers(-2, 3, 40) / 10
    arrays = {BASELINE: np.full((3, 40), 0.6), TRICK: np.tile(0.6 + steps, (2, 1))}
    arrays[BASELINE][:, 30:] = arrays[TRICK][:, 30:] = 0.8
    effect = judged(rows_of(arrays)).tricks[0].effects["organ"]["Dice"]
    exact = np.r_[np.round(steps[:30], 1), np.zeros(10)]
    assert effect.wilcoxon.p == pytest.approx(stats.wilcoxon(exact).pvalue)


def test_a_group_has_its_word_by_the_rule_too() -> None:
    groups = {f"case_{number:03d}": f"p{number // 3}" for number in range(CASES)}
    rows = rows_of({BASELINE: dice(RNG(0), 0), TRICK: dice(RNG(1), HEALTHY, gain=0.1)}, folds=1)
    statistics = analyse(rows, AnalysisOptions(groups=groups))
    assert statistics.primary(statistics.tricks[0]).groups == 20
    assert statistics.tricks[0].verdict.word == HURTS


def test_formulas_that_see_no_false_alarm_have_no_word() -> None:
    """The IFE paper's Dice is 0 of a true nothing as of a false alarm, so that inventing tumours is no loss."""
    arrays = {BASELINE: np.nan_to_num(dice(RNG(0), 0)), TRICK: np.nan_to_num(dice(RNG(1), HEALTHY, gain=0.1))}
    (trick,) = judged(rows_of(arrays, metric="published_DSC")).tricks
    assert trick.verdict.word == UNDECIDED
    assert "no word rests on it" in trick.verdict.why
    assert trick.effects["organ"]["published_DSC"].interval.low > 0


def test_infinitely_better_in_one_class_and_worse_in_another_is_no_warning() -> None:
    generator = RNG(0)
    arrays = {trainer: generator.uniform(0.5, 0.9, (2, 2, 6)) for trainer in (BASELINE, TRICK)}
    arrays[BASELINE][:, 0, 0] = -np.inf
    arrays[TRICK][:, 1, :2] = -np.inf
    (trick,) = judged(rows_of(arrays, metric="conformity", labels=("organ", "tumour"))).tricks
    assert trick.verdict.word == UNDECIDED
    assert trick.effects[MEAN]["conformity"].infinite == 2
