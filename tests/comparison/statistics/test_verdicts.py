"""One word for a trick, and input that nothing can be said of."""

import math
from dataclasses import replace

import numpy as np
import pytest

from nnunet_tricks.comparison.cost import Cost
from nnunet_tricks.comparison.statistics.analyse import AnalysisOptions, analyse
from nnunet_tricks.comparison.statistics.model import HELPS, HURTS, UNDECIDED, WITHIN_NOISE, Statistics
from nnunet_tricks.comparison.statistics.verdict import in_words
from tests.comparison.statistics.made import BASELINE, OTHER, TRICK, noisy, rows_of

RNG = np.random.default_rng


def analysed(base: np.ndarray, trick: np.ndarray, options: AnalysisOptions | None = None, **layout) -> Statistics:
    return analyse(rows_of({BASELINE: base, TRICK: trick}, **layout), options)


def words(statistics: Statistics) -> list[str]:
    return [trick.verdict.word for trick in statistics.tricks]


@pytest.mark.parametrize(("gain", "word"), [(0.1, HELPS), (-0.1, HURTS)])
@pytest.mark.parametrize("runs", [1, 2])
def test_with_reruns_a_large_difference_has_its_word(gain, word, runs) -> None:
    statistics = analysed(noisy(RNG(0), 3, 60), noisy(RNG(1), runs, 60, gain=gain))
    assert words(statistics) == [word]
    assert ("assumed to differ" in statistics.tricks[0].verdict.why) == (runs == 1)


@pytest.mark.parametrize("gain", [-0.3, -0.01, 0.0, 0.01, 0.3])
def test_without_reruns_nothing_helps_or_hurts(gain) -> None:
    statistics = analysed(noisy(RNG(0), 1, 60), noisy(RNG(1), 1, 60, gain=gain))
    (trick,) = statistics.tricks
    assert trick.verdict.word == UNDECIDED
    assert "trained once" in trick.verdict.why
    assert trick.verdict.decide[0].runs == 1
    assert math.isnan(statistics.primary(trick).false_claim)


@pytest.mark.parametrize(("metric", "within"), [("Dice", True), ("NSD@2", True), ("HD95", False)])
def test_an_interval_ends_where_differences_end(metric: str, within: bool) -> None:
    """Two runs that differ much know so little that Student's interval is wider than all that is possible."""
    statistics = analysed(noisy(RNG(0), 2, 40), noisy(RNG(1), 2, 40) * [[0.2], [1.0]], folds=1, metric=metric)
    effect = statistics.primary(statistics.tricks[0])
    assert ((effect.interval.low, effect.interval.high) == (-1, 1)) == within
    assert within or (effect.interval.low < -1 and effect.interval.high > 1)
    assert math.isinf(effect.detectable) == within


def test_reruns_of_the_trick_alone_do_not_count() -> None:
    statistics = analysed(noisy(RNG(0), 1, 60), noisy(RNG(1), 3, 60, gain=0.3))
    assert words(statistics) == [UNDECIDED]
    assert statistics.primary(statistics.tricks[0]).has_runs
    assert not statistics.noise_floor.is_known


def test_a_single_rerun_on_a_single_fold_is_too_little() -> None:
    statistics = analysed(noisy(RNG(0), 2, 60, folds=1), noisy(RNG(1), 1, 60, gain=0.3, folds=1), folds=1)
    assert words(statistics) == [UNDECIDED]
    assert "One rerun on one fold" in statistics.tricks[0].verdict.why


def test_most_cases_in_one_fold_are_as_one_fold() -> None:
    folds = [str(min(case // 5, 4)) for case in range(200)]
    statistics = analysed(noisy(RNG(0), 2, 200), noisy(RNG(1), 1, 200, gain=0.1), folds=folds)
    assert words(statistics) == [UNDECIDED]
    assert "Most cases are in one fold" in statistics.tricks[0].verdict.why


def test_what_is_sure_to_be_small_is_within_noise() -> None:
    base = noisy(RNG(0), 6, 200, training=0.03, folds=5)
    trick = noisy(RNG(1), 6, 200, training=0.03, folds=5)
    assert words(analysed(base, trick, folds=5)) == [WITHIN_NOISE]


def test_undecided_says_what_would_decide() -> None:
    base, trick = noisy(RNG(0), 2, 20, training=0.03), noisy(RNG(3), 2, 20, gain=0.06, training=0.03)
    costs = {f"{name}__nnUNetPlans__3d": Cost(epoch=3600.0) for name in (BASELINE, TRICK)}
    (result,) = analysed(base, trick, AnalysisOptions(costs=costs)).tricks
    assert result.verdict.word == UNDECIDED
    assert result.verdict.decide
    for plan in result.verdict.decide:
        assert plan.hours == pytest.approx(9 * plan.trainings)
        assert "GPU hours" in in_words(plan)
    assert result.cost.epoch == 1
    on_cpu = {name: replace(cost, memory=10**9) for name, cost in costs.items()}
    assert {plan.unit for plan in analysed(base, trick, AnalysisOptions(costs=on_cpu)).tricks[0].verdict.decide} == {
        "hours"
    }


def test_holm_keeps_one_of_many_from_winning_by_luck() -> None:
    arrays = {BASELINE: noisy(RNG(0), 6, 40)}
    arrays |= {f"nnUNetTrainerTversky_alpha0p{number}_9epochs": noisy(RNG(number), 4, 40) for number in range(11, 29)}
    statistics = analyse(rows_of(arrays))
    assert min(statistics.primary(trick).p.p for trick in statistics.tricks) < 0.1
    assert not {HELPS, HURTS} & set(words(statistics))


def test_the_same_rows_give_the_same_numbers() -> None:
    rows = rows_of({BASELINE: noisy(RNG(0), 2, 30), TRICK: noisy(RNG(1), 2, 30), OTHER: noisy(RNG(2), 1, 30)})
    first, second, third = analyse(rows), analyse(rows), analyse(rows, AnalysisOptions(seed=1))
    # As text, since NaN differs from itself.
    assert repr(first) == repr(second)
    assert repr(first) != repr(third)
    assert first.tricks[0].effects["organ"]["Dice"].p == third.tricks[0].effects["organ"]["Dice"].p


def test_one_case() -> None:
    statistics = analysed(noisy(RNG(0), 3, 1, folds=1), noisy(RNG(1), 2, 1, folds=1), folds=1)
    effect = statistics.primary(statistics.tricks[0])
    assert words(statistics) == [UNDECIDED]
    assert "single case" in statistics.tricks[0].verdict.why
    assert math.isnan(effect.interval.low)


def test_two_cases() -> None:
    statistics = analysed(noisy(RNG(0), 3, 2, folds=1), noisy(RNG(1), 2, 2, folds=1), folds=1)
    effect = statistics.primary(statistics.tricks[0])
    assert effect.interval.low < effect.difference < effect.interval.high
    assert effect.freedom >= 1


def test_two_cases_in_two_folds_are_drawn_together() -> None:
    effect_of = analysed(noisy(RNG(0), 1, 2), noisy(RNG(1), 1, 2))
    effect = effect_of.primary(effect_of.tricks[0])
    assert effect.error_cases > 0


@pytest.mark.parametrize("runs", [1, 2])
def test_identical_predictions(runs) -> None:
    base = noisy(RNG(0), runs, 20)
    statistics = analysed(base, base)
    effect = statistics.primary(statistics.tricks[0])
    assert effect.difference == 0
    assert 0 in effect.interval
    assert effect.p.p == pytest.approx(1)
    assert effect.wilcoxon.p == effect.permutation.p == effect.t_test.p == 1
    assert (effect.wins, effect.ties, effect.losses) == (0, 20, 0)
    assert words(statistics) == [UNDECIDED if runs == 1 else WITHIN_NOISE]
    assert ("No case differs" in statistics.tricks[0].verdict.why) == (runs > 1)


def test_reruns_that_are_bit_for_bit_the_same() -> None:
    base = np.repeat(noisy(RNG(0), 1, 20), 2, axis=0)
    statistics = analysed(base, base)
    assert statistics.noise_floor.limit == 0
    assert words(statistics) == [WITHIN_NOISE]


def test_a_metric_that_is_nowhere_defined() -> None:
    statistics = analysed(noisy(RNG(0), 2, 20), np.full((2, 20), np.nan))
    assert words(statistics) == [UNDECIDED]
    assert "not defined" in statistics.tricks[0].verdict.why


@pytest.mark.parametrize("word", [None, "", "nan", "NA", "<NA>", "None"])
def test_a_group_column_that_says_nothing_of_a_case(word: str | None) -> None:
    """Cases whose patient a program did not know are not all of one patient."""
    groups = {f"case_{number:03d}": "p" for number in range(19)} | ({} if word is None else {"case_019": word})
    with pytest.raises(ValueError, match="says nothing of case_019"):
        analysed(noisy(RNG(0), 1, 20), noisy(RNG(1), 1, 20), AnalysisOptions(groups=groups))


def test_groups_that_span_folds_are_named() -> None:
    groups = {f"case_{number:03d}": f"p{number // 2}" for number in range(20)}
    statistics = analysed(noisy(RNG(0), 2, 20), noisy(RNG(1), 2, 20), AnalysisOptions(groups=groups))
    assert "more than one fold: p0" in statistics.notes[0]
    assert statistics.primary(statistics.tricks[0]).groups == 10


def test_test_images_that_every_fold_predicts_are_one_case_each() -> None:
    rows = rows_of({BASELINE: noisy(RNG(0), 2, 20), TRICK: noisy(RNG(1), 2, 20)}, part="test")
    rows = [replace(row, fold=str(fold), value=row.value + 0.01 * fold) for row in rows for fold in range(3)]
    statistics = analyse(rows)
    effect = statistics.primary(statistics.tricks[0])
    assert effect.cases == 20
    assert statistics.folds == ("all",)


def test_each_model_that_predicts_test_images_is_a_training_of_its_own() -> None:
    """Five models a run that differ by chance: 5 * (runs - 1) degrees of freedom, and the variance of their mean."""
    generator, of_case = RNG(0), 0.8 + 0.1 * np.sin(np.arange(20))
    trainings = generator.normal(0, 0.01, (5, 3))
    rows = []
    for fold in range(5):
        arrays = {BASELINE: of_case + trainings[fold][:, None], TRICK: (of_case + 0.001 * fold)[None]}
        rows += [replace(row, fold=str(fold)) for row in rows_of(arrays, part="test")]
    floor = analyse(rows).noise_floor
    assert floor.freedom == 10
    assert floor.deviation == pytest.approx(math.sqrt(trainings.var(1, ddof=1).sum()) / 5)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda rows: [*rows, rows[0]], "stands twice"),
        (lambda rows: rows[:-1], "does not have the same cases"),
        (lambda rows: [*rows, replace(rows[0], dataset="Dataset002_Other")], "one data set and part"),
        (lambda rows: [], "got none"),
    ],
)
def test_rows_that_do_not_fit_together(change, complaint) -> None:
    rows = rows_of({BASELINE: noisy(RNG(0), 1, 6), TRICK: noisy(RNG(1), 1, 6)})
    with pytest.raises(ValueError, match=complaint):
        analyse(change(rows))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (AnalysisOptions(metric="HD"), "metric 'HD' is not in the table, which has Dice"),
        (AnalysisOptions(label="liver"), "label 'liver' is not in the table, which has organ"),
        (AnalysisOptions(baseline="nnUNetTrainer__x__y"), "baseline 'nnUNetTrainer__x__y' is not in the table"),
        (AnalysisOptions(draws=10), "at least 100"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        analysed(noisy(RNG(0), 1, 6), noisy(RNG(1), 1, 6), options)
