"""The files in ``experiments/``: readable, honest about what does not exist yet, and true to what was printed."""

import csv
from functools import cache
from pathlib import Path

import pytest

from nnunet_tricks.experiment.printed import COLLAPSED
from nnunet_tricks.experiment.spec import Experiment, read_experiment

FOLDER = Path(__file__).resolve().parents[2] / "experiments"
FILES = sorted(FOLDER.rglob("*.yaml"))
METRICS = ["recall", "precision", "dice", "iou"]
TABLES = [f"tricks_table{number}" for number in range(1, 14)] + [
    "tricks_figure3",
    "ife_table1",
    "ife_table2",
    "ife_figure6",
]


@cache
def experiment_of(name: str) -> Experiment:
    return read_experiment(FOLDER / f"{name}.yaml")


def test_every_table_has_its_file() -> None:
    assert set(TABLES) <= {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_file_is_right(file: Path) -> None:
    """Also fails when a trick under ``needs`` exists by now: take it out then."""
    experiment = read_experiment(file)
    assert experiment.notes == ()
    assert experiment.name == file.stem


@pytest.mark.parametrize("name", TABLES)
def test_every_printed_row_is_named(name: str) -> None:
    printed: dict[str, set[str]] = {}
    named: dict[str, set[str]] = {}
    for comparison in experiment_of(name).comparisons:
        if comparison.printed is None:
            continue
        for column in (column for chosen in comparison.printed.datasets.values() for column in chosen.values()):
            rows = comparison.printed.rows[column]
            base = comparison.printed.labels["baseline"]
            named_rows = {row for row in rows if name != "ife_table1" or row in (base, f"{base}+C", f"{base}+E")}
            printed.setdefault(column, set()).update(named_rows)
            named.setdefault(column, set()).update(comparison.printed.labels.values())
    assert printed == named


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_numbers_are_those_that_were_printed(oracles: Path) -> None:
    count = 0
    for row in rows_of(oracles / "published" / "mediseg_tables.csv"):
        experiment = experiment_of(f"tricks_table{row['table'][1:]}")
        method = row["method"].translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789"))
        values = [
            comparison.printed.value(column, arm, comparison.printed.metrics_of(column)[METRICS.index(row["metric"])])
            for comparison in experiment.comparisons
            if comparison.printed
            for columns in comparison.printed.datasets.values()
            for column in columns.values()
            for arm, name in comparison.printed.labels.items()
            if (column, name) == (row["dataset"], method)
        ]
        assert values, row
        expected = COLLAPSED if row["value_percent"] == "NaN" else float(row["value_percent"])
        assert all(value == expected for value in values), row
        count += 1
    assert count == 731


def test_numbers_of_the_ife_paper(oracles: Path) -> None:
    printed_as = ["Con_percent", "DSC_percent", "JC_percent", "F1_percent", "HCE", "MAE_percent", "HD", "ASD", "RVD"]
    for row in rows_of(oracles / "published" / "ife_tables.csv"):
        experiment = experiment_of(f"ife_table{row['table'][-1]}")
        printed = experiment.comparisons[0].printed
        assert printed is not None
        method = row["method"] + (f" ({row['ratio']})" if row["ratio"] else "")
        assert printed.rows["Cosmos55k"][method][printed_as.index(row["metric"])] == float(row["value"])


def test_the_papers_iou_of_2d_images_is_another_one() -> None:
    """Its code averages foreground and background there, and takes the foreground alone in 3D."""
    for comparison in experiment_of("tricks_table7").comparisons:
        if comparison.printed:
            ((dataset, columns),) = comparison.printed.datasets.items()
            expected = "IoU" if dataset == "519" else "IoU_macro"
            assert {comparison.printed.metrics_of(column)[3] for column in columns.values()} == {expected}
