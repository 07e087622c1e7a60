"""Principal components of rows in a file, against scikit-learn's of the same rows in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.decomposition import PCA

from nnunet_tricks.annotation.principal import projected
from nnunet_tricks.annotation.row_store import RowStore


@pytest.mark.parametrize(("count", "components"), [(200, 50), (900, 10), (5000, 10), (5000, 40)])
def test_components_are_scikit_learns(count: int, components: int) -> None:
    generator = np.random.default_rng(0)
    looks = generator.standard_normal((60, 300)) * np.geomspace(1, 0.05, 60)[:, None]
    rows = (generator.random((count, 60)) @ looks + 3 + 0.01 * generator.standard_normal((count, 300))).astype(
        np.float32
    )
    with RowStore(300, np.float32) as store:
        for part in np.array_split(rows, 7):
            store.add(part)
        scores = projected(store, components)
    solver = "full" if count <= 5 * components else "randomized"
    expected = PCA(components, svd_solver=solver, random_state=0).fit_transform(rows)
    scale = np.abs(expected).max()
    # Signs of components are a convention, and do not matter for angles and distances.
    np.testing.assert_allclose(np.abs(scores), np.abs(expected), atol=2e-3 * scale)
    np.testing.assert_allclose(scores @ scores[:50].T, expected @ expected[:50].T, atol=2e-3 * scale**2)


def test_memory_does_not_hold_all_rows() -> None:
    part = np.random.default_rng(0).random((500, 512), np.float32)
    tracemalloc.start()
    with RowStore(512, np.float32) as store:
        for _ in range(20):
            store.add(part)
        assert projected(store, 4).shape == (10_000, 4)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 0.75 * 20 * part.nbytes
