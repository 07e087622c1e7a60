"""Files that were cut off are refused by name, wherever images are read."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from nnunet_tricks.cli import main
from nnunet_tricks.comparison.scans import ImageVolume
from tests.comparison.world import World, predicted, truth, write

ONE_WORKER = ["--workers", "1"]


def cut(file: Path, left: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(left * len(content))])


def large(labels: np.ndarray) -> np.ndarray:
    """More voxels, with noise, so that a cut file still begins with whole slices."""
    spotted = np.kron(labels, np.ones((2, 4, 4), np.uint8))
    return np.where(np.random.default_rng(0).random(spotted.shape) < 0.1, 0, spotted).astype(np.uint8)


@pytest.mark.parametrize("which", ["predictions", "labels"])
@pytest.mark.parametrize("left", [0.9, 0.3])
@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif"])
def test_evaluate_names_the_file(which: str, left: float, ending: str, tmp_path: Path, capsys) -> None:
    for folder, made in (("predictions", predicted(0, 2)), ("labels", truth(0))):
        labels = large(made)
        file = tmp_path / folder / f"case_0{ending}"
        if ending == ".tif":
            import tifffile

            file.parent.mkdir()
            tifffile.imwrite(file, labels)
        else:
            write(file, labels[0] if ending == ".png" else labels)
    words = ["evaluate", str(tmp_path / "predictions"), str(tmp_path / "labels"), "--labels", "1", *ONE_WORKER]
    assert main(words) == 0, capsys.readouterr().err
    cut(tmp_path / which / f"case_0{ending}", left)
    capsys.readouterr()
    assert main(words) == 2
    error = capsys.readouterr().err
    assert f"{which}/case_0{ending} cannot be read as a label map: it is cut off" in error
    assert error.count("\n") == 1


def test_compare_report_and_pictures_name_the_file(world: World, tmp_path: Path, capsys) -> None:
    models = [str(world.train(f"nnUNetTrainer{trick}", skill=skill)) for trick, skill in (("", 2), ("CE", 3))]
    image = world.raw / "imagesTr" / "case_0_0000.nii.gz"
    write(image, np.random.default_rng(0).integers(0, 200, (6, 10, 12)).astype(np.uint8))
    whole = image.read_bytes()
    cut(image, 0.6)
    words = ["compare", *models, "--metrics", "Dice", *ONE_WORKER]
    assert main([*words, "--report", str(tmp_path / "report")]) == 2
    assert "case_0_0000.nii.gz cannot be read as an image: it is cut off" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
    image.write_bytes(whole)
    cut(Path(models[1]) / "fold_0" / "validation" / "case_0.nii.gz", 0.6)
    assert main(words) == 2
    assert "case_0.nii.gz cannot be read as a label map: it is cut off" in capsys.readouterr().err


def test_probabilities_that_were_cut_off_are_named(world: World, capsys) -> None:
    models = [world.train(f"nnUNetTrainer{trick}") for trick in ("", "CE")]
    for model in models:
        for file in model.glob("fold_*/validation/*.nii.gz"):
            labels = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
            place = file.with_name(file.name.replace(".nii.gz", ".npz"))
            np.savez_compressed(place, probabilities=np.eye(3, dtype=np.float32)[labels].transpose(3, 0, 1, 2))
    words = ["compare", *map(str, models), "--metrics", "Dice", *ONE_WORKER]
    cut(models[1] / "fold_1" / "validation" / "case_1.npz", 0.7)
    assert main(words) == 2
    assert "case_1.npz cannot be read as probabilities" in capsys.readouterr().err


def test_an_image_that_was_cut_off_is_named_by_whoever_reads_it(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.random.default_rng(0).normal(size=(5, 9, 9))), str(tmp_path / "a.nii"))
    cut(tmp_path / "a.nii", 0.5)
    with pytest.raises(ValueError, match=r"a\.nii cannot be read as an image: it is cut off: [\d,]+ of [\d,]+ bytes"):
        ImageVolume.read([tmp_path / "a.nii"])


def test_two_plain_folders_and_named_labels(tmp_path: Path, capsys) -> None:
    for case in range(2):
        write(tmp_path / "predictions" / f"case_{case}.nii.gz", predicted(case, 2))
        write(tmp_path / "labels" / f"case_{case}.nii.gz", truth(case))
    folders = [str(tmp_path / "predictions"), str(tmp_path / "labels")]

    def measured(*words: str) -> dict[str, float]:
        assert main(["evaluate", *folders, *words, "--metrics", "Dice", *ONE_WORKER, "--json"]) == 0, (
            capsys.readouterr().err
        )
        rows = json.loads(capsys.readouterr().out)
        return {row["label"]: row["value"] for row in rows if (row["metric"], row["case"]) == ("Dice", "case_0")}

    named = measured("--labels", "kidney=1", "tumour=2")
    assert list(named) == ["kidney", "tumour"]
    prediction, label_map = predicted(0, 2), truth(0)
    for label, value in enumerate(named.values(), 1):
        both = ((prediction == label) & (label_map == label)).sum()
        assert value == pytest.approx(2 * both / ((prediction == label).sum() + (label_map == label).sum()))
    assert measured("--labels", "1", "2") == {"1": named["kidney"], "2": named["tumour"]}
    # As nnUNetv2_evaluate_simple writes it; what else is in the files is no matter.
    assert measured("-l", "2") == {"2": named["tumour"]}
    assert list(measured("--labels", "kidney=1", "ignore=2")) == ["kidney"]
    assert list(measured("--labels", "kidney=1", "tumour=2", "--regions", "both=kidney+tumour")) == ["both"]


def test_a_mask_of_0_and_255_is_not_taken_for_a_bad_model(tmp_path: Path, capsys) -> None:
    write(tmp_path / "predictions" / "case.nii.gz", np.asarray(predicted(0, 2) > 0, np.uint8))
    write(tmp_path / "labels" / "case.nii.gz", np.asarray(255 * (truth(0) > 0), np.uint8))
    words = ["evaluate", str(tmp_path / "predictions"), str(tmp_path / "labels"), "--metrics", "Dice", *ONE_WORKER]
    for label, where in (("1", "label maps"), ("255", "predictions")):
        assert main([*words, "--labels", label]) == 0
        assert capsys.readouterr().err.startswith(f"Note: {label} is in none of the {where}. ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name them, such as --labels 1 2"),
        (["--labels", "0"], "label values from 1 on"),
        (["--labels", "kidney"], "got 'kidney'"),
        (["--labels", "=1"], "got '=1'"),
        (["--labels", "whole=1+2"], "go with --regions"),
        (["--labels", "a=1", "a=2"], "names a twice"),
        (["--labels", "a=1", "1"], "names 1 twice"),
        (["--labels", "ignore=3"], "no label to measure"),
        (["--labels", "1", "--dataset-json", "dataset.json"], "give one of them"),
    ],
)
def test_labels_that_say_nothing(words: list[str], message: str, tmp_path: Path, capsys) -> None:
    for folder in ("predictions", "labels"):
        write(tmp_path / folder / "case_0.nii.gz", truth(0))
    assert main(["evaluate", str(tmp_path / "predictions"), str(tmp_path / "labels"), *words, *ONE_WORKER]) == 2
    assert message in capsys.readouterr().err


def test_plain_folders_need_one_format(tmp_path: Path, capsys) -> None:
    write(tmp_path / "predictions" / "case_0.nii.gz", truth(0))
    write(tmp_path / "labels" / "case_0.nrrd", truth(0))
    words = ["evaluate", str(tmp_path / "predictions"), str(tmp_path / "labels"), "--labels", "1", *ONE_WORKER]
    assert main(words) == 2
    assert "end in .nii.gz, labels in" in capsys.readouterr().err
    (tmp_path / "labels" / "case_0.nrrd").unlink()
    assert main(words) == 2
    assert "labels has no label maps" in capsys.readouterr().err
