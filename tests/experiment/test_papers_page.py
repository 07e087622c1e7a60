"""The page of the papers' rows and networks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nnunet_tricks.catalogue import in_papers
from nnunet_tricks.catalogue.naming import PREFIX, parse
from nnunet_tricks.experiment import papers_page
from nnunet_tricks.experiment.spec import read_experiment
from tests.checkout import ROOT

FOLDER = ROOT / "experiments"
PUBLISHED = {"tricks.json": "Trick paper", "ife.json": "IFE paper"}


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")


def rows_of(section: str) -> list[list[str]]:
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0] not in ("row", "way to train", "network", "loss (equation)", "---")]


def test_the_page_is_that_of_the_files(page: str) -> None:
    expected = papers_page.inserted(page, papers_page.as_markdown(FOLDER))
    assert page == expected, "experiments have changed: run 'python -m nnunet_tricks.experiment.papers_page'"


@pytest.mark.parametrize("file", PUBLISHED)
def test_every_printed_row_is_there(page: str, file: str) -> None:
    paper = page.partition(f"\n## {PUBLISHED[file]}\n")[2].partition("\n## ")[0]
    for table, columns in json.loads((FOLDER / "published" / file).read_text())["tables"].items():
        (section,) = re.findall(rf"### {table.capitalize()}:.*?(?=\n### |\Z)", paper, re.S)
        shown = {(row[0], column) for row in rows_of(section) for column in row[2].split(", ")}
        assert shown == {(row, column) for column, rows in columns.items() for row in rows}


def test_names_run_unless_they_wait(page: str) -> None:
    waiting = {token for file in FOLDER.glob("*.yaml") for token in read_experiment(file).needs}
    waits = 0
    for row in rows_of(page):
        words = re.findall(r"`([^`]+)`", row[1])
        if "waits for" in row[1]:
            assert words[-1] in waiting
            waits += 1
        elif words and words[0] != PREFIX:
            assert parse(words[0].partition("+")[0].partition(" ")[0]).tricks or "+" in words[0] or " " in words[0]
        else:
            assert words or row[1] in (papers_page.NOT_YET, "as in the file")
    assert (waits > 0) == bool(waiting)


def test_all_networks_and_losses_are_there(page: str) -> None:
    listed = {row[0]: row[1] for row in rows_of(page.partition("\n## Networks\n")[2])}
    assert set(listed) == {*in_papers.LOSSES, *(name for names in in_papers.NETWORKS.values() for name in names)}
    assert papers_page.NOT_YET not in [listed[name] for name in in_papers.LOSSES]


SPEC = """# A paper, table 7: made up
name: tricks_table7
description: "A paper, table 7: made up"
needs: [Telepathy]
datasets: [501]
configurations: [2d]
epochs: 20
tricks: [CE, Telepathy]
published:
  file: published.json
  table: table 7
  datasets: {501: Mine}
  rows: {baseline: none, CE: "+ CE", Telepathy: "+ mind|reading"}
"""


def test_what_waits_and_what_nobody_named_is_said(tmp_path: Path) -> None:
    rows = {"none": [1.0], "+ CE": [2.0], "+ mind|reading": [3.0], "+ luck": [4.0]}
    tables = {"source": "A paper", "metrics": {"": ["Dice"]}, "times": [100], "tables": {"table 7": {"Mine": rows}}}
    (tmp_path / "published.json").write_text(json.dumps(tables))
    (tmp_path / "tricks_table7.yaml").write_text(SPEC)
    section = papers_page.as_markdown(tmp_path).partition("## IFE paper")[0]
    assert "### Table 7: made up" in section
    assert "(../experiments/tricks_table7.yaml). 20 epochs." in section
    assert rows_of(section) == [
        ["none", "`nnUNetTrainer`", "Mine"],
        ["+ CE", "`nnUNetTrainerCE`", "Mine"],
        ["+ mind&#124;reading", "`nnUNetTrainerTelepathy`, waits for `Telepathy`", "Mine"],
        ["+ luck", "not there yet", "Mine"],
    ]
