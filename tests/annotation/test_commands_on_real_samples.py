"""From images to a study, by the commands alone, on real samples; an annotator who paints what experts painted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.annotation.scans import VolumeFile
from nnunet_tricks.cli import main
from nnunet_tricks.conformance.tiny_plans import tiny_plans
from tests.annotation.slicer import Part, save_segmentation

MADE = "Dataset610_Painted"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("raw", "preprocessed", "results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    return tmp_path


def annotate(*words: object) -> None:
    assert main(["annotate", *map(str, words)]) == 0


def link(place: Path, images: dict[str, Path]) -> Path:
    folder = place / "images"
    folder.mkdir()
    for case, file in images.items():
        (folder / f"{case}.nii.gz").symlink_to(file)
    return folder


def paint(place: Path, truths: dict[str, Path], names: list[str]) -> dict[str, np.ndarray]:
    """Every second case is painted in ITK-SNAP, the others in 3D Slicer, in two layers, with a cropped file."""
    plan = json.loads((place / "plan.json").read_text())["cases"]
    (place / "painted").mkdir()
    painted = {}
    for number, (case, file) in enumerate(truths.items()):
        scan = VolumeFile(file)
        dense = SimpleITK.GetArrayFromImage(scan.image())
        sparse = np.zeros_like(dense, np.uint8)
        chosen = plan[case]["chosen"]
        scan.axial.slices_first(sparse)[chosen] = scan.axial.slices_first(dense)[chosen]
        painted[case] = sparse
        if number % 2:
            image = SimpleITK.GetImageFromArray(sparse)
            image.CopyInformation(scan.image())
            SimpleITK.WriteImage(image, str(place / "painted" / f"{case}.nii.gz"))
        else:
            parts = [Part(name, sparse == value, value - 1, 1) for value, name in enumerate(names, 1)]
            save_segmentation(parts, place / "images" / f"{case}.nii.gz", place / "painted" / f"{case}.seg.nrrd")
    return painted


def check_labels(place: Path, painted: dict[str, np.ndarray]) -> None:
    """Labels are exactly the paint, and all other slices are ignored."""
    plan = json.loads((place / "plan.json").read_text())["cases"]
    for case, sparse in painted.items():
        scan = VolumeFile(place / "raw" / MADE / "labelsTr" / f"{case}.nii.gz")
        expected = np.full(sparse.shape, 3, np.uint8)
        chosen = plan[case]["chosen"]
        scan.axial.slices_first(expected)[chosen] = scan.axial.slices_first(sparse)[chosen]
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(scan.image()), expected)


def preprocess(place: Path, dataset: str) -> None:
    """Preprocess like nnU-Net, in this process and with plans of the tiny images: its own commands take minutes."""
    raw, made = place / "raw" / dataset, place / "preprocessed" / dataset
    plans = tiny_plans(dataset, flat=False, intensities={"0": {}})
    made.mkdir()
    (made / "nnUNetPlans.json").write_text(json.dumps(plans))
    manager = PlansManager(plans)
    configuration = manager.get_configuration("3d_fullres")
    folder = made / configuration.data_identifier
    folder.mkdir()
    described = json.loads((raw / "dataset.json").read_text())
    for label in sorted((raw / "labelsTr").iterdir()):
        case = label.name.removesuffix(".nii.gz")
        image = str(raw / "imagesTr" / f"{case}_0000.nii.gz")
        processor = DefaultPreprocessor(verbose=False)
        processor.run_case_save(str(folder / case), [image], str(label), manager, configuration, described)


def test_from_images_of_the_hippocampus_to_a_study(
    place: Path, sample_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = sample_data / "train3d" / "Task04_Hippocampus"
    files = {file.name.removesuffix(".nii.gz"): file for file in sorted((source / "imagesTr").glob("hippo*"))[:5]}
    images = link(place, files)
    annotate("select", images, "--density", "0.2", "-o", place / "plan")
    annotate("preview", place / "plan.json", images, "-o", place / "drawn")
    painted = paint(place, {case: source / "labelsTr" / f"{case}.nii.gz" for case in files}, ["anterior", "posterior"])
    words = ["--to", "610", "--name", "Painted", "--classes", "anterior", "posterior", "--channels", "MRI"]
    annotate("import", place / "plan.json", images, place / "painted", *words)
    check_labels(place, painted)
    annotate("preview", place / "plan.json", images, "--dataset", "610", "-o", place / "drawn")
    assert sorted(file.stem for file in (place / "drawn").iterdir()) == [*files]
    annotate("interpolate", "610", "--to", "611")
    preprocess(place, "Dataset611_Painted_sdf")
    capsys.readouterr()
    annotate("study", "611", "--density", "0.2", "--volumes", "1", "--policy", "fixed", "-o", place / "study.yaml")
    assert "fold 0: 4 training volumes" in capsys.readouterr().out
    assert "nnUNetTrainerSparseSlices_density0p2" in (place / "study.yaml").read_text()


def test_kidneys_that_are_stored_with_slices_first(place: Path, sample_data: Path) -> None:
    cases = ("case_00000", "case_00015")
    folders = {case: sample_data / "kits19" / "data" / case for case in cases}
    images = link(place, {case: folder / "imaging.nii.gz" for case, folder in folders.items()})
    annotate("select", images, "--density", "0.1", "-o", place / "plan")
    painted = paint(
        place, {case: folder / "segmentation.nii.gz" for case, folder in folders.items()}, ["kidney", "tumour"]
    )
    words = ["--to", "610", "--name", "Painted", "--classes", "kidney", "tumour", "--channels", "CT"]
    annotate("import", place / "plan.json", images, place / "painted", *words)
    check_labels(place, painted)
    annotate("preview", place / "plan.json", images, "--dataset", "610", "-o", place / "drawn")
    assert sorted(file.name for file in (place / "drawn").iterdir()) == [f"{case}.png" for case in cases]
