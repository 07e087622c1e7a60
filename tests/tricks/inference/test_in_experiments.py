"""A whole experiment with models that are trained already: every cell by its own command, and compare."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.door import trainers
from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.cells import make
from nnunet_tricks.experiment.nnunet_cells import Train
from nnunet_tricks.experiment.record import Attempt, Record
from nnunet_tricks.experiment.spec import read_experiment
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.nnunet.model import Model
from nnunet_tricks.nnunet.parts import Part
from tests.tricks.inference.conftest import with_noise
from tests.tricks.inference.test_predict import read

TRAINER = "nnUNetTrainerNoDeepSupervision"
SPEC = f"""datasets: [DATASET]
configurations: [3d_fullres]
trainers: [{TRAINER}]
folds: [0]
runs: 2
inference:
  - TTA_none
  - EnsembleAverage
  - EnsembleVote + RemoveSmall_voxels5
  - KeepLargest
"""


@pytest.fixture(scope="module")
def trained(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """nnU-Net's folders with two runs of a model that are trained and validated."""
    place = tmp_path_factory.mktemp("experiment")
    trainer = trainers.find(TRAINER)
    assert trainer is not None
    with bench.room(trainer, Situation("labels", "3d", False)) as run:
        STEPS["epochs"](run)
        for name in ("raw", "preprocessed", "results"):
            shutil.copytree(os.environ[f"nnUNet_{name}"], place / name)
    folders = Folders(place / "raw", place / "preprocessed", place / "results")
    (dataset,) = (folder.name for folder in folders.results.iterdir())
    first, second = (
        Model(folders, dataset, trainer, "nnUNetPlans", "3d_fullres", "0") for trainer in (TRAINER, f"{TRAINER}_run2")
    )
    shutil.copytree(first.folder.parent, second.folder.parent)
    with_noise(second.checkpoint("final"))
    Part(folders, dataset, "validation", "0").link(place / "images")
    for model in (first, second):
        words = ["predict", "-i", str(place / "images"), "-o", str(model.validation), "-m", str(model.folder.parent)]
        assert main([*words, "-f", "0", "-device", "cpu", "-npp", "0", "-nps", "0", "--disable_progress_bar"]) == 0
        (model.validation / "summary.json").write_text("{}")
    return folders


@pytest.fixture
def spec(trained: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(getattr(trained, name)))
    file = tmp_path / "after.yaml"
    file.write_text(SPEC.replace("DATASET", next(trained.results.glob("Dataset*")).name))
    return file


def run(cell: Cell) -> None:
    """Run a cell's command in this process, as a queue would in another one, and note 6 seconds for it."""
    cell.prepare()
    words = cell.words()
    if words[0] == "nnunet-tricks":
        line = re.sub(r" -(npp|nps) 1\b", r" -\1 0", " ".join(words[1:]))
        assert main(re.sub(r" -np \d+", " -np 1", line).split()) == 0
    else:
        # nnU-Net's evaluation starts processes; it needs the two files, and compare measures by itself.
        assert words[0] == "nnUNetv2_evaluate_folder"
        files = dict(zip(words[3::2], words[4::2], strict=False))
        assert all(Path(files[option]).is_file() for option in ("-djfile", "-pfile"))
        Path(files["-o"]).write_text(json.dumps({"metric_per_case": []}))
    attempt = Attempt(command=" ".join(words), began=0.0, device="cpu", seconds=6.0, returncode=0)
    cell.folder.mkdir(parents=True, exist_ok=True)
    cell.observer().begin(Record()).begin(cell.folder, attempt)


def test_all_cells_run_once_and_compare_ranks_them(
    spec: Path, trained: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = make(read_experiment(spec), trained, device="cpu")
    todo = [cell for cell in cells if "+" in cell.key]
    assert all(cell.is_done() for cell in cells if isinstance(cell, Train))
    # Two predictions of each run, two ensembles, post-processing of one of them and of each run, and six results.
    assert len(todo) == 4 + 2 + 3 + 6
    for cell in todo:
        assert cell.state == "open"
        run(cell)
        assert cell.is_done(), cell.key
    capsys.readouterr()
    report = tmp_path / "report"
    assert main(["compare", str(spec), "--json", "--metrics", "Dice", "--workers", "1", "--report", str(report)]) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    methods = {method["trainer"]: method for method in table["methods"]}
    cases = len(Part(trained, todo[0].model.dataset, "validation", "0").cases())  # type: ignore[attr-defined]
    times = {name.removeprefix(TRAINER): method["seconds_per_case"] for name, method in methods.items()}
    assert times == {
        "": None,
        "+TTA_none": 6 / cases,
        "+EnsembleAverage_of2": 3 * 6 / cases,
        # nnU-Net notes no time for the validation that these begin with.
        "+EnsembleVote_of2+RemoveSmall_voxels5": None,
        "+KeepLargest": None,
    }
    assert [methods[f"{TRAINER}{name}"]["runs"] for name in ("", "+TTA_none", "+EnsembleAverage_of2")] == [
        [1, 2],
        [1, 2],
        [1],
    ]
    assert main(["verify", str(report)]) == 0


def test_the_queue_predicts_treats_and_evaluates_with_the_real_commands(
    trained: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each cell is a process of its own here, and nnU-Net's own evaluation measures the result."""
    dataset = next(folder.name for folder in trained.results.glob("Dataset*"))
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(getattr(trained, name)))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("nnUNet_def_n_proc", "1")
    file = tmp_path / "queue.yaml"
    setting = "TTA_none + RemoveSmall_voxels2"
    file.write_text(SPEC[: SPEC.index("runs:")].replace("DATASET", dataset) + f"inference: [{setting}]\n")
    words = ["run", str(file), "--device", "cpu", "--no-timing"]
    assert main(words) == 0, capsys.readouterr()
    name = f"{TRAINER}+TTA_none+RemoveSmall_voxels2__nnUNetPlans__3d_fullres"
    result = trained.results / dataset / name / "fold_0" / "validation"
    summary = json.loads((result / "summary.json").read_text())
    cases = Part(trained, dataset, "validation", "0").cases()
    assert len(summary["metric_per_case"]) == len(cases) > 0
    for row in summary["metric_per_case"]:
        predicted, truth = (read(Path(row[key])) for key in ("prediction_file", "reference_file"))
        for label, metrics in row["metrics"].items():
            both = np.count_nonzero((predicted == int(label)) & (truth == int(label)))
            total = np.count_nonzero(predicted == int(label)) + np.count_nonzero(truth == int(label))
            assert metrics["Dice"] == pytest.approx(2 * both / total)
    before = {path: path.stat().st_mtime_ns for path in result.iterdir()}
    capsys.readouterr()
    assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in result.iterdir()} == before
