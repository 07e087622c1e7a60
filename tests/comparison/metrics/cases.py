"""Random masks, and what libraries that we did not write say about them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

SPACINGS = st.sampled_from([0.5, 0.8, 1.0, 1.3, 3.0])


@st.composite
def masks(draw: st.DrawFn, *, dimensions: tuple[int, ...] = (2, 3), empty: bool = False):
    """Two masks of the same shape, and a spacing; neither is empty unless asked for."""
    count = draw(st.sampled_from(dimensions))
    shape = draw(st.tuples(*[st.integers(2, 7)] * count))
    both = [draw(arrays(bool, shape)) for _ in range(2)]
    if not empty:
        for mask in both:
            mask.flat[draw(st.integers(0, mask.size - 1))] = True
    return (*both, draw(st.tuples(*[SPACINGS] * count)))


def blobs(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A smooth structure of several parts, and another that overlaps it."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(2, *shape)), (0, *[2] * len(shape)))
    first = noise[0] > np.quantile(noise[0], 0.8)
    return first, first ^ (noise[1] > np.quantile(noise[1], 0.93))


def scipy_distances(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]):
    """Both directions between border voxels, by erosion and a distance transform of the whole volume."""
    predicted, true = (mask & ~ndimage.binary_erosion(mask) for mask in (prediction, truth))
    return (
        ndimage.distance_transform_edt(~true, sampling=spacing)[predicted],
        ndimage.distance_transform_edt(~predicted, sampling=spacing)[true],
    )
