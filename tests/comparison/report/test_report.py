import base64
import csv
import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from nnunet_tricks.cli import main
from nnunet_tricks.comparison.comparison_table import Collapse
from nnunet_tricks.comparison.report import page
from nnunet_tricks.comparison.report.alike import foreign
from nnunet_tricks.comparison.report.facts import Facts
from nnunet_tricks.comparison.report.render import rendered
from nnunet_tricks.comparison.text_table import PrintedTable
from tests.comparison.world import World

FILES = ("report.html", "report.md", "report.tex", "report.csv", "cases.csv", "facts.json")
VOID = ("meta", "img", "br", "path", "use", "rect", "circle")


class Page(HTMLParser):
    """What a page names, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.addresses, self.ids, self.targets, self.images = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "data", "action", "poster", "srcset", "xlink:href"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)
            if name == "style":
                self.images += re.findall(r"url\((data:[^)]*)\)", value)
        if tag in ("a", "use"):
            self.targets += [value[1:] for name, value in attributes if name == "href" and value.startswith("#")]
        if tag == "img":
            self.images.append(dict(attributes)["src"])
        assert tag != "script"

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_page_asks_nobody_and_holds_together(report: Path) -> None:
    text = (report / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert page.addresses
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in page.addresses)
    assert not re.search(r"@import|url\((?!#|data:image/png;base64,)", text)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.targets) <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)


def test_it_says_what_compare_says(report: Path) -> None:
    text = (report / "report.html").read_text()
    lines = list(csv.DictReader((report / "report.csv").open()))
    (line,) = [
        row
        for row in lines
        if (row["trainer"], row["label"], row["metric"]) == ("nnUNetTrainerTversky", "tumor", "Dice")
    ]
    rows = list(csv.DictReader((report / "cases.csv").open()))
    own = [
        float(row["value"])
        for row in rows
        if (row["label"], row["metric"]) == ("tumor", "Dice") and row["trainer"].startswith("nnUNetTrainerTversky")
    ]
    assert float(line["mean"]) == pytest.approx(np.mean(own))
    assert "Pseudo Dice of each method over the epochs" in text
    shown = f"<td>Tversky</td><td>{float(line['mean']):.3f} ({float(line['difference']):+.3f})</td>"
    assert shown in text
    for word in ("helps", "hurts"):
        assert f'<td class="word {word}">{word}</td>' in text
    for form in ("report.html", "report.md", "report.tex"):
        assert "before the first training, and has not changed since" in (report / form).read_text()
        assert "salehi2017tversky" in (report / form).read_text()


def test_the_gallery_shows_what_the_files_hold(report: Path) -> None:
    facts = Facts.of_json((report / "facts.json").read_text())
    shown = next(case for case in facts.sections[0].shown if case.trick == "nnUNetTrainerTversky")
    layers = {name: layer(content) for name, content in shown.picture.layers.items()}
    # Tversky's predictions are the truth, the baseline's are moved along the last axis.
    np.testing.assert_array_equal(layers["truth"], layers["trick"])
    assert (layers["truth"] != layers["baseline"]).any()
    # A quarter of the voxels is kidney or tumour; what is transparent is background.
    assert 0.1 < (layers["truth"][..., 3] > 0).mean() < 0.9
    text = (report / "report.html").read_text()
    assert shown.picture.layers["truth"] in text
    assert shown.picture.image in text


def layer(content: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA"))


def test_latex_tables_have_whole_rows(report: Path) -> None:
    text = (report / "report.tex").read_text()
    assert text.count("{") == text.count("}")
    columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", text).group(1))
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    # Three blocks of a header, the baseline and two tricks.
    assert len(rows) == 12
    assert all(line.count("&") == columns - 1 for line in rows)
    assert re.search(r"^Tversky & 1\.000\{\\scriptsize\\,\(\$\+0\.\d{3}(\^\{\*\})?\$\)\}", text, re.MULTILINE)
    assert not re.search(r"(?<!\\)_(?!\{)", text.split("% methods")[0])


def test_the_same_bytes_whatever_a_user_has_set(report: Path) -> None:
    stored = [(report / name).read_text() for name in ("cases.csv", "facts.json")]
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.grid": False}):
        assert rendered(*stored)["report.html"] == (report / "report.html").read_text()


def test_facts_survive_their_file(report: Path) -> None:
    text = (report / "facts.json").read_text()
    assert Facts.of_json(text).as_json() == text
    assert "NaN" not in text


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 99}', '{"format": 1, "sections": 3}'])
def test_facts_of_something_else_are_refused(content: str) -> None:
    with pytest.raises(ValueError, match=r"facts\.json was not written"):
        Facts.of_json(content)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_cases_2d_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    world = World(tmp_path / "nnunet", ending=".png", count=3)
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    folds = list(range(count))
    models = [world.train(f"nnUNetTrainer{trick}", skill=skill, folds=folds) for trick, skill in (("", 2), ("CE", 3))]
    words = [*map(str, models), "-f", *map(str, folds), "--workers", "1", "--report", str(tmp_path / "report")]
    assert main(["compare", *words]) == 0
    text = (tmp_path / "report" / "report.html").read_text()
    assert "There is no experiment file" in text
    assert '<td class="word undecided">undecided</td>' in text
    assert "not looked for" in text
    assert main(["verify", str(tmp_path / "report")]) == 0


def test_subgroups_stand_beside_each_other(world: World, tmp_path: Path, capsys) -> None:
    models = [str(world.train(f"nnUNetTrainer{trick}", skill=skill)) for trick, skill in (("", 2), ("CE", 3))]
    sites = "".join(f"{world.case(case)},{'north' if case < 3 else 'south'}\n" for case in range(world.count))
    (world.raw / "cases.csv").write_text("id,site\n" + sites)
    out = tmp_path / "report"
    assert main(["compare", *models, "--by", "site", "--workers", "1", "--report", str(out), "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    text = (out / "report.html").read_text()
    for header in ("all (6 cases)", "north (3 cases)", "south (3 cases)"):
        assert f'<th scope="col">{header}</th>' in text
    lines = [line for line in csv.DictReader((out / "report.csv").open()) if line["metric"] == "Dice"]
    for table in tables:
        expected = table["methods"][1]["scores"]["tumor"]["Dice"]["mean"]
        (line,) = [
            row
            for row in lines
            if (row["subgroup"], row["label"], row["trainer"]) == (table["subgroup"], "tumor", "nnUNetTrainerCE")
        ]
        assert float(line["mean"]) == pytest.approx(expected)
    assert main(["verify", str(out)]) == 0


def test_data_sets_beside_each_other(world: World, tmp_path: Path, capsys) -> None:
    models = []
    for place in (world, World(world.root, dataset="Dataset008_Liver")):
        models += [str(place.train(f"nnUNetTrainer{trick}", skill=skill)) for trick, skill in (("", 2), ("CE", 1))]
    out = tmp_path / "report"
    assert main(["compare", *models, "--workers", "1", "--report", str(out), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    (across,) = data["across"]
    (signs,) = across["methods"]
    assert (signs["name"], signs["gains"], signs["losses"], signs["p"]["p"]) == ("nnUNetTrainerCE", 0, 2, 0.5)
    for table in data["tables"]:
        statistics = table["statistics"]
        effect = statistics["tricks"][0]["effects"][statistics["label"]][across["metric"]]
        assert signs["differences"][table["dataset"]] == effect["difference"]
    page = Page((out / "report.html").read_text())
    assert {"s0-verdicts", "s1-verdicts", "across"} <= set(page.ids) & set(page.targets)
    for form in ("report.html", "report.md", "report.tex"):
        assert re.search(r"nnUNetTrainerCE\W.+(-0\.\d{3} \(undecided\).+){2}0/2", (out / form).read_text())


ODD = {
    "background": 0,
    r"$\frac{1$ & 100% ^~": 1,
    "a|b\n<script>alert(1)</script> `c` *d* [e](http://f)": 2,
}


def test_names_are_only_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes, cases and experiments may be called anything: text in figures, tables, tags, Markdown and LaTeX."""
    from markdown_it import MarkdownIt

    world = World(tmp_path / "nnunet", labels=ODD)
    monkeypatch.setattr(World, "case", staticmethod(lambda number: f"case|{number}$"))
    world = World(tmp_path / "odd", labels=ODD)
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    for trick, skill in (("", 2), ("CE", 3)):
        world.train(f"nnUNetTrainer{trick}", skill=skill)
    spec = tmp_path / "odd.yaml"
    description = "# no heading\n<b>no tag</b> & [no](http://link) $no$ math"
    spec.write_text(json.dumps({"description": description, "datasets": [7], "configurations": ["3d"]}))
    spec.write_text(f'{spec.read_text()[:-1]}, "tricks": ["CE"], "folds": [0, 1, 2]}}')
    out = tmp_path / "report"
    assert main(["compare", str(spec), "--workers", "1", "--report", str(out)]) == 0
    assert main(["verify", str(out)]) == 0
    html = MarkdownIt("commonmark").enable("table").render((out / "report.md").read_text())
    page = Cells(html)
    assert {"table", "th", "td", "h1", "h2", "strong", "code"} <= page.tags
    assert not {"script", "b", "a", "em"} & page.tags
    assert html.count("<h1>") == 1
    assert all(len(row) == len(page.rows[0]) for row in page.rows[:3])
    shown = unescape(html)
    for name in [*list(ODD)[1:], *description.splitlines()]:
        assert " ".join(name.split()) in shown
    Page((out / "report.html").read_text())
    assert escape(list(ODD)[1]) in (out / "report.html").read_text()
    latex = (out / "report.tex").read_text()
    assert r"\$\textbackslash{}frac\{1\$ \& 100\% \textasciicircum{}\textasciitilde{} & Dice" in latex


class Cells(HTMLParser):
    """The tags of a page, and the cells of each row of its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.rows = set(), []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append(tag)


def test_headings_of_markdown_say_each_thing_once(report: Path) -> None:
    headings = [line.lstrip("# ") for line in (report / "report.md").read_text().splitlines() if line.startswith("#")]
    assert len(headings) == len(set(headings))


def test_a_full_disk_spares_the_older_report(report: Path, tmp_path: Path) -> None:
    """As a disk does it: files cannot grow beyond a size that some of the report's need."""
    older = shutil.copytree(report, tmp_path / "older")
    before = {file.name: file.read_bytes() for file in older.iterdir()}
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from nnunet_tricks.comparison.report.together import write_together\n"
        "files = {file.name: file.read_text() + ' ' for file in sorted(Path(sys.argv[1]).iterdir())}\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "write_together(Path(sys.argv[2]), files)"
    )
    for place in (older, tmp_path / "new" / "report"):
        words = [sys.executable, "-c", code, str(report), str(place)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        last = done.stderr.strip().splitlines()[-1]
        assert "so the report is not written and what was there is as it was" in last
        assert str(place) in last
    assert {file.name: file.read_bytes() for file in older.iterdir()} == before
    assert main(["verify", str(older)]) == 0
    assert not (tmp_path / "new").exists()


def test_figures_of_many_methods_and_cases_have_room(recwarn: pytest.WarningsRecorder) -> None:
    from benchmarks.report import made
    from nnunet_tricks.comparison.report.figures import learning, price, ranks, scatter
    from nnunet_tricks.comparison.report.view import views

    for cases, tricks, drawn in ((20, 40, (price.price, ranks.ranks)), (500, 1, (scatter.scatter,))):
        rows, facts = made(cases, tricks)
        rows = [row for row in rows if row.metric == "Dice"]
        section = replace(facts.sections[0], metrics=("Dice",), traits={})
        (view,) = views(rows, replace(facts, sections=(section,), draws=100))
        figures = [draw(view.statistics, "f") for draw in drawn]
        if tricks > 1:
            figures.append(learning.dice(view.curves, "d"))
        assert all(figures)
        assert not any(map(foreign, figures))
        assert ("<image" in figures[0]) == (cases > 400)
    assert not [str(warning.message) for warning in recwarn]


def test_figures_hold_nothing_but_figures(report: Path) -> None:
    figures = re.findall(r"<svg.*?</svg>", (report / "report.html").read_text(), re.DOTALL)
    assert len(figures) >= 5
    assert [foreign(figure) for figure in figures] == [""] * len(figures)


def test_what_makes_no_report_is_refused(world: World, tmp_path: Path, capsys) -> None:
    models = [str(world.train(f"nnUNetTrainer{trick}")) for trick in ("", "CE")]
    (tmp_path / "file").write_text("")
    assert main(["compare", *models, "--report", str(tmp_path / "file")]) == 2
    assert "must be a folder" in capsys.readouterr().err
    assert main(["compare", models[0], "--workers", "1", "--report", str(tmp_path / "report")]) == 2
    assert "a report needs two methods at least" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_without_pictures_all_else_stays(world: World, tmp_path: Path) -> None:
    for trick, skill in (("", 2), ("Tversky", 3)):
        world.train(f"nnUNetTrainer{trick}", skill=skill)
    spec = tmp_path / "experiment.yaml"
    spec.write_text("datasets: [7]\nconfigurations: [3d]\nfolds: [0, 1, 2]\ntricks: [Tversky]\n")
    words = ["compare", str(spec), "--workers", "1", "--report"]
    assert main([*words, str(tmp_path / "with")]) == 0
    assert main([*words, str(tmp_path / "without"), "--no-pictures"]) == 0
    texts = {name: (tmp_path / name / "report.html").read_text() for name in ("with", "without")}
    assert ["data:image" in texts[name] for name in texts] == [True, False]
    assert (tmp_path / "with" / "cases.csv").read_bytes() == (tmp_path / "without" / "cases.csv").read_bytes()
    # The last paragraph has the checksum of the file that holds the pictures.
    said = [(tmp_path / name / "report.md").read_text().partition("\nMade from ")[0] for name in texts]
    assert said[0] == said[1]
    assert main(["verify", str(tmp_path / "without")]) == 0


def test_comparisons_of_one_file_share_their_baseline_and_images_may_be_gone(world: World, tmp_path: Path) -> None:
    for trick, skill in (("", 2), ("CE", 1), ("Tversky", 3)):
        world.train(f"nnUNetTrainer{trick}", skill=skill)
    spec = tmp_path / "two.yaml"
    spec.write_text(
        "datasets: [7]\nconfigurations: [3d]\nfolds: [0, 1, 2]\n"
        "comparisons:\n- {name: one, tricks: [Tversky]}\n- {name: two, tricks: [CE]}\n"
    )
    shutil.rmtree(world.raw / "imagesTr")
    out = tmp_path / "report"
    assert main(["compare", str(spec), "--workers", "1", "--report", str(out)]) == 0
    text = (out / "report.html").read_text()
    assert '<h2 id="s0-verdicts">' in text
    assert '<h2 id="s1-verdicts">' in text
    assert "Gallery" not in text
    assert "was not locked" in text
    Page(text)
    numbers = [
        (row["trainer"], row["case"], row["label"], row["metric"]) for row in csv.DictReader((out / "cases.csv").open())
    ]
    assert len(numbers) == len(set(numbers)) == 3 * 6 * 2 * 5
    assert main(["verify", str(out)]) == 0


@pytest.mark.parametrize("collapse", [Collapse("tumor", "1"), Collapse("in fold 3 of run 2", "all", 2)])
def test_a_collapse_survives_its_words(collapse: Collapse, report: Path) -> None:
    facts = Facts.of_json((report / "facts.json").read_text())
    section = facts.sections[0]
    methods = (replace(section.ways[0], collapsed=(collapse,)), *section.ways[1:])
    changed = replace(facts, sections=(replace(section, ways=methods),))
    assert f'"{collapse}"' in changed.as_json()
    assert Facts.of_json(changed.as_json()) == changed


def test_words_that_name_no_collapse_are_refused(report: Path) -> None:
    text = (report / "facts.json").read_text().replace('"collapsed": []', '"collapsed": ["tumor"]', 1)
    with pytest.raises(ValueError, match="'tumor' names no class and fold"):
        Facts.of_json(text)


def test_a_collapse_marks_its_own_class_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one class's name begins with another's."""
    world = World(tmp_path / "nnunet", labels={"background": 0, "cyst": 1, "cyst in fold": 2})
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    models = [world.train("nnUNetTrainer"), world.train("nnUNetTrainerCE")]
    for file in models[1].glob("fold_*/validation/*.nii.gz"):
        image = sitk.ReadImage(str(file))
        sitk.WriteImage(sitk.Cast(image == 1, sitk.sitkUInt8), str(file))
    out = tmp_path / "report"
    assert main(["compare", *map(str, models), "--workers", "1", "--report", str(out)]) == 0
    text = (out / "report.md").read_text()
    tables = {label: text.partition(f"**{label}**")[2].partition("\n\n**")[0] for label in ("cyst", "cyst in fold")}
    assert "(collapsed)" not in tables["cyst"]
    assert "| nnUNetTrainerCE (collapsed) |" in tables["cyst in fold"]
    assert main(["verify", str(out)]) == 0


def test_only_verdicts_have_their_colour() -> None:
    html = page._table(PrintedTable("", ("method", "verdict"), (("helps", "hurts"),), verdict_column=1))
    assert '<td>helps</td><td class="word hurts">hurts</td>' in html


def test_a_report_of_what_is_finished_names_the_rest(world: World, tmp_path: Path, capsys) -> None:
    for trick, skill in (("", 2), ("CE", 1), ("Tversky", 3)):
        world.train(f"nnUNetTrainer{trick}", skill=skill)
    (world.model("nnUNetTrainerTversky") / "fold_1" / "checkpoint_final.pth").unlink()
    spec = tmp_path / "spec.yaml"
    spec.write_text("datasets: [7]\nconfigurations: [3d]\ntricks: [Tversky, CE]\nfolds: [0, 1, 2]\n")
    out = tmp_path / "report"
    assert main(["compare", str(spec), "--finished", "--workers", "1", "--report", str(out)]) == 0
    question = json.loads((out / "facts.json").read_text())["question"]
    left_out = "Not finished and left out: nnUNetTrainerTversky. Corrections for several tricks count only the rest."
    assert question["left_out"] == left_out
    assert left_out not in question["lock"]
    for form in ("report.html", "report.md", "report.tex"):
        assert left_out in (out / form).read_text()
    assert main(["verify", str(out)]) == 0


def test_the_statistics_are_computed_once_and_once_for_the_stored_report(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnunet_tricks.comparison import comparison_table

    calls = []
    analyse = comparison_table.analyse
    monkeypatch.setattr(comparison_table, "analyse", lambda *words: calls.append(words) or analyse(*words))
    models = [str(world.train(f"nnUNetTrainer{trick}", skill=skill)) for trick, skill in (("", 2), ("CE", 3))]
    assert main(["compare", *models, "--workers", "1", "--report", str(tmp_path / "report")]) == 0
    assert len(calls) == 2
