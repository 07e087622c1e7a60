import warnings

import numpy as np
import pytest
from hypothesis import given, settings

from nnunet_tricks.comparison.metrics import Case, Pair, all_metrics
from nnunet_tricks.comparison.metrics.border import border
from tests.comparison.metrics.cases import blobs, masks, scipy_distances

METRICS = {metric.name: metric for metric in all_metrics([0.9, 2])}
VOLUME, ANISOTROPIC = (20, 24, 28), (2.5, 0.8, 0.9)


def values(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...], *names: str) -> list[float]:
    pair = Case(prediction.astype(np.uint8), truth.astype(np.uint8), spacing).pair([1])
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
    found = values(*case, "HD", "HD95", "ASSD", "MASD", "NSD@0.9")
    np.testing.assert_allclose(found, expected, atol=1e-9, rtol=0)


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
    found = values(prediction, truth, ANISOTROPIC, "HD", "ASSD", "NSD@2", "subvoxel_NSD@2")
    assert found == pytest.approx(expected, abs=1e-5)


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
    pair = Pair(mask, mask, (1, 1), ignored=~mask)
    assert METRICS["HD"](pair) == 0
    assert border(mask, ~mask).sum() == 1


def test_what_is_ignored_has_no_say() -> None:
    rng = np.random.default_rng(0)
    truth = blobs(0, VOLUME)[1].astype(np.uint8)
    truth[:, :, :9] = 3
    first, second = (blobs(seed, VOLUME)[0].astype(np.uint8) for seed in (1, 1))
    second[:, :, :9] = rng.integers(0, 3, second[:, :, :9].shape)
    pairs = [Case(prediction, truth, ANISOTROPIC, ignore=3).pair([1]) for prediction in (first, second)]
    for metric in METRICS.values():
        assert metric(pairs[0]) == pytest.approx(metric(pairs[1]), nan_ok=True)
