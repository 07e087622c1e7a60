"""What holds for each augmentation by its name, and for several in one name."""

import pickle

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from scipy.stats import binomtest, chisquare, kstest, triang

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.augmentation.grey import LUMINANCE
from nnunet_tricks.tricks.augmentation.patch import Patch
from nnunet_tricks.tricks.augmentation.random_erasing import EraseBox
from nnunet_tricks.tricks.augmentation.recipe import AfterAugmentation, InPlaceOfNnunets, Recipe
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer
from tests.tricks.augmentation.cases import CUBE, FLAT, PATCHES, applied, blocks, middle, places, seeds

SINGLE = [info.name for info in CATALOGUE if info.hooks[0].count(".") == 2 and info.hooks[0].startswith("augmentation")]
WITH_P = [name for name in SINGLE if name != "Flip"]


def recipe_of(name: str, patch: Patch) -> Recipe:
    cls = trainers.find(f"nnUNetTrainer{name}")
    assert cls is not None
    assert issubclass(cls, AugmentationTrainer)
    recipe = Recipe(patch)
    cls.augment(object.__new__(cls), recipe)
    return recipe


def test_there_are_nine() -> None:
    assert len(SINGLE) == 9


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: str(patch.size))
@pytest.mark.parametrize("name", SINGLE)
def test_it_does_something_and_labels_stay_labels(name: str, patch: Patch) -> None:
    recipe = recipe_of(name if name == "Flip" else f"{name}_p1", patch)
    image, labels = blocks(recipe.loaded_size, channels=3 if patch.colour else 1)
    transforms = pickle.loads(pickle.dumps(recipe.transforms))
    draws = [applied(transforms, image, labels) for _ in seeds(6)]
    assert not all(torch.equal(draw["image"], draws[0]["image"]) for draw in draws)
    for draw in draws:
        assert draw["image"].shape[1:] == draw["segmentation"].shape[1:] == patch.size
        assert set(draw["segmentation"].unique().tolist()) <= {-1, 0, 1, 3}
        assert torch.isfinite(draw["image"]).all()
    if not recipe.steps and not recipe.mirror:
        assert all(torch.equal(draw["segmentation"], labels) for draw in draws)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: str(patch.size))
@pytest.mark.parametrize("name", WITH_P)
def test_with_probability_zero_nothing_changes(name: str, patch: Patch) -> None:
    recipe = recipe_of(f"{name}_p0", patch)
    image, labels = blocks(recipe.loaded_size, channels=3 if patch.colour else 1)
    done = applied(recipe.transforms, image, labels)
    assert torch.equal(done["image"], middle(image, patch.size))
    assert torch.equal(done["segmentation"], middle(labels, patch.size))


def test_several_in_one_name_are_all_there() -> None:
    recipe = recipe_of("Elastic_Flip_Noise_Scale_high1p5", FLAT)
    assert [type(step).__name__ for step in recipe.steps] == ["Warp", "Warp"]
    assert recipe.steps[1].scale == (0.85, 1.5)
    assert len(recipe.intensity) == 1
    assert recipe.mirror == (0, 1)
    image, labels = blocks(recipe.loaded_size)
    assert applied(recipe.transforms, image, labels)["image"].shape[1:] == FLAT.size


def test_each_axis_is_mirrored_half_of_the_time() -> None:
    recipe = recipe_of("Flip", FLAT)
    image, labels = blocks(FLAT.size)
    expected = {axes: torch.flip(image, axes) for axes in ((), (1,), (2,), (1, 2))}
    mirrored = []
    for _ in seeds(300):
        done = applied(recipe.transforms, image, labels)
        assert torch.equal(done["image"], done["segmentation"].float())
        mirrored += [axes for axes, flipped in expected.items() if torch.equal(flipped, done["image"])]
    for axis in (1, 2):
        assert binomtest(sum(axis in axes for axes in mirrored), 300, 0.5).pvalue > 0.01


CHANGES_NOTHING = {"LowRes": 1 / 32, "Translate": 1 / (7 * 5)}
"""How often a draw on a patch of 32 x 24 leaves it as it is: zooms above 31.5 / 32, and no shift along either axis."""


@pytest.mark.parametrize("name", WITH_P)
def test_it_meets_the_part_of_the_patches_that_it_says(name: str) -> None:
    recipe = recipe_of(f"{name}_p0p3", FLAT)
    image = torch.rand(3, *recipe.loaded_size)
    plain, labels = middle(image, FLAT.size), image[:1].to(torch.int16)
    changed = sum(not torch.equal(applied(recipe.transforms, image, labels)["image"], plain) for _ in seeds(400))
    assert binomtest(changed, 400, 0.3 * (1 - CHANGES_NOTHING.get(name, 0))).pvalue > 0.01


@pytest.mark.parametrize("patch", [FLAT, CUBE], ids=lambda patch: str(patch.size))
def test_blurs_are_gaussian_with_sigmas_uniform_in_their_range(patch: Patch) -> None:
    """Of a single bright voxel the neighbour along each axis gets exp(-1 / (2 sigma^2)) of what stays."""
    transforms = recipe_of("Blur_p1", patch).transforms
    image = torch.zeros(2, *patch.size)
    centre = tuple(side // 2 for side in patch.size)
    image[(slice(None), *centre)] = 1
    sigmas = []
    for _ in seeds(400):
        blurred = applied(transforms, image, image[:1].to(torch.int16))["image"].double().numpy()
        ratios = [
            blurred[(channel, *np.add(centre, step))] / blurred[(channel, *centre)]
            for channel in (0, 1)
            for step in np.eye(len(centre), dtype=int)
        ]
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)
        sigmas.append(np.sqrt(-0.5 / np.log(ratios[0])))
    assert kstest(sigmas, "uniform", (0.5, 0.5)).pvalue > 0.01


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: str(patch.size))
def test_low_resolutions_are_uniform_in_their_range_and_keep_slices_apart(patch: Patch) -> None:
    """The last axis has round(zoom x side) voxels for a while; which, a coarse row says that NumPy makes."""
    transforms = recipe_of("LowRes_p1", patch).transforms
    side, axes = patch.size[-1], range(1 if patch.by_slices else 0, len(patch.size))
    rows = {count: _coarse(side, count) for count in range(side // 2, side + 1)}
    image = places(patch.size)
    removed = []
    for _ in seeds(400):
        done = applied(transforms, image, image[:1].to(torch.int16))["image"]
        assert not patch.by_slices or torch.equal(done[0], image[0])
        shown = {axis: done[axis].movedim(axis, -1) for axis in axes}
        for axis in axes:
            assert torch.allclose(shown[axis], shown[axis].flatten(0, -2)[0], atol=1e-4)
        row = shown[len(patch.size) - 1].flatten(0, -2)[0].numpy()
        (count,) = [count for count, coarse in rows.items() if np.allclose(row, coarse, atol=1e-3)]
        removed.append(count - side // 2)
    # Those at the ends are rounded to from one side only.
    share = np.full(side - side // 2 + 1, 1.0)
    share[[0, -1]] = 0.5
    assert chisquare(np.bincount(removed, minlength=len(share)), 400 * share / share.sum()).pvalue > 0.01


def _coarse(side: int, count: int) -> np.ndarray:
    """Places of a row with few voxels, each the nearest of many, interpolated again."""
    few = np.floor((np.arange(count) + 0.5) * side / count)
    return np.interp((np.arange(side) + 0.5) * count / side - 0.5, np.arange(count), few) - (side - 1) / 2


def test_brightness_contrast_and_saturation_are_uniform_in_their_ranges() -> None:
    transforms = recipe_of("ColorJitter_p1", FLAT).transforms
    image = 0.45 + 0.1 * torch.rand(3, *FLAT.size)
    image[:, 0, 0], image[:, 0, 1] = 0, 1  # the range; the rest is far from being cut off
    before = image[:, 1:].flatten(1).double().numpy()
    drawn = []
    for _ in seeds(400):
        after = applied(transforms, image, image[:1].to(torch.int16))["image"][:, 1:].flatten(1).double().numpy()
        factor, summand = np.polyfit(LUMINANCE.numpy() @ before, LUMINANCE.numpy() @ after, 1)
        colour = np.polyfit(before[0] - before[1], after[0] - after[1], 1)[0]
        drawn.append((factor, summand, colour / factor))
    for values, low in zip(np.transpose(drawn), (0.8, -0.2, 0.8), strict=True):
        assert kstest(values, "uniform", (low, 0.4)).pvalue > 0.01


def _transforms(*, masked: bool) -> ComposeTransforms:
    return nnUNetTrainer.get_training_transforms(
        FLAT.size, (-1, 1), [[1, 1], [0.5, 0.5]], (0, 1), False, use_mask_for_norm=[masked], foreground_labels=[1, 3]
    )


def test_a_nnunet_whose_transforms_we_do_not_know_is_refused() -> None:
    unknown = InPlaceOfNnunets(lambda: ComposeTransforms([EraseBox((0.1, 0.1))]), lambda: recipe_of("Flip", FLAT))
    with pytest.raises(RuntimeError, match="augments in a way that nnunet_tricks does not know"):
        unknown()


@pytest.mark.parametrize("masked", [True, False])
def test_what_nnunet_does_to_every_patch_stays(masked: bool) -> None:
    theirs = _transforms(masked=masked).transforms
    ours = InPlaceOfNnunets(_transforms, lambda: recipe_of("Flip", FLAT))(masked=masked).transforms
    rest = [type(transform).__name__ for transform in ours[1:]]
    assert rest == ["MaskImageTransform"] * masked + [RemoveLabelTansform.__name__, "DownsampleSegForDSTransform"]
    assert rest == [type(transform).__name__ for transform in theirs[-len(rest) :]]


def test_erasing_comes_after_the_augmentation() -> None:
    erase = EraseBox((0.1, 0.1))
    plain, added = _transforms(masked=True).transforms, AfterAugmentation(_transforms, erase)(masked=True).transforms
    kept = [transform for transform in added if transform is not erase]
    assert [type(transform).__name__ for transform in kept] == [type(transform).__name__ for transform in plain]
    assert type(added[added.index(erase) - 1]).__name__ == "MirrorTransform"


@pytest.mark.parametrize("size", [(64, 48), (32, 24, 24)])
@pytest.mark.parametrize("part", [0.02, 0.4, 0.8, 1.0])
def test_a_box_has_exactly_the_part_but_for_whole_voxels(size: tuple[int, ...], part: float) -> None:
    for _ in seeds(100):
        box = EraseBox((part, part)).get_parameters(torch.zeros(1, *size))["box"]
        sides = np.array([side.stop - side.start for side in box])
        assert np.prod((sides - 0.5) / size) <= part <= np.prod((sides + 0.5) / size)
        relative = sides / size
        assert part == 1 or (sides - 0.5).min() <= 0 or max(relative) / min(relative) < 3.3 * 1.5
        assert part < 1 or (relative == 1).all()


def test_proportions_differ_where_they_can() -> None:
    """Aspect ratios of small boxes are as drawn: their logarithm is that of a difference of two uniform numbers."""
    ratios = []
    for _ in seeds(500):
        height, width = EraseBox((0.1, 0.1)).get_parameters(torch.zeros(1, 2000, 2000))["box"]
        ratios.append(np.log((height.stop - height.start) / (width.stop - width.start)) / np.log(3.3))
    assert kstest(ratios, triang(0.5, -1, 2).cdf).pvalue > 0.01


def test_a_smallest_part_above_the_largest_is_refused(bench: Bench) -> None:
    cls = trainers.find("nnUNetTrainerRandomErasing_low0p5")
    assert cls is not None
    with (
        bench.room(cls, Situation("labels", "2d", True)) as run,
        pytest.raises(ValueError, match=r"low of RandomErasing must be at most high, which is 0\.4, got 0\.5"),
    ):
        run.build()


@pytest.mark.parametrize("size", [(64, 48), (32, 24, 24)])
def test_a_box_has_the_part_of_the_voxels_that_was_asked_for(size: tuple[int, ...]) -> None:
    image = torch.zeros(2, *size)
    image[:, 0] = 1
    drawn, places = [], []
    for _ in seeds(400):
        box = EraseBox((0.02, 0.4)).get_parameters(image)["box"]
        drawn.append(np.prod([part.stop - part.start for part in box]) / np.prod(size))
        places.append([(part.stop + part.start) / 2 / side for part, side in zip(box, size, strict=True)])
    assert kstest(np.round(drawn, 2), "uniform", (0.02, 0.38)).statistic < 0.08
    assert np.mean(places, 0) == pytest.approx([0.5] * len(size), abs=0.05)


def test_erased_voxels_are_noise_in_the_range_and_the_same_in_all_channels() -> None:
    image = torch.stack([torch.linspace(-2, 5, 400), torch.linspace(0, 1, 400)]).view(2, 20, 20)
    labels = torch.ones(1, 20, 20, dtype=torch.int16)
    torch.manual_seed(0)
    done = EraseBox((0.2, 0.2))(image=image.clone(), segmentation=labels)
    assert torch.equal(done["segmentation"], labels)
    changed = done["image"] != image
    assert torch.equal(changed[0], changed[1])
    assert 40 < changed[0].sum() < 120
    for before, after in zip(image, done["image"], strict=True):
        assert before.min() <= after.min()
        assert after.max() <= before.max()


@pytest.mark.parametrize("name", ["Boundary_Flip_Noise_RandomErasing", "NoDA_RandomErasing"])
def test_it_goes_with_maps_of_the_truth_and_with_no_augmentation(bench: Bench, name: str) -> None:
    """The maps are those of the augmented truth, in the last place, and erasing is there whatever it follows."""
    cls = trainers.find(f"nnUNetTrainer{name}")
    assert cls is not None
    with bench.room(cls, Situation("regions+ignore", "2d", True)) as run:
        assert bench.check(cls, run.situation, steps=("build", "train steps", "val step")).explain() == []
        trainer = run.build()
        trainer.on_train_start()
        assert not {"get_training_transforms", "get_validation_transforms"} & set(vars(trainer))
        assert trainer.inference_allowed_mirroring_axes == ((0, 1) if "Flip" in name else None)
        assert "EraseBox" in str(_flat(trainer.dataloader_train.data_loader.transforms))
        assert "EraseBox" not in str(_flat(trainer.dataloader_val.data_loader.transforms))


def _flat(transforms: ComposeTransforms) -> list[str]:
    parts = transforms.transforms
    return [repr(vars(part)) if hasattr(part, "transforms") else repr(part) for part in parts]
