"""Every number against scipy, statsmodels or a closed form."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nnunet_tricks.comparison.statistics.across import across
from nnunet_tricks.comparison.statistics.analyse import AnalysisOptions, analyse
from nnunet_tricks.comparison.statistics.bootstrap import signs, weights
from nnunet_tricks.comparison.statistics.components import contrast, pooled, training_variance
from nnunet_tricks.comparison.statistics.interval import detectable, false_claim
from nnunet_tricks.comparison.statistics.model import Interval
from nnunet_tricks.comparison.statistics.multiple import holm
from nnunet_tricks.comparison.statistics.noise import deviation_interval
from nnunet_tricks.comparison.statistics.ranks import _tau
from nnunet_tricks.comparison.statistics.significance import permutation, t_test, wilcoxon
from nnunet_tricks.comparison.statistics.values import Cases, nanmean, values_of
from tests.comparison.statistics.made import BASELINE, OTHER, TRICK, noisy, rows_of

RNG = np.random.default_rng


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 2)])
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_nanmean_is_numpys(axis: int | tuple[int, ...]) -> None:
    values = RNG(3).normal(size=(4, 5, 6))
    values[values < -0.5] = np.nan
    values[:, 1], values[2, 0], values[0, 2] = np.nan, np.nan, np.inf
    assert nanmean(values, axis) == pytest.approx(np.nanmean(values, axis), nan_ok=True, rel=1e-12)


# Few: theirs collects the garbage of the whole process each time.
@settings(max_examples=10)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_that_of_statsmodels(p) -> None:
    from statsmodels.stats.multitest import multipletests

    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_holm_leaves_out_what_was_not_tested() -> None:
    assert holm([0.04, math.nan, 0.01]) == pytest.approx([0.04, math.nan, 0.02], nan_ok=True)


def one_effect(arrays, **options):
    statistics = analyse(rows_of(arrays, **options))
    return statistics.primary(statistics.tricks[0])


def test_tests_of_one_run_are_scipys() -> None:
    base, trick = RNG(0).normal(0.8, 0.05, (2, 1, 30))
    effect = one_effect({BASELINE: base, TRICK: trick}, folds=1)
    paired = stats.ttest_rel(trick[0], base[0])
    assert effect.t_test.p == pytest.approx(paired.pvalue)
    assert effect.p.p == pytest.approx(paired.pvalue)
    assert effect.wilcoxon.p == pytest.approx(stats.wilcoxon(trick[0], base[0]).pvalue)
    expected = paired.confidence_interval()
    width = (expected.high - expected.low) / 2
    assert effect.interval.low == pytest.approx(expected.low, abs=0.05 * width)
    assert effect.interval.high == pytest.approx(expected.high, abs=0.05 * width)
    assert effect.freedom == pytest.approx(29)
    assert effect.false_claim_cases == pytest.approx(paired.pvalue / 2)


def test_error_from_cases_is_that_of_stratified_sampling() -> None:
    """And the bootstrap draws just that."""
    base, trick = RNG(1).normal(0.8, 0.05, (2, 1, 25))
    trick = trick + 0.1 * (np.arange(25) % 3)
    values = values_of(rows_of({BASELINE: base, TRICK: trick}, folds=3))["Dice"]
    estimate = contrast(values, {1: 1.0, 0: -1.0})
    difference, fold = (trick - base)[0], np.arange(25) % 3
    parts = [difference[fold == number] for number in range(3)]
    expected = sum(len(part) ** 2 * part.var(ddof=1) / len(part) for part in parts) / 25**2
    assert estimate.variance_cases[0] == pytest.approx(expected)
    assert estimate.freedom_cases[0] == 22
    drawn = weights(values.cases, 20000, RNG(2)) @ estimate.influence
    assert drawn.std() == pytest.approx(math.sqrt(expected), rel=0.03 + 1 / 16)  # strata of 8: draws have 7/8 of it
    # Undo the correction for small strata, and it is scipy's.
    plain = stats.bootstrap([parts[0]], np.mean, n_resamples=5000, rng=RNG(3)).standard_error
    assert plain == pytest.approx(parts[0].std(ddof=0) / math.sqrt(len(parts[0])), rel=0.05)


def test_groups_are_drawn_whole() -> None:
    """Twenty copies of five cases are five cases."""
    five = RNG(4).normal(0, 0.05, 5)
    copies = {f"case_{number:03d}": f"patient {number % 5}" for number in range(20)}
    base, trick = np.zeros((1, 20)), np.tile(five, 4)[None]
    statistics = analyse(rows_of({BASELINE: base, TRICK: trick}, folds=1), AnalysisOptions(groups=copies))
    effect = statistics.primary(statistics.tricks[0])
    expected = stats.ttest_1samp(five, 0)
    assert (effect.cases, effect.groups) == (20, 5)
    assert effect.p.p == pytest.approx(expected.pvalue)
    assert effect.wilcoxon.p == pytest.approx(stats.wilcoxon(five).pvalue)
    exact = stats.permutation_test([five], np.mean, permutation_type="samples", n_resamples=np.inf)
    assert effect.permutation.p == pytest.approx(exact.pvalue)


def test_permutation_of_many_is_near_scipys() -> None:
    sample = RNG(5).normal(0.01, 0.03, 40)
    drawn, exact = signs(40, 20000, RNG(6))
    assert not exact
    ours = permutation(sample[:, None], drawn, exact=exact)[0]
    theirs = stats.permutation_test([sample], np.mean, permutation_type="samples", n_resamples=20000, rng=RNG(7))
    assert ours == pytest.approx(theirs.pvalue, abs=0.015)


def test_error_from_trainings_is_cochrans_of_runs_where_cases_do_not_scatter() -> None:
    """All cases of a run move together: what is left are the variances of the runs' means, each with its own t."""
    of_case = 0.8 + 0.1 * np.sin(np.arange(30))
    base, trick = RNG(8).normal(0, 0.01, 4), RNG(9).normal(0.005, 0.01, 3)
    arrays = {BASELINE: of_case + base[:, None], TRICK: of_case + trick[:, None]}
    effect = one_effect(arrays, folds=1)
    parts = (base.var(ddof=1) / 4, trick.var(ddof=1) / 3)
    half = math.sqrt(sum(stats.t.ppf(0.975, df) ** 2 * part for df, part in zip((3, 2), parts, strict=True)))
    difference = trick.mean() - base.mean()
    assert effect.interval == Interval(pytest.approx(difference - half), pytest.approx(difference + half))
    assert effect.freedom == pytest.approx(stats.ttest_ind(trick, base, equal_var=False).df)
    # At the p value the interval ends at 0.
    ends = sum(stats.t.isf(effect.p.p / 2, df) ** 2 * part for df, part in zip((3, 2), parts, strict=True))
    assert math.sqrt(ends) == pytest.approx(abs(difference))


def test_a_trick_that_was_trained_once_scatters_as_the_baseline() -> None:
    of_case = 0.8 + 0.1 * np.sin(np.arange(30))
    base = RNG(8).normal(0, 0.01, 4)
    effect = one_effect({BASELINE: of_case + base[:, None], TRICK: of_case[None] + 0.003}, folds=1)
    half = stats.t.ppf(0.975, 3) * base.std(ddof=1) * math.sqrt(1 / 4 + 1)
    assert effect.interval.high - effect.difference == pytest.approx(half)


def test_runs_that_share_their_randomness_are_compared_run_by_run() -> None:
    """Then it is a paired t-test of the runs' means, over the runs that both have."""
    of_case = 0.8 + 0.1 * np.sin(np.arange(30))
    chance = RNG(8).normal(0, 0.05, 4)
    own = RNG(9).normal(0.005, 0.002, 4)
    arrays = {
        "nnUNetTrainer_shared": of_case + chance[:, None],
        "nnUNetTrainerTversky_shared": (of_case + (chance + own)[:, None])[:3],
    }
    effect = one_effect(arrays, folds=1)
    assert effect.p.p == pytest.approx(stats.ttest_1samp(own[:3], 0).pvalue)
    assert effect.freedom == pytest.approx(2)
    assert effect.difference == pytest.approx(own[:3].mean())
    apart = one_effect(
        {BASELINE: arrays["nnUNetTrainer_shared"], TRICK: arrays["nnUNetTrainerTversky_shared"]}, folds=1
    )
    assert apart.error_runs > 10 * effect.error_runs


def test_variance_of_trainings_is_that_of_an_analysis_of_variance() -> None:
    """Runs and cases crossed, as statsmodels counts it."""
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    array = noisy(RNG(10), 4, 12, training=0.02, folds=1)
    frame = pd.DataFrame(
        [(run, case, array[run, case]) for run in range(4) for case in range(12)], columns=["run", "case", "dice"]
    )
    table = anova_lm(ols("dice ~ C(run) + C(case)", frame).fit())
    between, rest = table["mean_sq"]["C(run)"], table["mean_sq"]["Residual"]
    values = values_of(rows_of({BASELINE: array, TRICK: array}, folds=1))["Dice"]
    variance = training_variance(values, 0)
    assert variance is not None
    assert variance.between[0] == pytest.approx(between / 12)
    assert variance.rest[0] == pytest.approx(rest / 12)
    assert variance.freedom == 3
    assert pooled([variance, variance]).between[0] == pytest.approx(between / 12)
    assert pooled([variance, variance]).freedom == 6


def test_noise_floor_of_one_fold_is_the_deviation_of_the_runs_means() -> None:
    array = noisy(RNG(11), 5, 20, folds=1)
    statistics = analyse(rows_of({BASELINE: array, TRICK: array[:1]}, folds=1))
    floor = statistics.noise_floor
    assert floor.deviation == pytest.approx(array.mean(1).std(ddof=1))
    assert floor.limit == pytest.approx(stats.t.ppf(0.975, 4) * math.sqrt(2) * floor.deviation)
    assert floor.repeatability == pytest.approx(1.96 * math.sqrt(2) * floor.deviation, rel=1e-4)
    assert floor.means == pytest.approx(tuple(array.mean(1)))


@pytest.mark.parametrize("freedom", [1, 3, 20])
def test_interval_of_a_deviation(freedom) -> None:
    low, high = stats.chi2.interval(0.95, freedom)
    interval = deviation_interval(2.0, freedom)
    assert (interval.low, interval.high) == pytest.approx((2 * math.sqrt(freedom / high), 2 * math.sqrt(freedom / low)))


def test_detectable_difference_has_the_power_that_statsmodels_says() -> None:
    from statsmodels.stats.power import TTestPower

    for count in (10, 40, 200):
        variance, freedom = np.array([1 / count]), np.array([count - 1.0])
        difference = detectable(variance, freedom, np.array([np.nan]), 0)[0]
        assert TTestPower().power(difference, count, 0.05) == pytest.approx(0.8, abs=0.02)


def test_false_claim_is_the_formula_of_the_paper() -> None:
    """From means, deviations and correlation of two methods, as arXiv 2505.04720 has it."""
    base, trick = RNG(12).normal(0.8, 0.1, (2, 35))
    trick = trick * 0.4 + base * 0.6 + 0.01
    spread = base.var(ddof=1) + trick.var(ddof=1)
    spread -= 2 * base.std(ddof=1) * trick.std(ddof=1) * np.corrcoef(base, trick)[0, 1]
    expected = stats.t.cdf(-abs(math.sqrt(35) * (trick.mean() - base.mean()) / math.sqrt(spread)), 34)
    assert false_claim(trick - base) == pytest.approx(expected)


def test_mean_of_classes_is_the_mean_of_their_differences() -> None:
    base, trick = RNG(13).normal(0.8, 0.05, (2, 2, 3, 24))
    statistics = analyse(rows_of({BASELINE: base, TRICK: trick}, folds=2, labels=("a", "b", "c")))
    effects = statistics.tricks[0].effects
    singles = [effects[label]["Dice"].difference for label in "abc"]
    together = effects["mean of classes"]["Dice"]
    assert together.difference == pytest.approx(np.mean(singles))
    # The same as of a table that holds the cases' means over classes.
    alone = one_effect({BASELINE: base.mean(1), TRICK: trick.mean(1)}, folds=2)
    assert together.p.p == pytest.approx(alone.p.p)
    assert together.error_runs == pytest.approx(alone.error_runs)
    assert together.wilcoxon.p == pytest.approx(alone.wilcoxon.p)


def test_kendalls_tau_is_scipys() -> None:
    order = np.array([1, 2, 3, 4, 5])
    places = np.array([RNG(number).permutation(5) + 1 for number in range(8)])
    expected = np.mean([stats.kendalltau(order, drawn).statistic for drawn in places])
    assert _tau(order, places) == pytest.approx(expected)


def test_interaction_is_the_difference_of_differences() -> None:
    names = ["nnUNetTrainer_9epochs", "nnUNetTrainerNoDeepSupervision_9epochs", "nnUNetTrainerTversky_9epochs"]
    both = "nnUNetTrainerTversky_NoDeepSupervision_9epochs"
    arrays = {name: RNG(place).normal(0.8, 0.05, (1, 30)) for place, name in enumerate([*names, both])}
    statistics = analyse(rows_of(arrays, folds=1))
    (interaction,) = statistics.interactions
    expected = arrays[both] - arrays[names[1]] - arrays[names[2]] + arrays[names[0]]
    test = stats.ttest_1samp(expected[0], 0)
    assert set(interaction.tricks) == {"Tversky", "NoDeepSupervision"}
    assert interaction.effect.difference == pytest.approx(expected.mean())
    assert interaction.effect.p.p == pytest.approx(test.pvalue)


def test_interactions_are_of_what_stands_on_the_baseline_and_was_trained_as_long() -> None:
    def interactions(names: Sequence[str]) -> list[set[str]]:
        arrays = {name: RNG(place).normal(0.8, 0.05, (1, 30)) for place, name in enumerate(names)}
        return [set(interaction.tricks) for interaction in analyse(rows_of(arrays)).interactions]

    tricks = ("", "Tversky_", "NoDeepSupervision_", "Tversky_NoDeepSupervision_")
    bare = [f"nnUNetTrainer{trick}IFECurvature" for trick in tricks]
    assert interactions(bare) == [{"Tversky", "NoDeepSupervision"}]
    assert interactions([*bare[:3], f"{bare[3]}_9epochs"]) == []


def test_signs_across_data_sets() -> None:
    results = []
    for number in range(6):
        base = noisy(RNG(number), 1, 20)
        arrays = {BASELINE: base, TRICK: base + 0.01, OTHER: base + 0.01 * (-1) ** number}
        results.append(analyse(rows_of(arrays, dataset=f"Dataset00{number}_Made")))
    steady, alternating = across(results)
    assert (steady.gains, steady.losses, alternating.gains, alternating.losses) == (6, 0, 3, 3)
    assert steady.p.p == pytest.approx(stats.binomtest(6, 6).pvalue)
    assert steady.p.holm == pytest.approx(2 * steady.p.p)
    assert alternating.p.p == 1
    with pytest.raises(ValueError, match="Dataset000_Made stands twice"):
        across([results[0], results[0]])


def test_lower_can_be_better() -> None:
    base = noisy(RNG(0), 1, 20)
    effect = one_effect({BASELINE: base, TRICK: base - 0.1}, metric="HD95", unit="mm")
    assert effect.gain == pytest.approx(0.1)
    assert (effect.wins, effect.losses) == (20, 0)


def test_nearer_to_zero_can_be_better() -> None:
    base = noisy(RNG(0), 1, 20) - 0.8
    effect = one_effect({BASELINE: base, TRICK: base / 2}, metric="volume_difference", unit="mL")
    gains = [effect.gain_in(case) for case in effect.ranked()]
    assert effect.better == "zero"
    assert gains == sorted(gains, reverse=True)
    assert gains == pytest.approx(sorted(abs(base[0]) / 2, reverse=True))
    assert math.isnan(effect.gain)


def test_tests_of_nothing_at_all() -> None:
    assert wilcoxon(np.zeros(5)) == t_test(np.zeros(5)) == 1
    assert false_claim(np.zeros(5)) == 0.5


def test_cases_of_a_group_in_two_folds_are_not_kept_apart() -> None:
    cases = Cases.of({"a": "0", "b": "0", "c": "1", "d": "1"}, {"a": "p", "b": "q", "c": "p", "d": "r"})
    assert cases.strata.tolist() == [0, 0, 0]
    assert "more than one fold: p" in cases.notes[0]
