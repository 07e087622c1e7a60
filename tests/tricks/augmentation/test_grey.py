from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest, truncnorm
from torch import Tensor

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.door.lookup import find_trainer
from nnunet_tricks.tricks.augmentation.clahe import CLAHE
from nnunet_tricks.tricks.augmentation.grey import LUMINANCE, BrightnessContrast, RangeNoise, Saturation
from nnunet_tricks.tricks.augmentation.gt_aug_a import change_grey_values
from nnunet_tricks.tricks.augmentation.gt_aug_ab import nnUNetTrainerGTAugAB
from nnunet_tricks.tricks.augmentation.patch import Patch
from nnunet_tricks.tricks.augmentation.recipe import Recipe
from tests.tricks.augmentation.cases import CUBE, FLAT, augmented, seeds

CHANCE = 0.01
"""Chance that a right transform fails a statistical test, were its seed not fixed."""


def picture(channels: int, *size: int) -> Tensor:
    """Smooth, with channels of different ranges."""
    axes = torch.meshgrid(*(torch.linspace(0, 3, side) for side in size), indexing="ij")
    waves = [torch.sin(sum(axes) * (channel + 1)) for channel in range(channels)]
    return torch.stack([(channel + 1) * wave - channel for channel, wave in enumerate(waves)])


EVERY = [
    BrightnessContrast(brightness=0.2, contrast=0.2),
    CLAHE((1, 4), colour=False),
    CLAHE((1, 4), colour=True),
    RangeNoise(0.1),
    Saturation(0.2),
]


@pytest.mark.parametrize("transform", EVERY, ids=lambda transform: type(transform).__name__)
def test_labels_stay_as_they_are_and_constant_images_too(transform) -> None:
    labels = torch.randint(0, 4, (1, 32, 24), dtype=torch.int16)
    for image in (picture(3, 32, 24), torch.full((3, 32, 24), 0.7)):
        done = transform(image=image.clone(), segmentation=labels.clone())
        assert torch.equal(done["segmentation"], labels)
        assert torch.isfinite(done["image"]).all()
        assert torch.allclose(done["image"], image) == bool((image == 0.7).all())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_without_colours_every_channel_is_equalised_by_itself(channels: int) -> None:
    image = picture(channels, 48, 40)
    done = CLAHE((3, 3), colour=False)(image=image.clone())["image"]
    for channel in range(channels):
        alone = CLAHE((3, 3), colour=False)(image=image[channel : channel + 1].clone())["image"]
        assert torch.equal(done[channel], alone[0])
        torch.testing.assert_close(done[channel].amin(), image[channel].amin())
        torch.testing.assert_close(done[channel].amax(), image[channel].amax())


@pytest.mark.parametrize("together", [True, False])
def test_equalising_luminance_keeps_colours(together: bool) -> None:
    torch.manual_seed(1)
    image = torch.cat([0.4 + 0.2 * torch.rand(3, 46, 40), torch.zeros(3, 1, 40), torch.ones(3, 1, 40)], 1)
    done = CLAHE((4, 4), colour=True, together=together)(image=image.clone())["image"]
    inside = ((done > 1e-6) & (done < 1 - 1e-6)).all(0)
    assert inside.float().mean() > 0.5
    torch.testing.assert_close((done[0] - done[1])[inside], (image[0] - image[1])[inside])
    torch.testing.assert_close((done[1] - done[2])[inside], (image[1] - image[2])[inside])
    before, after = (torch.tensordot(LUMINANCE, colours, 1) for colours in (image, done))
    assert not torch.allclose(before, after)


@pytest.mark.parametrize("limit", [1, 4])
def test_equalising_is_the_same_however_channels_were_normalised(limit: int) -> None:
    image = colours(48, 40)
    done = CLAHE((limit, limit), colour=True)(image=image.clone())["image"]
    assert ((done >= 0) & (done <= 1)).all()
    scored = CLAHE((limit, limit), colour=True)(image=(image - MEANS) / DEVIATIONS)["image"]
    torch.testing.assert_close(scored * DEVIATIONS + MEANS, done, rtol=0, atol=1e-5)


def test_equalising_spreads_a_faint_image() -> None:
    """Nine tenths of the voxels share a tenth of the range; with a high limit they get more of it."""
    torch.manual_seed(0)
    image = torch.cat([torch.rand(1, 72, 80) * 0.1, torch.rand(1, 8, 80)], 1)
    low, high = (CLAHE((limit, limit), colour=False)(image=image.clone())["image"] for limit in (1, 8))
    assert high[:, :64].std() > 2 * image[:, :64].std()
    assert high[:, :64].std() > low[:, :64].std()


def test_brightness_and_contrast_are_albumentations_within_the_range() -> None:
    transform = BrightnessContrast(brightness=0.2, contrast=0.2)
    image = torch.rand(3, 16, 16)
    image[:, 0, 0], image[:, 0, 1] = 0, 1
    for _ in seeds(20):
        drawn = transform.get_parameters()
        expected = np.clip(drawn["factor"] * image.numpy() + drawn["summand"], 0, 1)
        done = transform._apply_to_image(image.clone(), **drawn)
        np.testing.assert_allclose(done.numpy(), expected, atol=1e-6)
        # Another normalisation of the same image makes no difference.
        shifted = transform._apply_to_image(image * 5 - 2, **drawn)
        torch.testing.assert_close(shifted, done * 5 - 2, rtol=0, atol=1e-5)


def test_what_is_drawn_is_uniform_in_its_range() -> None:
    grey, colour, clahe = BrightnessContrast(brightness=0.3, contrast=0.2), Saturation(0.4), CLAHE((1, 4), colour=True)
    drawn = [{**grey.get_parameters(), **clahe.get_parameters()} for _ in seeds(500)]
    assert kstest([draw["factor"] for draw in drawn], "uniform", (0.8, 0.4)).pvalue > CHANCE
    assert kstest([draw["summand"] for draw in drawn], "uniform", (-0.3, 0.6)).pvalue > CHANCE
    assert kstest([draw["limit"] for draw in drawn], "uniform", (1, 3)).pvalue > CHANCE
    assert kstest([colour.get_parameters()["factor"] for _ in seeds(500)], "uniform", (0.6, 0.8)).pvalue > CHANCE


def test_noise_is_normal_and_cut_off_at_two_deviations() -> None:
    torch.manual_seed(0)
    image = picture(2, 64, 64)
    noise = RangeNoise(0.1)(image=image.clone())["image"] - image
    for channel in (0, 1):
        relative = noise[channel].flatten() / (image[channel].max() - image[channel].min()) / 0.1
        assert relative.abs().max() == pytest.approx(2, abs=1e-4)
        inside = relative[relative.abs() < 1.999]
        assert kstest(inside.numpy(), truncnorm(-2, 2).cdf).pvalue > CHANCE


MEANS, DEVIATIONS = (torch.tensor(values).view(3, 1, 1) for values in ((0.7, 0.4, 0.5), (0.1, 0.25, 0.2)))
"""Of red, green and blue, as nnU-Net's z-score takes them from each channel."""


def colours(*size: int) -> Tensor:
    """An image from 0 to 1 in which each channel reaches both."""
    torch.manual_seed(0)
    image = torch.rand(3, *size)
    image[:, 0, 0], image[:, -1, -1] = 0, 1
    return image


def test_saturation_keeps_the_luminance() -> None:
    image = 0.4 + 0.2 * colours(16, 16)
    image[:, 0, 0], image[:, -1, -1] = 0, 1
    done = Saturation(0.5, together=True)._apply_to_image(image.clone(), factor=1.5)
    torch.testing.assert_close(torch.tensordot(LUMINANCE, done, 1), torch.tensordot(LUMINANCE, image, 1))


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_saturation_is_the_same_however_channels_were_normalised(factor: float) -> None:
    image = colours(16, 16)
    transform = Saturation(1)
    done = transform._apply_to_image(image.clone(), factor=factor)
    spread = float((done.amax(0) - done.amin(0)).max())
    assert (spread < 1e-6) == (factor == 0)
    assert ((done >= 0) & (done <= 1)).all()
    scored = transform._apply_to_image((image - MEANS) / DEVIATIONS, factor=factor) * DEVIATIONS + MEANS
    torch.testing.assert_close(scored, done, rtol=0, atol=1e-5)


def test_raw_channels_share_one_range() -> None:
    """A picture without bright red: its grey is that of its values, not that of each channel's own range."""
    image = colours(16, 16) * torch.tensor([0.3, 0.8, 1.0]).view(3, 1, 1)
    grey = Saturation(1, together=True)._apply_to_image(image.clone(), factor=0.0)
    torch.testing.assert_close(grey, torch.tensordot(LUMINANCE, image, 1).expand_as(image))


def test_the_plans_tell_whether_channels_share_a_range(bench: Bench) -> None:
    for scheme, together in (("ZScoreNormalization", False), ("RGBTo01Normalization", True), ("NoNormalization", True)):
        with bench.room(find_trainer("nnUNetTrainerColorJitter"), Situation("labels", "2d", True)) as run:
            plans = deepcopy(run.data.plans)
            plans["configurations"]["2d"]["normalization_schemes"] = [scheme] * 3
            built = Run(run.trainer, run.situation, replace(run.data, plans=plans), run.folder).build()
            built.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        assert built.recipe.patch.colour
        assert built.recipe.patch.together is together


def _chances(patch: Patch, *, mediseg: bool = False) -> dict[str, float]:
    recipe = Recipe(patch)
    change_grey_values(recipe, mediseg=mediseg)
    assert recipe.loaded_size == patch.size
    assert not recipe.mirror
    return {type(step.transform).__name__: step.apply_probability for step in recipe.intensity}


def test_gt_aug_a_is_as_written() -> None:
    assert _chances(FLAT) == {"BrightnessContrast": 0.5, "GammaTransform": 0.5, "CLAHE": 0.5}
    assert _chances(FLAT, mediseg=True) == _chances(FLAT)
    assert _chances(CUBE) == {"RangeNoise": 0.5, "GammaTransform": 0.5}
    assert _chances(CUBE, mediseg=True) == {"RangeNoise": 1.0, "GammaTransform": 1.0}


def test_gt_aug_a_has_the_papers_gammas() -> None:
    for patch, below, low, high in ((FLAT, 0.5, 0.8, 1.2), (CUBE, 0.5, 0.5, 2)):
        recipe = Recipe(patch)
        change_grey_values(recipe)
        gamma = recipe.intensity[1].transform
        image = torch.zeros(1, *patch.size)
        drawn = np.array([float(gamma.get_parameters(image=image)["gamma"]) for _ in seeds(600)])
        under, over = drawn[drawn < 1], drawn[drawn >= 1]
        assert len(under) / 600 == pytest.approx(below, abs=0.05)
        assert kstest(under, "uniform", (low, 1 - low)).pvalue > CHANCE
        assert kstest(over, "uniform", (1, high - 1)).pvalue > CHANCE


def test_what_is_done_to_other_than_colour_images_is_in_the_log() -> None:
    recipe = Recipe(Patch((32, 32), (1, 1), by_slices=False, colour=False))
    change_grey_values(recipe)
    assert "each channel by itself" in recipe.notes[0]


def test_both_sets_move_first() -> None:
    recipe = Recipe(FLAT)
    nnUNetTrainerGTAugAB.augment(object.__new__(nnUNetTrainerGTAugAB), recipe)
    assert recipe.steps
    assert recipe.intensity
    assert recipe.mirror == (0, 1)
    image = picture(3, *recipe.loaded_size)
    labels = torch.zeros(1, *recipe.loaded_size, dtype=torch.int16)
    assert augmented(recipe, image, labels)[0].shape == (3, *FLAT.size)
