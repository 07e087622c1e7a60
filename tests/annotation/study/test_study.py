"""Plans of studies and what is read back from their trainings."""

from __future__ import annotations

import io
import json
import math
import shutil
from contextlib import redirect_stderr, redirect_stdout
from fractions import Fraction
from pathlib import Path

import blosc2
import numpy as np
import pytest
from PIL import Image

from nnunet_tricks.annotation.study import design, outcome
from nnunet_tricks.annotation.study.costs import Prices, SliceCounts, amount, volumes_in
from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.experiment.spec import read_experiment

VOLUMES = Situation("labels", "3d", True)
SPEC = """
name: study
datasets: [{dataset}]
configurations: [3d_fullres]
folds: [0]
epochs: 1
baseline: nnUNetTrainerSparseSlices
trainers:
  - nnUNetTrainerSparseSlices_density0p3
  - nnUNetTrainerSparseSlices_density0p3_random
  - nnUNetTrainerSparseSlices_density0p3_mi
  - nnUNetTrainerSparseSlices_density0p6
"""


def test_the_papers_grid_has_eight_levels_of_budget_and_names_for_every_training() -> None:
    points = design.grid()
    assert len(points) == 5 * 4 * 3 + 5 * 3
    assert len({point.trainer() for point in points}) == len(points)
    assert {point.budget for point in points} == {Fraction(2**n, 160) for n in range(8)}
    assert all(design.point_of(point.trainer("lits")) == point for point in points)


def test_lines_of_equal_budgets_have_as_many_slices_where_nothing_is_rounded() -> None:
    training = {f"case_{number}": SliceCounts(40, 10) for number in range(8)}
    points = {(point.density, point.volumes): point for point in design.grid()}
    for line in design.equal_budgets(points.values()).values():
        needs = [amount(points[place], training, Prices(volume=7)) for place in line]
        assert len({need.slices for need in needs}) == 1
        assert len({need.cost for need in needs}) == len(line)


def test_slices_with_objects_cost_more() -> None:
    training = {"a": SliceCounts(10, 5)}
    assert amount(design.Point(density=0.4), training, Prices(empty=1, object=3)).cost == 2 * 1 + 2 * 3
    assert amount(design.DENSE, training, Prices(empty=0, object=1, volume=2)).cost == 5 + 2


@pytest.mark.parametrize("density", [["0"], ["0.1", "1.5"]])
def test_shares_out_of_range_are_refused(density: list[str], bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with bench.room(trainers.find("nnUNetTrainer"), VOLUMES) as run:  # type: ignore[arg-type]
        assert main(["annotate", "study", run.data.name, "--density", *density]) == 2


def test_a_plan_becomes_a_file_and_the_file_is_a_right_experiment(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "budgets.yaml"
    with bench.room(trainers.find("nnUNetTrainer"), VOLUMES) as run:  # type: ignore[arg-type]
        words = [
            "annotate",
            "study",
            run.data.name,
            "--density",
            "0.3",
            "1",
            "--volumes",
            "0.5",
            "1",
            "--centres",
            "lits",
        ]
        assert main([*words, "--policy", "fixed", "random", "--repeats", "2", "-o", str(file)]) == 0
        folder = run.data.preprocessed / "nnUNetPlans_3d_fullres"
        volumes = volumes_in(folder, ["case_0", "case_1"], [0, 1, 2])
    assert {case: counts.slices for case, counts in volumes.items()} == {"case_0": 7, "case_1": 5}
    assert all(0 < counts.with_object <= counts.slices for counts in volumes.values())
    (comparison,) = read_experiment(file).comparisons
    assert comparison.runs == (1, 2)
    assert [arm.name.removeprefix("nnUNetTrainerSparseSlices_") for arm in comparison.arms[1:]] == [
        "density0p3_volumes0p5_lits",
        "density0p3_random_volumes0p5_lits",
        "volumes0p5_lits",
        "density0p3_lits",
        "density0p3_random_lits",
        "density0p3_mi_lits",
        "density0p3_random_mi_lits",
    ]
    assert comparison.baseline.name == "nnUNetTrainerSparseSlices_lits"


def test_before_the_first_training_the_fold_is_the_one_that_it_will_make(
    bench: Bench,
) -> None:
    """nnU-Net writes its split when it trains for the first time; 10 cases, of which 8 train."""
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    with bench.room(trainers.find("nnUNetTrainer"), VOLUMES) as run:  # type: ignore[arg-type]
        folder = run.data.preprocessed / "nnUNetPlans_3d_fullres"
        for number in range(8):
            for file in folder.glob("case_0*"):
                shutil.copy(file, file.with_name(file.name.replace("case_0", f"more_{number}")))
        cases = sorted(file.stem for file in folder.glob("*.pkl"))
        split = run.data.preprocessed / "splits_final.json"
        kept = split.read_bytes()
        split.unlink()
        try:
            words = ["annotate", "study", run.data.name, "--density", "0.5", "--volumes", "0.25", "1", "--no-mi"]
            with redirect_stdout(io.StringIO()) as out:
                assert main([*words, "--policy", "fixed", "--json"]) == 0
            entries = json.loads(out.getvalue())["settings"]
            train = [str(case) for case in generate_crossval_split(cases)[0]["train"]]
            slices = sum(counts.slices for counts in volumes_in(folder, train, [0, 1, 2]).values())
            reference = next(entry for entry in entries if entry["density"] == entry["volumes"] == 1)
            assert (reference["slices"], reference["annotated_volumes"]) == (slices, len(train))
            quarter = next(entry for entry in entries if entry["volumes"] == 0.25)
            assert quarter["annotated_volumes"] == math.ceil(0.25 * len(train))
        finally:
            split.write_bytes(kept)
            for file in folder.glob("more_*"):
                file.unlink()


def test_what_nobody_annotated_is_no_object(bench: Bench) -> None:
    cell = Situation("labels+ignore", "3d", True)
    with bench.room(trainers.find("nnUNetTrainer"), cell) as run:  # type: ignore[arg-type]
        with redirect_stderr(io.StringIO()) as complaints, redirect_stdout(io.StringIO()):
            assert main(["annotate", "study", run.data.name, "--density", "0.5", "--policy", "fixed", "--no-mi"]) == 0
        folder = run.data.preprocessed / "nnUNetPlans_3d_fullres"
        ignore = run.data.dataset_json["labels"]["ignore"]
        counted = [volumes_in(folder, ["case_0", "case_1"], [0, 1, 2], value) for value in (None, ignore)]
        labels = {case: blosc2.open(str(folder / f"{case}_seg.b2nd"), mode="r")[:][0] for case in ("case_0", "case_1")}
    assert "has voxels that nobody annotated, and a study needs dense labels" in complaints.getvalue()
    for case, stored in labels.items():
        assert counted[1][case].with_object == ((stored > 0) & (stored != ignore)).any(axis=(1, 2)).sum()
        assert counted[0][case].with_object >= counted[1][case].with_object


def test_curves_of_trainings_that_are_done(bench: Bench, tmp_path: Path) -> None:
    """Trainings are validated, collected and drawn; one is missing, and the table leaves it out."""
    names = ["SparseSlices", "SparseSlices_density0p3", "SparseSlices_density0p3_random", "SparseSlices_density0p3_mi"]
    with bench.room(trainers.find("nnUNetTrainer"), VOLUMES) as run:  # type: ignore[arg-type]
        for name in names:
            run.trainer = trainers.find(f"nnUNetTrainer{name}_1epochs")  # type: ignore[assignment]
            trainer = run.build()
            trainer.run_training()
            trainer.perform_actual_validation()
            reached = json.loads((Path(trainer.output_folder) / "validation" / "summary.json").read_text())
        spec = tmp_path / "study.yaml"
        spec.write_text(SPEC.format(dataset=run.data.name))
        assert main(["annotate", "curves", str(spec), "--volume-cost", "3"]) == 0
        summary = Path(trainer.output_folder) / "validation" / "summary.json"
        whole = summary.read_text()
        summary.write_text(whole[: len(whole) // 2])
        described = json.loads((run.data.preprocessed / "dataset.json").read_text())["labels"]
        name = next(label for label, value in described.items() if value == 1)
        with redirect_stderr(io.StringIO()) as complaints:
            assert main(["annotate", "curves", str(spec), "--label", name, "-o", str(tmp_path / "named")]) == 0
            assert main(["annotate", "curves", str(spec), "--label", "heart"]) == 2
        printed = complaints.getvalue()
        assert f"1 trainings are left out, since nnU-Net's summary is not complete: {summary}" in printed
        assert "--label must be one of 1, " in printed
        summary.write_text(whole)
    rows = outcome.read(tmp_path / "study.csv")
    assert [row.trainer for row in rows if row.label == "mean"] == [f"nnUNetTrainer{name}_1epochs" for name in names]
    assert {(row.density, row.slices, row.cost) for row in rows} == {(1.0, 12, 18.0), (0.3, 4, 10.0)}
    last = {row.label: row for row in rows if row.interpolated}
    assert last["1"].iou == pytest.approx(np.mean([case["metrics"]["1"]["IoU"] for case in reached["metric_per_case"]]))
    with Image.open(tmp_path / "study.png") as drawn:
        assert drawn.width > 4 * drawn.height
        assert len(np.unique(np.asarray(drawn.convert("L")))) > 20
