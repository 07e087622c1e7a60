import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.cli import CLOSED_PIPE, main
from nnunet_tricks.comparison import cache
from nnunet_tricks.comparison.table import COLUMNS
from tests.comparison.world import SHAPE, SPACING, World, predicted, truth, write
from tests.terminals import CALL, at_terminal

ONE_WORKER = ["--workers", "1"]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and labels of three cases, with a dataset.json beside the labels."""
    world = World(tmp_path / "world", count=3)
    for case in range(3):
        write(tmp_path / "predictions" / f"case_{case}.nii.gz", predicted(case, 2))
    return tmp_path / "predictions", world.raw / "labelsTr"


def rows_of(words: list, capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str, str], float]:
    assert main(["evaluate", *map(str, words), *ONE_WORKER, "--json"]) == 0, capsys.readouterr().err
    rows = json.loads(capsys.readouterr().out)
    return {(row["case"], row["label"], row["metric"]): row["value"] for row in rows}


def refused(words: list, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["evaluate", *ONE_WORKER, *map(str, words)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_spacing_and_axes_are_those_of_the_files(folders, capsys) -> None:
    from tests.comparison.metrics.cases import scipy_distances

    rows = rows_of([*folders, "--metrics", "HD", "ASSD", "Dice"], capsys)
    for case in range(3):
        prediction, label_map = predicted(case, 2) == 1, truth(case) == 1
        pooled = np.concatenate(scipy_distances(prediction, label_map, SPACING))
        assert rows[f"case_{case}", "kidney", "HD"] == pytest.approx(pooled.max())
        assert rows[f"case_{case}", "kidney", "ASSD"] == pytest.approx(pooled.mean())
        assert rows[f"case_{case}", "kidney", "Dice"] == pytest.approx(
            2 * (prediction & label_map).sum() / (2 * label_map.sum())
        )


@pytest.mark.parametrize("labels", ["labels", "regions", "ignore"])
def test_summary_as_nnunet_writes_it(labels: str, tmp_path: Path, monkeypatch) -> None:
    import multiprocessing
    from multiprocessing.pool import ThreadPool
    from types import SimpleNamespace

    from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder, load_summary_json
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    meaning = {
        "labels": {"background": 0, "kidney": 1, "tumor": 2, "cyst": 3},
        "regions": {"background": 0, "kidney": [1, 2], "tumor": [2]},
        "ignore": {"background": 0, "kidney": 1, "ignore": 2},
    }[labels]
    keys = {"labels": [1, 2, 3], "regions": [(1, 2), (2,)], "ignore": [1]}[labels]
    world = World(tmp_path / "world", labels=meaning, count=3)
    predictions, references = tmp_path / "predictions", world.raw / "labelsTr"
    for case in range(3):
        write(predictions / f"case_{case}.nii.gz", predicted(case, case) if case else np.zeros(SHAPE, np.uint8))
    if labels != "ignore":
        write(references / "case_0.nii.gz", np.zeros(SHAPE, np.uint8))
    expected_file, ours = tmp_path / "expected.json", tmp_path / "ours.json"
    ignore = 2 if labels == "ignore" else None
    # nnU-Net's own processes need ten seconds to start.
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: SimpleNamespace(Pool=ThreadPool))
    compute_metrics_on_folder(
        str(references), str(predictions), str(expected_file), SimpleITKIO(), ".nii.gz", keys, ignore, 1
    )
    monkeypatch.undo()
    words = ["evaluate", predictions, references, "--metrics", "Dice", "IoU", "--summary", ours, *ONE_WORKER]
    assert main([str(word) for word in words]) == 0
    expected, summary = (load_summary_json(str(file)) for file in (expected_file, ours))
    assert list(summary["mean"]) == list(expected["mean"]) == sorted(keys, key=str)
    for ours_part, theirs in (
        (summary["foreground_mean"], expected["foreground_mean"]),
        *((summary["mean"][key], expected["mean"][key]) for key in keys),
        *(
            (case["metrics"][key], expected_case["metrics"][key])
            for case, expected_case in zip(summary["metric_per_case"], expected["metric_per_case"], strict=True)
            for key in keys
        ),
    ):
        assert ours_part == pytest.approx(theirs, nan_ok=True)


def test_regions_are_unions(folders, capsys) -> None:
    rows = rows_of([*folders, "--regions", "kidney=1+tumor", "tumor=2", "--metrics", "Dice"], capsys)
    prediction, label_map = predicted(0, 2) > 0, truth(0) > 0
    assert rows["case_0", "kidney", "Dice"] == pytest.approx(
        2 * (prediction & label_map).sum() / (prediction.sum() + label_map.sum())
    )
    assert {label for _, label, _ in rows} == {"kidney", "tumor"}


def test_the_long_table(folders, tmp_path: Path, capsys) -> None:
    out = tmp_path / "table.csv"
    assert main(["evaluate", *map(str, folders), "--out", str(out), *ONE_WORKER]) == 0
    assert "Mean over 3 cases" in capsys.readouterr().out
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert {row["unit"] for row in rows if row["metric"] == "HD95"} == {"mm"}
    assert {row["unit"] for row in rows if row["metric"] == "volume_difference"} == {"mL"}


def test_the_table_has_the_width_of_a_terminal(folders) -> None:
    regions = [f"{name}={labels}" for name, labels in {"whole_kidney": "1+2", "tumor_alone": "2", "rest": "1"}.items()]
    words = ["evaluate", *folders, *ONE_WORKER, "--metrics", "Dice", "HD95", "--regions", *regions]
    for columns, tables in ((40, 2), (80, 1)):
        shown = at_terminal(columns, *words, environment={"NO_COLOR": "1"})
        assert shown.code == 0, shown.text
        lines = shown.plain.rpartition("\r")[2].splitlines()
        assert max(map(len, lines)) <= columns
        assert sum(line.split()[:1] == ["metric"] for line in lines) == tables
        assert {"whole_kidney", "tumor_alone", "rest", "[mm]"} <= set(shown.words)


def test_a_pipe_gets_the_table_that_no_terminal_changes(folders) -> None:
    command = [sys.executable, "-c", CALL, "evaluate", *map(str, folders), *ONE_WORKER, "--metrics", "Dice", "HD95"]
    narrow, wide = (
        subprocess.run(command, capture_output=True, check=True, env={**os.environ, "COLUMNS": columns}).stdout
        for columns in ("40", "200")
    )
    assert narrow == wide
    assert b"HD95 [mm]" in narrow
    closed = f'{{ sleep 1; exec {sys.executable} -c "$CALL" "$@"; }} | true; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", closed, "bash", *command[3:]],
        capture_output=True, text=True, check=True, env={**os.environ, "CALL": CALL},
    )  # fmt: skip
    assert done.stdout == f"{CLOSED_PIPE}\n"


def test_counts_are_printed_where_they_are_asked_for(folders, capsys) -> None:
    assert main(["evaluate", *map(str, folders), "--metrics", "counts", *ONE_WORKER]) == 0
    shown = capsys.readouterr().out
    assert all(f" {name} [voxels] " in shown for name in ("TP", "FP", "FN", "TN"))
    assert main(["evaluate", *map(str, folders), "--metrics", "Dice", *ONE_WORKER]) == 0
    assert "TP" not in capsys.readouterr().out


def test_parquet_holds_the_same_table(folders, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for ending in (".csv", ".parquet"):
        assert main(["evaluate", *map(str, folders), "--out", str(tmp_path / f"table{ending}"), *ONE_WORKER]) == 0
    with (tmp_path / "table.csv").open() as file:
        expected = [float(row["value"] or "nan") for row in csv.DictReader(file)]
    table = parquet.read_table(tmp_path / "table.parquet")
    assert tuple(table.column_names) == COLUMNS
    np.testing.assert_array_equal(table["value"].to_pylist(), expected)


def test_two_workers_find_the_same(folders, capsys) -> None:
    alone = rows_of([*folders, "--metrics", "overlap"], capsys)
    (folders[0] / cache.FILE).unlink()
    assert main(["evaluate", *map(str, folders), "--metrics", "overlap", "--workers", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["case"], row["label"], row["metric"]): row["value"] for row in rows} == alone


def test_png_has_pixels(tmp_path: Path, capsys) -> None:
    world = World(tmp_path / "world", ending=".png", count=2)
    for case in range(2):
        write(tmp_path / "predictions" / f"case_{case}.png", predicted(case, 1, SHAPE[1:]))
    words = [tmp_path / "predictions", world.raw / "labelsTr", "--metrics", "HD", "HD_px", "volume_difference"]
    assert main(["evaluate", *map(str, words), *ONE_WORKER, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["unit"] for row in rows} == {"px", "voxels"}
    values = {(row["case"], row["label"], row["metric"]): row["value"] for row in rows}
    assert values["case_0", "kidney", "HD"] == values["case_0", "kidney", "HD_px"]


@pytest.mark.parametrize("name", ["a.tif", "a.nrrd", "a.mha", "a.nii", "a.bmp"])
def test_nnunets_other_formats(name: str, tmp_path: Path) -> None:
    import tifffile
    from skimage import io

    from nnunet_tricks.comparison import images

    labels = truth(1)
    if name == "a.tif":
        tifffile.imwrite(tmp_path / name, labels)
        (tmp_path / "a.json").write_text(json.dumps({"spacing": SPACING}))
    elif name == "a.bmp":
        labels = labels[0]
        io.imsave(tmp_path / name, labels, check_contrast=False)
    else:
        write(tmp_path / name, labels)
    read = images.read(tmp_path / name)
    np.testing.assert_array_equal(read.values, labels)
    assert read.spacing == pytest.approx((1, 1) if name == "a.bmp" else SPACING)


def test_spacing_as_nnunets_reader(tmp_path: Path) -> None:
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    from nnunet_tricks.comparison import images

    file = write(tmp_path / "a.nii.gz", truth(0))
    theirs, properties = SimpleITKIO().read_seg(str(file))
    read = images.read(file)
    np.testing.assert_array_equal(read.values, theirs[0])
    assert list(read.spacing) == pytest.approx([float(step) for step in properties["spacing"]])


def test_tiff_labels_without_the_spacing_file_that_predictions_have(tmp_path: Path, capsys) -> None:
    """As in gt_segmentations."""
    import tifffile

    world = World(tmp_path / "world", count=1)
    for folder, labels in (("labels", truth(0)), ("predictions", predicted(0, 1))):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "case_0.tif", labels)
    (tmp_path / "predictions" / "case_0.json").write_text(json.dumps({"spacing": SPACING}))
    world.write_json(tmp_path / "dataset.json", world.description | {"file_ending": ".tif"})
    write(tmp_path / "nifti" / "case_0.nii.gz", predicted(0, 1))
    words = ["--metrics", "HD", "volume_difference"]
    expected = rows_of([tmp_path / "nifti", world.raw / "labelsTr", *words], capsys)
    assert rows_of([tmp_path / "predictions", tmp_path / "labels", *words], capsys) == pytest.approx(expected)


def test_what_was_measured_once_is_not_measured_again(folders, capsys, monkeypatch) -> None:
    words = [*folders, "--metrics", "Dice", "HD"]
    first = rows_of(words, capsys)
    from nnunet_tricks.comparison import evaluate

    measured = []
    measure = evaluate._measure
    monkeypatch.setattr(
        evaluate, "_measure", lambda job: measured.append((job.files.case, job.metrics)) or measure(job)
    )
    assert rows_of(words, capsys) == first
    assert measured == []
    rows_of([*folders, "--metrics", "Dice", "HD", "IoU"], capsys)
    assert measured == [(f"case_{case}", ("IoU",)) for case in range(3)]
    measured.clear()
    write(folders[0] / "case_1.nii.gz", truth(1))
    assert rows_of(words, capsys)["case_1", "kidney", "Dice"] == 1
    assert [case for case, _ in measured] == ["case_1"]
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    measured.clear()
    assert rows_of(words, capsys)["case_1", "kidney", "Dice"] == 1
    assert len(measured) == 3


def test_a_broken_cache_is_no_obstacle(folders, capsys) -> None:
    first = rows_of([*folders], capsys)
    (folders[0] / cache.FILE).write_text("{")
    assert rows_of([*folders], capsys) == first


def spoil_shape(file: Path) -> None:
    write(file, truth(1)[:-1])


def spoil_spacing(file: Path) -> None:
    write(file, truth(1), (3.0, 0.8, 1.3))


def spoil_with_nan(file: Path) -> None:
    labels = truth(1).astype(np.float32)
    labels[0, 0, 0] = math.nan
    write(file, labels)


def spoil_with_fractions(file: Path) -> None:
    write(file, truth(1).astype(np.float32) / 2)


def spoil_with_numbers_beyond_integers(file: Path) -> None:
    write(file, truth(1).astype(np.float32) * 1e20)


def spoil_with_an_unknown_label(file: Path) -> None:
    write(file, truth(1) * 4)


def spoil_bytes(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:30])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_shape, "shape (5, 10, 12), the label (6, 10, 12)"),
        (spoil_spacing, "spacing (3, 0.8, 1.3), the label (3, 0.8, 1.2)"),
        (spoil_with_nan, "NaN or infinity in 1 voxels"),
        (spoil_with_fractions, "holds 0.5; a label map holds whole numbers"),
        (spoil_with_numbers_beyond_integers, "holds 1e+20"),
        (spoil_with_an_unknown_label, "prediction holds 4, 8, which dataset.json does not"),
        (spoil_bytes, "cannot be read as a label map"),
        (Path.unlink, "1 of 3 cases are not predicted: case_1"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(spoil, message: str, folders, capsys) -> None:
    spoil(folders[0] / "case_1.nii.gz")
    error = refused([*folders], capsys)
    assert message in error
    assert "case_1" in error
    assert "case_0" not in error


def test_whole_floats_are_labels(folders, capsys) -> None:
    expected = rows_of([*folders], capsys)
    for file in folders[1].glob("*.nii.gz"):
        write(file, truth(int(file.name[5])).astype(np.float64))
    assert rows_of([*folders], capsys) == expected


def test_chill_leaves_out_what_is_not_predicted(folders, capsys) -> None:
    (folders[0] / "case_1.nii.gz").unlink()
    assert {case for case, *_ in rows_of([*folders, "--chill"], capsys)} == {"case_0", "case_2"}
    (folders[1] / "case_0.nii.gz").unlink()
    assert "predictions have no label: case_0" in refused([*folders, "--chill"], capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--regions", "kidney"], "such as kidney=1+2"),
        (["--regions", "kidney=1+7"], "'7' is no label of the data set; there are 1, 2"),
        (["--metrics", "dice"], "near are Dice"),
        (["--out", "table.txt"], "must be .csv or .parquet"),
        (["--summary", "/nowhere/summary.json"], "there is no folder /nowhere"),
        (["--dataset-json", "nowhere.json"], "no dataset.json"),
        (["--workers", "0"], "at least 1"),
        (["-f", "0"], "leave it out where LABELS are given"),
    ],
)
def test_wrong_arguments(words: list[str], message: str, folders, capsys) -> None:
    assert message in refused([*folders, *words], capsys)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"0": "background", "1": "kidney"}, "says 'background' of label '0': it must be a number"),
        ({"background": 0, "kidney": None}, "says 'None' of label 'kidney'"),
        ({"background": 0, "ignore": 1}, "no label but the background"),
    ],
)
def test_a_description_that_says_no_labels(labels: dict, message: str, folders, tmp_path: Path, capsys) -> None:
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"labels": labels, "file_ending": ".nii.gz"}))
    assert message in refused([*folders, "--dataset-json", file], capsys)


def test_definitions_are_shown(capsys) -> None:
    assert main(["evaluate", ".", "--definitions", "--metrics", "HD95"]) == 0
    assert "95th percentile" in capsys.readouterr().out


def test_result_folders_say_everything(world: World, tmp_path: Path, capsys) -> None:
    model = world.train("nnUNetTrainerTversky_run2", skill=2)
    out = tmp_path / "table.csv"
    assert main(["evaluate", str(model), "--out", str(out), *ONE_WORKER]) == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["fold"], row["case"]) for row in rows} == {(str(case % 3), f"case_{case}") for case in range(6)}
    known = {"dataset": world.dataset, "configuration": "3d", "plans": "nnUNetPlans", "run": "2", "part": "validation"}
    assert all(known.items() <= row.items() and row["trainer"] == "nnUNetTrainerTversky_run2" for row in rows)
    capsys.readouterr()
    for place in (model / "fold_1", model / "fold_1" / "validation"):
        assert {case for case, *_ in rows_of([place], capsys)} == {"case_1", "case_4"}


def test_what_goes_with_labels_is_refused_for_result_folders(world: World, capsys) -> None:
    assert "go with LABELS" in refused([world.train(), "--chill"], capsys)


def test_labels_in_raw_will_do(world: World, capsys) -> None:
    import shutil

    model = world.train()
    expected = rows_of([model], capsys)
    shutil.rmtree(world.preprocessed / "gt_segmentations")
    assert rows_of([model], capsys) == expected


def test_another_split_is_noticed(world: World, capsys) -> None:
    model = world.train()
    world.write_splits(shift=1)
    error = refused([model], capsys)
    assert "fold_0/validation: 2 predictions have no label: case_0, case_3" in error
    assert "the split file as it was?" in error


def test_no_result_folder(world: World, capsys) -> None:
    assert "no result folder" in refused([world.raw], capsys)
    assert "no fold 4" in refused([world.train(), "-f", "0", "4"], capsys)
