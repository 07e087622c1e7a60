"""A split, plans or test part that changed between two runs is reported before anything is trained."""

import json

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.experiment import stale
from nnunet_tricks.experiment.cells import make
from nnunet_tricks.experiment.nnunet_cells import Predict, Train
from nnunet_tricks.experiment.record import Attempt, Record
from nnunet_tricks.experiment.spec import read_experiment
from nnunet_tricks.experiment.split import Split
from tests.experiment.conftest import CASES, DATASET
from tests.experiment.test_cells import checkpoint

SPEC = "datasets: [901]\nconfigurations: [3d_fullres]\ntricks: [Tversky]\nepochs: 5\nfolds: [0, 1]\nbaseline_runs: 3\n"
ATTEMPT = Attempt(command="nnUNetv2_train", began=5.0, device="cpu")


@pytest.fixture
def cells(spec, preprocessed):
    return make(read_experiment(spec(SPEC)), preprocessed, device="cpu")


@pytest.fixture
def train(cells) -> Train:
    """Fold 0 of the baseline, trained by a keeper that noted the split."""
    cell = next(cell for cell in cells if isinstance(cell, Train))
    cell.folder.mkdir(parents=True)
    record = cell.observer().begin(Record()).begin(cell.folder, ATTEMPT)
    cell.observer().look(record).written(cell.folder)
    checkpoint(cell.model, "final")
    return cell


def write_split(folders, *, fold: int = 0, train=None, val=None) -> None:
    file = folders.preprocessed / DATASET / "splits_final.json"
    splits = json.loads(file.read_text())
    splits[fold] = {"train": train or splits[fold]["train"], "val": val or splits[fold]["val"]}
    file.write_text(json.dumps(splits))


def test_what_has_not_changed_is_no_fault(cells, train, preprocessed) -> None:
    stale.check(cells)
    write_split(preprocessed, train=CASES[:1:-1])  # the same cases in another order
    stale.check(cells)
    write_split(preprocessed, fold=1, val=CASES[:1])  # nothing has learned from it
    stale.check(cells)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"train": CASES[:2] + CASES[4:], "val": CASES[2:4]}, "case_02, case_03 no longer in train"),
        ({"train": CASES[3:]}, "case_02 no longer in train"),
        ({"train": [*CASES[3:], "new"]}, "case_02 no longer in train; new new in train"),
        ({"val": CASES[:1]}, "case_01 no longer in val"),
    ],
)
def test_another_split_stops_run_and_says_in_what_it_differs(
    spec, cells, train, preprocessed, capsys, change, complaint
) -> None:
    """The second and third have the same validation cases, the third even as many of both."""
    write_split(preprocessed, **change)
    for words in (["--dry-run", "--no-timing"], [], ["--runner", "print"]):
        assert main(["run", str(spec(SPEC)), "--device", "cpu", *words]) == 2
        error = capsys.readouterr().err
        assert f"{train.model.name} was trained on another split than the split file has now: {complaint}" in error
        assert "Nothing was started" in error
    assert len(list(preprocessed.results.glob(f"{DATASET}/*"))) == 1


def test_the_split_is_noted_though_nnunet_makes_it_after_the_training_has_begun(cells, preprocessed) -> None:
    train = next(cell for cell in cells if isinstance(cell, Train))
    file = preprocessed.preprocessed / DATASET / "splits_final.json"
    content = file.read_text()
    file.unlink()
    train.folder.mkdir(parents=True)
    record = train.observer().begin(Record()).begin(train.folder, ATTEMPT)
    record = train.observer().look(record)
    assert record.split == ""
    file.write_text(content[:40])  # still being written
    assert train.observer().look(record).split == ""
    file.write_text(content)
    assert train.observer().look(record).split == Split(tuple(CASES[2:]), tuple(CASES[:2])).digest


def test_a_training_that_begins_anew_may_have_a_new_split(train, preprocessed) -> None:
    train.model.checkpoint("final").unlink()
    write_split(preprocessed, train=CASES[3:])
    stale.check([train])
    record = train.observer().begin(Record.read(train.folder)).begin(train.folder, ATTEMPT)
    assert train.observer().look(record).split == Split(tuple(CASES[3:]), tuple(CASES[:2])).digest


def test_a_training_that_goes_on_may_not(train) -> None:
    train.model.checkpoint("final").rename(train.model.checkpoint("latest"))
    record = train.observer().begin(Record.read(train.folder))
    assert record.split == Record.read(train.folder).split != ""


def test_by_hand_the_log_tells_how_many_and_the_summary_which(cells, preprocessed) -> None:
    train = next(cell for cell in cells if isinstance(cell, Train))
    checkpoint(train.model, "final")
    log = train.model.folder / "training_log_2026_11_28_09_05_00.txt"
    log.write_text("This split has 8 training and 2 validation cases.\n")
    older = train.model.folder / "training_log_2026_2_28_09_05_00.txt"  # nnU-Net does not pad the month
    older.write_text("This split has 5 training and 5 validation cases.\n")
    stale.check(cells)
    train.model.validation.mkdir()
    summary = {"metric_per_case": [{"prediction_file": f"/x/{case}.nii.gz"} for case in CASES[:2]]}
    (train.model.validation / "summary.json").write_text(json.dumps(summary))
    stale.check(cells)
    write_split(preprocessed, val=CASES[1:3])
    with pytest.raises(ValueError, match=r"validated on other cases .* case_00 no longer in val; case_02 new in val"):
        stale.check(cells)
    write_split(preprocessed, train=CASES[3:])
    with pytest.raises(ValueError, match=r"was trained on 8 and validated on 2 cases, the split file now has 7 and 2"):
        stale.check(cells)


def test_what_run_has_seen_once_by_hand_it_knows_the_next_time(cells, preprocessed) -> None:
    train = next(cell for cell in cells if isinstance(cell, Train))
    checkpoint(train.model, "final")
    stale.note(cells)
    write_split(preprocessed, train=[*CASES[3:], "new"])
    with pytest.raises(ValueError, match=r"another split .*new new in train"):
        stale.check(cells)


def test_plans_and_labels_that_changed(spec, cells, train, preprocessed, capsys) -> None:
    file = preprocessed.preprocessed / DATASET / "nnUNetPlans.json"
    plans = json.loads(file.read_text())
    (train.model.folder.parent / "plans.json").write_text(json.dumps(plans))
    stale.check(cells)
    plans["configurations"]["other"] = {"inherits_from": "3d_fullres"}
    file.write_text(json.dumps(plans))
    stale.check(cells)
    plans["configurations"]["3d_fullres"]["patch_size"] = [8, 8, 8]
    file.write_text(json.dumps(plans))
    with pytest.raises(ValueError, match=r"was trained with other plans than .* has now: patch_size"):
        stale.check(cells)


def test_predictions_of_cases_that_the_test_part_has_no_more(spec, preprocessed) -> None:
    (preprocessed.raw / DATASET / "splits_test.json").write_text(json.dumps({"0": CASES[8:], "1": CASES[6:8]}))
    cells = make(read_experiment(spec(SPEC + "on: test\n")), preprocessed, device="cpu")
    predict = next(cell for cell in cells if isinstance(cell, Predict))
    out = predict.model.predictions("test", "final")
    out.mkdir(parents=True)
    (out / f"{CASES[8]}.nii.gz").write_text("x")
    stale.check(cells)
    (preprocessed.raw / DATASET / "splits_test.json").write_text(json.dumps({"0": CASES[9:], "1": CASES[6:8]}))
    with pytest.raises(ValueError, match=r"predictions of cases that are not in the test part now: case_08"):
        stale.check(cells)
