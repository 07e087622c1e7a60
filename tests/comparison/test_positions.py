"""Headers that put prediction and label at different places."""

import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from nnunet_tricks.cli import main
from nnunet_tricks.comparison import images, positions
from tests.comparison.world import SPACING, World, predicted, truth, write

ONE_WORKER = ["--workers", "1"]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and labels of two cases, without a dataset.json."""
    for case in range(2):
        write(tmp_path / "predictions" / f"case_{case}.nii.gz", predicted(case, 2))
        write(tmp_path / "labels" / f"case_{case}.nii.gz", truth(case))
    return tmp_path / "predictions", tmp_path / "labels"


def changed(file: Path, change) -> None:
    image = sitk.ReadImage(str(file))
    sitk.WriteImage(change(image) or image, str(file), True)


def move(millimetres: float):
    return lambda image: image.SetOrigin([place + millimetres for place in image.GetOrigin()])


def flip(image: sitk.Image) -> sitk.Image:
    """The same mask at the same place, stored from the other end."""
    return sitk.Flip(image, [True, False, False], False)


def turn(image: sitk.Image) -> sitk.Image:
    return sitk.DICOMOrient(image, "RAS")


def lean(image: sitk.Image) -> None:
    """A direction that was rounded to four digits."""
    angle = 3e-5
    image.SetDirection([np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1])


def evaluated(words: list, capsys) -> tuple[int, str]:
    code = main(["evaluate", *map(str, words), "--labels", "kidney=1", "tumor=2", "--metrics", "Dice", *ONE_WORKER])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (flip, r"up to 13\.2 mm apart \(its axes run in other directions\)"),
        (turn, "its axes run in other directions"),
        (move(2.0), r"up to 3\.46 mm apart \(its origin is another one\)"),
        (move(-200), "origin is another one"),
    ],
)
def test_other_places_are_refused_with_file_distance_and_remedy(change, words: str, folders, capsys) -> None:
    changed(folders[0] / "case_1.nii.gz", change)
    code, error = evaluated([*folders], capsys)
    assert code == 2
    assert re.search(rf"case_1\.nii\.gz and its label have the same shape.+{words}.+--accept positions", error)
    assert "case_0" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("change", [move(0.001), move(0.03), lean, lambda image: None])
def test_rounded_headers_are_no_matter(change, folders, capsys) -> None:
    changed(folders[0] / "case_1.nii.gz", change)
    assert evaluated([*folders], capsys) == (0, "")


def test_less_than_half_a_voxel_is_said_once(folders, capsys) -> None:
    for case in range(2):
        changed(folders[0] / f"case_{case}.nii.gz", move(0.3))
    for _ in range(2):  # The second time from the cache.
        code, error = evaluated([*folders], capsys)
        assert code == 0
        assert error.count("Note:") == 1
        assert "In 2 of 2 cases" in error
        assert "0.52 mm or 0.38 voxels" in error
        assert "by index" in error


def test_what_was_accepted_once_is_refused_again_without_leave(folders, capsys) -> None:
    changed(folders[0] / "case_1.nii.gz", flip)
    code, error = evaluated([*folders, "--accept", "positions"], capsys)
    assert code == 0
    assert "In 1 of 2 cases" in error
    code, error = evaluated([*folders], capsys)
    assert code == 2
    assert "case_1.nii.gz and its label" in error


def test_a_header_that_leaves_the_place_open_contradicts_nothing(folders, capsys) -> None:
    values = predicted(1, 2).transpose(2, 1, 0)
    image = nibabel.Nifti1Image(values, None)
    image.header.set_zooms(SPACING[::-1])
    nibabel.save(image, folders[0] / "case_1.nii.gz")
    changed(folders[1] / "case_1.nii.gz", move(50))
    assert images.read(folders[0] / "case_1.nii.gz").grid is None
    assert evaluated([*folders], capsys) == (0, "")


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nii"])
def test_every_format_with_a_header(ending: str, folders, tmp_path: Path, capsys) -> None:
    places = []
    for folder in folders:
        for file in folder.glob("*.nii.gz"):
            place = tmp_path / ending / folder.name / file.name.replace(".nii.gz", ending)
            place.parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.ReadImage(str(file)), str(place), False)
        places.append(tmp_path / ending / folder.name)
    assert evaluated(places, capsys) == (0, "")
    changed(places[0] / f"case_0{ending}", flip)
    code, error = evaluated(places, capsys)
    assert code == 2
    assert f"case_0{ending} and its label" in error


def test_in_nnunets_results_a_prediction_lies_where_its_image_does(world: World, capsys) -> None:
    """Labels whose headers lost their place: nnU-Net trains and measures by index, and a footnote says so."""
    models = [str(world.train(name)) for name in ("nnUNetTrainer", "nnUNetTrainerCE")]
    for file in (world.preprocessed / "gt_segmentations").iterdir():
        changed(file, move(40))
    for words in (["compare", *models], ["evaluate", models[0]]):
        assert main([*words, "--metrics", "Dice", *ONE_WORKER]) == 0
        shown = capsys.readouterr()
        assert (shown.out + shown.err).count("nnU-Net compares voxels by index") == 1
    # A prediction that lies elsewhere than its image was not made of it.
    changed(Path(models[1]) / "fold_0" / "validation" / "case_3.nii.gz", flip)
    assert main(["compare", *models, "--metrics", "Dice", *ONE_WORKER]) == 2
    assert "case_3.nii.gz and its label" in capsys.readouterr().err
    assert main(["compare", *models, "--metrics", "Dice", *ONE_WORKER, "--accept", "positions"]) == 0


@pytest.mark.parametrize("reader", ["SimpleITKIO", "NibabelIO", "NibabelIOWithReorient", "SimpleITKIOWithReorient"])
def test_what_nnunet_writes_lies_where_its_image_does(reader: str, tmp_path: Path) -> None:
    from nnunetv2.imageio import nibabel_reader_writer, simpleitk_reader_writer

    module = nibabel_reader_writer if reader.startswith("Nibabel") else simpleitk_reader_writer
    io = getattr(module, reader)()
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = rotation * (0.7421875, 0.7421875, 2.4999)
    affine[:3, 3] = (-187.123456, 91.7, -1203.33)
    nibabel.save(nibabel.Nifti1Image(truth(0).transpose(2, 1, 0), affine), tmp_path / "image.nii.gz")
    values, properties = io.read_images([str(tmp_path / "image.nii.gz")])
    io.write_seg(values[0].astype(np.uint8), str(tmp_path / "prediction.nii.gz"), properties)
    image, prediction = (images.read(tmp_path / f"{name}.nii.gz") for name in ("image", "prediction"))
    np.testing.assert_array_equal(image.values, prediction.values)
    assert not positions.displacement(prediction.grid, image.grid).matters
