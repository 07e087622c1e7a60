import numpy as np
import pytest

from nnunet_tricks.comparison.statistics import bootstrap
from nnunet_tricks.comparison.statistics.values import Cases

CASES = Cases.of({f"case_{case}": str(case % 3) for case in range(23)}, None)


def drawn_at_once(cases: Cases, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Draws with replacement, counted one by one."""
    times = np.zeros((draws, len(cases.strata)))
    for stratum in np.unique(cases.strata):
        members = np.flatnonzero(cases.strata == stratum)
        for draw, chosen in enumerate(generator.integers(0, len(members), size=(draws, len(members)))):
            np.add.at(times[draw], members[chosen], 1)
    return times - 1


@pytest.mark.parametrize("block", [1, 50, 1 << 24])
def test_draws_and_products_in_blocks_are_those_of_the_whole(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "BLOCK", block)
    matrix = np.random.default_rng(1).normal(size=(23, 4))
    weights = bootstrap.weights(CASES, 300, np.random.default_rng(0))
    expected = drawn_at_once(CASES, 300, np.random.default_rng(0))
    np.testing.assert_array_equal(weights, expected)
    np.testing.assert_allclose(bootstrap.moved_by(weights, matrix), expected @ matrix, atol=1e-12)
    signs, exact = bootstrap.signs(23, 300, np.random.default_rng(0))
    assert not exact
    whole = np.where(np.random.default_rng(0).random((300, 23), np.float32) < 0.5, -1, 1)
    np.testing.assert_array_equal(signs, whole)
