from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare, kstest

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.augmentation.patch import Patch
from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.spatial import OUTSIDE, Step, Turn, Warp
from nnunet_tricks.tricks.augmentation.zoom import Zoom
from tests.tricks.augmentation.cases import (
    CUBE,
    FLAT,
    PATCHES,
    SLICES,
    applied,
    augmented,
    blocks,
    middle,
    places,
    seeds,
)

STEPS: tuple[Step, ...] = (
    Warp(p=1, scale=(0.7, 1.4)),
    Warp(p=1, shift=0.2),
    Warp(p=1, bend=0.05),
    Warp(p=1, scale=(0.9, 1.1), shift=0.1),
    Turn(p=1, axes=(0, 1)),
    Turn(p=1, axes=()),
)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: str(patch.size))
@pytest.mark.parametrize("step", STEPS, ids=str)
def test_images_and_labels_move_together_and_labels_stay_labels(patch: Patch, step: Step) -> None:
    recipe = Recipe(patch, [step], mirror=(0, 1))
    image, labels = blocks(recipe.loaded_size)
    for _ in seeds(8):
        moved, truth = augmented(recipe, image, labels)
        assert moved.shape[1:] == truth.shape[1:] == patch.size
        assert truth.dtype == torch.int16
        assert set(truth.unique().tolist()) <= {0, 1, 3, OUTSIDE}
        # Between two labels the image has values between them; where it has a label's, deep inside a block, it is that.
        inside = (moved == 0) | (moved == 1) | (moved == 3)
        assert inside.float().mean() > 0.1
        same = (moved == truth)[inside]
        assert same.float().mean() > (1 if isinstance(step, Turn) else 0.95) - 1e-6


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: str(patch.size))
def test_with_probability_zero_the_middle_of_what_was_read_comes_out_untouched(patch: Patch) -> None:
    recipe = Recipe(patch, [Warp(p=0, scale=(0.5, 2), shift=0.1), Turn(p=0, axes=patch.plane.turning_axes)])
    image, labels = blocks(recipe.loaded_size)
    for _ in seeds(5):
        same, truth = augmented(recipe, image, labels)
        assert torch.equal(same, middle(image, patch.size))
        assert torch.equal(truth, middle(labels, patch.size))


@settings(max_examples=40)
@given(
    size=st.tuples(*[st.integers(4, 40)] * 2),
    rotation=st.floats(0, 90),
    scale=st.floats(0.5, 1),
    shift=st.floats(0, 0.3),
)
def test_a_warp_reads_enough_of_the_image(size, rotation: float, scale: float, shift: float) -> None:
    """Nothing that it leaves comes from beyond what it read."""
    warp = Warp(p=1, rotation=rotation, scale=(scale, scale), shift=shift)
    patch = Patch(size, (1, 1), by_slices=False, colour=False)
    recipe = Recipe(patch, [warp])
    everywhere = torch.ones(1, *recipe.loaded_size, dtype=torch.int16)
    for _ in seeds(3):
        assert augmented(recipe, everywhere.float(), everywhere)[1].min() == 1


def test_objects_grow_with_the_scale() -> None:
    for scale in (0.8, 1.25):
        patch = Patch((40, 40, 40), (1, 1, 1), by_slices=False, colour=False)
        recipe = Recipe(patch, [Warp(p=1, scale=(scale, scale))])
        grid = torch.meshgrid(*(torch.arange(side) - (side - 1) / 2 for side in recipe.loaded_size), indexing="ij")
        ball = (sum(axis**2 for axis in grid) < 144).to(torch.int16)[None]
        grown = augmented(recipe, ball.float(), ball)[1].sum() / ball.sum()
        assert float(grown) == pytest.approx(scale**3, rel=0.05)


@pytest.mark.parametrize("patch", [FLAT, CUBE], ids=lambda patch: str(patch.size))
@pytest.mark.parametrize("scale", [0.85, 0.93, 1.0, 1.21])
def test_a_zoom_is_what_batchgenerators_makes_of_it(patch: Patch, scale: float) -> None:
    warp = Warp(p=1, scale=(scale, scale))
    read = warp.read(patch.size) if scale < 1 else tuple(side + 6 for side in patch.size)
    theirs = SpatialTransform(patch.size, 0, False, p_scaling=1, scaling=1 / scale, p_synchronize_scaling_across_axes=1)
    _, labels = blocks(read)
    image = torch.randn(2, *read)
    zoomed, expected = applied([warp.transform(patch.size)], image, labels), applied([theirs], image, labels)
    torch.testing.assert_close(zoomed["image"], expected["image"], rtol=1e-4, atol=1e-4)
    assert (zoomed["segmentation"] == expected["segmentation"]).float().mean() > 0.999
    # Two labels take another way.
    two = (labels == 3).to(torch.int16)
    zoomed, expected = applied([warp.transform(patch.size)], image, two), applied([theirs], image, two)
    assert (zoomed["segmentation"] == expected["segmentation"]).float().mean() > 0.999


def test_a_zoom_draws_uniformly_and_needs_no_surroundings() -> None:
    zoom = Warp(p=1, scale=(0.85, 1.25)).transform((8, 8))
    assert isinstance(zoom, Zoom)
    assert kstest([zoom.get_parameters()["scale"] for _ in seeds(600)], "uniform", (0.85, 0.4)).pvalue > 0.01
    row = torch.arange(3.0)[None, :, None].expand(1, 3, 1)
    large = Zoom((6, 4), (2, 2))(image=row, segmentation=row.to(torch.int16))
    assert large["image"][0, :, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2]
    assert large["segmentation"][0, :, 3].tolist() == [0, 0, 1, 1, 2, 2]


def shown(warp: Warp, size: tuple[int, ...], draws: int) -> np.ndarray:
    """Which places of what was read each draw shows: (draws, axes, *size)."""
    read, transform = places(warp.read(size)), warp.transform(size)
    return np.stack([applied([transform], read, read[:1].short())["image"].numpy() for _ in seeds(draws)])


def test_what_a_warp_does_is_uniform_in_its_ranges() -> None:
    size = (40, 30)
    places = shown(Warp(p=1, scale=(0.85, 1.25), shift=0.1, rotation=45), size, 600)
    rows = np.gradient(places, axis=2).mean((2, 3))  # how far a step along the first axis leads
    assert kstest(1 / np.hypot(*rows.T), "uniform", (0.85, 0.4)).pvalue > 0.01
    assert kstest(np.degrees(np.arctan2(rows[:, 1], rows[:, 0])), "uniform", (-45, 90)).pvalue > 0.01
    for axis, side in enumerate(size):
        assert kstest(places[:, axis].mean((1, 2)) / side, "uniform", (-0.1, 0.2)).pvalue > 0.01


@pytest.mark.parametrize(
    ("size", "shift", "most"), [((20, 33), 0.1, (2, 3)), ((128, 10), 0.1, (12, 1)), ((7, 30), 0.29, (2, 8))]
)
def test_pure_shifts_are_by_whole_voxels_all_alike(size, shift: float, most) -> None:
    shifts = shown(Warp(p=1, shift=shift), size, 600).mean((2, 3))
    for axis, largest in enumerate(most):
        moved = np.round(shifts[:, axis]).astype(int)
        np.testing.assert_allclose(moved, shifts[:, axis], atol=1e-3)
        assert set(moved) == set(range(-largest, largest + 1))
        assert chisquare(np.bincount(moved + largest)).pvalue > 0.01


@pytest.mark.parametrize("size", [(64, 64), (41, 60), (16, 20, 16)])
def test_an_applied_displacement_stays_within_its_bound(size: tuple[int, ...]) -> None:
    bent = shown(Warp(p=1, bend=0.05), size, 400) - places(size).numpy()
    most = np.abs(bent).reshape(400, len(size), -1).max(-1) / size
    for axis in range(len(size)):
        assert most[:, axis].max() <= 0.05 + 1e-5
        assert kstest(most[:, axis], "uniform", (0, 0.05)).pvalue > 0.01


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_a_step_meets_the_part_of_the_patches_that_it_says(p: float) -> None:
    recipe = Recipe(FLAT, [Turn(p=p, axes=(0, 1))])
    image, labels = blocks(recipe.loaded_size)
    plain, _ = augmented(Recipe(FLAT, [Turn(p=0, axes=(0, 1))]), image, labels)
    changed = sum(not torch.equal(augmented(recipe, image, labels)[0], plain) for _ in seeds(400))
    assert binomtest(changed, 400, p).pvalue > 0.01


def test_a_turn_is_one_of_numpys() -> None:
    recipe = Recipe(CUBE, [Turn(p=1, axes=(0, 1, 2))])
    image, labels = blocks(CUBE.size)
    whole = image[0].numpy()
    possible = [np.rot90(whole, k, axes) for axes in ((0, 1), (0, 2), (1, 2)) for k in (1, 2, 3)]
    turns = [_which(augmented(recipe, image, labels)[0][0].numpy(), possible) for _ in seeds(300)]
    counts = np.bincount(turns, minlength=9)
    assert all(binomtest(int(count), 300, 1 / 9).pvalue > 0.001 for count in counts)


def _which(array: np.ndarray, candidates: list[np.ndarray]) -> int:
    (which,) = [number for number, candidate in enumerate(candidates) if np.array_equal(candidate, array)]
    return which


def test_without_alike_axes_there_are_half_turns_only() -> None:
    recipe = Recipe(FLAT, [Turn(p=1, axes=())])
    image, labels = blocks(FLAT.size)
    turned = image.rot90(2, (1, 2))
    assert torch.equal(augmented(recipe, image, labels)[0], turned)
    # Where 0 is among the quarters, half of the patches stay.
    recipe = Recipe(FLAT, [Turn(p=1, axes=(), quarters=(0, 1, 2, 3))])
    turns = [_which(augmented(recipe, image, labels)[0].numpy(), [image.numpy(), turned.numpy()]) for _ in seeds(200)]
    assert binomtest(sum(turns), 200, 0.5).pvalue > 0.01


@pytest.mark.parametrize(
    ("spacing", "by_slices", "axes"),
    [
        ((1, 1, 1), False, (0, 1, 2)),
        ((3.22, 1.62, 1.62), False, (1, 2)),
        ((1, 1, 1), True, (1, 2)),
        ((1, 3, 1.1), False, (0, 2)),
        ((1, 2, 4), False, ()),
        ((1, 1.3), False, ()),
        ((0.7, 0.7), False, (0, 1)),
    ],
)
def test_axes_change_places_only_where_voxels_have_the_same_edges(spacing, by_slices: bool, axes) -> None:
    assert Patch((8,) * len(spacing), spacing, by_slices=by_slices, colour=False).turning_axes == axes


@pytest.mark.parametrize(
    ("patch", "axes"),
    [
        (Patch((8, 8, 8), (1, 1, 1), by_slices=False, colour=False, resampled=False), (1, 2)),
        (Patch((8, 8, 8), (1, 1, 1.5), by_slices=False, colour=False, resampled=False), ()),
        (Patch((8, 8, 8), (1, 1, 1), by_slices=True, colour=False, resampled=False), (1, 2)),
        (Patch((8, 8), (1, 1), by_slices=False, colour=False, resampled=False), (0, 1)),
    ],
)
def test_volumes_that_are_not_resampled_are_turned_in_plane_only(patch: Patch, axes) -> None:
    assert patch.turning_axes == axes
    assert patch.plane.turning_axes == tuple(axis - patch.by_slices for axis in axes)
    recipe = Recipe(patch)
    recipe.note_turns()
    assert [("not resampled" in note) for note in recipe.notes] == [not patch.by_slices] * (len(patch.size) - 2)


@pytest.mark.parametrize("trick", ["GTAugB", "Rotate90"])
@pytest.mark.parametrize("function", ["resample_data_or_seg_to_shape", "no_resampling_hack", "nnunet_tricks_resize"])
def test_the_plans_say_whether_images_are_resampled(bench: Bench, trick: str, function: str) -> None:
    """With cubic voxels all axes may change places, if that is what all cases have."""
    trainer = trainers.find(f"nnUNetTrainer{trick}")
    assert trainer is not None
    with bench.room(trainer, Situation("labels", "3d", True)) as run:
        plans = {**deepcopy(run.data.plans), "continue_training": False}
        configuration = plans["configurations"]["3d_fullres"]
        configuration |= {"spacing": [1.0, 1.0, 1.0], "patch_size": [16, 16, 16], "resampling_fn_data": function}
        built = run.trainer(plans, "3d_fullres", 0, deepcopy(run.data.dataset_json), torch.device("cpu"))
        built.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        resampled = function == "resample_data_or_seg_to_shape"
        assert built.recipe.steps[0].axes == ((0, 1, 2) if resampled else (1, 2))
        assert ("images are not resampled" in Path(built.log_file).read_text()) != resampled


def test_slices_are_not_mixed() -> None:
    recipe = Recipe(SLICES, [Warp(p=1, scale=(0.7, 1.4)), Turn(p=1, axes=SLICES.plane.turning_axes)])
    labels = torch.arange(4, dtype=torch.int16)[None, :, None, None].expand(1, *recipe.loaded_size).contiguous()
    for _ in seeds(5):
        image, truth = augmented(recipe, labels.float(), labels)
        assert torch.equal(truth, labels[(slice(None), slice(None), slice(24), slice(20))])
        torch.testing.assert_close(image, truth.float())
