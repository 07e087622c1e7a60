import re
import shutil
from pathlib import Path

import pytest

from nnunet_tricks.comparison import excerpts
from tests.checkout import ROOT


def report() -> str:
    return (ROOT / excerpts.DOCUMENTS[Path("docs", "compare.md")]).read_text()


@pytest.mark.parametrize("document", excerpts.DOCUMENTS, ids=str)
def test_documents_hold_the_verdicts_of_the_report(document: Path) -> None:
    text = (ROOT / document).read_text()
    report = (ROOT / excerpts.DOCUMENTS[document]).read_text()
    expected = excerpts.inserted(text, excerpts.verdict_table(report))
    assert text == expected, "the report has changed: run 'python -m nnunet_tricks.comparison.excerpts'"


def test_the_command_writes_what_the_report_says(tmp_path: Path) -> None:
    for file in {*excerpts.DOCUMENTS.values(), *excerpts.DOCUMENTS}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    for file in excerpts.DOCUMENTS:
        stale = (tmp_path / file).read_text().replace("| undecided |", "| helps |")
        assert stale != (ROOT / file).read_text()
        (tmp_path / file).write_text(stale)
    assert excerpts.main([str(tmp_path)]) == 0
    for file in excerpts.DOCUMENTS:
        assert (tmp_path / file).read_text() == (ROOT / file).read_text()


def test_several_tables_stand_below_their_names() -> None:
    table = excerpts.verdict_table(
        (ROOT / excerpts.DOCUMENTS[Path("experiments", "trained_models", "README.md")]).read_text()
    )
    assert table.startswith("**hippocampus**\n\n| method |")
    assert "\n\n**polyps**\n\n| method |" in table


def test_a_document_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="verdicts: begin"):
        excerpts.inserted("nothing", "| table |")
    with pytest.raises(ValueError, match="no table"):
        excerpts.verdict_table("nothing")


def test_sentences_about_the_report_are_true() -> None:
    """README.md and the experiment's own page say how many losses tests over cases and reruns call different."""
    verdicts = excerpts.verdict_table(report()).splitlines()[2:]
    decided = [line for line in verdicts if re.search(r"\| (helps|hurts) \|$", line)]
    tests = report().partition("**all tests**")[2].split("\n\n")[1].splitlines()[2:]
    assert (len(verdicts), len(decided), len(tests)) == (5, 1, 5)
    assert all(line.count("<0.001 (<0.001)") == 3 for line in tests)
    assert "all five" in (ROOT / "README.md").read_text()
    assert "all five" in (ROOT / "experiments" / "hippocampus" / "README.md").read_text()
