import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_tricks.comparison.metrics import LabelMapPair, MaskPair, all_metrics, chosen
from nnunet_tricks.comparison.metrics.border import border
from nnunet_tricks.comparison.metrics.subvoxel import Surfaces
from tests.comparison.metrics.cases import blobs, masks, scipy_distances

METRICS = {metric.name: metric for metric in all_metrics([0.9, 2])}
VOLUME, ANISOTROPIC = (20, 24, 28), (2.5, 0.8, 0.9)


def values(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...], *names: str) -> list[float]:
    pair = LabelMapPair(prediction.astype(np.uint8), truth.astype(np.uint8), spacing).pair([1])
    return [METRICS[name](pair) for name in names]


@given(masks())
def test_pooled_family_as_scipy(case) -> None:
    to_truth, to_prediction = scipy_distances(*case)
    pooled = np.concatenate([to_truth, to_prediction])
    expected = [
        pooled.max(),
        np.percentile(pooled, 95),
        pooled.mean(),
        (to_truth.mean() + to_prediction.mean()) / 2,
        (pooled <= 0.9).mean(),
    ]
    computed = values(*case, "HD", "HD95", "ASSD", "MASD", "NSD@0.9")
    np.testing.assert_allclose(computed, expected, atol=1e-9, rtol=0)


@settings(max_examples=40)
@given(masks())
def test_in_pixels_is_with_a_spacing_of_one(case) -> None:
    prediction, truth, spacing = case
    names = ["HD", "HD95", "ASSD", "MASD", "subvoxel_HD95", "subvoxel_ASSD"]
    ones = values(prediction, truth, (1,) * truth.ndim, *names)
    assert values(prediction, truth, spacing, *(f"{name}_px" for name in names)) == ones
    assert values(prediction, truth, spacing, "NSD_px@2") == values(prediction, truth, (1,) * truth.ndim, "NSD@2")


@given(masks())
def test_subvoxel_family_as_surface_distance(case) -> None:
    check_with_surface_distance(*case)


@pytest.mark.parametrize("seed", range(3))
def test_subvoxel_family_of_structures(seed: int) -> None:
    check_with_surface_distance(*blobs(seed, VOLUME), ANISOTROPIC)


def check_with_surface_distance(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]) -> None:
    import surface_distance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = surface_distance.compute_surface_distances(truth, prediction, spacing)
    averages = surface_distance.compute_average_surface_distance(theirs)
    sums = [float(theirs[f"surfel_areas_{which}"].sum()) for which in ("gt", "pred")]
    expected = [
        np.mean(averages),
        np.average(averages, weights=sums),
        surface_distance.compute_surface_dice_at_tolerance(theirs, 0.9),
    ]
    names = ("subvoxel_HD95", "subvoxel_MASD", "subvoxel_ASSD", "subvoxel_NSD@0.9")
    hd95, *others = values(prediction, truth, spacing, *names)
    np.testing.assert_allclose(others, expected, atol=1e-6, rtol=0)
    # One number, but where 95 % of the area end exactly at a distance, rounding decides between it and the next.
    low, high = (surface_distance.compute_robust_hausdorff(theirs, 95 + rounding) for rounding in (-1e-9, 1e-9))
    assert low - 1e-6 <= hd95 <= high + 1e-6


@pytest.mark.parametrize("seed", range(2))
def test_hausdorff_average_and_surface_dice_as_monai(seed: int) -> None:
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    prediction, truth = blobs(seed, VOLUME)
    tensors = [torch.from_numpy(mask)[None, None] for mask in (prediction, truth)]
    shared = {"include_background": True, "spacing": ANISOTROPIC}
    expected = [
        float(compute_hausdorff_distance(*tensors, **shared)),
        float(compute_average_surface_distance(*tensors, symmetric=True, **shared)),
        float(compute_surface_dice(*tensors, [2.0], **shared)),
        float(compute_surface_dice(*tensors, [2.0], use_subvoxels=True, **shared)),
    ]
    computed = values(prediction, truth, ANISOTROPIC, "HD", "ASSD", "NSD@2", "subvoxel_NSD@2")
    assert computed == pytest.approx(expected, abs=1e-5)


TEXTS = st.sampled_from(["0.1", "0.3", "0.6", "0.7", "0.8", "1", "1.2", "0.7421875"])
"""Spacings as people write them."""


def single(text: str) -> float:
    """As NIfTI keeps a number: 0.8 becomes 0.800000012."""
    return float(np.float32(text))


@pytest.mark.parametrize("text", ["0.1", "0.3", "0.7", "0.8", "1", "1.7", "0.9765625"])
@pytest.mark.parametrize("voxels", [1, 2, 3])
def test_a_surface_that_is_as_far_as_the_tolerance_is_near(text: str, voxels: int) -> None:
    truth = np.zeros((12, 12, 14), bool)
    truth[4:7, 4:7, 4:7] = True
    tolerance = voxels * float(text)
    near, too_near = chosen(["NSD", "subvoxel_NSD"], [tolerance]), chosen(["NSD", "subvoxel_NSD"], [tolerance * 0.99])
    for keep in (float, single):
        pair = MaskPair(np.roll(truth, voxels, axis=2), truth, (5.0, 5.0, keep(text)))
        assert [metric(pair) for metric in near[4:]] == [1, 1]
        assert max(metric(pair) for metric in too_near[4:]) < 0.9


@settings(max_examples=30)
@given(masks(dimensions=(3,)), st.tuples(TEXTS, TEXTS, TEXTS), st.integers(1, 3), st.integers(0, 2))
def test_surface_dice_as_monai_at_multiples_of_a_spacing(case, texts, voxels: int, axis: int) -> None:
    import torch
    from monai.metrics import compute_surface_dice

    prediction, truth, _ = case
    spacing, tolerance = tuple(map(single, texts)), voxels * float(texts[axis])
    tensors = [torch.from_numpy(mask)[None, None] for mask in (prediction, truth)]
    # In single precision, as MONAI compares, 9 times 0.1 is more than 3 times 0.3.
    near = {"class_thresholds": [tolerance * (1 + 1e-6)], "include_background": True, "spacing": spacing}
    expected = [float(compute_surface_dice(*tensors, **near, use_subvoxels=fine)) for fine in (False, True)]
    pair = LabelMapPair(prediction.astype(np.uint8), truth.astype(np.uint8), spacing).pair([1])
    computed = [metric(pair) for metric in chosen(["NSD", "subvoxel_NSD"], [tolerance])[4:]]
    assert computed == pytest.approx(expected, abs=1e-5)


@settings(max_examples=30)
@given(masks(), st.integers(1, 3), st.integers(0, 1))
def test_subvoxel_surface_dice_as_surface_distance_at_multiples_of_a_spacing(case, voxels: int, axis: int) -> None:
    import surface_distance

    prediction, truth, spacing = case
    tolerance = voxels * spacing[axis]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = surface_distance.compute_surface_distances(truth, prediction, spacing)
    # Its own comparison is exact, and 3 * 0.1 is more than 0.3.
    expected = surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance * (1 + 1e-9))
    for kept in (spacing, tuple(map(single, spacing))):
        pair = LabelMapPair(prediction.astype(np.uint8), truth.astype(np.uint8), kept).pair([1])
        (metric,) = chosen(["subvoxel_NSD"], [tolerance])[4:]
        assert metric(pair) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("areas", "expected"), [([1] * 20, 18.0), ([0.1] * 20, 18.0), ([0.3] * 19 + [0.31], 19.0)])
def test_a_percentile_that_ends_exactly_at_an_element(areas: list[float], expected: float) -> None:
    """19 of 20 equal areas are 95 %, however their sum is rounded; a little less is not."""
    surfaces = Surfaces(np.arange(20.0), np.zeros(20), np.array(areas), np.ones(20))
    assert surfaces.percentile(95) == expected


def test_a_tolerance_keeps_its_digits() -> None:
    (metric,) = chosen(["NSD"], [0.74218751])[4:]
    assert metric.name == "NSD@0.74218751"
    assert metric.tolerance == float(metric.name.partition("@")[2])


@settings(max_examples=25)
@given(masks())
def test_symmetry_and_identity(case) -> None:
    prediction, truth, spacing = case
    for name, metric in METRICS.items():
        if metric.group.startswith(("surface", "subvoxel")):
            assert values(prediction, truth, spacing, name) == pytest.approx(values(truth, prediction, spacing, name))
            assert values(truth, truth, spacing, name) == [1 if "NSD" in name else 0]


@given(masks(dimensions=(3,)))
def test_swapping_axes_changes_nothing(case) -> None:
    prediction, truth, spacing = case
    names = ["HD", "HD95", "ASSD", "subvoxel_HD95", "subvoxel_ASSD"]
    turned = values(prediction.T, truth.T, spacing[::-1], *names)
    assert turned == pytest.approx(values(prediction, truth, spacing, *names), abs=1e-9)


def test_a_volume_of_one_slice_is_an_image() -> None:
    prediction, truth = blobs(0, (30, 30))
    names = ["HD95", "ASSD", "NSD@2", "subvoxel_ASSD"]
    flat = values(prediction, truth, (1.5, 0.5), *names)
    assert values(prediction[None], truth[None], (999, 1.5, 0.5), *names) == flat


def test_a_missed_structure_costs_the_images_diagonal() -> None:
    truth = np.zeros((3, 4, 12), bool)
    truth[0, 0, 0] = True
    empty = np.zeros_like(truth)
    for masks_ in ((empty, truth), (truth, empty)):
        assert values(*masks_, (1, 1, 1), "HD", "HD95_px", "NSD@2") == [13, 13, 0]
        assert values(*masks_, (2, 2, 2), "HD", "HD95_px", "subvoxel_ASSD") == [26, 13, 26]


def test_no_border_towards_ignored_voxels() -> None:
    mask = np.zeros((5, 5), bool)
    mask[1:4, 1:4] = True
    ignored = np.zeros_like(mask)
    ignored[:, 4] = True
    mask[:, 4] = False
    assert not border(mask, ignored)[2, 3]
    assert border(mask)[2, 3]
    assert border(mask, ignored)[1, 3]


def test_a_mask_enclosed_by_ignored_voxels_still_has_a_border() -> None:
    mask = np.zeros((5, 5), bool)
    mask[2, 2] = True
    pair = MaskPair(mask, mask, (1, 1), ignored=~mask)
    assert METRICS["HD"](pair) == 0
    assert border(mask, ~mask).sum() == 1


def test_what_is_ignored_has_no_say() -> None:
    rng = np.random.default_rng(0)
    truth = blobs(0, VOLUME)[1].astype(np.uint8)
    truth[:, :, :9] = 3
    first, second = (blobs(seed, VOLUME)[0].astype(np.uint8) for seed in (1, 1))
    second[:, :, :9] = rng.integers(0, 3, second[:, :, :9].shape)
    pairs = [LabelMapPair(prediction, truth, ANISOTROPIC, ignore=3).pair([1]) for prediction in (first, second)]
    for metric in METRICS.values():
        assert metric(pairs[0]) == pytest.approx(metric(pairs[1]), nan_ok=True)
