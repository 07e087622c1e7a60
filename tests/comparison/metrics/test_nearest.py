import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from nnunet_tricks.comparison.metrics import nearest
from nnunet_tricks.comparison.metrics.nearest import distances
from tests.comparison.metrics.cases import masks


def expected(sources: np.ndarray, targets: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    return ndimage.distance_transform_edt(~targets, sampling=spacing)[sources]


@given(masks())
def test_as_scipys_distance_transform(case) -> None:
    sources, targets, spacing = case
    np.testing.assert_allclose(distances(sources, targets, spacing), expected(*case), atol=1e-9)


@pytest.mark.parametrize("many", [0, 10**9], ids=["drop targets first", "tree"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.7, 0.8), (0.2, 5.0, 1.0)])
def test_far_voxels(spacing: tuple[float, ...], many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "MANY", many)
    rng = np.random.default_rng(0)
    sources, targets = rng.random((2, 30, 40, 50)) < 0.02
    sources[:10], targets[12:, :, :20] = False, False
    np.testing.assert_allclose(
        distances(sources, targets, spacing), expected(sources, targets, spacing), atol=1e-9, rtol=0
    )


@given(st.integers(0, 1000), st.integers(1, 4), st.sampled_from([16, 1 << 16]))
def test_dropping_targets_drops_none_that_is_nearest(seed: int, dimensions: int, work: int) -> None:
    rng = np.random.default_rng(seed)
    points, targets = (rng.integers(0, 6, (count, dimensions)) * 0.7 for count in (40, 60))
    computed = nearest._of_far_points(points, targets, work=work)
    np.testing.assert_allclose(computed, np.linalg.norm(points[:, None] - targets, axis=-1).min(axis=1), atol=1e-9)
