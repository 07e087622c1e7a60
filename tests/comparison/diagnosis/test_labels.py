"""Faults of labels: the order of regions against nnU-Net's own conversion, and displacements that are known."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_tricks.comparison.diagnosis.alignment import LEAST, REACH, displacement, fit_of, peak
from nnunet_tricks.comparison.diagnosis.labels import region_order
from tests.comparison.diagnosis.world import cells


def gives_back(description: Mapping[str, Any]) -> bool:
    """Whether nnU-Net turns a perfect prediction into the label map that it was made from."""
    manager = LabelManager(description["labels"], description["regions_class_order"])
    truth = np.array(sorted(manager.all_labels))
    regions = [(region,) if isinstance(region, int) else region for region in manager.foreground_regions]
    probabilities = np.stack([np.isin(truth, region) for region in regions]).astype(np.float32)
    written = manager.convert_probabilities_to_segmentation(probabilities[:, None, None])
    return bool((np.asarray(written)[0, 0] == truth).all())


REGIONS = st.lists(st.sets(st.sampled_from([1, 2, 3]), min_size=1).map(sorted), min_size=2, max_size=3)


@given(REGIONS, st.randoms(use_true_random=False))
def test_an_order_is_wrong_where_nnunet_does_not_give_labels_back(regions: list[list[int]], random: Any) -> None:
    order = [random.choice([1, 2, 3]) for _ in regions]
    labels: dict[str, Any] = {"background": 0} | {f"region{place}": region for place, region in enumerate(regions)}
    if all(len(region) == 1 for region in regions):
        labels["region0"] = [1, 2]
    description = {"labels": labels, "regions_class_order": order}
    assert bool(list(region_order(description))) != gives_back(description)


def test_the_order_that_is_advised_is_right() -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "active": 3}
    for order in itertools.permutations([1, 2, 3]):
        findings = list(region_order({"labels": labels, "regions_class_order": list(order)}))
        assert bool(findings) == (order != (1, 2, 3))
        assert all("'regions_class_order' must be [1, 2, 3]" in finding.advice[0] for finding in findings)
    (finding,) = region_order({"labels": {"background": 0, "core": 2, "whole": [1, 2]}, "regions_class_order": [2, 1]})
    assert "name the regions from large to small in dataset.json (whole, core)" in finding.advice[0]


@settings(max_examples=15, deadline=None)
@given(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), st.integers(0, 99))
def test_a_common_displacement_is_found(steps: tuple[int, int], seed: int) -> None:
    cases = [cells(seed + number) for number in range(5)]
    moved = [(image, np.roll(labels, steps, (1, 2))) for image, labels in cases]
    found = displacement(moved)
    assert found.common is not None
    assert np.abs(np.subtract(found.common, steps)).max() <= 1
    if max(map(abs, steps)) != LEAST:
        assert found.is_common == (max(map(abs, steps)) >= LEAST)


def test_displacements_that_differ_are_found_and_good_labels_are_not() -> None:
    rng = np.random.default_rng(0)
    cases = [cells(number) for number in range(12)]
    for kind in ("2D", "3D"):
        cases = [cells(number, size=(1, 96, 96) if kind == "2D" else (32, 40, 40)) for number in range(8)]
        assert not displacement(cases).is_common
        assert not displacement(cases).is_different
        far = [(image, np.roll(labels, rng.choice([-7, 7], 2), (1, 2))) for image, labels in cases]
        assert displacement(far).is_different or displacement(far).is_common


def test_nothing_is_said_of_labels_without_edges() -> None:
    rng = np.random.default_rng(0)
    cases = [(rng.normal(size=(1, 1, 96, 96)).astype(np.float32), cells(number)[1]) for number in range(8)]
    assert not displacement(cases).is_common
    assert not displacement(cases).is_different


@pytest.mark.parametrize("value", [0, 1])
def test_maps_without_a_border_are_left_out(value: int) -> None:
    image, labels = cells(0)
    assert fit_of(image, np.full_like(labels, value)) is None
    assert fit_of(np.full_like(image, np.nan), labels) is None
    assert fit_of(image[..., :8, :8], labels[..., :8, :8]) is None


def test_the_middle_of_a_fit_is_no_displacement() -> None:
    for size in ((1, 96, 96), (1, 95, 97), (1, 80, 101)):
        image, labels = cells(3, size=size)
        fit = fit_of(image, labels)
        assert fit is not None
        assert max(fit.shape) == 2 * REACH + 1
        steps, height = peak(fit)
        assert max(map(abs, steps)) <= 1
        assert height > 5
