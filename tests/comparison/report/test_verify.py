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
    digit = re.compile(r"\d").search(text, place) or re.compile(r"\d").search(text)
    return f"{text[: digit.start()]}{(int(digit.group()) + 1) % 10}{text[digit.end() :]}"


def told(folder: Path, capsys) -> tuple[int, dict[str, dict]]:
    capsys.readouterr()
    code = main(["verify", str(folder), "--json"])
    return code, {check["file"]: check for check in json.loads(capsys.readouterr().out)}


def test_elsewhere_without_models_and_without_torch_on_another_processor(copy: Path) -> None:
    code = "import sys; from nnunet_tricks.cli import main; code = main(['verify', sys.argv[1]]); "
    code += "sys.exit(code or ('torch' in sys.modules or 'nnunetv2' in sys.modules) * 3)"
    # As on an older processor, whose last digits are others.
    older = {"NPY_DISABLE_CPU_FEATURES": "X86_V3,X86_V4,AVX2,FMA3,AVX512F", "OPENBLAS_CORETYPE": "Prescott"}
    done = subprocess.run([sys.executable, "-c", code, copy], env=older, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("every byte the same") == len(MADE)


def test_the_report_in_experiments_is_what_its_table_says() -> None:
    assert all(check.good for check in verify.verify(EXPERIMENTS / "hippocampus" / "report"))


@pytest.mark.parametrize("name", MADE)
def test_one_changed_digit_is_caught_wherever_it_is(copy: Path, name: str, capsys) -> None:
    text = (copy / name).read_text()
    for place in np.random.default_rng(0).integers(0, len(text), 12):
        (copy / name).write_text(with_digit_changed(text, int(place)))
        code, checks = told(copy, capsys)
        assert code == 1
        assert [file for file, check in checks.items() if not check["good"]] == [name]
        assert re.match(r"differs in line \d+: it says .+, the table .+", checks[name]["words"])
    (copy / name).write_text(text)
    assert told(copy, capsys)[0] == 0


@pytest.mark.parametrize("name", render.SOURCES)
def test_a_changed_source_is_caught_even_with_a_new_sum(copy: Path, name: str, capsys) -> None:
    text = (copy / name).read_text()
    # A value of a case; the seconds of an epoch.
    place = text.index(",0.") if name == render.CASES else text.index('"seconds"')
    changed = with_digit_changed(text, place + 3)
    (copy / name).write_text(changed)
    code, checks = told(copy, capsys)
    assert code == 1
    assert not checks[name]["good"]
    sums = (copy / render.SUMS).read_text()
    (copy / render.SUMS).write_text(sums.replace(render.digest(text), render.digest(changed)))
    code, checks = told(copy, capsys)
    assert code == 1
    assert checks[name]["good"]
    assert not checks["report.html"]["good"]
    assert not checks["report.csv"]["good"]


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
    code, checks = told(copy, capsys)
    assert (code, checks["report.tex"]["words"]) == (1, "is not there")
    (copy / "report.md").write_bytes(b"\xff\xfe")
    assert main(["verify", str(copy)]) == 2
    assert "report.md is no text in UTF-8" in capsys.readouterr().err
    (copy / "cases.csv").write_text("case,label\na,b\n")
    assert main(["verify", str(copy)]) == 2
    assert "cases.csv has the columns case, label" in capsys.readouterr().err
    assert main(["verify", str(tmp_path)]) == 2
    assert "is no report" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "nowhere")]) == 2


FIGURE = re.compile(r"<svg.*?</svg>", re.DOTALL)


@pytest.fixture
def elsewhere(copy: Path, made: dict) -> Path:
    """The report as if other versions had made it: nothing in it is forged, and all of it fits its sums."""
    stored = [(copy / name).read_text() for name in render.SOURCES]
    facts = re.sub(r'("matplotlib": )"[^"]*"', r'\g<1>"3.9.0"', stored[1])
    assert facts != stored[1]
    if (stored[0], facts) not in made:
        made[stored[0], facts] = render.rendered(stored[0], facts)
    (copy / render.FACTS).write_text(facts)
    for name, text in made[stored[0], facts].items():
        (copy / name).write_text(text)
    return with_new_sums(copy)


def with_new_sums(folder: Path) -> Path:
    names = (*MADE, *render.SOURCES)
    lines = [f"{render.digest((folder / name).read_bytes().decode())}  {name}\n" for name in names]
    (folder / render.SUMS).write_text("".join(lines))
    return folder


def forged(folder: Path, change, which: int = 0) -> Path:
    """One figure changed, and the sums made new."""
    html = (folder / "report.html").read_text()
    figure = FIGURE.findall(html)[which]
    changed = change(figure)
    assert changed != figure
    (folder / "report.html").write_text(html.replace(figure, changed))
    return with_new_sums(folder)


def inserted(text: str):
    """Before the figure's end."""
    return lambda figure: figure.replace("</svg>", f"{text}</svg>")


def replaced(pattern: str, new: str, count: int = 1):
    return lambda figure: re.sub(pattern, new, figure, count=count)


COVER = "position:fixed;top:0;left:0;width:1031px"
STRANGE = {
    "a style that rewrites all verdicts": inserted("<style>.word{font-size:0}.word::after{content:'helps'}</style>"),
    "a style in capitals": inserted("<STYLE>td{color:red}</STYLE>"),
    "a style behind a comment that browsers end early": inserted("<!--><style>td{}</style><!-- -->"),
    "a style behind a comment that never ends": inserted("<!-- <style>td{}</style>"),
    "a style in character data": inserted("<![CDATA[<style>td{}</style>]]>"),
    "a style sheet": inserted('<link rel="stylesheet" href="data:text/css,td{}"/>'),
    "a script": inserted("<script>document.title='helps'</script>"),
    "an element of HTML": inserted('<foreignObject width="500" height="90"><p>helps</p></foreignObject>'),
    "a link": inserted('<a href="https://example.org"><text x="10" y="10">details</text></a>'),
    "a picture from elsewhere": inserted('<image href="https://example.org/helps.png" width="500" height="90"/>'),
    "a picture with words in it": inserted('<image href="data:image/svg+xml,%3Csvg%3E" width="500" height="90"/>'),
    "another page": inserted('<iframe src="https://example.org"></iframe>'),
    "a name that is shown on demand": inserted("<title>helps</title>"),
    "an animation": inserted('<animate attributeName="x" to="0" dur="1s"/>'),
    "a set value": inserted('<set attributeName="visibility" to="hidden"/>'),
    "an element that runs something": replaced("<g>", '<g onload="alert(1)">'),
    "a reference to another file": replaced('<use href="#[^"]+"', '<use href="https://example.org/a.svg#b"'),
    "a figure that covers the page": replaced(r'style="width:\d+px"', f'style="{COVER}"'),
    "a figure that is moved over the table": replaced("<svg ", '<svg transform="translate(0,-900) scale(3)" '),
    "a figure that never ends": inserted('<svg viewBox="0 0 9 9">'),
    "a figure that loads something": replaced(r'style="width:\d+px"', 'style="fill: url(https://example.org/a)"'),
    "an escaped style": replaced("fill: none", r"fill: u\\72l(x)"),
    "a class of the page": replaced("<g>", '<g class="word helps">'),
    "an attribute without quotes": replaced("<g>", "<g style=fill:red>"),
    "a tag that is not closed": inserted("<text"),
}
WORDS = {
    "another verdict": replaced(">hurts<", ">helps<"),
    "another method": replaced(">Tversky<", ">CE<"),
    "one more word": inserted('<text x="60" y="60">significant</text>'),
    "a word in pieces": replaced(">hurts<", "><tspan>he</tspan><tspan>lps</tspan><"),
    "a word less": replaced(r"<text[^>]*>hurts</text>", ""),
    "another name for those who cannot see": replaced('aria-label="[^"]+"', 'aria-label="All tricks help"'),
}
LOOKS = {
    "a mark moved to the other side": replaced(r'(<use href="#[^"]+" x=")[\d.]+', r"\g<1>600"),
    "a line moved": replaced(r'd="M [\d.]+', 'd="M 400'),
    "a word moved": replaced(r'(<text [^>]*x=")[\d.]+(" y="[\d.]+")[^>]*>hurts', r"\g<1>9\g<2>>hurts"),
    "another number of an axis": replaced(r">-?0\.\d+</text>", ">0.99</text>"),
    "another colour": replaced("#d55e00", "#1b7fc4", 0),
    "something hidden": replaced("stroke-opacity: 0.25", "stroke-opacity: 0"),
    "one more line": inserted('<path d="M 0 0 L 90 90" style="stroke: #d55e00"/>'),
    "a line less": replaced(r"<path [^>]*/>", ""),
    "larger words": replaced("font-size: 7px", "font-size: 70px"),
    "a reference to another mark": replaced(r'href="#(\w+)-1"', r'href="#\g<1>-2"'),
    "a turned word": replaced(r"rotate\(-0 ", "rotate(-90 "),
}


def test_what_other_versions_have_made_is_no_forgery(elsewhere: Path, capsys) -> None:
    code, checks = told(elsewhere, capsys)
    assert code == 0
    assert all(check["words"].endswith("every byte the same") for name, check in checks.items() if name in MADE)


@pytest.mark.parametrize("what", STRANGE)
def test_a_figure_holds_nothing_but_a_figure(what: str, elsewhere: Path, capsys) -> None:
    code, checks = told(forged(elsewhere, STRANGE[what]), capsys)
    assert code == 1
    assert re.match(r"figure 1 holds .+, which no figure does", checks["report.html"]["words"])
    assert checks["report.html"]["checked"]


@pytest.mark.parametrize("what", WORDS)
def test_a_figure_says_what_its_table_says(what: str, elsewhere: Path, capsys) -> None:
    code, checks = told(forged(elsewhere, WORDS[what]), capsys)
    assert code == 1
    assert "figure 1 has other words than its table: '" in checks["report.html"]["words"]


@pytest.mark.parametrize("what", LOOKS)
def test_a_figure_that_looks_otherwise_is_never_ok(what: str, elsewhere: Path, capsys) -> None:
    code, checks = told(forged(elsewhere, LOOKS[what]), capsys)
    assert code == 3
    assert "figures NOT checked: here figure 1 of " in checks["report.html"]["words"]
    assert not checks["report.html"]["good"]
    assert main(["verify", str(elsewhere)]) == 3
    assert "PARTLY  report.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        lambda html: html.replace("</svg>", "</svg><style>.word{font-size:0}</style>", 1),
        lambda html: html.replace("<svg", "<svg></svg><svg", 1),
        lambda html: html.replace(">hurts</td>", ">helps</td>", 1),
        lambda html: html.replace("<header>", '<header><svg><text x="1">all help</text></svg>', 1),
        lambda html: html.replace("img-src data:", "img-src *", 1),
        lambda html: f"{html}<p>All tricks help.</p>",
    ],
)
def test_nothing_but_figures_may_differ(change, elsewhere: Path, capsys) -> None:
    html = (elsewhere / "report.html").read_text()
    assert change(html) != html
    (elsewhere / "report.html").write_text(change(html))
    code, checks = told(with_new_sums(elsewhere), capsys)
    assert code == 1
    assert checks["report.html"]["words"].startswith("differs in line")


def moved(figure: str) -> str:
    """Everything a fifth of a point further, as another matplotlib may place it."""
    return re.sub(r'(<use [^>]*x=")([\d.]+)', lambda match: f"{match[1]}{float(match[2]) + 0.2:.5f}", figure)


def test_the_same_figure_drawn_by_other_versions_is_alike(elsewhere: Path, capsys) -> None:
    code, checks = told(forged(elsewhere, moved), capsys)
    assert code == 0
    assert "at most 0.2 points from where they are drawn here" in checks["report.html"]["words"]
    assert "matplotlib 3.9.0, here" in checks["report.html"]["words"]
    # Its sum must be the one that was written.
    html = (elsewhere / "report.html").read_text()
    (elsewhere / "report.html").write_text(html.replace("<svg viewBox", "<svg  viewBox", 1))
    assert told(elsewhere, capsys)[0] == 1


def test_the_same_versions_draw_every_byte_the_same(copy: Path, capsys) -> None:
    code, checks = told(forged(copy, moved), capsys)
    assert code == 1
    assert checks["report.html"]["words"].startswith("differs in line")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image", '"><style>.word{font-size:0}</style><img src="'),
        ("image", "aGVscHM="),  # base64, but no picture
        ("width", '1;"><style>td{}</style>'),
        ("slice", "<b>3</b>"),
    ],
)
def test_pictures_in_the_facts_are_pictures(key: str, value: str, copy: Path, capsys) -> None:
    """A report that is made again from other facts verifies; but it cannot get other words that way."""
    content = json.loads((copy / render.FACTS).read_text())
    content["sections"][0]["shown"][0]["picture"][key] = value
    (copy / render.FACTS).write_text(json.dumps(content, indent=1))
    assert main(["verify", str(with_new_sums(copy))]) == 2
    assert "the picture of case_" in capsys.readouterr().err


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
