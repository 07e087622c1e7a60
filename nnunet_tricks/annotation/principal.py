"""Principal components of more rows than memory holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from nnunet_tricks.annotation.row_store import RowStore

Array = NDArray[np.float32]

_EXTRA = 10
_IN_MEMORY = 4096
"""Most rows in memory: with 4,096 numbers each, these are 64 MiB."""


def projected(rows: RowStore, components: int) -> Array:
    """Project all rows on their first principal components.

    This is the randomized method of Halko et al. 2011, with scikit-learn's steps and random numbers. Up to rounding and
    the signs of components, the result is that of ``sklearn.decomposition.PCA`` for the same rows in memory.

    Args:
        rows: The rows, more than components.
        components: Number of components.

    Returns:
        An array of shape (rows, components).
    """
    from sklearn.decomposition import PCA

    if len(rows) <= max(_IN_MEMORY, 5 * components, rows.width):
        together = rows.take(range(len(rows)))
        solver = "full" if len(rows) <= 5 * components else "randomized"
        scores: Array = PCA(components, svd_solver=solver, random_state=0).fit_transform(together)
        return scores
    mean = (sum(chunk.sum(axis=0, dtype=np.float64) for _, chunk in rows.chunks()) / len(rows)).astype(np.float32)
    rounds = 7 if components < 0.1 * rows.width else 4
    # The generator and the order of its numbers are scikit-learn's.
    start = np.random.RandomState(0).normal(size=(rows.width, components + _EXTRA))
    basis: Array = start.astype(np.float32)
    for _ in range(rounds):
        across, _ = linalg.lu(_times(rows, mean, basis), permute_l=True, overwrite_a=True)
        basis, _ = linalg.lu(_transposed_times(rows, mean, across), permute_l=True)
    across, _ = linalg.qr(_times(rows, mean, basis), mode="economic", overwrite_a=True)
    inner, lengths, _ = linalg.svd(_transposed_times(rows, mean, across).T, full_matrices=False)
    scores = across @ (inner[:, :components] * lengths[:components])
    return scores


def _times(rows: RowStore, mean: Array, factor: Array) -> Array:
    """Multiply centred rows by a matrix with a row for each of their numbers."""
    product = np.empty((len(rows), factor.shape[1]), np.float32)
    of_mean = mean @ factor
    for place, chunk in rows.chunks():
        np.subtract(chunk @ factor, of_mean, out=product[place])
    return product


def _transposed_times(rows: RowStore, mean: Array, factor: Array) -> Array:
    """Multiply the transpose of centred rows by a matrix with a row for each of them."""
    product = np.zeros((rows.width, factor.shape[1]), np.float32)
    for place, chunk in rows.chunks():
        product += chunk.T @ factor[place]
    return product - np.outer(mean, factor.sum(axis=0))
