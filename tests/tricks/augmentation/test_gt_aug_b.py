"""GTAug-B against the paper's words, done once more with NumPy and SciPy."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, center_of_mass
from scipy.stats import chi2_contingency, ks_2samp

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.augmentation.gt_aug_b import move_objects
from nnunet_tricks.tricks.augmentation.patch import Patch
from nnunet_tricks.tricks.augmentation.recipe import Recipe
from nnunet_tricks.tricks.augmentation.spatial import Turn, Warp
from tests.tricks.augmentation.cases import CUBE, FLAT, SLICES, augmented, seeds

DRAWS = 300
SIDE = 30
"""What is read has as many voxels on both sides of the middle, too: 36."""
OFFSETS = np.array([(7, 0, 0), (0, 5, 0), (0, 0, 3)])
"""Where the three landmarks are, from the middle of the patch."""


def landmarks(side: int) -> NDArray[np.int16]:
    """Three small balls, 1 to 3, at their offsets."""
    middle = (side - 1) / 2
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1)
    labels = np.zeros((side,) * 3, np.int16)
    for label, offset in enumerate(OFFSETS, 1):
        labels[((grid - middle - offset) ** 2).sum(-1) < 6] = label
    return labels


def positions(image: NDArray[np.float64], labels: NDArray[np.int16]) -> NDArray[np.float64]:
    """Where the landmarks are now, from the middle."""
    return np.array(center_of_mass(image, labels, [1, 2, 3])) - (np.array(image.shape) - 1) / 2


def as_the_paper_says(labels: NDArray[np.int16], random: np.random.Generator) -> NDArray[np.float64]:
    if random.random() < 0.5:
        plane = [(0, 1), (0, 2), (1, 2)][random.integers(3)]
        labels = np.rot90(labels, random.integers(1, 4), plane)
    if random.random() < 0.5:
        inverse = 1 / random.uniform(0.85, 1.25)
        middle = (SIDE - 1) / 2
        labels = affine_transform(labels, np.eye(3) * inverse, middle - middle * inverse, order=0)
    axes = [axis for axis in range(3) if random.random() < 0.5]
    labels = np.flip(labels, axes)
    return positions((labels > 0).astype(float), labels)


def as_we_do() -> list[NDArray[np.float64]]:
    recipe = Recipe(Patch((SIDE,) * 3, (1, 1, 1), by_slices=False, colour=False))
    move_objects(recipe)
    labels = torch.from_numpy(landmarks(recipe.loaded_size[0]))[None]
    places = []
    for _ in seeds(DRAWS):
        _, truth = augmented(recipe, labels.float(), labels)
        places.append(positions((truth[0] > 0).double().numpy(), truth[0].numpy()))
    return places


def test_in_3d_it_is_what_the_paper_describes() -> None:
    ours = np.stack(as_we_do())
    random = np.random.default_rng(0)
    theirs = np.stack([as_the_paper_says(landmarks(SIDE), random) for _ in range(DRAWS)])
    for landmark in range(3):
        directions = [_directions(moves[:, landmark]) for moves in (ours, theirs)]
        assert chi2_contingency(directions).pvalue > 0.01
    distances = [np.linalg.norm(moves[:, 0], axis=-1) / 7 for moves in (ours, theirs)]
    assert ks_2samp(*(np.round(values, 1) for values in distances)).pvalue > 0.01
    assert max(distances[0]) < 1.35
    assert min(distances[0]) > 0.8


def _directions(moves: NDArray[np.float64]) -> NDArray[np.intp]:
    """How often a landmark is along each axis, on each side."""
    axis = np.abs(moves).argmax(1)
    sign = np.take_along_axis(moves, axis[:, None], 1)[:, 0] > 0
    return np.bincount(2 * axis + sign, minlength=6)


def test_in_2d_it_moves_half_of_the_patches_and_mirrors_both_axes() -> None:
    recipe = Recipe(FLAT)
    move_objects(recipe)
    assert recipe.steps == [Warp(p=0.5, shift=0.1, scale=(0.9, 1.1), rotation=45)]
    assert recipe.mirror == (0, 1)
    assert not recipe.intensity


def test_mediseg_scales_and_turns_every_patch_about_one_axis() -> None:
    recipe = Recipe(CUBE)
    move_objects(recipe, mediseg=True)
    assert recipe.steps == [Turn(p=1, axes=(0, 1), quarters=(0, 1, 2, 3)), Warp(p=1, scale=(0.85, 1.25))]
    assert not recipe.notes


def test_flat_patches_are_turned_in_plane_and_the_log_says_so() -> None:
    recipe = Recipe(SLICES)
    move_objects(recipe)
    assert recipe.steps[0] == Turn(p=0.5, axes=(0, 1))
    assert recipe.loaded_size[0] == SLICES.size[0]
    assert "in the plane of axes 1 and 2 only: voxels of 5 x 1 x 1 mm" in recipe.notes[0]
    recipe = Recipe(Patch((20, 20, 20), (3.22, 1.62, 1.62), by_slices=False, colour=False))
    move_objects(recipe)
    assert recipe.steps[0] == Turn(p=0.5, axes=(1, 2))
    assert "objects would be stretched" in recipe.notes[0]


def test_a_flag_that_changes_nothing_says_so() -> None:
    recipe = Recipe(FLAT)
    move_objects(recipe, mediseg=True)
    assert "changes nothing" in recipe.notes[0]


@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_what_is_mirrored_is_in_the_checkpoint(bench: Bench, dimension: str) -> None:
    cls = trainers.find("nnUNetTrainerGTAugB")
    assert cls is not None
    with bench.room(cls, Situation("labels", dimension, True)) as run:
        trainer = run.build()
        trainer.on_train_start()
        file = run.folder / "checkpoint.pth"
        trainer.save_checkpoint(str(file))
        stored = torch.load(file, weights_only=False)["inference_allowed_mirroring_axes"]
    assert stored == ((0, 1) if dimension == "2d" else (0, 1, 2))
