"""Files that have changed since a manifest recorded them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.annotation.recorded import changes, lines_for_training
from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.folders import Folders
from tests.annotation.world import array, build, labels_of, save

SPARSE = "Dataset601_Toy_fixed0p2"


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    raw = build(tmp_path, monkeypatch)
    assert main(["annotate", "sparsify", "501", "--to", "601", "--density", "0.2"]) == 0
    return raw


def changed(**words: bool) -> list[str]:
    return changes(Folders.of_environment(), SPARSE, **words)


def a_training_label(raw: Path) -> Path:
    return next(file for file in sorted((raw.parent / SPARSE / "labelsTr").iterdir()) if not file.is_symlink())


def test_nothing_has_changed_in_what_was_just_made(raw: Path) -> None:
    assert changed() == []
    assert lines_for_training(SPARSE) == []
    assert changes(Folders.of_environment(), "Dataset501_Toy") == []


def test_a_changed_label_is_named_by_interpolate_sparsify_and_training(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = a_training_label(raw)
    save(np.where(array(file) == 1, 2, array(file)).astype(np.uint8), file)
    assert changed() == [f"{file} has changed since it was recorded"]
    assert f"WARNING: 1 files are not those that {SPARSE} was made from" in lines_for_training(SPARSE)[0]
    assert main(["annotate", "interpolate", "601", "--to", "602"]) == 2
    assert f"{file} has changed since it was recorded. Make {SPARSE} again, or say" in capsys.readouterr().err
    assert not (raw.parent / f"Dataset602_{SPARSE.partition('_')[2]}_sdf").exists()
    assert main(["annotate", "interpolate", "601", "--to", "602", "--accept-changed"]) == 0
    capsys.readouterr()
    assert main(["annotate", "sparsify", "601", "--to", "603", "--density", "0.5"]) == 2
    assert "has changed since it was recorded" in capsys.readouterr().err


def test_dense_labels_and_images_are_compared_too(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = a_training_label(raw).name.removesuffix(".nii.gz")
    save(labels_of(int(case[-1]))[::-1], raw / "labelsTr" / f"{case}.nii.gz")
    assert changed() == [f"{raw / 'labelsTr' / f'{case}.nii.gz'} has changed since the label was made from it"]
    save(labels_of(int(case[-1])), raw / "labelsTr" / f"{case}.nii.gz")
    assert changed() == []
    image = raw / "imagesTr" / f"{case}_0000.nii.gz"
    save(array(image) + np.int16(1), image)
    linked = raw.parent / SPARSE / "imagesTr" / image.name
    assert changed() == [f"{linked} has changed since it was recorded"]
    assert changed(images=False) == []
    assert main(["annotate", "interpolate", "601", "--to", "602"]) == 2
    assert "or another channel of it, has changed since it was recorded" in capsys.readouterr().err
    image.unlink()
    assert changed() == [f"{linked} is gone"]


def test_painted_files_are_compared_after_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = build(tmp_path, monkeypatch)
    assert main(["annotate", "select", str(raw), "--density", "0.2", "-o", str(tmp_path / "plan")]) == 0
    label = np.zeros((20, 12, 10), np.uint8)
    label[[7, 12]] = 1
    painted = tmp_path / "painted" / "case0.nii.gz"
    save(label, painted)
    words = [str(tmp_path / "plan.json"), str(raw), str(painted.parent), "--to", "610", "--name", "Painted"]
    assert main(["annotate", "import", *words, "--classes", "organ", "--channels", "CT"]) == 0
    folders = Folders.of_environment()
    assert changes(folders, "Dataset610_Painted") == []
    label[7] = 0
    save(label, painted)
    assert changes(folders, "Dataset610_Painted") == [f"{painted} has changed since the label was made from it"]
    painted.unlink()
    assert changes(folders, "Dataset610_Painted") == []


def test_trainings_warn_of_changed_labels(bench: Bench) -> None:
    """A manifest with the hash of another label beside the tiny data."""
    cls = trainers.find("nnUNetTrainerSparseSlices")
    assert cls is not None
    with bench.room(cls, Situation("labels+ignore", "3d", True)) as run:
        manifest = run.data.raw / "sparse_manifest.json"
        cases = {"case_0": {"annotation": "sparse", "label_sha256": "0" * 64}}
        manifest.write_text(json.dumps({"format": 1, "cases": cases}))
        try:
            run.build().on_train_start()
        finally:
            manifest.unlink()
        (log,) = (run.folder / "results").rglob("training_log*.txt")
        label = run.data.raw / "labelsTr" / "case_0.nii.gz"
        lines = log.read_text()
    assert f"WARNING: 1 files are not those that {run.data.name} was made from: {label} has changed" in lines


def test_check_names_what_has_changed(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    main(["check", "601", "--json", "--workers", "1"])
    before = json.loads(capsys.readouterr().out)["findings"]
    assert not [finding for finding in before if finding["kind"] == "changed"]
    file = a_training_label(raw)
    save(np.where(array(file) == 1, 2, array(file)).astype(np.uint8), file)
    assert main(["check", "601", "--json", "--workers", "1"]) == 1
    after = json.loads(capsys.readouterr().out)["findings"]
    sentences = [finding["says"] for finding in after if finding["kind"] == "changed"]
    assert sentences == [f"{file} has changed since it was recorded"]
