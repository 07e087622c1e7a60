import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.comparison.report import render, verify

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
MADE = ("report.html", "report.md", "report.tex", "report.csv")


@pytest.fixture
def copy(report: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(report, tmp_path / "report"))


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


def with_digit_changed(text: str, place: int) -> str:
    """The text with its next digit from a place on one higher."""
    found = re.compile(r"\d").search(text, place) or re.compile(r"\d").search(text)
    return f"{text[: found.start()]}{(int(found.group()) + 1) % 10}{text[found.end() :]}"


def told(folder: Path, capsys) -> tuple[int, dict[str, dict]]:
    capsys.readouterr()
    code = main(["verify", str(folder), "--json"])
    return code, {one["file"]: one for one in json.loads(capsys.readouterr().out)}


def test_elsewhere_without_models_and_without_torch_on_another_processor(copy: Path) -> None:
    code = "import sys; from nnunet_tricks.cli import main; code = main(['verify', sys.argv[1]]); "
    code += "sys.exit(code or ('torch' in sys.modules or 'nnunetv2' in sys.modules) * 3)"
    # As on an older processor, whose last digits are others.
    older = {"NPY_DISABLE_CPU_FEATURES": "X86_V3,X86_V4,AVX2,FMA3,AVX512F", "OPENBLAS_CORETYPE": "Prescott"}
    done = subprocess.run([sys.executable, "-c", code, copy], env=older, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("every byte the same") == len(MADE)


def test_the_report_in_experiments_is_what_its_table_says() -> None:
    assert all(one.good for one in verify.verify(EXPERIMENTS / "hippocampus" / "report"))


@pytest.mark.parametrize("name", MADE)
def test_one_changed_digit_is_caught_wherever_it_is(copy: Path, name: str, capsys) -> None:
    text = (copy / name).read_text()
    for place in np.random.default_rng(0).integers(0, len(text), 12):
        (copy / name).write_text(with_digit_changed(text, int(place)))
        code, found = told(copy, capsys)
        assert code == 1
        assert [file for file, one in found.items() if not one["good"]] == [name]
        assert re.match(r"differs in line \d+: it says .+, the table .+", found[name]["words"])
    (copy / name).write_text(text)
    assert told(copy, capsys)[0] == 0


@pytest.mark.parametrize("name", render.SOURCES)
def test_a_changed_source_is_caught_even_with_a_new_sum(copy: Path, name: str, capsys) -> None:
    text = (copy / name).read_text()
    # A value of a case; the seconds of an epoch.
    place = text.index(",0.") if name == render.CASES else text.index('"seconds"')
    changed = with_digit_changed(text, place + 3)
    (copy / name).write_text(changed)
    code, found = told(copy, capsys)
    assert code == 1
    assert not found[name]["good"]
    sums = (copy / render.SUMS).read_text()
    (copy / render.SUMS).write_text(sums.replace(render.digest(text), render.digest(changed)))
    code, found = told(copy, capsys)
    assert code == 1
    assert found[name]["good"]
    assert not found["report.html"]["good"]
    assert not found["report.csv"]["good"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("cases.csv", ",HD95,", ",HD96,"),
        ("cases.csv", "nnUNetTrainerCE_run2", "nnUNetTrainerCE_run3"),
        ("facts.json", '"dataset": "Dataset007', '"dataset": "Dataset008'),
    ],
)
def test_a_changed_name_is_caught_too(copy: Path, name: str, old: str, new: str, capsys) -> None:
    text = (copy / name).read_text()
    assert old in text
    (copy / name).write_text(text.replace(old, new, 1))
    assert main(["verify", str(copy)]) in (1, 2)
    shown = capsys.readouterr()
    assert f"{name}: has changed: its SHA-256" in shown.out + shown.err


def test_what_is_missing_or_broken_is_named(copy: Path, tmp_path: Path, capsys) -> None:
    (copy / "report.tex").unlink()
    code, found = told(copy, capsys)
    assert (code, found["report.tex"]["words"]) == (1, "is not there")
    (copy / "report.md").write_bytes(b"\xff\xfe")
    assert main(["verify", str(copy)]) == 2
    assert "report.md is no text in UTF-8" in capsys.readouterr().err
    (copy / "cases.csv").write_text("case,label\na,b\n")
    assert main(["verify", str(copy)]) == 2
    assert "cases.csv has the columns case, label" in capsys.readouterr().err
    assert main(["verify", str(tmp_path)]) == 2
    assert "is no report" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "nowhere")]) == 2


def test_other_versions_draw_otherwise_but_say_the_same(copy: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """A report made with another matplotlib: figures differ, and their sums tell that they are as written."""
    html = (copy / "report.html").read_text()
    drawn = html.replace('<svg viewBox="0 0 ', '<svg  viewBox="0 0 ')
    assert drawn != html
    monkeypatch.setattr(verify, "versions", lambda: {"matplotlib": "99"})
    (copy / "report.html").write_text(drawn)
    assert told(copy, capsys)[0] == 1
    sums = (copy / render.SUMS).read_text()
    (copy / render.SUMS).write_text(sums.replace(render.digest(html), render.digest(drawn)))
    code, found = told(copy, capsys)
    assert code == 0
    assert "figures as written, by other versions: matplotlib" in found["report.html"]["words"]
    changed = drawn.replace("0.", "1.", 1)
    (copy / "report.html").write_text(changed)
    assert told(copy, capsys)[0] == 1


@pytest.mark.parametrize("page", ["docs/compare.md", "experiments/hippocampus/README.md"])
def test_pages_say_what_the_report_in_experiments_says(page: str) -> None:
    header = "| difference | 95 % interval | p (Holm) | better/tie/worse | verdict |\n"

    def rows(text: str) -> dict[str, str]:
        """Numbers and word by the name of the loss."""
        lines = text.partition(header)[2].partition("\n\n")[0].splitlines()[1:]
        names_and_rest = (line.removeprefix("| ").partition(" | ")[::2] for line in lines)
        return {name.removeprefix("nnUNetTrainer").removesuffix("_5epochs"): rest for name, rest in names_and_rest}

    report = rows((EXPERIMENTS / "hippocampus" / "report" / "report.md").read_text())
    said = rows((EXPERIMENTS.parent / page).read_text())
    assert len(said) >= 3
    assert said.items() <= report.items()
