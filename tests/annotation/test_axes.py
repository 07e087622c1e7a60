"""Slices by world coordinates, read back by a library that had no part in choosing them."""

from __future__ import annotations

import csv
import json
from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nnunet_tricks.annotation.axes import axial
from nnunet_tricks.cli import main

SPACING = np.array([0.8, 1.1, 2.5])
ORIGIN = np.array([-31.0, 12.5, -207.0])
SHAPE = (5, 6, 13)  # along right, anterior, superior
ORDERS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def stored_as(order: tuple[int, ...], signs: tuple[int, ...]) -> nibabel.Nifti1Image:
    """A volume whose voxels hold their superior coordinate, in one of 48 storage orders."""
    superior = ORIGIN[2] + SPACING[2] * np.arange(SHAPE[2])
    anatomical = np.broadcast_to(superior, SHAPE).astype(np.float32)
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = ORIGIN
    image = nibabel.Nifti1Image(anatomical, affine)
    orientation = np.stack([[order.index(axis) for axis in range(3)], [signs[order.index(a)] for a in range(3)]], 1)
    return image.as_reoriented(orientation)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("orders")
    for number, (order, signs) in enumerate(ORDERS):
        image = stored_as(order, signs)
        assert image.shape == tuple(SHAPE[axis] for axis in order)
        nibabel.save(image, place / f"volume{number:02d}_0000.nii.gz")
    return place


@pytest.mark.parametrize("policy", ["fixed", "random", "ual"])
def test_where_viewers_find_slices_of_all_storage_orders(folder: Path, tmp_path: Path, policy: str) -> None:
    words = ["annotate", "select", str(folder), "--density", "0.3", "--policy", policy, "-o", str(tmp_path / "plan")]
    assert main(words) == 0
    with (tmp_path / "plan.csv").open() as file:
        rows = list(csv.DictReader(file))
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert {tuple(plan["cases"][row["case"]]["chosen"]) for row in rows} == {(1, 4, 8, 11)} or policy != "fixed"
    assert len(rows) == 48 * 4
    for row in rows:
        image = nibabel.load(folder / row["file"])
        axis = "ijk".index(row["axis"])
        plane = np.take(np.asarray(image.dataobj), int(row["itksnap"]) - 1, axis)
        expected = ORIGIN[2] + SPACING[2] * int(row["slice"])
        assert plane == pytest.approx(expected, abs=1e-3)
        assert float(row["slicer_mm"]) == pytest.approx(expected, abs=1e-3)


def test_views_with_slices_first_are_the_same_patient(folder: Path) -> None:
    from nnunet_tricks.annotation.scans import VolumeFile

    for file in sorted(folder.iterdir()):
        heights = VolumeFile(file).slices()
        np.testing.assert_allclose(heights[:, 0, 0], ORIGIN[2] + SPACING[2] * np.arange(SHAPE[2]), atol=1e-3)
        assert VolumeFile(file).axial.spacing == pytest.approx(SPACING[2], rel=1e-5)
        assert sorted(VolumeFile(file).axial.in_plane()) == pytest.approx([0.8, 1.1], rel=1e-5)


def test_tilted_slices_are_taken_as_stored_and_said_to_be_tilted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cos, sin = np.cos(np.radians(35)), np.sin(np.radians(35))
    affine = np.array([[1, 0, 0, 0], [0, cos, -sin, 5], [0, sin, cos, 7], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 9), np.int16), affine), tmp_path / "a.nii.gz")
    slices = axial(affine, (4, 5, 9))
    assert (slices.axis, slices.descending, round(slices.angle)) == (2, False, 35)
    centre = affine @ [1.5, 2, 3, 1]
    assert slices.superior(3) == pytest.approx(centre[2])
    assert main(["annotate", "select", str(tmp_path), "--density", "0.2", "--dry-run"]) == 0
    assert "tilted" in capsys.readouterr().err


def test_headers_that_do_not_say_how_the_patient_lies_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 5, 9), np.int16), None)
    image.header.set_zooms((1, 1, 4))
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert main(["annotate", "select", str(tmp_path), "--density", "0.2", "--dry-run", "--json"]) == 0
    captured = capsys.readouterr()
    assert "does not say how they lie in the patient" in captured.err
    plan = json.loads(captured.out)["cases"]["a"]
    assert (plan["axis"], plan["chosen"], plan["spacing_mm"]) == ("k", [2, 6], 4)


def test_sheared_volumes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    affine = np.array([[1, 0, 0.6, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    image = nibabel.Nifti1Image(np.zeros((4, 5, 9), np.int16), None)
    image.set_sform(affine, 1)
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert main(["annotate", "select", str(tmp_path), "--density", "0.2", "--dry-run"]) == 2
    assert "a.nii.gz cannot be read as a volume" in capsys.readouterr().err


def test_the_axis_is_the_one_nearest_to_feet_head_in_any_rotation() -> None:
    """nibabel gives each axis a direction of its own, which is sometimes another one if all are tilted steeply."""
    assigned_otherwise = 0
    for rotation in Rotation.random(600, random_state=0).as_matrix():
        affine = np.eye(4)
        affine[:3, :3] = rotation @ np.diag([0.7, 0.9, 3.0])
        slices = axial(affine, (4, 5, 6))
        assert abs(rotation[2, slices.axis]) == np.abs(rotation[2]).max()
        assert slices.descending == (rotation[2, slices.axis] < 0)
        assigned_otherwise += nibabel.orientations.io_orientation(affine)[slices.axis, 0] != 2
    assert assigned_otherwise > 10
