"""GANs of tiny data sets, from the command line to a training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest
import torch
from batchgenerators.utilities.file_and_folder_operations import load_pickle, write_pickle
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from PIL import Image
from scipy.stats import binomtest

from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.tiny_data import TinyData
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.sandbox import sandbox
from nnunet_tricks.tricks.synthesis.cases import FoldCases
from nnunet_tricks.tricks.synthesis.place import GanPlace
from nnunet_tricks.tricks.synthesis.sampling import Sampling
from nnunet_tricks.tricks.synthesis.synthetic_patches import SyntheticPatches
from nnunet_tricks.tricks.synthesis.training import GanTraining, facts_of
from tests.tricks.sampling.planted import IGNORING, LABELS, PlantedCases, loader_of
from tests.tricks.sampling.test_sampling import started

CPU = torch.device("cpu")
SMALL = ("--width", "2", "--device", "cpu")


@dataclass(frozen=True)
class World:
    """A copy of a tiny data set, so that tests can change it.

    Attributes:
        data: The data set.
        folder: Its preprocessed folder.
        results: nnU-Net's folder of results, which nothing should make.
    """

    data: TinyData
    folder: Path
    results: Path

    @property
    def configuration(self) -> str:
        return next(iter(self.data.plans["configurations"]))

    @property
    def images(self) -> Path:
        return self.folder / self.data.plans["configurations"][self.configuration]["data_identifier"]

    @property
    def place(self) -> GanPlace:
        name = self.data.name
        return GanPlace.of(self.folder, name, self.configuration, "0", "nnUNetPlans", self.images.name)

    def cases(self) -> FoldCases:
        return FoldCases.of(self.data.name, self.configuration, "0")

    def command(self, action: str, *words: str, expect: int = 0) -> None:
        start = ["ganaug", action, self.data.name, "-f", "0", "-c", self.configuration]
        assert main([*start, *(SMALL if action == "train" else SMALL[2:]), *words]) == expect

    def trainer(self, name: str = "GANAug") -> Any:
        cls = trainers.find(f"nnUNetTrainer{name}")
        assert cls is not None
        with sandbox(raw=self.folder, preprocessed=self.folder.parent, results=self.results):
            return cls(
                {**self.data.plans, "continue_training": False}, self.configuration, 0, self.data.dataset_json, CPU
            )


def _world(bench: Bench, labels: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, flat: bool = True) -> World:
    data = bench.data(labels, flat=flat)
    shutil.copytree(data.preprocessed, folder / "preprocessed" / data.name)
    monkeypatch.setenv("nnUNet_preprocessed", str(folder / "preprocessed"))
    return World(data, folder / "preprocessed" / data.name, folder / "results")


@pytest.fixture
def world(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    return _world(bench, "labels", tmp_path, monkeypatch)


def test_it_is_trained_interrupted_and_goes_on_as_if_nothing_had_been(world: World) -> None:
    cases = world.cases()
    facts = facts_of(cases, steps=4, width=2)
    whole = GanTraining(cases, facts, CPU)
    assert len(list(whole.run(save_every=2))) == 4
    expected = {key: value.clone() for key, value in whole.gan.generator.state_dict().items()}
    shutil.rmtree(world.place.folder)
    interrupted = GanTraining(cases, facts, CPU).run(save_every=2)
    for _ in range(3):  # one step after the checkpoint
        next(interrupted)
    interrupted.close()
    assert world.place.gan() == replace(facts, step=2, l1=world.place.gan().l1)  # type: ignore[union-attr]
    again = GanTraining(cases, facts, CPU)
    assert again.gan.step_number == 2
    assert len(list(again.run(save_every=2))) == 2
    assert all(torch.equal(value, expected[key]) for key, value in again.gan.generator.state_dict().items())
    assert again.gan.rows == whole.gan.rows
    assert len(world.place.log.read_text().splitlines()) == 5
    with Image.open(world.place.gallery) as picture:
        assert picture.width > picture.height / 2


def test_no_validation_case_is_read(world: World) -> None:
    """Everything is bit-equal when the files of all other cases are gone."""
    pairs = []
    for gone in (False, True):
        cases = world.cases()
        if gone:
            for file in [*world.images.iterdir(), *(world.folder / "gt_segmentations").iterdir()]:
                if not file.name.startswith(cases.names):
                    file.unlink()
        list(GanTraining(cases, facts_of(cases, steps=2, width=2), CPU, restart=True).run(save_every=9))
        sampling = Sampling(cases, pairs=2, seed=0, device=CPU, replace=True)
        assert len(list(sampling.run())) == 2
        read = nnUNetDatasetBlosc2(str(world.place.samples)).load_case("synthetic_0001")
        pairs.append([np.asarray(part[:]) for part in read[:2]])
    assert all(map(np.array_equal, *pairs))


@pytest.mark.parametrize(("labels", "flat"), [("regions+ignore", True), ("labels+ignore", False)])
def test_a_pair_is_what_the_generator_was_told(
    labels: str, flat: bool, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = _world(bench, labels, tmp_path, monkeypatch, flat=flat)
    # In 3D, the generator is also told the masks of the slices before and after.
    neighbours = 0 if flat else 1
    world.command("train", "--steps", "1")
    cases = world.cases()
    sampling = Sampling(cases, pairs=3, seed=0, device=CPU, replace=False)
    told: list[np.ndarray[Any, Any]] = []
    sampling.generator.register_forward_pre_hook(lambda _, inputs: told.append(inputs[0][0].numpy()))
    list(sampling.run())
    data = nnUNetDatasetBlosc2(str(world.place.samples))
    ignored = 0
    for name in sorted(data.identifiers):
        image, mask, _, properties = data.load_case(name)
        mask = np.asarray(mask[:])[0]
        conditions, told = told[: len(mask)], told[len(mask) :]
        channels = 1 + len(cases.known)
        for off in range(-neighbours, neighbours + 1):
            first = (off + neighbours) * channels
            hot = np.stack([part[first : first + channels].argmax(0) for part in conditions])
            padded = np.pad(mask, ((neighbours, neighbours), (0, 0), (0, 0)), constant_values=-1)
            expected = padded[neighbours + off :][: len(mask)]
            assert np.array_equal(np.array([-1, *cases.known])[hot], expected)
        assert image.shape == (3 if flat else 1, *mask.shape)
        low, high = np.array(sampling.facts.ranges).T
        values = np.asarray(image[:]).reshape(len(image), -1)
        assert (values.min(1) >= low - 1e-4).all()
        assert (values.max(1) <= high + 1e-4).all()
        # nnU-Net centres patches by these voxels: they have the label that they stand for.
        for key, voxels in properties["class_locations"].items():
            wanted = key if isinstance(key, tuple) else (key,)
            assert all(mask[tuple(voxel[1:])] in wanted for voxel in voxels)
        ignored += int((mask == sampling.facts.ignore).sum())
    assert ignored
    assert not told


@pytest.mark.parametrize("dimension", ["2d", "3d"])
def test_a_training_draws_them_with_targets_of_all_levels(bench: Bench, dimension: str) -> None:
    """With p 1 every patch is a synthetic one, whose targets nnU-Net makes as those of any other."""
    with started(bench, "GANAug_p1", Situation("labels+ignore", dimension, True)) as trainer:
        loader = trainer.dataloader_train.data_loader
        batch = next(trainer.dataloader_train)
        swap = loader.transforms.transforms[0]
        assert isinstance(swap, SyntheticPatches)
        assert trainer.synthetic_pairs in trainer.log_text
        image, labels = swap.draw()
        assert tuple(image.shape[1:]) == tuple(labels.shape[1:])
        assert tuple(image.shape[1:]) == tuple(loader.patch_size[-(image.ndim - 1) :])
    assert isinstance(batch["target"], list)
    assert len(batch["target"]) > 1
    assert np.isfinite(batch["data"].numpy()).all()


def _swap(p: float, manager: Any) -> tuple[SyntheticPatches, dict[str, torch.Tensor]]:
    """Pairs hold 1 or 2, training patches 9; labels are 1 in pairs and 0 in training patches."""
    labels = {name: np.ones((6, 14, 14), np.int16) for name in ("one", "two")}
    labels["two"][:, :3] = 3
    pairs = PlantedCases(labels, manager)
    loader = loader_of(pairs, (4, 8, 8), manager)
    sample = {"image": torch.full((1, 4, 8, 8), 9.0), "segmentation": torch.zeros(1, 4, 8, 8, dtype=torch.int16)}
    return SyntheticPatches(loader, pairs, p=p, ignore=manager.ignore_label), sample


def test_as_many_patches_are_synthetic_as_the_name_says() -> None:
    np.random.seed(0)
    swap, sample = _swap(0.2, LABELS)
    made = [swap(**sample) for _ in range(1500)]
    synthetic = [bool((patch["image"] != 9).all()) for patch in made]
    assert binomtest(sum(synthetic), len(made), 0.2).pvalue > 0.01
    for patch, swapped in zip(made, synthetic, strict=True):
        # Image and mask belong together.
        assert swapped == bool((patch["segmentation"] != 0).all())
    assert {float(patch["image"].max()) for patch in made} == {1, 2, 9}
    state = np.random.get_state()[1].copy()  # type: ignore[union-attr]
    assert _swap(0.0, LABELS)[0](**sample)["image"] is sample["image"]
    assert np.array_equal(state, np.random.get_state()[1])  # type: ignore[arg-type]


def test_the_first_stage_knows_no_ignore_label_and_weights_are_one() -> None:
    np.random.seed(0)
    swap, sample = _swap(1.0, IGNORING)
    sample = {"image": sample["image"].repeat(2, 1, 1, 1), "segmentation": sample["segmentation"].repeat(2, 1, 1, 1)}
    seen = set()
    for _ in range(60):
        made = swap(**sample)
        labels, previous = made["segmentation"]
        seen |= set(labels.unique().tolist())
        assert torch.equal(previous, torch.where(labels == 3, 0, labels))
        assert not made["image"][1].any()
    assert seen - {-1} == {1, 3}


def test_a_training_without_gan_or_pairs_names_the_missing_command(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    number = world.data.name[7:10]
    command = f"nnunet-tricks ganaug {{}} {number} -f 0 -c 2d"
    with pytest.raises(ValueError, match=f"has no GAN of {world.data.name}, fold 0: '{command.format('train')}'"):
        world.trainer()
    world.command("sample", "-n", "2", expect=2)
    assert command.format("train") in capsys.readouterr().err
    world.command("train", "--steps", "2", "--json")
    assert json.loads(capsys.readouterr().out)["step"] == 2
    with pytest.raises(ValueError, match=f"no images of it: '{command.format('sample')} -n 200'"):
        world.trainer()
    world.command("sample", "-n", "2", "--dry-run")
    assert not world.place.samples.exists()
    world.command("sample", "-n", "2")
    world.command("sample", "-n", "2", expect=2)
    assert "holds 2 pairs, and trainings may have used them" in capsys.readouterr().err
    assert not world.results.exists()
    world.trainer()
    with pytest.raises(ValueError, match=r"GANAug (brings voxels of other cases|takes masks of whole cases)"):
        world.trainer("GANAug_PartialLabels")
    world.command("train", "--steps", "3", expect=2)
    assert "a GAN with steps 2, and now steps is 3" in capsys.readouterr().err
    whole = world.place.checkpoint.read_bytes()
    for damaged in (whole[:100], b""):
        world.place.checkpoint.write_bytes(damaged)
        world.command("sample", "-n", "2", "--replace", expect=2)
        assert "checkpoint.pth is damaged" in capsys.readouterr().err
    assert world.place.pairs().pairs == 2  # type: ignore[union-attr]
    world.place.checkpoint.write_bytes(whole)
    # A split in which a case of the GAN is one for validation.
    splits = [{"train": ["case_1", "case_2"], "val": ["case_0"]}]
    (world.folder / "splits_final.json").write_text(json.dumps(splits))
    with pytest.raises(ValueError, match="has seen 1 cases that fold 0 does not train on, such as case_0"):
        world.trainer()
    world.command("sample", "-n", "2", "--replace", expect=2)
    assert "was trained on other cases than fold 0 has" in capsys.readouterr().err
    assert main(["ganaug", "train", number, "-f", "1"]) == 2
    assert "-f 1 is not in" in capsys.readouterr().err


def test_masks_without_foreground_are_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for file in world.images.glob("*.pkl"):
        properties = load_pickle(str(file))
        write_pickle({**properties, "class_locations": {1: [], 2: []}}, str(file))
    world.command("train", "--steps", "1", expect=2)
    assert "none of the 2 training cases" in capsys.readouterr().err
    assert not world.place.folder.exists()


def test_volumes_thinner_than_what_the_generator_is_told_of_are_refused(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = _world(bench, "labels", tmp_path, monkeypatch, flat=False)
    for file in world.images.glob("case_1*.b2nd"):
        volume = blosc2.open(str(file), mode="r")[:, :2]
        file.unlink()
        blosc2.asarray(np.ascontiguousarray(volume), urlpath=str(file))
    world.command("train", "--steps", "1", expect=2)
    said = f"--neighbours 1 the generator is told of 3 slices at once, and case_1 of {world.data.name} has 2"
    assert said in capsys.readouterr().err
    assert not world.place.folder.exists()
    world.command("train", "--steps", "1", "--neighbours", "0", "--dry-run")
    world.command("train", "--steps", "1", "--neighbours", "-1", expect=2)
    assert "--neighbours must be at least 0, got -1" in capsys.readouterr().err


def test_images_of_four_channels_are_drawn(world: World) -> None:
    for file in world.images.glob("case_?.b2nd"):
        image = blosc2.open(str(file), mode="r")[:]
        file.unlink()
        blosc2.asarray(np.concatenate([image, image[:1]]), urlpath=str(file))
    cases = world.cases()
    list(GanTraining(cases, facts_of(cases, steps=1, width=2), CPU).run(save_every=9))
    list(Sampling(cases, pairs=1, seed=0, device=CPU, replace=False).run())
    image = nnUNetDatasetBlosc2(str(world.place.samples)).load_case("synthetic_0000")[0]
    assert image.shape[0] == 4


def test_spade_is_trained_and_a_dry_run_writes_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.command("train", "--steps", "2", "--generator", "spade", "--dry-run")
    assert "Would train a GAN" in capsys.readouterr().out
    assert not world.place.folder.exists()
    world.command("train", "--steps", "2", "--generator", "spade", "--plain")
    facts = world.place.require_gan()
    assert (facts.generator, facts.style, facts.l1[0] > 0) == ("spade", False, True)
