"""A setting without effect is not sold as a gain."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_tricks.tricks.inference.tuning.nested import LEVEL, Choice, nested_choice, surviving


def _family(generator: np.random.Generator, cases: int, candidates: int, effect: float) -> list[Choice]:
    """Choices of six settings, as tune has them: candidates next to each other are alike."""
    choices = []
    for _ in range(6):
        base = generator.uniform(0.5, 0.9, (cases, 1))
        steps = generator.normal(0, 0.01, (cases, candidates)) * (generator.random((cases, 1)) < 0.5)
        steps[:, candidates // 2] = 0
        moved = effect * (np.arange(candidates) == candidates - 1)
        values = base + steps.cumsum(1) - steps.cumsum(1)[:, [candidates // 2]] + moved
        choices.append(nested_choice(values, candidates // 2, [str(case % 5) for case in range(cases)]))
    return choices


@pytest.mark.parametrize("cases", [25, 100])
def test_settings_without_effect_survive_in_less_than_five_percent(cases: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnunet_tricks.tricks.inference.tuning.nested.DRAWS", 999)
    generator = np.random.default_rng(0)
    draws = 600
    false = sum(any(surviving(_family(generator, cases, 9, 0.0))) for _ in range(draws))
    # 5 %, and three standard errors of 600 draws.
    assert false / draws < 0.05 + 3 * (0.05 * 0.95 / draws) ** 0.5


def test_a_real_effect_survives_and_the_naive_gain_is_larger_without_one() -> None:
    generator = np.random.default_rng(1)
    assert all(surviving(_family(generator, 60, 9, 0.05)))
    noise = generator.normal(0, 0.1, (40, 30))
    noise[:, 0] = 0
    choice = nested_choice(0.7 + noise, 0, [str(case % 5) for case in range(40)])
    assert choice.naive > 0.02
    assert choice.optimism > 0.01
    assert choice.p > LEVEL


def test_nothing_is_chosen_that_is_no_better() -> None:
    choice = nested_choice(np.full((10, 5), 0.5), 2, ["0", "1"] * 5)
    assert (choice.chosen, choice.gain, choice.p) == (2, 0.0, 1.0)


def test_one_fold_cannot_be_tuned() -> None:
    with pytest.raises(ValueError, match="all cases are of fold 0: tuning needs at least two folds"):
        nested_choice(np.zeros((3, 2)), 0, ["0"] * 3)
