"""FastDA draws what nnU-Net draws, and its patches differ by rounding only."""

from typing import Any

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from scipy.stats import ks_2samp
from torch import Tensor

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.training.resampling.exact_blur import gaussian
from nnunet_tricks.tricks.augmentation.fast_da import FastBlur, FastGamma, fast

CLOSE = 1e-4
"""Largest difference, as a part of the patch's range."""

PATCHES = {"2D": ((24, 20), False), "3D": ((12, 14, 10), False), "slice by slice": ((4, 20, 16), True)}


def outcome(transform: BasicTransform, seed: int, **data: Tensor) -> tuple[dict[str, Any], float]:
    """What comes out, and the random numbers that come next."""
    seed_everything(seed)
    done = transform(**{name: values.clone() for name, values in data.items()})
    return done, float(np.random.rand() + torch.rand(1))


def assert_close(mine: Tensor, theirs: Tensor) -> None:
    assert mine.shape == theirs.shape
    assert (mine - theirs).abs().max() <= CLOSE * max(float(theirs.max() - theirs.min()), 1e-6)


def default(name: str) -> BasicTransform:
    size, by_slices = PATCHES[name]
    return nnUNetTrainer.get_training_transforms(
        size,
        (-0.5, 0.5),
        [[1] * len(size), [0.5] * len(size)],
        tuple(range(len(size))),
        by_slices,
        use_mask_for_norm=[False, False],
        foreground_labels=[1, 2],
    )


def case(name: str, seed: int) -> tuple[Tensor, Tensor]:
    size, by_slices = PATCHES[name]
    read = [side + (0 if by_slices and axis == 0 else 6) for axis, side in enumerate(size)]
    generator = torch.Generator().manual_seed(seed)
    image = 3 * torch.randn(2, *read, generator=generator) - 1
    return image, (image[:1] > 0).to(torch.int16) + (image[:1] > 2)


@settings(max_examples=40)
@given(
    size=st.lists(st.integers(2, 12), min_size=2, max_size=3),
    sigma=st.sampled_from([0.4, 0.5, 0.75, 1.0, 2.0]),
    together=st.booleans(),
    seed=st.integers(0, 100),
)
def test_a_blur_is_nnunets_to_rounding(size: list[int], sigma: float, together: bool, seed: int) -> None:
    theirs = GaussianBlurTransform((sigma / 2, sigma), synchronize_channels=together, p_per_channel=0.6)
    (ours,) = fast([theirs])
    assert type(ours) is FastBlur
    image = torch.randn(3, *size, generator=torch.Generator().manual_seed(seed))
    if together:
        # nnU-Net then draws from the size of the patch, and fails if it blurs no channel.
        theirs.blur_sigma = ours.blur_sigma = sigma
        theirs.p_per_channel = ours.p_per_channel = 1
    if len(gaussian(sigma)) // 2 >= min(size):
        # nnU-Net refuses patches that are narrower than its kernel, unless it blurs no channel.
        theirs.p_per_channel = ours.p_per_channel = 1
        for transform in (theirs, ours):
            transform.blur_sigma = sigma
            with pytest.raises(RuntimeError, match="adding size"):
                outcome(transform, seed, image=image)
        return
    expected = outcome(theirs, seed, image=image)
    done = outcome(ours, seed, image=image)
    assert_close(done[0]["image"], expected[0]["image"])
    assert done[1] == expected[1]


@settings(max_examples=40)
@given(
    gamma=st.sampled_from([0.5, 0.7, 1.0, 1.5, 2.0]),
    invert=st.sampled_from([0.0, 0.5, 1.0]),
    retain=st.sampled_from([0.0, 1.0]),
    constant=st.booleans(),
    seed=st.integers(0, 100),
)
def test_a_gamma_correction_is_nnunets_to_rounding(
    gamma: float, invert: float, retain: float, constant: bool, seed: int
) -> None:
    theirs = GammaTransform(gamma, invert, synchronize_channels=False, p_per_channel=0.8, p_retain_stats=retain)
    (ours,) = fast([theirs])
    assert type(ours) is FastGamma
    image = torch.randn(2, 9, 8, generator=torch.Generator().manual_seed(seed)) * 100 + 40
    if constant:
        image[0] = 3
    (done, after), (expected, after_theirs) = outcome(ours, seed, image=image), outcome(theirs, seed, image=image)
    for mine, other in zip(done["image"], expected["image"], strict=True):
        assert_close(mine, other)
    assert after == after_theirs


@pytest.mark.parametrize("name", PATCHES)
def test_patches_are_nnunets_to_rounding_and_label_maps_the_same(name: str) -> None:
    theirs, ours = default(name), fast(default(name))
    assert {"FastBlur", "FastGamma"} <= {type(getattr(part, "transform", part)).__name__ for part in ours.transforms}
    for seed in range(30):
        image, labels = case(name, seed)
        done, after = outcome(ours, seed, image=image, segmentation=labels)
        expected, after_theirs = outcome(theirs, seed, image=image, segmentation=labels)
        assert_close(done["image"], expected["image"])
        assert all(map(torch.equal, done["segmentation"], expected["segmentation"]))
        assert after == after_theirs


@pytest.mark.parametrize("kind", [FastBlur, FastGamma])
def test_what_it_draws_has_nnunets_distribution(kind: type[BasicTransform]) -> None:
    """Parameters from other seeds, as a two-sample test needs them."""
    theirs, ours = default("2D"), fast(default("2D"))
    mine = next(part.transform for part in ours.transforms if isinstance(getattr(part, "transform", None), kind))
    other = next(
        part.transform for part in theirs.transforms if isinstance(getattr(part, "transform", None), kind.__base__)
    )

    def drawn(transform: BasicTransform, seeds: range) -> list[float]:
        values: list[float] = []
        for seed in seeds:
            seed_everything(seed)
            parameters = transform.get_parameters(image=torch.zeros(2, 8, 8))
            values += np.ravel(parameters["sigmas" if kind is FastBlur else "gamma"]).tolist()
        return values

    assert ks_2samp(drawn(mine, range(300)), drawn(other, range(300, 600))).pvalue > 0.01


def test_patches_have_nnunets_statistics() -> None:
    theirs, ours = default("2D"), fast(default("2D"))
    image, labels = case("2D", 0)

    def statistics(transform: BasicTransform, seeds: range) -> list[list[float]]:
        rows = []
        for seed in seeds:
            done, _ = outcome(transform, seed, image=image, segmentation=labels)
            patch = done["image"]
            steps = (patch[:, 1:] - patch[:, :-1]).abs().mean()
            rows.append([float(value) for value in (patch.mean(), patch.std(), patch.max(), patch.median(), steps)])
        return np.transpose(rows).tolist()

    pairs = zip(statistics(ours, range(200)), statistics(theirs, range(200, 400)), strict=True)
    assert min(ks_2samp(mine, other).pvalue for mine, other in pairs) > 0.01 / 5


@pytest.mark.parametrize("name", ["nnUNetTrainerFastDA", "nnUNetTrainerBlur_FastDA", "nnUNetTrainerDA5_FastDA"])
def test_it_goes_with_any_augmentation(bench: Bench, name: str) -> None:
    cls = trainers.find(name)
    assert cls is not None
    with bench.room(cls, Situation("labels", "2d", True)) as run:
        trainer = run.build()
        trainer.on_train_start()
        shown = str([vars(part) for part in trainer.dataloader_train.data_loader.transforms.transforms])
        assert "FastBlur" in shown
        assert "GaussianBlurTransform" not in shown
