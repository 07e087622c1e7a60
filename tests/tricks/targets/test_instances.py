from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cc3d
import numpy as np
import pytest
import SimpleITK
import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import maximum_filter

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.targets.instances import (
    COLOURS,
    FOLDER,
    STRIDE,
    ColouredCases,
    SplitColours,
    before_channels_change,
    colour,
    instance_map,
)
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer


@given(
    array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=10).flatmap(
        lambda shape: arrays(np.uint16, shape, elements=st.sampled_from([0, 0, 0, 1, 2, 3, 700]))
    )
)
def test_instances_that_touch_never_share_a_colour(instances: np.ndarray) -> None:
    code = np.where(instances > 0, colour(instances) + 1, 0)
    assert code.dtype.kind == "i"
    for number in np.unique(instances[instances > 0]):
        mine = instances == number
        assert len(np.unique(code[mine])) == 1
        others = (maximum_filter(mine, size=3) & ~mine) & (instances > 0)
        assert not np.isin(code[others], code[mine]).any()


def test_so_many_that_touch_that_colours_run_out_are_refused() -> None:
    """Rods along one axis that lie on rods along the other: each number touches all others."""
    rods = np.stack([np.repeat(np.arange(1, 18)[:, None], 17, 1), np.repeat(np.arange(1, 18)[None], 17, 0)])
    with pytest.raises(ValueError, match="colours are needed"):
        colour(rods)


def test_nuclei_are_told_apart_after_warping() -> None:
    """A grid of touching squares through nnU-Net's own rotation and scaling."""
    y, x = np.mgrid[:96, :96]
    instances = 1 + (y // 12) * 8 + x // 12
    instances[(y < 12) | (y >= 84) | (x < 12) | (x >= 84)] = 0
    labels = (instances > 0).astype(np.int16)
    code = torch.from_numpy(labels + STRIDE * colour(instances))[None]
    spatial = SpatialTransform(
        (96, 96),
        patch_center_dist_from_border=48,
        random_crop=False,
        p_elastic_deform=0,
        p_rotation=1,
        rotation=0.4,
        p_scaling=1,
        scaling=(1.1, 1.1),
    )
    torch.manual_seed(0)
    warped = before_channels_change(ComposeTransforms([spatial]), SplitColours())(
        image=torch.zeros(1, 96, 96), segmentation=code
    )
    assert set(warped["segmentation"].unique().tolist()) <= {0, 1}
    kinds = (warped["segmentation"][0] * (1 + warped[COLOURS])).numpy()
    sizes = np.unique(cc3d.connected_components(kinds, connectivity=8), return_counts=True)[1][1:]
    assert (sizes > 30).sum() == 36
    assert _components(warped["segmentation"][0].numpy()) == 1


def _components(mask: np.ndarray) -> int:
    return int(cc3d.connected_components(mask, connectivity=8 if mask.ndim == 2 else 26).max())


@pytest.fixture(scope="module")
def split_bench() -> Iterator[Bench]:
    """Tiny data sets in which each organ consists of two instances that touch."""
    with Bench() as made:
        for labels, flat in (("labels", True), ("regions+ignore", True), ("labels", False)):
            _split_in_two(made.data(labels, flat=flat).raw)
        yield made


def _split_in_two(raw: Path) -> None:
    (raw / FOLDER).mkdir()
    for file in (raw / "labelsTr").iterdir():
        image = SimpleITK.ReadImage(str(file))
        labels = SimpleITK.GetArrayFromImage(image)
        right = np.arange(labels.shape[-1]) >= labels.shape[-1] // 2
        instances = SimpleITK.GetImageFromArray(np.where(np.isin(labels, (1, 2)), 500 + right, 0).astype(np.uint16))
        instances.CopyInformation(image)
        SimpleITK.WriteImage(instances, str(raw / FOLDER / file.name))


CELLS = [Situation("labels", "2d", True), Situation("regions+ignore", "2d", False), Situation("labels", "3d", True)]


@pytest.mark.parametrize("cell", [*CELLS, Situation("labels", "cascade", True)], ids=str)
def test_a_trainer_sees_two_objects_where_the_label_map_has_one(split_bench: Bench, cell: Situation) -> None:
    cls = trainers.find("nnUNetTrainerBlob")
    assert cls is not None
    with split_bench.room(cls, cell) as run:
        if cell.dimension == "cascade":
            STEPS["first stage"](run)
        trainer = run.build()
        assert isinstance(trainer, MappedLossTrainer)
        trainer.on_train_start()
        split = 0
        for loader in (trainer.dataloader_train, trainer.dataloader_val):
            for _ in range(3):
                target = trainer._without_maps(next(loader))["target"]
                full = target[0] if isinstance(target, list) else target
                maps = trainer.criterion.maps
                assert maps is not None
                for sample, numbers in zip(full, maps, strict=True):
                    for mask, number in zip(trainer.layout.kinds(sample), numbers, strict=True):
                        np.testing.assert_array_equal(number.numpy() > 0, mask)
                        split += (
                            number.max()
                            > cc3d.connected_components(mask, connectivity=8 if mask.ndim == 2 else 26).max()
                        )
        assert split > 4
        assert f"instances of 2 cases from {run.data.raw / FOLDER}" in Path(trainer.log_file).read_text()


def test_maps_are_made_once_and_again_when_the_source_is_newer(split_bench: Bench) -> None:
    cls = trainers.find("nnUNetTrainerDistanceCE")
    assert cls is not None
    with split_bench.room(cls, CELLS[0]) as run:
        times = []
        for _ in range(3):
            trainer = run.build()
            trainer.get_tr_and_val_datasets()
            folder = Path(trainer.preprocessed_dataset_folder)
            (first, *_) = sorted(folder.with_name(f"{folder.name}_instances").iterdir())
            times.append(first.stat().st_mtime_ns)
            if len(times) == 2:
                _touch_later(run.data.raw / FOLDER / f"{first.stem}{run.data.ending}", first)
    assert times[0] == times[1] < times[2]


def test_where_the_raw_data_set_is_not_the_kept_colours_are_used(split_bench: Bench, tmp_path: Path) -> None:
    cls = trainers.find("nnUNetTrainerDistanceCE")
    assert cls is not None
    with split_bench.room(cls, CELLS[0]) as run:
        run.build().get_tr_and_val_datasets()
        away = shutil.move(run.data.raw, tmp_path / "away")
        try:
            trainer = run.build()
            assert all(isinstance(cases, ColouredCases) for cases in trainer.get_tr_and_val_datasets())
            shutil.rmtree(Path(trainer.preprocessed_dataset_folder + "_instances"))
            assert not any(isinstance(cases, ColouredCases) for cases in trainer.get_tr_and_val_datasets())
        finally:
            shutil.move(away, run.data.raw)
        log = Path(trainer.log_file).read_text()
    assert f"no {run.data.raw}: objects of one class that touch count as one" in log


def _touch_later(file: Path, than: Path) -> None:
    later = than.stat().st_mtime + 5
    os.utime(file, (later, later))
    os.utime(than, (later - 10, later - 10))


def test_a_case_without_its_map_and_another_grid_are_refused_by_name() -> None:
    cls = trainers.find("nnUNetTrainerBlob")
    assert cls is not None
    with Bench() as own:
        raw = own.data("labels", flat=True).raw
        with own.room(cls, CELLS[0]) as run:
            trainer = run.build()
            trainer.get_tr_and_val_datasets()
            assert "objects of one class that touch count as one" in Path(trainer.log_file).read_text()
        _split_in_two(raw)
        wrong = raw / FOLDER / "case_1.png"
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros((5, 6), np.uint16)), str(wrong))
        with (
            own.room(cls, CELLS[0]) as run,
            pytest.raises(ValueError, match=r"case_1\.png has .* must have the same grid"),
        ):
            run.build().get_tr_and_val_datasets()
        wrong.unlink()
        with own.room(cls, CELLS[0]) as run, pytest.raises(FileNotFoundError, match=r"1 of 2 .*case_1\.png"):
            run.build().get_tr_and_val_datasets()


@pytest.mark.parametrize(
    ("ending", "there", "found"), [(".bmp", ".png", ".png"), (".png", ".png", ".png"), (".tif", ".tif", ".tif")]
)
def test_instances_of_a_data_set_of_bitmaps_are_png_files(tmp_path: Path, ending: str, there: str, found: str) -> None:
    (tmp_path / f"case_1{there}").touch()
    assert instance_map(tmp_path, "case_1", ending) == tmp_path / f"case_1{found}"
    # What is missing is named with the ending of the data set.
    assert instance_map(tmp_path, "case_2", ending) == tmp_path / f"case_2{ending}"
