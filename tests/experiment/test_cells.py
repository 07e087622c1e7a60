import gzip
import json
import os
import time
import zipfile
from pathlib import Path

import pytest

from nnunet_tricks.experiment.cells import make, missing
from nnunet_tricks.experiment.entry import SpecError
from nnunet_tricks.experiment.nnunet_cells import Predict, Pretrain, Train
from nnunet_tricks.experiment.record import Attempt, Record
from nnunet_tricks.experiment.spec import read_experiment
from nnunet_tricks.nnunet.model import Model
from tests.experiment.conftest import CASES, DATASET

BASE = "datasets: [901]\nconfigurations: [3d_fullres]\ntricks: [Tversky, CE]\nepochs: 5\nfolds: [0, 1]\n"


def cells_of(file: Path, folders, **how):
    return make(read_experiment(file), folders, **how)


def checkpoint(model: Model, which: str, *, whole: bool = True) -> None:
    """A file such as torch writes, which is an archive; or only the beginning of one."""
    model.folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(model.checkpoint(which), "w") as archive:
        archive.writestr("data.pkl", "weights" * 100)
    if not whole:
        content = model.checkpoint(which).read_bytes()
        model.checkpoint(which).write_bytes(content[: len(content) // 2])


def test_plan_and_preprocess_come_once_and_first(spec, folders) -> None:
    cells = cells_of(spec(BASE + "on: [validation, test]\n"), folders)
    keys = [cell.key for cell in cells]
    assert len(keys) == len(set(keys)) == 2 + 3 * 2 * 3
    for cell in cells:
        assert all(keys.index(needed) < keys.index(cell.key) for needed in cell.after)
    assert [cell.words()[0] for cell in cells[:2]] == ["nnUNetv2_plan_and_preprocess", "nnUNetv2_preprocess"]
    assert {cell.state for cell in cells} == {"open"}


def test_baseline_and_first_trick_go_through_all_folds_early(spec, folders) -> None:
    trains = [cell for cell in cells_of(spec(BASE + "runs: 2\n"), folders) if isinstance(cell, Train)]
    names = [(cell.model.trainer, cell.model.fold) for cell in trains]
    assert names[:4] == [
        ("nnUNetTrainer_5epochs", "0"),
        ("nnUNetTrainerTversky_5epochs", "0"),
        ("nnUNetTrainer_5epochs", "1"),
        ("nnUNetTrainerTversky_5epochs", "1"),
    ]
    assert {name for name, _ in names[4:8]} == {"nnUNetTrainer_5epochs_run2", "nnUNetTrainerTversky_5epochs_run2"}
    assert {name for name, _ in names[8:]} == {"nnUNetTrainerCE_5epochs", "nnUNetTrainerCE_5epochs_run2"}


def test_each_training_is_one_plain_command(spec, preprocessed) -> None:
    cells = cells_of(spec(BASE), preprocessed, device="cpu")
    assert [cell.state for cell in cells] == ["done"] * 2 + ["open"] * 6
    expected = f"nnUNetv2_train {DATASET} 3d_fullres 0 -tr nnUNetTrainer_5epochs -device cpu"
    assert " ".join(cells[2].words()) == expected


def test_a_training_goes_on_where_a_kill_left_it(spec, preprocessed) -> None:
    train = cells_of(spec(BASE), preprocessed)[2]
    assert isinstance(train, Train)
    assert train.words()[-1] == "nnUNetTrainer_5epochs"
    checkpoint(train.model, "best", whole=False)
    assert train.words()[-1] == "nnUNetTrainer_5epochs"  # cut off while it was written: nothing to go on from
    checkpoint(train.model, "best")
    assert train.words()[-1] == "--c"
    checkpoint(train.model, "final", whole=False)
    assert train.words()[-1] == "--c"
    train.prepare()
    assert not train.model.checkpoint("final").exists()  # nnU-Net would have gone on from it
    checkpoint(train.model, "final")
    assert train.words()[-1] == "--val"
    train.model.validation.mkdir()
    (train.model.validation / "summary.json").write_text('{"metric_per')
    assert not train.is_done()
    (train.model.validation / "summary.json").write_text("{}")
    assert train.is_done()


WITHOUT_LABELS = (
    "datasets: [901]\nconfigurations: [3d_fullres]\ntricks: [Genesis_after7, Tversky_Genesis_after7, CE]\n"
    "epochs: 5\nfolds: [0, 1]\nruns: 2\n"
)


def test_a_training_without_labels_comes_once_and_before_all_that_start_from_it(spec, folders) -> None:
    cells = {cell.key: cell for cell in cells_of(spec(WITHOUT_LABELS), folders)}
    keys = list(cells)
    first = [cell for cell in cells.values() if isinstance(cell, Pretrain)]
    assert [(cell.model.trainer, cell.model.fold) for cell in first] == [
        ("nnUNetTrainerPretextGenesis_7epochs", "0"),
        ("nnUNetTrainerPretextGenesis_7epochs", "1"),
    ]
    command = f"nnUNetv2_train {DATASET} 3d_fullres 0 -tr nnUNetTrainerPretextGenesis_7epochs"
    assert " ".join(first[0].words()) == command
    starting = [cell for cell in cells.values() if type(cell) is Train and "Genesis" in cell.model.trainer]
    assert len(starting) == 2 * 2 * 2
    for cell in starting:
        (needed,) = (cells[key] for key in cell.after if isinstance(cells[key], Pretrain))
        assert needed.model.fold == cell.model.fold
        assert keys.index(needed.key) < keys.index(cell.key)
    assert all(set(cell.after) >= set(first[0].after) for cell in starting)
    # What it makes needs no evaluation, and nothing else waits for it.
    assert not any("Pretext" in key for key in keys if not key.endswith("/train"))
    assert not any("Pretext" in key for cell in cells.values() if "Genesis" not in cell.key for key in cell.after)


def test_a_training_without_labels_is_done_when_its_task_is_measured(spec, folders) -> None:
    cell = next(cell for cell in cells_of(spec(WITHOUT_LABELS), folders) if isinstance(cell, Pretrain))
    assert cell.state == "open"
    checkpoint(cell.model, "final")
    cell.model.validation.mkdir()
    (cell.model.validation / "summary.json").write_text("{}")
    assert not cell.is_done()
    assert cell.words()[-1] == "--val"
    (cell.model.validation / "pretext.json").write_text("{}")
    assert cell.is_done()


def test_there_is_nothing_to_compare_in_a_training_without_labels(spec) -> None:
    with pytest.raises(SpecError, match="name the trick that starts from it, Genesis"):
        read_experiment(spec(BASE.replace("Tversky", "PretextGenesis")))


def test_preprocessing_that_was_interrupted_is_done_again(spec, preprocessed) -> None:
    preprocess = cells_of(spec(BASE), preprocessed)[1]
    assert preprocess.is_done()
    preprocess.folder.mkdir(parents=True)
    record = Record().begin(preprocess.folder, Attempt(command="", began=0.0, device="cpu"))
    assert preprocess.state == "started"  # all files are there, but the last may be cut off
    record.end(preprocess.folder, Attempt(command="", began=0.0, device="cpu", seconds=1.0, returncode=0))
    assert preprocess.is_done()
    (preprocessed.preprocessed / DATASET / "nnUNetPlans_3d_fullres" / f"{CASES[3]}.pkl").unlink()
    assert not preprocess.is_done()


def test_what_shares_data_is_preprocessed_under_one_name(spec, preprocessed) -> None:
    text = BASE.replace("[3d_fullres]", "[3d_fullres, 3d_fullres_wide, tiny]") + "small: {tiny: {from: 3d_fullres}}\n"
    keys = [cell.key for cell in cells_of(spec(text), preprocessed)]
    assert [key for key in keys if "/train" not in key] == [
        f"{DATASET}/nnUNetPlans/plan",
        f"{DATASET}/nnUNetPlans/preprocess_3d_fullres",
        f"{DATASET}/nnUNetPlans/add_tiny",
    ]


def test_patches_and_other_preprocessing_are_planned(spec, preprocessed) -> None:
    text = BASE.replace("[3d_fullres]", "[3d_fullres, 3d_fullres_patch16x32x32]")
    text += "plans: [nnUNetPlans, nnUNetPlansNoResampling]\n"
    cells = {cell.key: cell for cell in cells_of(spec(text), preprocessed)}
    patch = cells[f"{DATASET}/nnUNetPlans/add_3d_fullres_patch16x32x32"].words()
    assert patch[-4:] == ["--patch", "16", "32", "32"]
    assert "--small" not in patch
    assert cells[f"{DATASET}/nnUNetPlansNoResampling/plan"].words()[-2:] == ["-pl", "nnUNetPlannerNoResampling"]
    assert f"{DATASET}/nnUNetPlansNoResampling/preprocess_3d_fullres" in cells
    train = next(cell for key, cell in cells.items() if "NoResampling" in key and isinstance(cell, Train))
    assert set(train.after) <= set(cells)


def test_test_images_are_predicted_and_evaluated(spec, preprocessed) -> None:
    cells = cells_of(spec(BASE + "on: test\ncheckpoint: best\n"), preprocessed)
    predict = next(cell for cell in cells if isinstance(cell, Predict))
    assert predict.words()[predict.words().index("-chk") + 1] == "checkpoint_best.pth"
    predict.prepare()
    assert sorted(file.name for file in predict.images.iterdir()) == ["test_0_0000.nii.gz", "test_1_0000.nii.gz"]
    out = predict.model.predictions("test", "best")
    out.mkdir(parents=True)
    checkpoint(predict.model, "best")
    (out / "test_0.nii.gz").write_bytes(gzip.compress(b"0"))
    assert predict.state == "started"
    assert predict.words()[-1] == "--continue_prediction"
    (out / "test_1.nii.gz").write_bytes(gzip.compress(b"1"))
    assert predict.is_done()
    evaluate = next(cell for cell in cells if cell.after == (predict.key,))
    assert str(preprocessed.raw / DATASET / "labelsTs") in evaluate.words()
    (out / "summary.json").write_text("{}")
    assert evaluate.is_done()


def test_each_fold_has_its_own_test_cases(spec, preprocessed) -> None:
    (preprocessed.raw / DATASET / "splits_test.json").write_text(json.dumps({"0": CASES[8:], "1": CASES[6:8]}))
    predicts = [cell for cell in cells_of(spec(BASE + "on: test\n"), preprocessed) if isinstance(cell, Predict)]
    for cell, expected in zip(predicts[::2], (CASES[8:], CASES[6:8]), strict=False):
        cell.prepare()
        assert sorted(file.name for file in cell.images.iterdir()) == [f"{case}_0000.nii.gz" for case in expected]
        assert set(cell.part.cases()) == set(expected)


def test_predictions_that_a_kill_may_have_cut_off_are_made_again(spec, preprocessed) -> None:
    predict = next(c for c in cells_of(spec(BASE + "on: test\n"), preprocessed) if isinstance(c, Predict))
    out = predict.model.predictions("test", "final")
    out.mkdir(parents=True)
    checkpoint(predict.model, "final")
    whole = gzip.compress(bytes(range(256)) * 400)
    (out / "test_0.nii.gz").write_bytes(whole)
    (out / "test_1.nii.gz").write_bytes(whole[:-20])
    assert not predict.is_done()  # by hand: nobody has seen it end
    # A node whose clock is an hour ahead has written the whole one: clocks say nothing.
    os.utime(out / "test_0.nii.gz", (time.time() + 3600,) * 2)
    predict.prepare()
    assert [file.name for file in out.iterdir()] == ["test_0.nii.gz"]
    (out / "test_1.nii.gz").write_bytes(whole)
    assert predict.is_done()


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_an_evaluation_is_of_the_predictions_that_are_there_whatever_clocks_say(spec, preprocessed, ahead) -> None:
    cells = cells_of(spec(BASE + "on: test\n"), preprocessed)
    predict = next(cell for cell in cells if isinstance(cell, Predict))
    evaluate = next(cell for cell in cells if cell.after == (predict.key,))
    out = predict.model.predictions("test", "final")
    out.mkdir(parents=True)
    for case in ("test_0", "test_1"):
        (out / f"{case}.nii.gz").write_bytes(gzip.compress(case.encode()))
        os.utime(out / f"{case}.nii.gz", (time.time() + ahead,) * 2)
    summary = {"metric_per_case": [{"prediction_file": f"/a/node/{case}.nii.gz"} for case in ("test_0", "test_1")]}
    (out / "summary.json").write_text(json.dumps(summary))
    assert evaluate.is_done()  # by hand: names must do
    evaluate.folder.mkdir(parents=True)
    attempt = Attempt(command="", began=0.0, device="cpu", seconds=1.0, returncode=0)
    evaluate.observer().begin(Record()).begin(evaluate.folder, attempt)
    assert evaluate.is_done()
    (out / "test_1.nii.gz").write_bytes(gzip.compress(b"test_2"))  # of the same size
    assert not evaluate.is_done()
    evaluate.observer().begin(Record()).begin(evaluate.folder, attempt)
    assert evaluate.is_done()
    predict.folder.mkdir(parents=True)
    Record().begin(predict.folder, attempt)  # the same predictions, made again
    assert not evaluate.is_done()


def test_an_evaluation_by_hand_of_fewer_predictions_is_not_enough(spec, preprocessed) -> None:
    cells = cells_of(spec(BASE + "on: test\n"), preprocessed)
    evaluate = next(cell for cell in cells if cell.key.endswith("evaluate_test"))
    out = evaluate.model.predictions("test", "final")
    out.mkdir(parents=True)
    for case in ("test_0", "test_1"):
        (out / f"{case}.nii.gz").touch()
    (out / "summary.json").write_text(json.dumps({"metric_per_case": [{"prediction_file": "x/test_0.nii.gz"}]}))
    assert not evaluate.is_done()


def test_best_on_validation_leaves_nnunets_own_alone(spec, preprocessed) -> None:
    predict = next(c for c in cells_of(spec(BASE + "checkpoint: best\n"), preprocessed) if isinstance(c, Predict))
    assert predict.model.predictions("validation", "best").name == "validation_best"
    assert set(predict.part.cases()) == set(CASES[:2])


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        (BASE.replace("901", "902"), 1, "data set '902' is neither in"),
        (BASE.replace("[0, 1]", "[0, 2]"), 5, "has folds 0 to 1, got fold 2"),
        (BASE.replace("3d_fullres", "3d_lowres"), 2, "nnU-Net planned no 3d_lowres"),
        (BASE.replace("3d_fullres", "wide"), 2, "nnU-Net plans no 'wide'"),
        (BASE + "plans: [MyPlans]", 6, "no known planner makes it"),
        (BASE.replace("[0, 1]", "all"), 5, "so it needs 'on: test'"),
        (
            BASE.replace("3d_fullres", "3d_fullres_wide")
            + "small: {3d_fullres_wide: {from: 3d_fullres, patch: [8, 8, 8]}}",
            6,
            "choose another name",
        ),
    ],
)
def test_what_only_the_data_can_tell_has_its_line_too(spec, preprocessed, text, line, complaint) -> None:
    with pytest.raises(SpecError) as caught:
        cells_of(spec(text), preprocessed)
    assert f"line {line}: " in str(caught.value)
    assert complaint in str(caught.value)


def test_regions_of_labels_that_are_not_there(spec, folders) -> None:
    description = {"file_ending": ".nii.gz", "numTraining": len(CASES), "labels": {"background": 0, "kidney": 1}}
    (folders.raw / DATASET / "dataset.json").write_text(json.dumps(description))
    assert cells_of(spec(BASE + "regions: {kidney: 1}"), folders)
    with pytest.raises(SpecError, match=r"line 6: .*'2' is no label of the data set"):
        cells_of(spec(BASE + "regions: {kidney: 1+2}"), folders)


def test_no_test_part(spec, preprocessed) -> None:
    for label in (preprocessed.raw / DATASET / "labelsTs").iterdir():
        label.unlink()
    with pytest.raises(SpecError, match=r"line 6: .*has no test part"):
        cells_of(spec(BASE + "on: test"), preprocessed)


def test_a_broken_split_file_says_how_to_mend_it(spec, preprocessed) -> None:
    (preprocessed.preprocessed / DATASET / "splits_final.json").write_text("[{")
    with pytest.raises(SpecError, match=r"splits_final\.json is not valid JSON .*remove it"):
        cells_of(spec(BASE), preprocessed)


@pytest.mark.parametrize("content", [{"a": 1}, [{"train": ["case_00"]}], [["case_00"]]])
def test_a_split_file_of_another_form(spec, preprocessed, content) -> None:
    (preprocessed.preprocessed / DATASET / "splits_final.json").write_text(json.dumps(content))
    with pytest.raises(SpecError, match=r"splits_final\.json must be a list of folds"):
        cells_of(spec(BASE), preprocessed)


def test_a_cascade_waits_for_every_fold_of_its_first_stage(spec, folders) -> None:
    text = BASE.replace("[3d_fullres]", "[3d_lowres, 3d_cascade_fullres]").replace("folds: [0, 1]\n", "on: test\n")
    cells = {cell.key: cell for cell in cells_of(spec(text), folders)}
    cascade = cells[f"{DATASET}/nnUNetTrainer_5epochs__nnUNetPlans__3d_cascade_fullres/fold_3/train"]
    assert sum("3d_lowres/fold_" in key for key in cascade.after) == 5
    predict = cells[cascade.key.replace("train", "predict_test")]
    assert "-prev_stage_predictions" in predict.words()
    assert cascade.key.replace("cascade_fullres", "lowres").replace("train", "predict_test") in predict.after
    with pytest.raises(SpecError, match="needs 3d_lowres"):
        cells_of(spec(text.replace("3d_lowres, ", "")), folders)


def test_what_does_not_exist_yet_is_named_and_left_out(spec, folders) -> None:
    experiment = read_experiment(spec(BASE.replace("CE]", "Telepathy]\nneeds: [Telepathy]")))
    assert [(lack.arm, lack.tricks) for lack in missing(experiment)] == [("Telepathy", ("Telepathy",))]
    trainers = {cell.model.trainer for cell in make(experiment, folders) if isinstance(cell, Train)}
    assert trainers == {"nnUNetTrainer_5epochs", "nnUNetTrainerTversky_5epochs"}


def test_plans_for_pretrained_weights_are_refused_with_their_line(spec, preprocessed) -> None:
    file = preprocessed.preprocessed / DATASET / "ptPlans.json"
    plans = json.loads(file.with_name("nnUNetPlans.json").read_text())
    file.write_text(json.dumps({**plans, "pretrain_info": {"checkpoint_path": "x"}}))
    with pytest.raises(SpecError, match=r"line 6: .*ptPlans\.json has 'pretrain_info'"):
        cells_of(spec(BASE + "plans: [nnUNetPlans, ptPlans]\n"), preprocessed)
