"""Slices through nnU-Net's own preprocessing, told apart by what they show."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO, NibabelIOWithReorient
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.annotation.grid import SliceGrid, grid_of
from nnunet_tricks.conformance.tiny_plans import tiny_plans

Z, EDGES = 12, (5.0, 1.0, 1.5)
"""Number of slices, and the edges of a voxel along the body and across it."""
CHOSEN = (2, 9)


def image(order: tuple[int, ...], flips: tuple[bool, ...]) -> SimpleITK.Image:
    """Each voxel holds the number of its axial slice, from 1, the most inferior; the body is stored in any order."""
    body = np.broadcast_to(np.arange(1, Z + 1, dtype=np.float32), (7, 9, Z)).copy()
    body[:2] = 0  # something to crop, not along the body
    direction = np.zeros((3, 3))
    stored = body.transpose(order)
    for axis, (world, flip) in enumerate(zip(order, flips, strict=True)):
        direction[world, axis] = -1 if flip else 1
        stored = np.flip(stored, axis) if flip else stored
    made = SimpleITK.GetImageFromArray(np.ascontiguousarray(stored.transpose(2, 1, 0)))
    made.SetDirection(direction.ravel().tolist())
    made.SetSpacing([(EDGES[1], EDGES[2], EDGES[0])[world] for world in order])
    return made


def preprocessed(file: Path, reader: Any, transpose: tuple[int, ...], spacing: float) -> tuple[np.ndarray, Any]:
    plans = tiny_plans("Dataset001_Slices", flat=False, intensities={"0": {}})
    plans["transpose_forward"] = list(transpose)
    full = plans["configurations"]["3d_fullres"]
    data, properties = reader().read_images([str(file)])
    target = np.array(properties["spacing"], float)
    target[target == EDGES[0]] = spacing
    full["spacing"] = target[list(transpose)].tolist()
    full["normalization_schemes"] = ["NoNormalization"]
    full["resampling_fn_data_kwargs"]["order"] = 1
    manager = PlansManager(plans)
    done, _, properties = DefaultPreprocessor(verbose=False).run_case_npy(
        data, None, properties, manager, manager.get_configuration("3d_fullres"), {"labels": {"background": 0}}
    )
    return done[0], properties


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_slices_are_found_whatever_the_order_of_axes_and_their_flips(
    order: tuple[int, int, int], tmp_path: Path
) -> None:
    for number, flips in enumerate(product([False, True], repeat=3)):
        file = tmp_path / f"{number}.nii.gz"
        SimpleITK.WriteImage(image(order, flips), str(file))
        for reader, transpose in ((SimpleITKIO, (0, 1, 2)), (NibabelIO, (2, 0, 1)), (NibabelIOWithReorient, (1, 2, 0))):
            volume, properties = preprocessed(file, reader, transpose, EDGES[0])
            grid = grid_of(properties, volume.shape, transpose)
            shown = np.moveaxis(volume, grid.axis, 0)[grid.kept(CHOSEN)]
            assert set(np.unique(shown[shown > 0].round()).tolist()) == {index + 1.0 for index in CHOSEN}
            assert grid.raw == Z
            assert grid.cosine == pytest.approx(1)


@pytest.mark.parametrize(("spacing", "slices"), [(2.5, 24), (10.0, 6), (12.0, 5)])
def test_slices_that_are_resampled_are_those_nearest_to_the_chosen_ones(
    spacing: float, slices: int, tmp_path: Path
) -> None:
    SimpleITK.WriteImage(image((0, 1, 2), (False, False, True)), str(tmp_path / "one.nii.gz"))
    volume, properties = preprocessed(tmp_path / "one.nii.gz", SimpleITKIO, (0, 1, 2), spacing)
    grid = grid_of(properties, volume.shape, (0, 1, 2))
    assert (grid.slices, grid.upwards) == (slices, False)
    kept = np.flatnonzero(grid.kept(CHOSEN))
    assert len(kept) == {24: 4, 6: 2, 5: 2}[slices]
    middle = volume[:, 4, 4]
    for at in kept:
        assert min(abs(middle[at] - 1 - index) for index in CHOSEN) <= max(spacing / EDGES[0] / 2, 0.5) + 0.01


@given(st.integers(1, 60), st.integers(0, 5), st.integers(0, 5), st.integers(1, 90), st.booleans(), st.data())
def test_no_slice_is_lost_that_is_not_cropped_away(
    cropped: int, before: int, after: int, slices: int, upwards: bool, data: st.DataObject
) -> None:
    raw = cropped + before + after
    grid = SliceGrid(axis=0, upwards=upwards, raw=raw, first=before, cropped=cropped, slices=slices, cosine=1.0)
    chosen = data.draw(st.sets(st.integers(0, raw - 1), min_size=1))
    kept = grid.kept(chosen)
    assert len(kept) == slices
    for index in chosen:
        stored = index if upwards else raw - 1 - index
        assert (len(grid.place([index])) == 1) == (before <= stored < before + cropped)
        assert kept[grid.place([index])].all()
    if slices == cropped:
        assert kept.sum() == len(grid.place(chosen))
    assert grid.kept(range(raw)).all()
