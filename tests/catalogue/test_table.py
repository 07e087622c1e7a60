from dataclasses import replace

import pytest

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import HOOKS, PHASES, Measurement
from nnunet_tricks.catalogue.table import BEGIN, END, WIDTH, as_markdown, inserted

TEXT = f"# Title\n\n{BEGIN}\nformer rows\n{END}\n\nmore\n"


def rows(table: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `nnUNetTrainer")]


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    once = inserted(TEXT, as_markdown())
    assert once.startswith(f"# Title\n\n{BEGIN}\n")
    assert once.endswith(f"{END}\n\nmore\n")
    assert "former rows" not in once
    assert inserted(once, as_markdown()) == once


@pytest.mark.parametrize("text", ["no markers", BEGIN, END, f"{END}{BEGIN}", TEXT + TEXT, TEXT + END])
def test_a_text_without_the_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="once each and in this order"):
        inserted(text, "rows")


def test_sections_are_hooks_in_their_order_and_hold_each_trick_once() -> None:
    table = as_markdown()
    sections = {part.partition("\n")[0]: rows(part) for part in table.split("## ")[1:]}
    tricks = {title.lower(): [row[0] for row in found] for title, found in sections.items() if found}
    assert list(tricks) == [hook for hook in HOOKS if hook in tricks] + ["bases"]
    for info in CATALOGUE:
        homes = [title for title, trainers in tricks.items() if f"`{info.trainer}`" in trainers]
        hooks = {hook.partition(".")[0] for hook in info.hooks}
        assert len(homes) == 1
        assert homes[0] in ({"bases"} if info.base else hooks)
        assert sum(trainers.count(f"`{info.trainer}`") for trainers in tricks.values()) == 1
        if hooks != set(homes) or info.hooks != (homes[0],):
            below = table.partition(f"## {homes[0].capitalize()}")[2].partition("Hooks:")[2].partition("\n## ")[0]
            (line,) = [line for line in below.replace("\n  ", " ").splitlines() if f"`{info.name}`" in line]
            assert line.endswith(f": {', '.join(info.hooks)}")


def test_phases_stand_in_their_order_and_hold_each_trick_once() -> None:
    count = len(PHASES)
    moved = [replace(info, phase=PHASES[-1 - index % count]) for index, info in enumerate(CATALOGUE)]
    index = as_markdown(moved).partition("## By phase")[2].partition("\n## ")[0].replace("\n  ", " ")
    lines = [line for line in index.splitlines() if line.startswith("- ")]
    assert [line[2:].partition(":")[0] for line in lines] == list(PHASES)
    for line, phase in zip(lines, PHASES, strict=True):
        assert set(line.split("`")[1::2]) == {info.name for info in moved if info.phase == phase}


def test_no_line_is_too_long() -> None:
    assert max(map(len, as_markdown().splitlines())) <= WIDTH


def test_every_source_says_what_its_figures_are_differences_to() -> None:
    printed = Measurement(source="Somebody, table 3", row="ours", dataset="LiTS", baseline=64.2, delta=-0.5)
    table = as_markdown([*CATALOGUE, replace(CATALOGUE[0], name="Other", summary="a | b", measured=(printed,))])
    assert "- Somebody, table 3: LiTS 64.20" in table.splitlines()
    assert r"| a \| b |" in table
    lines = table.splitlines()
    head, row = (next(line for line in lines if line.startswith(start)) for start in ("| trick |", "| `Other` |"))
    cells = dict(zip(head.split("|"), row.split("|"), strict=True))
    assert (cells[" name there "], cells[" LiTS "]) == (" ours ", " -0.50 ")


def test_every_figure_of_a_paper_stands_under_its_data_set() -> None:
    lines = as_markdown().partition("## Dice in papers")[2].splitlines()
    head, *figures = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    for info in CATALOGUE:
        for measured in info.measured:
            (row,) = [row for row in figures if row[0] == f"`{info.name}`" and measured.row in row[1].split(" / ")]
            assert row[head.index(measured.dataset)] == f"{measured.delta:+.2f}"
