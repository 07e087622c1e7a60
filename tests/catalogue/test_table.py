from dataclasses import replace

import pytest

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import HOOKS, PHASES, Measurement
from nnunet_tricks.catalogue.table import BEGIN, END, as_markdown, inserted

TEXT = f"# Title\n\n{BEGIN}\nold\n{END}\n\nmore\n"


def rows(table: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `nnUNetTrainer")]


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    once = inserted(TEXT, as_markdown())
    assert once.startswith(f"# Title\n\n{BEGIN}\n")
    assert once.endswith(f"{END}\n\nmore\n")
    assert "old" not in once
    assert inserted(once, as_markdown()) == once


@pytest.mark.parametrize("text", ["no markers", BEGIN, END, f"{END}{BEGIN}", TEXT + TEXT, TEXT + END])
def test_a_text_without_the_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="once each and in this order"):
        inserted(text, "rows")


def test_phases_and_hooks_stand_in_their_order() -> None:
    count = len(PHASES)
    moved = [replace(info, phase=PHASES[-1 - index % count]) for index, info in enumerate(CATALOGUE)]
    table = as_markdown(moved)
    found = [table.index(f"**{phase.capitalize()}**") for phase in PHASES]
    assert found == sorted(found)
    for part in table.split("**")[2::2]:
        hooks = [HOOKS.index(row[1].partition(",")[0].partition(".")[0]) for row in rows(part)]
        assert hooks == sorted(hooks)
    assert {row[0] for row in rows(table)} == {f"`{info.trainer}`" for info in CATALOGUE}


def test_every_source_says_what_its_figures_are_differences_to() -> None:
    printed = Measurement(source="Somebody, table 3", row="ours", dataset="LiTS", baseline=64.2, delta=-0.5)
    table = as_markdown([*CATALOGUE, replace(CATALOGUE[0], name="Other", summary="a | b", measured=(printed,))])
    assert "Somebody, table 3: LiTS 64.20." in table
    assert r"| a \| b |" in table
    assert "| ours: LiTS -0.50 |" in table
