"""A training with our transform is nnU-Net's own training, bit for bit."""

from collections.abc import Iterator

import pytest
import torch
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform, blur_dimension
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.training.resampling import fingerprint
from nnunet_tricks.training.resampling.exact_augmentation import VARIABLE
from nnunet_tricks.training.resampling.exact_spatial import ExactSpatialTransform

STEPS = 20
RUN = "nnUNetTrainer_run2"
SITUATIONS = [
    pytest.param(Situation("labels", "2d", True), "2d", id="2D"),
    pytest.param(Situation("labels+ignore", "3d", True), "3d_fullres", id="slice by slice"),
    pytest.param(Situation("regions", "3d", True), "3d_lowres", id="3D"),
]


def found(name: str) -> type[nnUNetTrainer]:
    trainer = trainers.find(name)
    assert trainer is not None
    return trainer


def transforms_of(trainer: nnUNetTrainer) -> ComposeTransforms:
    return trainer.dataloader_train.data_loader.transforms


def trained(bench: Bench, trainer: type[nnUNetTrainer], cell: Situation, configuration: str) -> nnUNetTrainer:
    with bench.room(trainer, cell) as run:
        seed_everything(1)
        built = run.build(configuration=configuration)
        built.on_train_start()
        built.on_train_epoch_start()
        for _ in range(STEPS):
            built.train_step(next(built.dataloader_train))
    return built


@pytest.fixture
def one_way_to_blur(monkeypatch: pytest.MonkeyPatch) -> None:
    """nnU-Net's blur takes the one of two ways that it measures to be faster, which rounds differently."""

    def blurred(_: object, image: torch.Tensor, sigma: float, axis: int) -> torch.Tensor:
        return blur_dimension(image, sigma, axis)

    monkeypatch.setattr(GaussianBlurTransform, "_benchmark_wrapper", blurred)


@pytest.mark.usefixtures("one_way_to_blur")
@pytest.mark.parametrize(("cell", "configuration"), SITUATIONS)
def test_twenty_steps_end_in_the_same_weights(bench: Bench, cell: Situation, configuration: str) -> None:
    ours = trained(bench, found(RUN), cell, configuration)
    theirs = trained(bench, nnUNetTrainer, cell, configuration)
    assert spatial_transforms(transforms_of(ours)) == {fingerprint.reproduced()}
    assert spatial_transforms(transforms_of(theirs)) == {SpatialTransform}
    for mine, other in zip(ours.network.state_dict().values(), theirs.network.state_dict().values(), strict=True):
        assert torch.equal(mine, other)


def spatial_transforms(transforms: ComposeTransforms) -> set[type]:
    return {type(part) for part in transforms.transforms if isinstance(part, SpatialTransform)}


@pytest.fixture
def fresh_fingerprint() -> Iterator[None]:
    fingerprint.reproduced.cache_clear()
    yield
    fingerprint.reproduced.cache_clear()


def begun(bench: Bench, name: str) -> tuple[ComposeTransforms, str]:
    """Transforms of a trainer that has begun, and its log."""
    with bench.room(found(name), Situation("labels", "2d", True)) as run:
        trainer = run.build()
        trainer.on_train_start()
        with open(trainer.log_file, encoding="utf-8") as log:
            return transforms_of(trainer), log.read()


def test_a_changed_transform_of_theirs_is_used_and_the_log_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fresh_fingerprint: None
) -> None:
    original = SpatialTransform._apply_to_segmentation

    def changed(self: SpatialTransform, segmentation: torch.Tensor, **parameters: object) -> torch.Tensor:
        labels = original(self, segmentation, **parameters)
        labels[(slice(None), *[0] * (labels.ndim - 1))] = segmentation.flatten()[0]
        return labels

    monkeypatch.setattr(SpatialTransform, "_apply_to_segmentation", changed)
    transforms, log = begun(bench, RUN)
    assert spatial_transforms(transforms) == {SpatialTransform}
    assert "batchgeneratorsv2 augments label maps itself: nnunet_tricks does not know release" in log


@pytest.mark.parametrize(("value", "kind"), [("off", SpatialTransform), ("on", ExactSpatialTransform)])
def test_the_environment_switches_it_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, value: str, kind: type[SpatialTransform]
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    transforms, log = begun(bench, RUN)
    assert all(issubclass(part, kind) for part in spatial_transforms(transforms))
    assert (f"{VARIABLE}=off" in log) == (value == "off")


def test_what_is_neither_on_nor_off_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "perhaps")
    with pytest.raises(ValueError, match=f"{VARIABLE} must be on or off, got perhaps"):
        begun(bench, RUN)


@pytest.mark.parametrize("name", ["nnUNetTrainerDA5_run2", "nnUNetTrainerElastic", "nnUNetTrainerGTAugB"])
def test_every_trainer_of_ours_has_it(bench: Bench, name: str) -> None:
    transforms = begun(bench, name)[0].transforms
    kinds = {type(transform) for transform in transforms if isinstance(transform, SpatialTransform)}
    kinds |= {type(part.transform) for part in transforms if isinstance(part, RandomTransform)}
    assert fingerprint.reproduced() in kinds
    assert SpatialTransform not in kinds
