"""Masks between annotated slices: identities, and the table measured on expert masks."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnunet_tricks.annotation.interpolation import interpolate
from nnunet_tricks.annotation.interpolation.nearest import copied
from nnunet_tricks.annotation.interpolation.propagation import propagated
from nnunet_tricks.annotation.quality import measured, overlap

METHODS = ("copy", "sdf")
LABELS = arrays(np.uint8, st.tuples(st.integers(1, 9), st.just(6), st.just(5)), elements=st.sampled_from([0, 0, 1, 4]))


@st.composite
def annotations(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    labels = draw(LABELS)
    return labels, sorted(draw(st.sets(st.integers(0, len(labels) - 1), min_size=1)))


@pytest.mark.parametrize("method", METHODS)
@given(case=annotations())
def test_annotated_slices_stay_and_others_are_not_read(method: str, case: tuple[np.ndarray, list[int]]) -> None:
    labels, known = case
    other = np.full_like(labels, 9)
    other[known] = labels[known]
    filled = interpolate(other, known, method=method)
    np.testing.assert_array_equal(filled, interpolate(labels, known, method=method))
    np.testing.assert_array_equal(filled[known], labels[known])
    assert filled.dtype == labels.dtype
    assert set(np.unique(filled)) <= {*np.unique(labels[known]), 0}


@pytest.mark.parametrize("method", METHODS)
@given(case=annotations())
def test_turned_volumes_give_turned_masks(method: str, case: tuple[np.ndarray, list[int]]) -> None:
    labels, known = case
    filled = interpolate(labels, known, method=method)
    sideways = interpolate(labels[:, :, ::-1].swapaxes(1, 2), known, method=method)
    np.testing.assert_array_equal(sideways.swapaxes(1, 2)[:, :, ::-1], filled)
    if method == "sdf":
        inside = slice(known[0], known[-1] + 1)
        back = [len(labels) - 1 - index for index in known]
        upside_down = interpolate(labels[::-1], back, method=method)[::-1]
        np.testing.assert_array_equal(upside_down[inside], filled[inside])


@pytest.mark.parametrize("method", METHODS)
def test_prisms_are_reproduced_and_dense_labels_stay(method: str) -> None:
    prism = np.zeros((11, 20, 20), np.int16)
    prism[:, 4:12, 5:15], prism[:, 6:9, 7:10] = 1, 2
    np.testing.assert_array_equal(interpolate(prism, [0, 6, 10], method=method), prism)
    anything = np.random.default_rng(0).integers(0, 4, (5, 8, 8))
    np.testing.assert_array_equal(interpolate(anything, range(5), method=method), anything)


def test_a_cone_is_nearer_to_the_truth_by_shapes_than_by_copies() -> None:
    radius = np.linspace(4, 20, 17)[:, None, None]
    across = np.arange(-24, 25)
    cone = (across[:, None] ** 2 + across**2 <= radius**2).astype(np.uint8)
    scores = {name: overlap(interpolate(cone, [0, 8, 16], method=name) > 0, cone > 0) for name in METHODS}
    assert scores["sdf"] > 0.97 > 0.85 > scores["copy"]


def test_an_object_that_one_end_lacks_stops_half_way() -> None:
    ball = np.zeros((9, 15, 15), np.uint8)
    ball[0, 3:12, 3:12] = 1
    areas = (interpolate(ball, [0, 8]) > 0).sum(axis=(1, 2))
    assert (np.diff(areas) <= 0).all()
    assert areas[3] > 0 == areas[4]


def test_pixels_are_measured_in_mm() -> None:
    slab = np.zeros((3, 41, 41), np.uint8)
    slab[0, 18:23, 18:23] = slab[2, 10:31, 10:31] = 1
    square, flat = (interpolate(slab, [0, 2], spacing=spacing)[1] for spacing in ((1, 1), (1, 4)))
    np.testing.assert_array_equal(square, square.T)
    assert not np.array_equal(flat, flat.T)


@given(case=annotations())
def test_handing_on_what_one_has_is_copying(case: tuple[np.ndarray, list[int]]) -> None:
    labels, known = case
    ours = propagated(labels, known, lambda index, neighbour, mask: mask, empty_claims=True)
    np.testing.assert_array_equal(ours, copied(labels, known))


def test_wrong_input_is_refused() -> None:
    labels = np.zeros((3, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="method must be one of copy, sdf, learned, chain"):
        interpolate(labels, [0], method="spline")
    with pytest.raises(ValueError, match="must name at least one slice"):
        interpolate(labels, [])
    with pytest.raises(ValueError, match="must be from 0 to 2, got 1 to 3"):
        interpolate(labels, [1, 3])
    with pytest.raises(ValueError, match="must have 3 axes, slices first, got 2"):
        interpolate(labels[0], [0])


def test_the_measured_table_is_reached_on_expert_masks(sample_data: Path) -> None:
    """Two of six volumes; ``benchmarks/annotation.py`` has all."""
    means: dict[tuple[str, str, float], list[float]] = {}
    for case in ("case_00021", "case_00061"):
        image = nibabel.load(sample_data / "kits19_masks" / case / "segmentation.nii.gz")
        truth = np.asarray(image.dataobj)[::-1]  # stored from superior to inferior
        for row in measured(case, truth, (5.0, 0.9, 0.9), {"kidney": [1, 2]}, densities=(0.2, 0.8)):
            means.setdefault((row.region, row.method, row.density), []).append(row.iou)
    for density, least in ((0.2, 0.82), (0.8, 0.97)):
        copy, sdf = (np.mean(means["kidney", method, density]) for method in ("copy", "sdf"))
        assert sdf > max(copy, least)
