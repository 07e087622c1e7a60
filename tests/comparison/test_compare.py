import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.comparison.methods import without_run
from nnunet_tricks.experiment.record import Attempt, Record
from nnunet_tricks.experiment.split import Split
from tests.comparison.world import EPOCH_SECONDS, World, predicted, truth, write
from tests.terminals import at_terminal

ONE_WORKER = ["--workers", "1"]


def compared(words: list, capsys) -> list[dict]:
    assert main(["compare", *map(str, words), *ONE_WORKER, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)["tables"]


def refused(words: list, capsys) -> str:
    assert main(["compare", *map(str, words), *ONE_WORKER]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.fixture
def both(world: World) -> list[Path]:
    """A trick, and its baseline."""
    return [world.train("nnUNetTrainerTversky", skill=3), world.train("nnUNetTrainer", skill=2)]


def dice_of(case: int, skill: int, label: int) -> float:
    prediction, label_map = predicted(case, skill) == label, truth(case) == label
    return 2 * (prediction & label_map).sum() / (prediction.sum() + label_map.sum())


def test_means_over_cases_and_differences(both: list[Path], capsys) -> None:
    (table,) = compared(both, capsys)
    baseline, trick = table["methods"]
    assert table["baseline"] == baseline["name"] == "nnUNetTrainer__nnUNetPlans__3d"
    expected = np.mean([dice_of(case, 2, 1) for case in range(6)])
    assert baseline["scores"]["kidney"]["Dice"]["mean"] == pytest.approx(expected)
    assert baseline["scores"]["kidney"]["Dice"]["difference"] is None
    assert trick["scores"]["kidney"]["Dice"] == {
        "mean": 1,
        "difference": pytest.approx(1 - expected),
        "counted": 6,
        "unit": "1",
    }
    both_labels = [baseline["scores"][label]["Dice"]["mean"] for label in ("kidney", "tumor")]
    assert baseline["scores"]["mean of classes"]["Dice"]["mean"] == pytest.approx(np.mean(both_labels))
    assert (baseline["cases"], table["folds"]) == (6, ["0", "1", "2"])
    assert baseline["seconds_per_epoch"] == pytest.approx(EPOCH_SECONDS + 0.5)


def test_the_mean_is_nnunets_over_all_folds(both: list[Path], world: World, tmp_path: Path, capsys) -> None:
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    (table,) = compared(both, capsys)
    theirs = [
        compute_metrics(str(world.raw / "labelsTr" / file.name), str(file), SimpleITKIO(), [1, 2])["metrics"]
        for file in sorted(both[1].glob("fold_*/validation/*.nii.gz"))
    ]
    for label, name in ((1, "kidney"), (2, "tumor")):
        for metric in ("Dice", "IoU"):
            expected = np.mean([case[label][metric] for case in theirs])
            assert table["methods"][0]["scores"][name][metric]["mean"] == pytest.approx(expected)


def test_terminal_markdown_and_csv(both: list[Path], tmp_path: Path, capsys) -> None:
    for ending in (".md", ".csv"):
        assert main(["compare", *map(str, both), *ONE_WORKER, "--out", str(tmp_path / f"table{ending}")]) == 0
    shown, markdown = capsys.readouterr().out, (tmp_path / "table.md").read_text()
    for text in (shown, markdown):
        assert "Dataset007_Kidney, 3d, validation, folds 0, 1, 2, 6 cases" in " ".join(text.split())
        assert "nothing is known about noise" in " ".join(text.split())
        assert "HD95 [mm]" in text
    row = next(line for line in markdown.splitlines() if line.startswith("| nnUNetTrainerTversky |"))
    assert row.startswith("| nnUNetTrainerTversky | 1.000 (+0.")
    assert "| nnUNetTrainer | 3 | 1 | 13.0 |" in markdown
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    dice = [row for row in rows if row["metric"] == "Dice" and row["label"] == "tumor"]
    assert [row["trainer"] for row in dice] == ["nnUNetTrainer", "nnUNetTrainerTversky"]
    assert float(dice[1]["mean"]) - float(dice[0]["mean"]) == pytest.approx(float(dice[1]["difference"]))


@pytest.mark.parametrize(
    ("columns", "variables"), [(40, {"PYTHONIOENCODING": "ascii", "TERM": "dumb"}), (80, {}), (200, {"NO_COLOR": "1"})]
)
def test_numbers_and_names_are_whole_at_a_terminal(tmp_path, capsys, monkeypatch, columns, variables) -> None:
    name = "nnUNetTrainerTversky_alpha0p2_NoDeepSupervision_100epochs"
    worlds = [World(tmp_path / "nnunet", dataset=dataset) for dataset in ("Dataset007_Lov\u00e1sz", "Dataset008_Other")]
    for variable, value in worlds[0].variables.items():
        monkeypatch.setenv(variable, value)
    models = [
        world.train(trainer, skill=2 + (trainer == name))
        for world in worlds
        for trainer in (name, "nnUNetTrainer_100epochs")
    ]
    tables = compared(models, capsys)
    shown = at_terminal(columns, "compare", *models, *ONE_WORKER, environment=variables)
    assert shown.code == 0
    assert max(map(len, shown.lines)) <= columns
    if variables:
        assert "\x1b" not in shown.text.partition("Dataset")[2]
    assert ("Lovasz" in shown.text) == ("PYTHONIOENCODING" in variables)
    assert "\u2026" not in shown.text
    trick = next(method for method in tables[0]["methods"] if method["trainer"] == name)
    for score in trick["scores"]["kidney"].values():
        digits = 3 if score["unit"] == "1" else 2
        assert f"({score['difference']:+.{digits}f})" in shown.words
    # Names are broken at underscores only, and the table across data sets is no Markdown here.
    parts = {"nnUNetTrainerTversky", "_alpha0p2", "_NoDeepSupervision", "_100epochs"}
    pieces = {piece for line in shown.lines for piece in re.findall(r"_?[A-Za-z0-9]+", line) if "Tversky" in piece}
    assert pieces <= {*parts, "Tversky"}
    assert "Across data sets: Dice, 3d, validation" in " ".join(shown.words)
    assert "| method |" not in shown.text


def test_a_model_that_predicts_nothing_is_collapsed_and_counted(world: World, capsys) -> None:
    models = [world.train("nnUNetTrainer"), world.predict_nothing("nnUNetTrainerTversky")]
    (table,) = compared([*models, "--metrics", "Dice", "IoU", "recall", "precision", "HD95"], capsys)
    collapsed = table["methods"][1]
    for metric in ("Dice", "IoU", "recall", "precision"):
        assert collapsed["scores"]["tumor"][metric]["mean"] == 0
        assert collapsed["scores"]["tumor"][metric]["counted"] == 6
    assert collapsed["scores"]["tumor"]["HD95"]["mean"] > table["methods"][0]["scores"]["tumor"]["HD95"]["mean"]
    assert "tumor in fold 2" in collapsed["collapsed"]
    assert any("nnUNetTrainerTversky collapsed: it predicts no kidney in fold 0" in note for note in table["notes"])
    assert main(["compare", *map(str, models), *ONE_WORKER]) == 0
    assert "(collapsed)" in capsys.readouterr().out


def test_reruns_are_one_method_and_say_how_much_they_differ(world: World, capsys) -> None:
    models = [
        world.train("nnUNetTrainer", skill=2),
        world.train("nnUNetTrainer_run2", skill=1),
        world.train("nnUNetTrainerTversky", skill=3),
    ]
    (table,) = compared(models, capsys)
    baseline = table["methods"][0]
    assert (baseline["runs"], baseline["cases"]) == ([1, 2], 12)
    expected = [np.mean([dice_of(case, skill, 1) for case in range(6)]) for skill in (2, 1)]
    assert baseline["scores"]["kidney"]["Dice"]["mean"] == pytest.approx(np.mean(expected))
    runs = [np.mean([dice_of(case, skill, label) for case in range(6) for label in (1, 2)]) for skill in (2, 1)]
    spread = f"2 runs of nnUNetTrainer differ by {runs[0] - runs[1]:.3g} in Dice of mean of classes"
    assert spread in " ".join(table["notes"])
    assert not any("nothing is known" in note for note in table["notes"])


def test_names_of_runs() -> None:
    assert without_run("nnUNetTrainerTversky_100epochs_run2") == "nnUNetTrainerTversky_100epochs"


def test_memory_where_a_queue_has_recorded_it(both: list[Path], capsys) -> None:
    from nnunet_tricks.experiment.record import Attempt, Record

    for fold, memory in enumerate((3e9, 5e9)):
        states = both[0].parent.parent / "nnunet_tricks" / both[0].parent.name / both[0].name / f"fold_{fold}" / "train"
        states.mkdir(parents=True)
        Record().begin(states, Attempt("train", 0.0, "cpu", 1.0, 0, int(memory)))
    (table,) = compared(both, capsys)
    assert [method["memory_bytes"] for method in table["methods"]] == [None, 5e9]
    assert main(["compare", *map(str, both), *ONE_WORKER]) == 0
    shown = capsys.readouterr().out
    assert "memory [GB]" in shown
    assert "GPU memory" not in shown


@pytest.mark.parametrize("words", [["counts"], ["TP"], ["Dice", "FN"]])
def test_methods_are_not_judged_by_counts(words: list[str], both: list[Path], capsys) -> None:
    assert "not judged by counts of voxels" in refused([*both, "--metrics", *words], capsys)


def test_cases_csv_that_says_two_things(both: list[Path], world: World, capsys) -> None:
    lines = ["", "id,patient", *(f"case_{case},p{case // 2} " for case in range(6))]
    (world.raw / "cases.csv").write_text("\n".join(lines))
    (table,) = compared([*both, "--group", "patient"], capsys)
    assert table["statistics"]["tricks"][0]["effects"]["kidney"]["Dice"]["groups"] == 3
    (world.raw / "cases.csv").write_text("\n".join([*lines, "case_0,p9"]))
    assert "says both 'p0' and 'p9' of case_0" in refused([*both, "--group", "patient"], capsys)


def test_baseline_can_be_chosen(both: list[Path], capsys) -> None:
    (table,) = compared([*both, "--baseline", "nnUNetTrainerTversky"], capsys)
    assert table["methods"][0]["trainer"] == "nnUNetTrainerTversky"
    assert "none of Dataset007_Kidney's models" in refused([*both, "--baseline", "nnUNetTrainerDice"], capsys)


def test_a_bare_base_is_the_baseline_of_what_is_added_to_it(world: World, capsys) -> None:
    trained = [world.train(f"nnUNetTrainerMedISeg3D{added}", skill=2) for added in ("_GTAugB", "_OHEM", "")]
    (table,) = compared(trained, capsys)
    assert table["baseline"] == "nnUNetTrainerMedISeg3D__nnUNetPlans__3d"
    (table,) = compared([world.train("nnUNetTrainer", skill=1), *trained], capsys)
    assert table["baseline"] == "nnUNetTrainer__nnUNetPlans__3d"


def test_subgroups(both: list[Path], world: World, capsys) -> None:
    lines = [f"case_{case},{'CT' if case < 2 else 'MR'}" for case in range(6)]
    (world.raw / "cases.csv").write_text("\n".join(["id,modality", *lines]))
    tables = compared([*both, "--by", "modality"], capsys)
    assert [table["subgroup"] for table in tables] == ["modality = CT", "modality = MR"]
    assert [table["methods"][0]["cases"] for table in tables] == [2, 4]
    expected = np.mean([dice_of(case, 2, 1) for case in range(2)])
    assert tables[0]["methods"][0]["scores"]["kidney"]["Dice"]["mean"] == pytest.approx(expected)
    assert "has the columns id, modality" in refused([*both, "--by", "scanner"], capsys)
    (world.raw / "cases.csv").write_text("\n".join(["id,modality", *lines]), encoding="utf-8-sig")
    assert compared([*both, "--by", "modality"], capsys) == tables
    (world.raw / "cases.csv").write_text("\n".join(["id,modality", *lines, "caf\u00e9,CT"]), encoding="latin-1")
    assert "cases.csv is no csv in UTF-8" in refused([*both, "--by", "modality"], capsys)
    (world.raw / "cases.csv").write_text("\n".join(["id,modality", *lines[:-1]]))
    assert "says nothing of case_5" in refused([*both, "--by", "modality"], capsys)
    (world.raw / "cases.csv").unlink()
    assert "needs" in refused([*both, "--by", "modality"], capsys)


def test_reruns_in_a_subgroup_that_is_not_in_every_fold(world: World, capsys) -> None:
    models = [world.train("nnUNetTrainer", skill=2), world.train("nnUNetTrainer_run2", skill=1)]
    lines = [f"case_{case},{'odd' if case in world.fold_cases(2) else 'usual'}" for case in range(6)]
    (world.raw / "cases.csv").write_text("\n".join(["id,kind", *lines]))
    tables = compared([*models, "--by", "kind"], capsys)
    assert [table["methods"][0]["cases"] for table in tables] == [4, 8]
    assert all("2 runs of nnUNetTrainer differ" in " ".join(table["notes"]) for table in tables)


def test_fold_all_is_measured_on_what_it_was_trained_on(both: list[Path], world: World, capsys) -> None:
    for model in both:
        for fold in (1, 2):
            for file in (model / f"fold_{fold}" / "validation").glob("*.nii.gz"):
                shutil.copy(file, model / "fold_0" / "validation")
            shutil.rmtree(model / f"fold_{fold}")
        (model / "fold_0").rename(model / "fold_all")
    (table,) = compared([*both, "-f", "all"], capsys)
    assert table["methods"][0]["cases"] == 6
    assert any("the very cases" in note for note in table["notes"])


def test_trainings_of_different_length_are_said_so(both: list[Path], world: World, capsys) -> None:
    (table,) = compared(both, capsys)
    assert not any("lengths" in note for note in table["notes"])
    (table,) = compared([*both, world.train("nnUNetTrainerDiceOHEM_5epochs")], capsys)
    (note,) = (note for note in table["notes"] if "lengths" in note)
    assert "5 epochs: nnUNetTrainerDiceOHEM_5epochs; 1000 epochs: nnUNetTrainer, nnUNetTrainerTversky" in note


def test_a_missing_fold_is_named(world: World, capsys) -> None:
    models = [world.train("nnUNetTrainer"), world.train("nnUNetTrainerTversky", folds=[0, 2])]
    assert "nnUNetTrainerTversky__nnUNetPlans__3d has no fold 1" in refused(models, capsys)
    (table,) = compared([*models, "-f", "0", "2"], capsys)
    assert table["methods"][0]["cases"] == 4


def test_a_fold_that_nobody_has_trained_is_missing_too(world: World, capsys) -> None:
    models = [world.train(trainer, folds=[0, 1]) for trainer in ("nnUNetTrainer", "nnUNetTrainerTversky")]
    assert "has no fold 2" in refused(models, capsys)


def test_a_fold_that_the_split_file_does_not_have(both: list[Path], world: World, capsys) -> None:
    for model in both:
        shutil.copytree(model / "fold_0", model / "fold_3")
    assert "has no fold 3" in refused(both, capsys)


def test_a_copy_of_a_fold_is_no_fold(both: list[Path], capsys) -> None:
    expected = compared(both, capsys)
    shutil.copytree(both[0] / "fold_0", both[0] / "fold_0_before")
    assert compared(both, capsys) == expected


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("fold_1/checkpoint_final.pth", "fold_1 is unfinished"),
        ("fold_1/validation/summary.json", "fold_1 has an unfinished validation"),
        ("fold_1/validation/case_4.nii.gz", "fold_1/validation: 1 of 2 cases are not predicted: case_4"),
        ("plans.json", "plans.json is not there"),
    ],
)
def test_what_is_missing_is_named(file: str, message: str, both: list[Path], capsys) -> None:
    (both[0] / file).unlink()
    error = refused(both, capsys)
    assert message in error
    assert "nnUNetTrainerTversky" in error


def test_a_split_that_changed_between_trainings(world: World, capsys) -> None:
    first = world.train("nnUNetTrainer")
    world.write_splits(shift=1)
    world.fold_cases = lambda fold: [(case + 1) % 6 for case in range(6)[fold::3]]  # type: ignore[method-assign]
    second = world.train("nnUNetTrainerTversky")
    error = refused([first, second], capsys)
    assert "nnUNetTrainer__nnUNetPlans__3d/fold_0/validation: 2 predictions have no label: case_0, case_3" in error
    assert "the split file as it was?" in error


def test_a_training_on_other_cases_that_validated_on_the_same(both: list[Path], world: World, capsys) -> None:
    splits = json.loads((world.preprocessed / "splits_final.json").read_text())
    splits[1]["train"].pop()
    world.write_json(world.preprocessed / "splits_final.json", splits)
    error = refused(both, capsys)
    assert "fold_1 was trained on 4 and validated on 2 cases, the split file now has 3 and 2" in error


def test_other_plans_are_refused_unless_accepted(both: list[Path], world: World, capsys) -> None:
    plans = json.loads((both[0] / "plans.json").read_text())
    plans["configurations"]["another"] = {"batch_size": 7}
    world.write_json(both[0] / "plans.json", plans)
    assert compared(both, capsys)
    plans["configurations"]["3d"]["batch_size"] = 4
    world.write_json(both[0] / "plans.json", plans)
    error = refused(both, capsys)
    assert "nnUNetTrainerTversky__nnUNetPlans__3d has other plans than" in error
    assert "batch_size" in error
    (table,) = compared([*both, "--accept", "plans"], capsys)
    assert any("batch_size" in note for note in table["notes"])


def test_another_nnunet_is_refused_unless_accepted(both: list[Path], world: World, capsys) -> None:
    for model, version in zip(both, ("2.7.0", "2.8.1"), strict=True):
        for fold in range(3):
            world.write_json(model / f"fold_{fold}" / "debug.json", {"nnunetv2_version": version})
    error = refused(both, capsys)
    assert "2.7.0" in error
    assert "--accept nnunet-version" in error
    (table,) = compared([*both, "--accept", "nnunet-version"], capsys)
    assert any("nnU-Net 2.8.1 trained" in note for note in table["notes"])


@pytest.mark.parametrize("package", ["batchgeneratorsv2", "dynamic_network_architectures", "nnunetv2"])
def test_what_nnunet_trains_with_is_compared_too(both: list[Path], world: World, capsys, package: str) -> None:
    """Stock trainers write none of it down; the queue does."""
    for model, version in zip(both, ("0.3.5", "0.3.6"), strict=True):
        for fold in range(3):
            folder = model.parent.parent / "nnunet_tricks" / model.parent.name / model.name / f"fold_{fold}" / "train"
            folder.mkdir(parents=True)
            attempt = Attempt("nnUNetv2_train", 1.0, "cpu", 1.0, 0, versions={package: version, "torch": "2.1.0"})
            Record().begin(folder, attempt)
            world.write_json(model / f"fold_{fold}" / "debug.json", {"torch_version": "2.1.0+cu121"})
    error = refused(both, capsys)
    assert f"{package.replace('nnunetv2', 'nnU-Net')} 0.3.6 trained nnUNetTrainer__nnUNetPlans__3d/fold_0" in error
    assert "--accept nnunet-version" in error
    (table,) = compared([*both, "--accept", "nnunet-version"], capsys)
    assert sum("0.3.5 trained" in note for note in table["notes"]) == 1
    assert not any("PyTorch" in note for note in table["notes"])


def test_an_update_in_the_middle_of_a_training_is_told(both: list[Path], capsys) -> None:
    model = both[1]
    folder = model.parent.parent / "nnunet_tricks" / model.parent.name / model.name / "fold_0" / "train"
    folder.mkdir(parents=True)
    record = Record()
    for number, (command, version) in enumerate(
        [("nnUNetv2_train", "0.3.5"), ("nnUNetv2_train --c", "0.3.6"), ("nnUNetv2_train --val", "0.3.7")]
    ):
        record = record.begin(folder, Attempt(command, number, "cpu", versions={"batchgeneratorsv2": version}))
    assert f"batchgeneratorsv2 0.3.5, then 0.3.6 trained {model.name}/fold_0" in refused(both, capsys)


def test_another_pytorch_is_a_footnote(both: list[Path], world: World, capsys) -> None:
    for model, version in zip(both, ("2.1.0", "2.2.0"), strict=True):
        for fold in range(3):
            world.write_json(model / f"fold_{fold}" / "debug.json", {"torch_version": version})
    (table,) = compared(both, capsys)
    assert any("PyTorch 2.2.0 trained nnUNetTrainer__" in note for note in table["notes"])


def test_plans_for_pretrained_weights_are_refused(both: list[Path], world: World, capsys) -> None:
    plans = json.loads((both[0] / "plans.json").read_text())
    world.write_json(both[0] / "plans.json", {**plans, "pretrain_info": {"checkpoint_path": "x"}})
    error = refused(both, capsys)
    assert f"{both[0]}/plans.json has 'pretrain_info'" in error
    assert "cannot be loaded here yet" in error


def test_a_split_of_which_only_the_training_cases_changed(both: list[Path], world: World, capsys) -> None:
    """As many as before, and the same validation cases: the record knows."""
    file = world.preprocessed / "splits_final.json"
    splits = json.loads(file.read_text())
    states = both[1].parent.parent / "nnunet_tricks" / both[1].parent.name
    split = Split.of(splits, "1")
    assert split
    split.keep(states / "splits")
    folder = states / both[1].name / "fold_1" / "train"
    folder.mkdir(parents=True)
    Record().with_split(split.digest).written(folder)
    assert compared(both, capsys)
    splits[1]["train"][0] = "another"
    world.write_json(file, splits)
    assert "fold_1 was trained on another split than the split file has now: " in refused(both, capsys)


def test_unknown_version_is_a_footnote(both: list[Path], world: World, capsys) -> None:
    for fold in range(3):
        world.write_json(both[0] / f"fold_{fold}" / "debug.json", {"nnunetv2_version": "2.8.1"})
    (table,) = compared(both, capsys)
    assert "The version of nnU-Net is not recorded for nnUNetTrainer." in table["notes"]


def test_a_class_that_is_nowhere_is_named(world: World, tmp_path: Path, capsys) -> None:
    world.labels["cyst"] = 3
    models = [world.train("nnUNetTrainer"), world.train("nnUNetTrainerTversky", skill=3)]
    world.labels.pop("cyst")
    invented = truth(0)
    invented[0, 0, 0] = 3
    write(models[1] / "fold_0" / "validation" / "case_0.nii.gz", invented)
    (table,) = compared(models, capsys)
    assert any(note.startswith("cyst is in none of the labels") for note in table["notes"])
    assert any(note.startswith("cyst: in 1 of the 1 cases that count some predict nothing") for note in table["notes"])
    baseline, trick = (method["scores"]["cyst"]["Dice"] for method in table["methods"])
    assert (baseline["mean"], baseline["counted"], trick["mean"], trick["counted"]) == (1, 1, 0, 1)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_false_alarms_on_healthy_cases_are_losses_from_masks_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    world = World(tmp_path / "nnunet", count=12)
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    healthy = [world.case(number) for number in range(12) if number % 2]
    models = []
    for trainer, skill in (("", 2), ("_run2", 2), ("_run3", 2), ("Tversky", 3), ("Tversky_run2", 3)):
        models.append(world.train(f"nnUNetTrainer{trainer}", skill=skill))
        for case in healthy:
            (file,) = models[-1].glob(f"fold_*/validation/{case}.nii.gz")
            nothing = np.zeros(world.shape, np.uint8)
            nothing[0, 0, :2] = (1, 2) if "Tversky" in trainer else 0
            write(file, nothing)
    for case in healthy:
        for folder in (world.raw / "labelsTr", world.preprocessed / "gt_segmentations"):
            write(folder / f"{case}.nii.gz", np.zeros(world.shape, np.uint8))
    # Without the report, which draws for seconds, every metric can be the first.
    words = {}
    for metric in ("Dice", "HD95", "conformity", "lesion_F1", "NSD@1"):
        (table,) = compared([*models, "--metrics", metric], capsys)
        (trick,) = table["statistics"]["tricks"]
        effect = trick["effects"]["mean of classes"][metric]
        assert (effect["cases"], effect["wins"] + effect["ties"], effect["losses"]) == (12, 6, 6), metric
        assert (trick["ranks"]["place"], table["statistics"]["baseline"]["ranks"]["place"]) == (2, 1), metric
        words[metric] = trick["verdict"]["word"]
        means = [method["scores"]["tumor"][metric] for method in table["methods"]]
        assert [mean["counted"] for mean in means] == [36, 24]
        assert any(note.startswith("tumor: in 6 of the 12 cases that count") for note in table["notes"])
    assert set(words.values()) <= {"hurts", "undecided"}
    assert words["HD95"] == words["conformity"] == "undecided"
    out = tmp_path / "report"
    assert (
        main(["compare", *map(str, models), "--metrics", "Dice", "conformity", "--workers", "1", "--report", str(out)])
        == 0
    )
    assert main(["verify", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "(in 6 nothing is there, and a false alarm counts as a loss)" in page


def test_regions(both: list[Path], capsys) -> None:
    (table,) = compared([*both, "--regions", "kidney=1+2", "tumor=2", "--metrics", "Dice"], capsys)
    expected = []
    for case in range(6):
        prediction, label_map = predicted(case, 2) > 0, truth(case) > 0
        expected.append(2 * (prediction & label_map).sum() / (prediction.sum() + label_map.sum()))
    assert table["methods"][0]["scores"]["kidney"]["Dice"]["mean"] == pytest.approx(np.mean(expected))


def test_each_configuration_has_its_own_table(world: World, capsys) -> None:
    models = []
    for configuration in ("3d", "2d"):
        for trainer, skill in (("nnUNetTrainer", 2), ("nnUNetTrainerTversky", 3)):
            models.append(world.train(trainer, skill=skill, configuration=configuration))
            plans = json.loads((models[-1] / "plans.json").read_text())
            plans["configurations"]["2d"] = {"batch_size": 9}
            world.write_json(models[-1] / "plans.json", plans)
    tables = compared(models, capsys)
    assert [table["methods"][0]["configuration"] for table in tables] == ["3d", "2d"]
    assert "has other plans" in refused(models[:3], capsys)


def test_test_parts(world: World, capsys) -> None:
    """Cases of imagesTs, with labels, as 'run' predicts them."""
    for case in range(2):
        write(world.raw / "imagesTs" / f"test_{case}_0000.nii.gz", truth(case))
        write(world.raw / "labelsTs" / f"test_{case}.nii.gz", truth(case))
    models = [world.train("nnUNetTrainer"), world.train("nnUNetTrainerTversky")]
    for skill, model in enumerate(models):
        for fold in range(3):
            for case in range(2):
                write(model / f"fold_{fold}" / "test" / f"test_{case}.nii.gz", predicted(case, 2 + skill))
    (table,) = compared([*models, "--part", "test"], capsys)
    assert table["part"] == "test"
    assert table["methods"][1]["scores"]["kidney"]["Dice"]["mean"] == 1
    assert table["methods"][0]["cases"] == 6


def test_an_experiment_file(both: list[Path], world: World, tmp_path: Path, capsys) -> None:
    plans = {
        "plans_name": "nnUNetPlans",
        "dataset_name": world.dataset,
        "configurations": {"3d": {"batch_size": 2, "data_identifier": "x"}},
    }
    world.write_json(world.preprocessed / "nnUNetPlans.json", plans)
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "name: kidneys\ndatasets: [7]\nconfigurations: [3d]\ntrainers: [nnUNetTrainer, nnUNetTrainerTversky]\n"
        "folds: [0, 1]\nregions: {kidney: 1+2, tumor: '2'}\n"
    )
    (table,) = compared([spec, "--metrics", "Dice"], capsys)
    assert table["folds"] == ["0", "1"]
    assert list(table["methods"][0]["scores"]) == ["kidney", "tumor", "mean of classes"]
    assert "not both" in refused([spec, both[0]], capsys)
    spec.write_text(spec.read_text().replace("nnUNetTrainerTversky]", "nnUNetTrainerTversky, nnUNetTrainerCE]"))
    world.train("nnUNetTrainerCE")
    shutil.rmtree(both[0] / "fold_1")
    assert "fold_1 is unfinished" in refused([spec], capsys)
    (table,) = compared([spec, "--metrics", "Dice", "--finished"], capsys)
    assert [method["trainer"] for method in table["methods"]] == ["nnUNetTrainer", "nnUNetTrainerCE"]
    assert "Not finished and left out: nnUNetTrainerTversky." in " ".join(table["notes"])
    shutil.rmtree(both[1] / "fold_0")
    assert "nnUNetTrainer__nnUNetPlans__3d and something to compare it with" in refused([spec, "--finished"], capsys)
    shutil.rmtree(both[0])
    assert "fold_0 is unfinished" in refused([spec], capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "a.txt"], "must be .md or .csv"),
        (["--out", "/nowhere/a.md"], "there is no folder /nowhere"),
        (["--metrics", "Dise"], "near are Dice"),
    ],
)
def test_wrong_arguments(words: list[str], message: str, both: list[Path], capsys) -> None:
    assert message in refused([*both, *words], capsys)


def test_comparing_imports_neither_torch_nor_nnunet(both: list[Path]) -> None:
    code = f"""
import sys
from nnunet_tricks.cli import main
code = main(["compare", {str(both[0])!r}, {str(both[1])!r}, "--workers", "1", "--metrics", "all"])
sys.exit(code or bool({{"torch", "nnunetv2"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_several_data_sets_have_a_table_of_signs(both: list[Path], world: World, tmp_path: Path, capsys) -> None:
    other = World(tmp_path / "nnunet", dataset="Dataset008_Other")
    models = [*both, other.train("nnUNetTrainer", skill=2), other.train("nnUNetTrainerTversky", skill=1)]
    assert main(["compare", *map(str, models), *ONE_WORKER]) == 0
    shown = capsys.readouterr().out
    assert "| method | Dataset007_Kidney | Dataset008_Other | better/worse | sign test, p (Holm) |" in shown
    row = next(line for line in shown.splitlines() if line.startswith("| nnUNetTrainerTversky |"))
    assert row.endswith("| 1/1 | 1.000 |")
    assert "(undecided)" in row


def test_patients_with_several_images_are_drawn_whole(both: list[Path], world: World, capsys) -> None:
    lines = [f"case_{case},{'anna' if case < 4 else 'bert'}" for case in range(6)]
    (world.raw / "cases.csv").write_text("\n".join(["id,patient", *lines]))
    (table,) = compared([*both, "--group", "patient"], capsys)
    effect = table["statistics"]["tricks"][0]["effects"]["kidney"]["Dice"]
    assert (effect["cases"], effect["groups"]) == (6, 2)
    assert any("Groups in more than one fold: anna, bert" in note for note in table["notes"])
    assert "has the columns id, patient, and needs 'id' and 'hospital'" in refused(
        [*both, "--group", "hospital"], capsys
    )
    (world.raw / "cases.csv").write_text("\n".join(["id,patient", *lines[:-1], "case_5,"]))
    assert "the group column says nothing of case_5" in refused([*both, "--group", "patient"], capsys)
