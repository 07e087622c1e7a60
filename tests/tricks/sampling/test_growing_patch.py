"""Patches that grow: their sizes, what is drawn in each stage, and what stays as planned."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.run.run_training import maybe_load_checkpoint
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch.testing._internal.distributed.fake_pg import FakeStore

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.checks import equal
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.rank_group import WORLD, group
from nnunet_tricks.conformance.ranks import RankPair
from nnunet_tricks.conformance.run import CONFIGURATIONS, Run
from nnunet_tricks.door import trainers
from nnunet_tricks.door.lookup import findable
from nnunet_tricks.nnunet import patches
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.tricks.sampling.growing_patch import size_to_load
from nnunet_tricks.tricks.sampling.loader import loader_of
from nnunet_tricks.tricks.sampling.patch_stages import (
    LEAST_SIDE,
    Size,
    growing_sizes,
    larger_batch,
    share_of_process,
    stage_at,
    stages_of,
)

FLAT, SOLID = Situation("labels", "2d", True), Situation("labels+ignore", "3d", False)
PLANNED = {"2d": (32, 32), "3d": (6, 24, 24)}
SIZES = {
    "2d": ((16, 8), (16, 16), (24, 16), (24, 24), (32, 24), (32, 32)),
    "3d": ((6, 8, 8), (6, 16, 8), (6, 16, 16), (6, 24, 16), (6, 24, 24)),
}
"""Of the bench's plans, whose strides multiply to 8 x 8 and 2 x 8 x 8."""


class Killed(Exception):
    """What ends a training from outside."""


@contextmanager
def room(bench: Bench, name: str, cell: Situation = FLAT, **configuration: Any) -> Iterator[Run]:
    """A room for a trainer, with changes of the configuration."""
    cls = trainers.find(f"nnUNetTrainer{name}") if name else nnUNetTrainer
    assert cls is not None
    with bench.room(cls, cell) as run:
        plans = deepcopy(run.data.plans)
        plans["configurations"][CONFIGURATIONS[cell.dimension]] |= configuration
        yield Run(cls, cell, replace(run.data, plans=plans), run.folder)


class Seen:
    """The shapes of all batches of a training by epoch, and the values of training batches."""

    def __init__(self, trainer: nnUNetTrainer, *, killed_at: int | None = None) -> None:
        self.training: dict[int, tuple[int, ...]] = {}
        self.validation: set[tuple[int, ...]] = set()
        self.patches: dict[int, list[torch.Tensor]] = {}
        self.children: list[int] = []
        train, validate, begin = trainer.train_step, trainer.validation_step, trainer.on_train_epoch_start

        def train_step(batch: dict[str, Any]) -> dict[str, Any]:
            epoch, shape = trainer.current_epoch, tuple(batch["data"].shape)
            assert self.training.setdefault(epoch, shape) == shape
            self.patches.setdefault(epoch, []).append(batch["data"].clone())
            return train(batch)

        def validation_step(batch: dict[str, Any]) -> dict[str, Any]:
            self.validation.add(tuple(batch["data"].shape))
            return validate(batch)

        def on_train_epoch_start() -> None:
            if trainer.current_epoch == killed_at:
                raise Killed
            begin()
            self.children.append(len(multiprocessing.active_children()))

        trainer.train_step, trainer.validation_step = train_step, validation_step
        trainer.on_train_epoch_start = on_train_epoch_start

    @property
    def sizes(self) -> list[Size]:
        return [shape[2:] for _, shape in sorted(self.training.items())]


def trained(run: Run, *, killed_at: int | None = None, resumed: bool = False) -> tuple[Any, Seen]:
    seed_everything(0)
    trainer = run.build(continue_training=resumed)
    maybe_load_checkpoint(trainer, resumed, False)
    trainer.save_every = 1
    seen = Seen(trainer, killed_at=killed_at)
    if killed_at is None:
        trainer.run_training()
    else:
        with pytest.raises(Killed):
            trainer.run_training()
    return trainer, seen


def log_of(trainer: nnUNetTrainer) -> str:
    return "".join(file.read_text() for file in sorted(Path(trainer.output_folder).glob("training_log*.txt")))


# Sizes and stages


@st.composite
def planned_patches(draw: st.DrawFn) -> tuple[Size, Size]:
    dimensions = draw(st.sampled_from([2, 3]))
    steps = [draw(st.sampled_from([1, 2, 4, 8, 16, 32])) for _ in range(dimensions)]
    patch = [step * draw(st.integers(1, 12)) for step in steps]
    return tuple(patch), tuple(steps)


@given(planned_patches(), st.booleans())
def test_each_size_is_one_step_along_one_axis_from_the_last(planned: tuple[Size, Size], in_turn: bool) -> None:
    patch, steps = planned
    sizes = growing_sizes(patch, steps, in_turn=in_turn)
    assert sizes[-1] == patch
    for before, after in pairwise(sizes):
        grown = np.subtract(after, before)
        assert sorted(grown)[:-1] == [0] * (len(patch) - 1)
        axis = int(grown.argmax())
        assert grown[axis] == steps[axis]
        if not in_turn:
            left = [side + step for side, step, most in zip(before, steps, patch, strict=True) if side < most]
            assert after[axis] == min(left)
    for size in sizes:
        assert not np.mod(size, steps).any()
        assert all(side >= min(most, LEAST_SIDE) for side, most in zip(size, patch, strict=True))
        assert prod(size) > prod(steps) or size == patch


@pytest.mark.parametrize(
    ("patch", "steps", "count", "voxels"),
    [
        ((128, 128, 128), (32, 32, 32), 9, 0.38),
        ((28, 256, 256), (4, 64, 64), 12, 0.28),
        ((40, 56, 40), (8, 8, 8), 14, 0.35),
    ],
)
def test_the_published_number_of_stages(patch: Size, steps: Size, count: int, voxels: float) -> None:
    """Those of the first paper, and those of the second but for its first one, with one voxel in the deepest stage."""
    for in_turn in (True, False):
        sizes = growing_sizes(patch, steps, in_turn=in_turn)
        assert len(sizes) == count
        assert sizes[0] == (steps[0] * 2, *steps[1:])
    assert sum(map(prod, sizes)) / prod(patch) / count == pytest.approx(voxels, abs=0.01)


def test_axes_grow_in_turn_or_by_their_length() -> None:
    patch, steps = (28, 256, 256), (4, 64, 64)
    assert growing_sizes(patch, steps)[:3] == ((8, 64, 64), (12, 64, 64), (16, 64, 64))
    in_turn = growing_sizes(patch, steps, in_turn=True)
    assert in_turn[:5] == ((8, 64, 64), (12, 64, 64), (12, 128, 64), (12, 128, 128), (16, 128, 128))


def test_no_side_is_too_short_for_nnunets_blur(bench: Bench) -> None:
    """With one side shorter, batchgeneratorsv2 raises: so it is a limit of theirs, and not ours."""
    assert growing_sizes((16, 64, 64), (2, 32, 32))[0] == (8, 32, 32)
    for side, fails in ((LEAST_SIDE, False), (3, True)):
        transforms = nnUNetTrainer.get_training_transforms((side, 16, 16), (-0.5, 0.5), None, (0,), False)
        (blur,) = (step for step in transforms.transforms if "GaussianBlur" in str(vars(step)))
        blur.apply_probability, blur.transform.p_per_channel, blur.transform.blur_sigma = 1, 1, 1.0
        blur.transform.benchmark = False
        raised = False
        try:
            blur(image=torch.randn(1, side, 16, 16))
        except RuntimeError as error:
            raised = "Padding size" in str(error)
        assert raised == fails


@given(st.integers(1, 20), st.integers(1, 300))
def test_stages_cover_the_training(count: int, epochs: int) -> None:
    sizes = [(8 * number,) for number in range(1, count + 1)]
    stages = stages_of(sizes, [2] * count, epochs)
    seen = [sizes.index(stage_at(stages, epoch).size) for epoch in range(epochs)]
    assert seen == sorted(seen)
    assert seen[-1] == count - 1
    if epochs >= count:
        length = epochs // count
        assert seen == [min(epoch // length, count - 1) for epoch in range(epochs)]
    else:
        assert len(set(seen)) == epochs
        assert epochs == 1 or seen[0] == 0
        assert np.ptp(np.diff(seen)) <= 1 if epochs > 1 else True


@given(planned_patches(), st.integers(1, 20), st.integers(1, 100))
def test_a_batch_keeps_its_voxels(planned: tuple[Size, Size], batch: int, most: int) -> None:
    patch, steps = planned
    for size in growing_sizes(patch, steps):
        count = larger_batch(size, patch, batch, most)
        assert count >= batch
        assert count * prod(size) <= batch * prod(patch)
        if count < most and count > batch:
            assert (count + 1) * prod(size) > batch * prod(patch)
        assert count <= max(most, batch)
        shared = larger_batch(size, patch, batch, most, processes=3)
        assert shared == max(batch, count // 3 * 3)


@given(st.integers(1, 200), st.floats(0, 1), st.integers(1, 8))
def test_processes_share_a_batch(count: int, anywhere: float, processes: int) -> None:
    shares, on_foreground = zip(
        *(share_of_process(count, anywhere, processes, rank) for rank in range(processes)), strict=True
    )
    assert sum(shares) == count
    assert sum(on_foreground) == count - round(count * anywhere)
    assert max(shares) - min(shares) <= 1
    assert list(shares) == sorted(shares, reverse=True)
    assert all(0 <= some <= own for some, own in zip(on_foreground, shares, strict=True))


# Trainings


@pytest.mark.parametrize(
    ("cell", "mode"), [(FLAT, ""), (SOLID, "_performance_cap8")], ids=["2d efficient", "3d performance"]
)
def test_training_patches_grow_and_nothing_else_does(bench: Bench, cell: Situation, mode: str) -> None:
    sizes, planned = SIZES[cell.dimension], PLANNED[cell.dimension]
    epochs = len(sizes) + 2
    with room(bench, f"GrowingPatch{mode}_{epochs}epochs", cell) as run:
        trainer, seen = trained(run)
        folder = Path(trainer.output_folder)
        debug = json.loads((folder / "debug.json").read_text())
        stored = json.loads((folder.parent / "plans.json").read_text())
        predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
        with findable(run.trainer):
            predictor.initialize_from_trained_model_folder(str(folder.parent), (0,), "checkpoint_final.pth")
        log = log_of(trainer)
        plans = run.data.plans
    expected = [*sizes, *sizes[-1:] * 2]
    assert seen.sizes == expected
    batches = [seen.training[epoch][0] for epoch in range(epochs)]
    assert batches == ([2] * epochs if not mode else [larger_batch(size, planned, 2, 8) for size in expected])
    assert {shape[0] for shape in seen.validation} == {2}
    assert {shape[2:] for shape in seen.validation} == {planned}
    assert stored == plans
    assert tuple(predictor.configuration_manager.patch_size) == planned
    assert tuple(trainer.configuration_manager.patch_size) == planned
    for size, batch in zip(sizes, batches, strict=False):
        words = "x".join(map(str, size))
        assert f"size={size}, batch={batch}" in debug["stages"]
        assert f"epoch {sizes.index(size)}: {words}, {batch} patches in a batch" in log
    assert f"GrowingPatch: {len(sizes)} stages with" in log


def test_a_training_that_continues_has_the_patches_it_would_have_had(bench: Bench) -> None:
    """Killed where a stage begins, and within one; with shared randomness even the weights are the same."""
    name = "GrowingPatch_performance_cap3_10epochs_shared"
    plans = {"patch_size": [24, 24]}
    with room(bench, name, **plans) as run:
        whole, expected = trained(run)
    assert len(set(expected.sizes)) == 4
    assert expected.sizes[1] != expected.sizes[2] == expected.sizes[3]
    with room(bench, name, **plans) as run:
        parts = [trained(run, killed_at=2), trained(run, killed_at=3, resumed=True), trained(run, resumed=True)]
    assert [sorted(seen.training) for _, seen in parts] == [[0, 1], [2], [3, 4, 5, 6, 7, 8, 9]]
    for _, seen in parts:
        assert seen.training.items() <= expected.training.items()
        assert all(equal(seen.patches[epoch], expected.patches[epoch]) for epoch in seen.patches)
    assert equal(parts[-1][0].network.state_dict(), whole.network.state_dict())


def test_the_last_stage_draws_the_baselines_patches(bench: Bench) -> None:
    with room(bench, "_7epochs_shared") as run:
        _, baseline = trained(run)
    with room(bench, "GrowingPatch_7epochs_shared") as run:
        _, seen = trained(run)
    same = [equal(seen.patches[epoch], baseline.patches[epoch]) for epoch in range(7)]
    assert same == [False] * 5 + [True] * 2


@pytest.mark.parametrize(("cell", "stage"), [(FLAT, 3), (FLAT, 1), (SOLID, 3)], ids=str)
def test_a_stage_is_nnunet_with_plans_of_that_size(bench: Bench, cell: Situation, stage: int) -> None:
    """Where nnU-Net turns small patches as far as planned ones, and slice by slice or not."""
    size = SIZES[cell.dimension][stage]
    drawn = []
    for name, changes in (("", {"patch_size": list(size)}), ("GrowingPatch", {})):
        with room(bench, name, cell, **changes) as run:
            trainer = run.build()
            trainer.current_epoch = 1000 // len(SIZES[cell.dimension]) * stage
            trainer.on_train_start()
            seed_everything(1)
            batches = [next(trainer.dataloader_train) for _ in range(4)]
            drawn.append([(batch["data"], batch["target"], list(batch["keys"])) for batch in batches])
    assert tuple(drawn[0][0][0].shape[2:]) == size
    assert equal(drawn[1], drawn[0])


def test_turns_and_slices_are_those_of_planned_patches(bench: Bench) -> None:
    """A patch of 6 x 8 x 8 is not flat, but 6 x 24 x 24 is, so that it is turned in its slices only."""
    with room(bench, "GrowingPatch", SOLID) as run:
        trainer = run.build()
        trainer.on_train_start()
        loader = loader_of(trainer.dataloader_train)
        names = [type(step).__name__ for step in loader.transforms.transforms]
        loaded = loader.patch_size
    assert names[:3:2] == ["Convert3DTo2DTransform", "Convert2DTo3DTransform"]
    assert loaded[0] == 6
    assert min(loaded[1:]) > 8


@pytest.mark.parametrize("name", ["GrowingPatch_performance_cap6_3epochs", "GrowingPatch_3epochs_shared"])
def test_the_number_of_processes_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with room(bench, name) as run:
        monkeypatch.setenv("nnUNet_n_proc_DA", "2")
        before = len(multiprocessing.active_children())
        _, seen = trained(run)
        assert seen.children == [before + 3] * 3  # two for training, one for validation
        assert len(multiprocessing.active_children()) == before
    assert len(set(seen.sizes)) == 3
    if "shared" in name:
        with room(bench, name) as run:
            _, expected = trained(run)  # in one process
        assert equal(seen.patches, expected.patches)


@pytest.mark.parametrize("name", ["GrowingPatch_2epochs", "GrowingPatch_1epochs"])
def test_a_short_training_leaves_sizes_out(bench: Bench, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with room(bench, name) as run:
        trainer, seen = trained(run)
        assert "WARNING: GrowingPatch" in log_of(trainer)
        (run.folder / "output.txt").write_text("")
    assert seen.sizes == [(16, 8), (32, 32)][-len(seen.sizes) :]


# With other tricks


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("GTAugB_GrowingPatch", FLAT),
        ("GTAugB_GrowingPatch", SOLID),
        ("Elastic_Rotate90_GrowingPatch", SOLID),
        ("NoDA_GrowingPatch", SOLID),
        ("DA5_FastDA_GrowingPatch", FLAT),
        ("MixUp_RandomErasing_GrowingPatch_performance", FLAT),
        ("CutMix_GrowingPatch_performance_Oversample", SOLID),
        ("Boundary_ClassBalancedSampling_GrowingPatch", SOLID),
        ("Blob_NoDeepSupervision_GrowingPatch", SOLID),
        ("GrowingPatch_Oversample_fixed_size", FLAT),
        ("GrowingPatch_performance_GroupNorm_VanillaAdam_CosAnneal", SOLID),
        ("GrowingPatch_UNetPlusPlus", FLAT),
        ("GrowingPatch_ResNet50UNet", FLAT),
    ],
    ids=str,
)
def test_it_goes_with_other_tricks(bench: Bench, name: str, cell: Situation) -> None:
    network = name.endswith("UNet") or name.endswith("PlusPlus")  # with larger strides than planned
    planned = (64, 64) if network else PLANNED[cell.dimension]
    cell = replace(cell, deep_supervision=cell is FLAT and not name.endswith("PlusPlus"))
    with room(bench, f"{name}_2epochs", cell, patch_size=list(planned)) as run:
        trainer, seen = trained(run)
        losses = trainer.logger.get_value("train_losses", step=None)
    assert seen.sizes[-1] == planned
    assert prod(seen.sizes[0]) < prod(seen.sizes[1])
    assert np.isfinite(losses).all()
    assert {shape[2:] for shape in seen.validation} == {planned}


def test_foreground_keeps_its_share_in_larger_batches(bench: Bench) -> None:
    for name, share in (("GrowingPatch_performance", 0.5), ("GrowingPatch_performance_Oversample_fraction1_fixed", 1)):
        with room(bench, name) as run:
            trainer = run.build()
            trainer.on_train_start()
            loader = loader_of(trainer.dataloader_train)
            forced = [loader.get_do_oversample(number) for number in range(loader.batch_size)]
        assert len(forced) == 16
        assert np.mean(forced) == share


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("GrowingPatch", {"patch_size": [8, 8]}, "GrowingPatch changes nothing here: 8x8 is the smallest"),
        ("GrowingPatch", {"patch_size": [36, 32]}, "plan one such as 40x32"),
        ("GrowingPatch_StopEarly", {}, "StopEarly cannot be combined"),
        ("CopyPaste_GrowingPatch", {}, "CopyPaste cannot be combined with GrowingPatch"),
        ("FourierMix_GrowingPatch", {}, "FourierMix cannot be combined with GrowingPatch"),
        ("GANAug_GrowingPatch", {}, "GANAug cannot be combined with GrowingPatch"),
        ("GrowingPatch_UNETR", {}, "UNETR cannot be combined with GrowingPatch: it learns where things are"),
    ],
)
def test_what_cannot_grow_is_refused_before_there_is_a_folder(
    bench: Bench, name: str, changes: dict[str, Any], words: str
) -> None:
    cell = replace(SOLID if name.endswith("UNETR") else FLAT, deep_supervision=False)
    with room(bench, name, cell, **changes) as run:
        with pytest.raises(ValueError, match=words) as refused:
            run.build()
        assert "\n" not in str(refused.value)
        assert not (run.folder / "results").exists()


def test_da5_must_not_turn_slices_that_planned_patches_keep(bench: Bench) -> None:
    plans = {"patch_size": [8, 24, 24]}
    with (
        room(bench, "DA5_GrowingPatch", SOLID, **plans) as run,
        pytest.raises(ValueError, match=r"8x24x24: it turns .* those of 8x8x8, on the way"),
    ):
        run.build()


@pytest.mark.parametrize("name", ["SparseSlices_GrowingPatch", "GrowingPatch_SparseSlices"])
def test_sparse_slices_draw_patches_of_their_own(name: str) -> None:
    with pytest.raises(IllegalName, match="sampling"):
        parse(f"nnUNetTrainer{name}")


@given(planned_patches())
def test_margins_are_in_proportion_where_nnunets_rule_is_not_known(planned: tuple[Size, Size]) -> None:
    patch, steps = planned
    for size in growing_sizes(patch, steps):
        twice = size_to_load(size, patch, tuple(2 * side for side in patch), (-0.1, 0.1), False)
        assert twice == tuple(2 * side for side in size)
        assert size_to_load(size, patch, patch, (-3, 3), False) == size


# Several processes


@pytest.mark.parametrize(("batch", "processes"), [(2, 2), (5, 2), (7, 3)])
def test_each_process_has_nnunets_share_of_each_stage(bench: Bench, batch: int, processes: int) -> None:
    shares: list[list[tuple[int, int]]] = []
    with room(bench, "GrowingPatch_performance_6epochs", batch_size=batch) as run:
        for rank in range(processes):
            trainer = run.build(continue_training=True)
            torch.distributed.init_process_group("fake", rank=rank, world_size=processes, store=FakeStore())
            try:
                trainer.is_ddp = True
                trainer._set_batch_size_and_oversample()
                of_rank = []
                for epoch in range(6):
                    trainer.current_epoch = epoch
                    loader = loader_of(trainer.get_dataloaders()[0])
                    forced = sum(loader.get_do_oversample(number) for number in range(loader.batch_size))
                    of_rank.append((loader.batch_size, forced))
                assert of_rank[-1][0] == trainer.batch_size  # nnU-Net's own share of the planned batch
                shares.append(of_rank)
                stages = trainer.stages
            finally:
                torch.distributed.destroy_process_group()
    for stage, of_ranks in zip(stages, zip(*shares, strict=True), strict=True):
        assert sum(count for count, _ in of_ranks) == stage.batch
        planned = sum(of_rank[-1][1] for of_rank in shares) / batch
        assert sum(forced for _, forced in of_ranks) == pytest.approx(planned * stage.batch, abs=0.5)


def grow_together(bench: Bench, trainer: type[nnUNetTrainer], rank: int, store: Path) -> tuple[list[Any], str]:
    """A whole training in one of two processes: the shapes of its batches, and a sum over the weights at the end."""
    with bench.room(trainer, FLAT) as run:
        built = run.build(continue_training=True)
        with group(rank, store), patches.several_processes_on_the_cpu():
            built.is_ddp, built.local_rank = True, rank
            seen = Seen(built)
            built.run_training()
    content = sha256()
    for _, weight in sorted(built.network.module.state_dict().items()):
        content.update(weight.contiguous().numpy().tobytes())
    return [seen.training[epoch] for epoch in sorted(seen.training)], content.hexdigest()


def test_two_processes_grow_together() -> None:
    trainer = trainers.find("nnUNetTrainerGrowingPatch_performance_6epochs")
    assert trainer is not None
    with RankPair() as pair:
        answers: Sequence[tuple[list[Any], str]] = pair._ask(trainer, grow_together)
    assert len(answers) == WORLD
    shapes, sums = zip(*answers, strict=True)
    assert len(set(sums)) == 1
    for stage, of_ranks in zip(SIZES["2d"], zip(*shapes, strict=True), strict=True):
        assert {shape[2:] for shape in of_ranks} == {stage}
        assert len({shape[0] for shape in of_ranks}) == 1
        assert sum(shape[0] for shape in of_ranks) == larger_batch(stage, (32, 32), 2, 64) // 2 * 2
