"""Edges of a truth."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.segmentation import find_boundaries

from nnunet_tricks.tricks.targets.edges import edges, near

LABELS = st.sampled_from([(7, 9), (1, 6), (3, 5, 6), (1, 5, 5)]).flatmap(
    lambda shape: arrays(np.int16, shape, elements=st.integers(0, 3))
)


@given(LABELS)
def test_they_are_the_thick_boundaries_of_scikit_image(labels: np.ndarray) -> None:
    mine = edges(torch.from_numpy(labels)[None, None])[0].numpy()
    assert (mine == find_boundaries(labels, connectivity=labels.ndim, mode="thick")).all()


@given(LABELS)
def test_regions_have_the_edges_of_any_of_them(labels: np.ndarray) -> None:
    whole, core = torch.from_numpy(labels) > 0, torch.from_numpy(labels) > 1
    both = edges(torch.stack([whole, core])[None])
    assert torch.equal(both, edges(whole[None, None]) | edges(core[None, None]))


def test_slices_are_images_of_their_own_where_kernels_are_flat() -> None:
    volume = torch.randint(0, 3, (1, 1, 4, 6, 6), generator=torch.Generator().manual_seed(0))
    slices = torch.stack([edges(volume[:, :, place])[0] for place in range(4)])
    assert torch.equal(edges(volume, axes=(1, 2))[0], slices)
    assert not torch.equal(edges(volume)[0], slices)


def test_what_is_near() -> None:
    flags = torch.zeros(1, 5, 5, dtype=torch.bool)
    flags[0, 2, 2] = True
    assert near(flags).sum() == 9
    assert near(flags, axes=(0,)).sum() == 3
