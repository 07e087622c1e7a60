import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from nnunet_tricks.comparison.when import PARTS, RIDGE, _explained, _parts, answers, fit, question_of

DRAWS = 199


def simulated(seed: int, cases: int = 60, slope: float = 0.0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Traits, gains with a fold's own offset and heavy tails, folds."""
    generator = np.random.default_rng(seed)
    traits = generator.normal(size=(cases, 4))
    traits[:, 1] = 0.8 * traits[:, 0] + 0.6 * traits[:, 1]
    folds = [str(number % 5) for number in range(cases)]
    offsets = generator.normal(scale=0.01, size=5)[np.arange(cases) % 5]
    return traits, slope * traits[:, 0] + offsets + 0.02 * generator.standard_t(3, size=cases), folds


def test_no_pattern_is_seen_where_there_is_none() -> None:
    trials = 400
    false = sum(fit(*simulated(seed), seed=seed, draws=DRAWS).p <= 0.05 for seed in range(trials))
    # At most 5 %; three standard errors of this many trials on top.
    assert false <= trials * (0.05 + 3 * np.sqrt(0.05 * 0.95 / trials))


def test_an_offset_of_folds_that_differ_in_their_cases_is_no_pattern() -> None:
    trials, false = 200, 0
    for seed in range(trials):
        traits, gains, folds = simulated(seed)
        traits[:, 0] += np.arange(len(gains)) % 5
        gains += 0.02 * (np.arange(len(gains)) % 5)
        false += fit(traits, gains, folds, seed=seed, draws=DRAWS).p <= 0.05
    assert false <= trials * (0.05 + 3 * np.sqrt(0.05 * 0.95 / trials))


def test_a_pattern_is_found() -> None:
    fits = [fit(*simulated(seed, slope=0.03), seed=seed, draws=DRAWS) for seed in range(50)]
    assert sum(result.p <= 0.05 for result in fits) >= 45
    assert np.mean([result.weights[0] for result in fits]) > 0.015


def test_predictions_are_those_of_scikit_learn() -> None:
    traits, gains, _ = simulated(3, slope=0.02)
    parts = _parts(traits, np.random.default_rng(0).permutation(len(gains)))
    assert len(parts) == PARTS
    ours = np.empty_like(gains)
    for part in parts:
        fitted = Ridge(alpha=RIDGE).fit(traits[part.others], gains[part.others])
        ours[part.cases] = fitted.predict(traits[part.cases])
        np.testing.assert_allclose(part.predicted(gains[:, None])[:, 0], ours[part.cases], atol=1e-12)
    # Their measure compares with the mean of all cases, ours with the mean of the others, which is a little worse.
    explained = _explained(gains[:, None], parts)[0]
    assert r2_score(gains, ours) < explained < r2_score(gains, ours) + 0.05


def test_small_cases_whose_gains_scatter_more_are_no_pattern() -> None:
    trials, false = 300, 0
    for seed in range(trials):
        traits, _, folds = simulated(seed)
        gains = np.exp(-0.7 * traits[:, 0]) * np.random.default_rng(10_000 + seed).normal(size=len(traits))
        false += fit(traits, gains, folds, seed=seed, draws=DRAWS).p <= 0.05
    assert false <= trials * (0.05 + 2 * np.sqrt(0.05 * 0.95 / trials))


def test_what_rounding_leaves_of_equal_gains_is_no_pattern() -> None:
    baseline = np.random.default_rng(0).uniform(0.2, 0.9, 40)
    traits = np.stack([baseline, np.full(40, 0.1) * 3], axis=1)
    assert fit(traits, (baseline + 0.1) - baseline, ["0", "1"] * 20).p == 1


@pytest.mark.parametrize("gains", [np.zeros(30), np.full(30, 0.1)])
def test_the_same_gain_everywhere_is_no_pattern(gains: np.ndarray) -> None:
    assert fit(np.random.default_rng(0).normal(size=(30, 2)), gains).p == 1


def question(slope: float, cases: int = 60):
    traits, gains, folds = simulated(1, cases, slope)
    names = [f"case_{number:02d}" for number in range(cases)]
    by_case = {
        name: {"size": float(10 ** row[0]), "count": 1.0, "contrast": float(row[2]), "spacing": np.nan}
        for name, row in zip(names, traits, strict=True)
    }
    return question_of(
        "Tversky", "tumour", dict(zip(names, gains, strict=True)), by_case, dict(zip(names, folds, strict=True))
    )


def test_sentences() -> None:
    pattern, nothing, few = answers([question(-0.05), question(0.0), question(-0.05, 19)], draws=999)
    assert set(pattern.question.traits) == {"size", "contrast"}
    assert pattern.has_pattern
    assert pattern.sentence.startswith("Tversky, tumour: the gain is higher where size is smaller (Spearman -0.")
    assert nothing.sentence.startswith("Tversky, tumour: no pattern found in 60 cases (p = ")
    assert few.sentence == "Tversky, tumour: not looked for (19 cases, and at least 20 are needed)."


def test_infinite_gains_are_not_left_out() -> None:
    gains = {f"case_{number}": -np.inf if number < 3 else 0.1 * number for number in range(40)}
    traits = {case: {"size": float(number + 1)} for number, case in enumerate(gains)}
    groups = {case: f"p{number // 2}" for number, case in enumerate(gains)}
    for of_groups in (None, groups):
        (answer,) = answers([question_of("CE", "tumour", gains, traits, dict.fromkeys(gains, "0"), of_groups)])
        assert not answer.has_pattern
        assert answer.sentence == "CE, tumour: not looked for (the gain is infinite in 3 cases)."


@pytest.mark.parametrize(
    ("traits", "gains", "word"),
    [
        (np.zeros((19, 1)), np.zeros(19), "19 cases"),
        (np.zeros((30, 1)), np.zeros(29), "for 29 gains"),
        (np.full((30, 1), np.nan), np.zeros(30), "finite"),
    ],
)
def test_what_cannot_be_fitted_is_refused(traits: np.ndarray, gains: np.ndarray, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        fit(traits, gains)
