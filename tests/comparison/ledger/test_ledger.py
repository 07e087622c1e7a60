"""The ledger: rows are what reports say, its page is what its rows say, and the rest is refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import binomtest, fisher_exact

from nnunet_tricks.cli import main
from nnunet_tricks.comparison.ledger import page
from nnunet_tricks.comparison.ledger.adding import _difference
from nnunet_tricks.comparison.ledger.cells import chosen, columns_of, lines_of, sign_test
from nnunet_tricks.comparison.ledger.checking import check_rows
from nnunet_tricks.comparison.ledger.rows import FILE, IN_CHECKOUT, Ledger, LedgerInteraction, LedgerRow
from nnunet_tricks.comparison.ledger.scoring import overall, read_advice, scores_of, sentences
from nnunet_tricks.comparison.ledger.stored import read_ledger
from nnunet_tricks.comparison.report import render, verify
from nnunet_tricks.comparison.report.facts import Facts
from nnunet_tricks.comparison.report.render import CASES, FACTS, rows_in, write
from tests.checkout import ROOT

LOSSES = "experiments/hippocampus/report"


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, str], dict[str, str]]:
    """What was made of a table and facts already."""
    return {}


@pytest.fixture(autouse=True)
def _once(made: dict[tuple[str, str], dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are made once of the same table and facts: making them takes seconds."""

    def once(cases: str, facts: str) -> dict[str, str]:
        if (cases, facts) not in made:
            made[cases, facts] = render.rendered(cases, facts)
        return made[cases, facts]

    monkeypatch.setattr(verify, "rendered", once)


def test_the_page_is_what_the_rows_say() -> None:
    text = (ROOT / "docs" / "ledger.md").read_text()
    expected = page.inserted(text, page.as_markdown(read_ledger()))
    assert text == expected, "rows have changed: run 'python -m nnunet_tricks.comparison.ledger.page'"


def test_reports_under_experiments_are_in_the_ledger() -> None:
    known = set(read_ledger().by_id)
    there = {file.parent.relative_to(ROOT).as_posix() for file in ROOT.glob("experiments/*/*/facts.json")}
    assert there == known


def test_rows_of_a_report_are_made_again() -> None:
    ledger = read_ledger()
    only = Ledger((ledger.by_id[LOSSES],), tuple(row for row in ledger.rows if row.report == LOSSES))
    (check,) = check_rows(only, ROOT)
    assert check.good, check.words
    row = only.rows[-1]
    assert (row.trick, row.word, row.runs, row.cases) == ("ExpLog", "helps", (3, 2), 84)
    (absent,) = check_rows(only, ROOT / "docs")
    assert absent.absent
    changed = replace(only, rows=(*only.rows[:-1], replace(row, difference=0.5)))
    (check,) = check_rows(changed, ROOT)
    assert not check.good
    assert "ExpLog: difference is 0.5 in the ledger" in check.words


@pytest.mark.slow
def test_all_rows_are_made_again() -> None:
    assert all(check.good for check in check_rows(read_ledger(), ROOT))


def test_neither_torch_nor_numpy(tmp_path: Path) -> None:
    code = (
        "import sys; from nnunet_tricks.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(code or bool({'torch', 'nnunetv2', 'numpy'} & set(sys.modules)) * 3)"
    )
    for words in (["ledger"], ["show", "LovaszCE"], ["ledger", "--score"]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "ippocampus" in done.stdout


def test_json(capsys) -> None:
    assert main(["ledger", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert len(content["rows"]) == len(read_ledger().rows)
    assert content["reports"][0]["verify"] == f"nnunet-tricks verify {content['reports'][0]['id']}"
    assert main(["show", "ExpLog", "--json"]) == 0
    (trick,) = json.loads(capsys.readouterr().out)["tricks"]
    assert [row["word"] for row in trick["ledger"]] == ["helps"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one experiment and an empty ledger."""
    place = tmp_path / "experiments" / "hippocampus"
    place.mkdir(parents=True)
    for name in ("losses.yaml", "losses.lock.json"):
        shutil.copy(ROOT / "experiments" / "hippocampus" / name, place / name)
    shutil.copytree(ROOT / LOSSES, place / "report")
    monkeypatch.chdir(tmp_path)
    return tmp_path


ADD = ["ledger", "add", "experiments/hippocampus/report", "--file", "mine.json"]


def rewritten(report: Path, **question) -> None:
    """The report made again with another question, as its author could do."""
    facts = Facts.of_json((report / FACTS).read_text())
    rows = rows_in((report / CASES).read_text())
    write(report, rows, replace(facts, question=replace(facts.question, **question)))


def test_a_report_is_added_once(checkout: Path, capsys) -> None:
    assert main(ADD) == 0
    assert "ExpLog: helps" in capsys.readouterr().out
    ledger = read_ledger(checkout / "mine.json")
    kept = read_ledger()
    assert ledger.rows == tuple(row for row in kept.rows if row.report == LOSSES)
    assert ledger.reports == (kept.by_id[LOSSES],)
    assert main(ADD) == 2
    assert "is in the ledger already" in capsys.readouterr().err
    assert main([*ADD, "--replace"]) == 0
    assert read_ledger(checkout / "mine.json") == ledger
    assert main(["ledger", "--file", "mine.json"]) == 0
    assert main(["ledger", "verify", "--file", "mine.json"]) == 0


def test_what_is_refused(checkout: Path, capsys) -> None:
    place = checkout / "experiments" / "hippocampus"
    report = place / "report"

    def refused(because: str) -> None:
        assert main(ADD) == 2
        assert because in capsys.readouterr().err
        assert not (checkout / "mine.json").exists()

    text = (report / "report.md").read_text()
    (report / "report.md").write_text(text.replace("undecided", "helps", 1))
    refused("cannot be verified")
    (report / "report.md").write_text(text)
    (place / "losses.lock.json").rename(place / "away.json")
    refused("has no experiment file with a lock")
    (place / "away.json").rename(place / "losses.lock.json")
    spec = (place / "losses.yaml").read_text()
    (place / "losses.yaml").write_text(spec.replace("epochs: 5", "epochs: 6"))
    refused("has no experiment file with a lock")
    (place / "losses.yaml").write_text(spec)
    lock = json.loads((place / "losses.lock.json").read_text())
    later = {**lock, "locked_at": "2030-01-01T00:00:00+00:00"}
    (place / "losses.lock.json").write_text(json.dumps(later))
    refused("the report says otherwise")
    (place / "losses.lock.json").write_text(json.dumps(lock))
    assert main(["ledger", "add", "nowhere", "--file", "mine.json"]) == 2
    assert "nowhere is not there" in capsys.readouterr().err
    shutil.copytree(report, checkout.parent / "elsewhere", dirs_exist_ok=True)
    assert main(["ledger", "add", str(checkout.parent / "elsewhere"), "--file", "mine.json"]) == 2
    assert "lies outside" in capsys.readouterr().err
    assert main(["ledger", "add", "experiments/hippocampus/report"]) == 2
    assert "go to a checkout" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("question", "because"),
    [
        ({"locked": False, "lock": "The experiment file was locked when 3 of its trainings had begun."}, "had begun"),
        ({"spec": "", "locked": False, "lock": "There is no experiment file."}, "compares folders"),
    ],
)
def test_locks_younger_than_results_are_refused(checkout: Path, question: dict, because: str, capsys) -> None:
    rewritten(checkout / "experiments" / "hippocampus" / "report", **question)
    assert main(ADD) == 2
    assert because in capsys.readouterr().err


def test_rows_that_no_report_backs_are_refused(tmp_path: Path, capsys) -> None:
    content = json.loads(FILE.read_text())
    first, report = content["rows"][0], content["reports"][0]
    for changed, because in (
        (
            {"rows": [{**first, "report": "experiments/made_up/report"}]},
            "experiments/made_up/report, which is not among",
        ),
        ({"reports": [*content["reports"], report]}, f"the report {report['id']} stands twice"),
        ({"rows": [{**first, "runs": None}]}, f"runs of {first['trick']} is None"),
        ({"rows": [{**first, "difference": None, "word": "helps"}]}, "has the word helps and no difference"),
        ({"rows": [{**first, "mine": 1}]}, "mine in LedgerRow"),
    ):
        (tmp_path / "rows.json").write_text(json.dumps({**content, **changed}))
        assert main(["ledger", "--file", str(tmp_path / "rows.json")]) == 2
        assert because in capsys.readouterr().err


def test_a_changed_sentence_on_missing_trainings_is_found() -> None:
    ledger = read_ledger()
    report = ledger.by_id[LOSSES]
    rows = tuple(row for row in ledger.rows if row.report == LOSSES)
    (check,) = check_rows(Ledger((replace(report, left_out="Nothing."),), rows), ROOT)
    assert not check.good
    assert "left_out is Nothing." in check.words


def test_absent_reports_have_an_exit_code(tmp_path: Path, capsys) -> None:
    assert main(["ledger", "verify", "--file", str(FILE), "--root", str(tmp_path)]) == 3
    assert capsys.readouterr().out.count("ABSENT") == len(read_ledger().reports)
    (tmp_path / "rows.json").write_text(Ledger().text)
    assert main(["ledger", "verify", "--file", str(tmp_path / "rows.json")]) == 3
    assert "nothing to verify" in capsys.readouterr().out


def test_verify_reads_the_rows_of_the_checkout(checkout: Path, capsys) -> None:
    assert main(ADD) == 0
    (checkout / IN_CHECKOUT).parent.mkdir(parents=True)
    shutil.move(checkout / "mine.json", checkout / IN_CHECKOUT)
    capsys.readouterr()
    assert main(["ledger", "verify"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_files_that_are_no_ledger(tmp_path: Path, capsys) -> None:
    for content, because in (
        ("[]", "schema None"),
        ("{", "no JSON"),
        ('{"schema": 9}', "schema 9"),
        ('{"schema": 1}', "'ledger add'"),
    ):
        (tmp_path / "rows.json").write_text(content)
        assert main(["ledger", "--file", str(tmp_path / "rows.json")]) == 2
        assert because in capsys.readouterr().err
    assert main(["ledger", "--file", str(tmp_path / "none.json")]) == 2
    assert json.loads(FILE.read_text())["schema"] == 1


def row(trick: str, dataset: str, difference: float, *, dimension: int = 3, **changes) -> LedgerRow:
    example = next(known for known in read_ledger().rows if known.trick == "LovaszCE")
    changes = {"tricks": (trick,), "word": "undecided", **changes}
    return replace(example, trick=trick, dataset=dataset, difference=difference, dimension=dimension, **changes)


def test_signs_are_those_of_scipy() -> None:
    for better in range(7):
        for worse in range(7):
            if better + worse:
                assert sign_test(better, worse) == pytest.approx(binomtest(better, better + worse).pvalue)


def test_lines_and_cells() -> None:
    ledger = Ledger(
        rows=(
            row("A", "Liver", 0.1),
            row("A", "Liver", -0.2, epochs=50),
            row("A", "Liver", 0.3, dimension=2, epochs=9),
            row("A", "Kidney", -0.1, word="hurts"),
            row("B", "Liver", 0.1, base=("BN",)),
            row("C", "Liver", 0.0, word="within noise"),
        )
    )
    lines = lines_of(ledger)
    # What moved something comes first, then what is known not to, then the undecided.
    assert [line.name for line in lines] == ["A", "C", "B on BN"]
    assert columns_of(ledger) == ["Liver 3D", "Kidney 3D", "Liver 2D"]
    first = lines[0]
    assert first.cells["Liver 3D"].row.difference == -0.2
    assert len(first.cells["Liver 3D"].others) == 1
    # Both dimensions of the liver are the same cases, so it counts once: the longest training in its own dimension.
    assert (first.better, first.worse, first.p) == (0, 2, sign_test(0, 2))
    assert lines[2].p is None
    distances = row("A", "Liver", 3.0, direction="lower", metric="HD95")
    assert distances.gain == -3
    assert chosen([distances]) is distances


def test_signs_are_of_data_sets() -> None:
    """A data set counts once, in its own dimension, whatever was made from it, and what tables show as 0 is nothing."""
    ledger = Ledger(
        rows=(
            row("A", "Liver", 0.1),
            row("A", "Liver", -0.2, dimension=2),
            row("A", "Liver_labels0p1", -0.3),
            row("A", "Kidney", 0.0004),
            row("B", "Liver", 0.1),
            row("B", "Liver_labels0p1", 0.1),
            row("C", "Hippocampus", 0.1),
            row("C", "HalfAnterior", -0.1),
        )
    )
    first, second, third = lines_of(ledger)
    assert (first.better, first.worse, first.p) == (1, 0, sign_test(1, 0))
    assert second.p is None
    assert third.p is None
    assert page.summary(ledger)[0].startswith("3 tricks, 3 data sets in 6 settings, 8 cells.")


def test_the_bare_base_has_a_table_of_its_own() -> None:
    bare = [row("OHEM", name, 0.1, base=(base,)) for name, base in (("Liver", "MedISeg3D"), ("Skin", "MedISeg2D"))]
    ledger = replace(read_ledger(), rows=(row("OHEM", "Kidney", -0.1), *bare))
    assert [(line.name, line.is_bare, len(line.cells)) for line in lines_of(ledger)] == [
        ("OHEM", False, 1),
        ("OHEM on the bare base", True, 2),
    ]
    default, of_bare = page.as_markdown(ledger).split("## On the bare base")
    assert "| trick | Kidney 3D |" in default
    assert "| trick | Liver 3D | Skin 3D |" in of_bare
    assert "Kidney" not in of_bare.partition("## ")[0]


def test_the_summary_says_at_what_size() -> None:
    wide = {"low": -0.2, "high": 0.2, "of_baseline": 0.5}
    ledger = Ledger(
        rows=(
            row("A", "Liver", 0.1, epochs=9, size="9 epochs, patch 8x8x8", **wide),
            row("B", "Liver", 0.1, epochs=50, size="50 epochs, patch 16x16x16", **{**wide, "of_baseline": 0.75}),
            row("C", "Liver", 0.0, word="within noise", epochs=9, size="9 epochs", low=-0.01, high=0.01),
        )
    )
    size = page.summary(ledger)[-1]
    assert size.startswith("Size on Liver 3D: 9 to 50 epochs, patch 8x8x8 or 16x16x16, baselines reached 0.45 to 0.75 ")
    # The median of what is undecided only.
    assert size.endswith("Half of the undecided intervals reach ±0.2 or more.")
    assert "Within the noise of reruns on Liver 3D: C (+0.000)." in page.summary(ledger)


def test_every_row_has_a_name() -> None:
    for trainer, name in (
        ("nnUNetTrainer_6epochs+TTA_none", "TTA_none"),
        ("nnUNetTrainerCE_6epochs", "CE"),
        ("nnUNetTrainer_6epochs", "without Dice"),
    ):
        baseline = "nnUNetTrainerDice_6epochs" if name == "without Dice" else "nnUNetTrainer_6epochs"
        assert _difference(baseline, trainer).named() == name
    ledger = read_ledger()
    assert all(known.trick.removeprefix("without ").strip() for known in (*ledger.rows, *ledger.interactions))


def test_the_table_of_dimensions_is_on_the_page() -> None:
    interaction = LedgerInteraction(
        report="experiments/x/report", dataset="Liver", trick="CE", in_2d=0.02, in_3d=-0.01, difference=-0.03,
        low=-0.05, high=-0.01, p=0.01, word="less in 3D",
    )  # fmt: skip
    text = page.as_markdown(replace(read_ledger(), interactions=(interaction,)))
    assert "| CE | Liver | +0.020 | -0.010 | -0.050 to -0.010 | less in 3D |" in text


def advice(*tricks: str, made: str = "2026-11-01T00:00:00+00:00") -> dict:
    return {"dataset": "Dataset501_Hippocampus", "made": made, "advice": [{"trick": trick} for trick in tricks]}


def test_advice_is_scored_by_what_came_later() -> None:
    ledger = read_ledger()
    (score,) = scores_of([advice("ExpLog", "LovaszCE", "Hausdorff")], ledger)
    tried = {trick.trick: trick for trick in score.tried}
    assert tried["ExpLog"].advised
    assert not tried["Boundary"].advised
    assert score.untried == ("Hausdorff",)
    assert [trick.word for trick in score.tried if trick.advised] == ["within noise", "helps"]
    table = [
        [
            sum(trick.advised == advised and (trick.gain > 0) == gained for trick in score.tried)
            for gained in (True, False)
        ]
        for advised in (True, False)
    ]
    assert score.p == pytest.approx(fisher_exact(table, alternative="greater")[1])
    assert any("(1 helps, 1 within noise)" in sentence for sentence in sentences(score))
    # Younger than all locks: nothing counts.
    (late,) = scores_of([advice("ExpLog", made="2030-01-01T00:00:00+00:00")], ledger)
    assert late.tried == ()
    assert late.p is None
    assert any("Advised ones among them: ExpLog helps." in sentence for sentence in sentences(late))


def test_advice_is_scored_on_nnunets_default_in_the_data_sets_own_dimension() -> None:
    rows = (
        row("CE", "Hippocampus", 0.1),
        row("CE", "Hippocampus", -0.1, dimension=2),
        row("CE", "Hippocampus", -0.1, base=("MedISeg3D",)),
    )
    (score,) = scores_of([advice("CE")], replace(read_ledger(), rows=rows))
    assert [(trick.trick, trick.gain) for trick in score.tried] == [("CE", 0.1)]


def test_weights_in_a_network_of_their_own_are_scored_against_that_network() -> None:
    whole = "EfficientNetLite0UNet_PretrainedImageNet1k_Adam_lr0p001"
    other = advice("EfficientNetLite0UNet_PretrainedMAE") | {"dataset": "Dataset502_Polyps"}
    (good, bad) = scores_of([advice(whole) | {"dataset": "Dataset502_Polyps"}, other], read_ledger())
    assert good.untried == ()
    (row,) = [trick for trick in good.tried if trick.advised]
    assert row.trick == "PretrainedImageNet1k on EfficientNetLite0UNet, Adam_lr0p001"
    assert not any(trick.advised for trick in bad.tried)
    assert bad.untried == ("EfficientNetLite0UNet_PretrainedMAE",)


def test_all_scores_together() -> None:
    polyps = advice("GrowingPatch") | {"dataset": "Dataset502_Polyps"}
    scores = scores_of([advice("ExpLog", "GrowingPatch"), polyps], read_ledger())
    title, named, *_ = overall(scores)
    assert title == "All 2 together"
    assert named.startswith(f"Tried and advised: {sum(trick.advised for score in scores for trick in score.tried)} ")
    assert overall(scores[:1]) == []


def test_stored_advice_is_of_the_three_data_sets() -> None:
    stored = read_advice(None)
    assert [entry["dataset"].partition("_")[2] for entry in stored] == ["Hippocampus", "Polyps", "Nuclei"]
    assert all(entry["advice"] for entry in stored)


def test_the_command_scores_files(tmp_path: Path, capsys) -> None:
    file = tmp_path / "advice.json"
    file.write_text(json.dumps(advice("ExpLog")))
    assert main(["ledger", "--score", "--advice", str(file)]) == 0
    assert "Hippocampus" in capsys.readouterr().out
    assert main(["ledger", "--score", "--advice", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["tried"]
    for content in ({}, {**advice("ExpLog"), "advice": [1]}, {**advice("ExpLog"), "advice": None}):
        file.write_text(json.dumps(content))
        assert main(["ledger", "--advice", str(file)]) == 2
        assert "was not written by 'nnunet-tricks advise --json'" in capsys.readouterr().err
