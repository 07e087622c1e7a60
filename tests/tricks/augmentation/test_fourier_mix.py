from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.sandbox import sandbox
from nnunet_tricks.tricks.augmentation.fourier_mix import MixFrequencies, OtherImages, mixed
from tests.tricks.sampling.planted import LABELS, PlantedCases
from tests.tricks.sampling.test_sampling import started

SHAPES = [(2, 20, 17), (1, 6, 16, 20)]


def _published(image: NDArray[np.float32], other: NDArray[np.float32], beta: float) -> NDArray[np.float64]:
    """The paper's equation in NumPy, with the box around the shifted spectrum's middle as its text has it."""
    axes = tuple(range(1, image.ndim))
    own, others = (np.fft.fftshift(np.fft.fftn(part, axes=axes), axes=axes) for part in (image, other))
    box = tuple(slice(side // 2 - int(beta * side), side // 2 + int(beta * side) + 1) for side in image.shape[1:])
    amplitude = np.abs(own)
    amplitude[(slice(None), *box)] = np.abs(others)[(slice(None), *box)]
    spectrum = amplitude * np.exp(1j * np.angle(own))
    back: NDArray[np.float64] = np.fft.ifftn(np.fft.ifftshift(spectrum, axes=axes), axes=axes).real
    return back


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("beta", [0.0, 0.1, 0.3])
def test_it_is_the_papers_equation(shape: tuple[int, ...], beta: float) -> None:
    image, other = (np.random.default_rng(seed).normal(size=shape).astype(np.float32) for seed in (0, 1))
    result = mixed(torch.from_numpy(image), torch.from_numpy(other), beta)
    np.testing.assert_allclose(result.numpy(), _published(image, other, beta), atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_phase_stays_and_high_frequencies_do_too(shape: tuple[int, ...]) -> None:
    image, other = (torch.from_numpy(np.random.default_rng(seed).normal(size=shape)) for seed in (2, 3))
    axes = tuple(range(1, image.ndim))
    before, after = (torch.fft.fftn(part.double(), dim=axes) for part in (image, mixed(image, other, 0.1)))
    turned = torch.angle(after / before)[..., 1:]
    clear = after.abs()[..., 1:] > 0.1
    assert turned[clear].abs().max() < 1e-3
    middle = (..., *(side // 2 for side in shape[1:]))
    torch.testing.assert_close(after[middle].abs(), before[middle].abs(), atol=1e-4, rtol=1e-4)


def test_an_image_with_its_own_frequencies_is_itself() -> None:
    image = torch.randn(3, 16, 16)
    torch.testing.assert_close(mixed(image, image, 0.5), image, atol=1e-5, rtol=1e-5)


def _mix(p: float = 1.0, beta: float = 0.1) -> MixFrequencies:
    labels = {name: np.zeros((4, 12, 12), np.int16) for name in ("one", "two", "three")}
    cases = PlantedCases(labels, LABELS)
    return MixFrequencies(OtherImages(cases, tuple(labels), cases, current="two"), p=p, beta=beta)


@pytest.mark.parametrize("size", [(8, 9), (3, 8, 9)])
def test_the_look_is_that_of_another_case_and_the_label_stays(size: tuple[int, ...]) -> None:
    """Images are flat and hold the number of their case, so their mean becomes that of the other one."""
    np.random.seed(0)
    mix, means = _mix(beta=0), set()
    for _ in range(40):
        sample = {"image": torch.full((1, *size), 2.0), "segmentation": torch.ones(1, *size, dtype=torch.int16)}
        sample["image"][0, ..., 0] = 3.0
        sample["segmentation"][0, ..., -1] = -1
        made = mix(**sample)
        assert torch.equal(made["segmentation"], sample["segmentation"])
        # Outside of the image, and in the sample that was given, nothing has changed.
        assert (made["image"][..., -1] == 2).all()
        assert sample["image"].unique().tolist() == [2, 3]
        means.add(round(float(mixed(sample["image"], mix.images.draw(size), 0).mean()), 3))  # type: ignore[arg-type]
        assert float(made["image"][..., 1].mean()) != 2
    assert means == {1.0, 3.0}


def test_as_many_patches_change_as_the_name_says() -> None:
    np.random.seed(0)
    mix, changed = _mix(p=0.3), 0
    for _ in range(300):
        sample = {"image": torch.rand(1, 8, 8), "segmentation": torch.zeros(1, 8, 8, dtype=torch.int16)}
        changed += not torch.equal(mix(**sample)["image"], sample["image"])
    assert binomtest(changed, 300, 0.3).pvalue > 0.01


def test_channels_behind_the_image_are_not_changed() -> None:
    sample = {"image": torch.rand(2, 8, 8), "segmentation": torch.zeros(1, 8, 8, dtype=torch.int16)}
    made = _mix()(**sample)["image"]
    assert torch.equal(made[1], sample["image"][1])
    assert not torch.equal(made[0], sample["image"][0])


def test_images_of_another_data_set_are_taken_and_others_are_refused(bench: Bench, tmp_path: Path) -> None:
    """Of the data sets here only those of pictures have three channels, and volumes have one."""
    flat, other = (bench.data(labels, flat=True) for labels in ("labels", "regions"))
    solid = bench.data("labels", flat=False)
    number = int(other.name[7:10])
    with started(bench, f"FourierMix_dataset{number}", Situation("labels", "2d", True)) as trainer:
        images = trainer.dataloader_train.data_loader.transforms.transforms[0].images
        assert Path(images.cases.source_folder).parent.name == other.name
        next(trainer.dataloader_train)
    preprocessed = tmp_path / "preprocessed"
    for data in (flat, solid):
        shutil.copytree(data.preprocessed, preprocessed / data.name)
    identifier = flat.plans["configurations"]["2d"]["data_identifier"]
    shutil.copytree(flat.preprocessed / identifier, preprocessed / solid.name / identifier)
    refusals = {
        f"dataset{int(solid.name[7:10])}": f"{flat.name} has 3 channels, and {solid.name} has 1",
        "dataset77": "images of data set 77, and .* has no preprocessed ones",
        f"dataset{int(flat.name[7:10])}": "is the data set itself",
    }
    results = tmp_path / "results"
    with sandbox(raw=tmp_path, preprocessed=preprocessed, results=results):
        for word, message in refusals.items():
            cls = trainers.find(f"nnUNetTrainerFourierMix_{word}")
            assert cls is not None
            with pytest.raises(ValueError, match=message):
                cls({**flat.plans, "continue_training": False}, "2d", 0, flat.dataset_json, torch.device("cpu"))
    assert not results.exists()
