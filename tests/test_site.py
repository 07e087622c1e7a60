"""The site: every page can be found, examples are commands that exist, generated pages say what the code says."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from nnunet_tricks.catalogue import CATALOGUE, EVERYTHING
from nnunet_tricks.catalogue.info import HOOKS
from nnunet_tricks.cli import COMMANDS, GROUPS
from nnunet_tricks.experiment import keys
from nnunet_tricks.experiment.spec import read_experiment
from tests.checkout import ROOT
from tests.conformance.situations import met, needs_others
from website import blocks_table, evidence
from website.autolinks import with_generated_links
from website.pages import tricks
from website.pages.checked import IMAGES, LABELS
from website.pages.commands import command_page, index_page, parser_of
from website.pages.experiment_file import experiment_file_page
from website.pages.tricks import HOOK_WORDS, trick_page
from website.places import other_files, place_of, with_links
from website.site import generated_pages, pages_in, places, with_generated

DOCUMENTS = sorted(
    page.relative_to(ROOT).as_posix()
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("experiments/**/*.md"))
    if page.name != "CHANGELOG.md"
)


def navigation() -> list[str]:
    return pages_in(with_generated(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))


def test_the_navigation_has_every_page_once() -> None:
    assert sorted(navigation()) == sorted(places())


def test_the_readme_stays_short() -> None:
    readme = (ROOT / "README.md").read_bytes()
    assert len(readme.splitlines()) <= 130
    assert len(readme) <= 9000


def fences(text: str, language: str) -> Iterator[str]:
    yield from re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.M | re.S)


def command_lines(page: str) -> Iterator[str]:
    """Lines that call ``nnunet-tricks``, in blocks for a shell."""
    for block in fences((ROOT / page).read_text(), "bash"):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            for part in re.split(r"&&|\|(?!\|)|;|\bdo\b", line.partition(" # ")[0]):
                if re.match(r"\s*nnunet-tricks\s", part):
                    yield part.strip()


@cache
def cached_parser(command: str) -> argparse.ArgumentParser:
    return parser_of(command)


ALL_LINES = [(page, line) for page in DOCUMENTS for line in command_lines(page)]


def test_there_are_examples() -> None:
    assert len(ALL_LINES) > 60
    assert {line.split()[1] for _, line in ALL_LINES} >= {"run", "compare", "convert", "annotate", "link", "export"}


def exit_code(words: list[str]) -> int:
    """What a command's parser ends with for these words; 0 where it would run, or prints help."""
    with ExitNoted() as ended:
        cached_parser(words[0]).parse_args(words[1:])
    return ended.code


class ExitNoted:
    """Notes the exit code of argparse."""

    code = 0

    def __enter__(self) -> ExitNoted:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, SystemExit):
            self.code = int(error.code or 0)
        return isinstance(error, SystemExit)


@pytest.mark.parametrize(("page", "line"), ALL_LINES, ids=[f"{page}:{line}" for page, line in ALL_LINES])
def test_examples_are_understood(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(re.sub(r"\d?>.*", "", line).replace("...", "WORD"))[1:]
    if not words[0].startswith("-"):
        assert words[0] in COMMANDS, f"{page}: {line}"
        assert exit_code(words) == 0, f"{page}: {line}\n{capsys.readouterr().err}"


INLINE = sorted(
    {
        (page, line)
        for page in DOCUMENTS
        for line in re.findall(r"`nnunet-tricks ([a-z][^`]*)`", (ROOT / page).read_text())
    }
)


def test_commands_within_sentences_have_the_options_that_are_named() -> None:
    assert len(INLINE) > 80
    unknown = []
    for page, line in INLINE:
        command, *words = line.split()
        if command in COMMANDS:
            options = command_page(command)
            unknown += [
                (page, line, word)
                for word in words
                if word[0] == "-" and word != "--help" and f"`{word}" not in options
            ]
        elif command != "COMMAND":
            unknown.append((page, line, command))
    assert unknown == []


PYTHON = [
    (page, code)
    for page in DOCUMENTS
    if page.startswith("docs/")
    for code in fences((ROOT / page).read_text(), "python")
]


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=[page for page, _ in PYTHON])
def test_python_examples_run(page: str, code: str) -> None:
    exec(compile(code, page, "exec"), {"__name__": "example"})


YAML = [(page, text) for page in DOCUMENTS for text in fences((ROOT / page).read_text(), "yaml") if "datasets:" in text]


@pytest.mark.parametrize(("page", "text"), YAML, ids=[f"{page} {number}" for number, (page, _) in enumerate(YAML)])
def test_experiment_files_in_pages_are_legal(page: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(text)
    assert read_experiment(file).comparisons


def test_the_table_of_keys_is_the_readers() -> None:
    page = (ROOT / "docs" / "run.md").read_text()
    assert page == keys.inserted(page), "the keys have changed: run 'python -m nnunet_tricks.experiment.keys'"


def test_the_reference_of_experiment_files_has_every_key_and_real_errors() -> None:
    page = experiment_file_page()
    assert all(f"| `{key}` |" in page for key in (*keys.KEYS, *keys.FILE_KEYS))
    assert "losses.yaml, line 4: the file has no key 'epoch'; did you mean 'epochs'?" in page


@pytest.mark.parametrize("command", COMMANDS)
def test_a_page_of_a_command_has_all_of_its_options(command: str) -> None:
    page = command_page(command)
    stack = [parser_of(command)]
    while stack:
        parser = stack.pop()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                stack += action.choices.values()
            elif action.help != argparse.SUPPRESS and "--help" not in action.option_strings:
                assert all(f"`{option}" in page for option in action.option_strings)


def test_commands_stand_in_the_groups_of_the_help() -> None:
    sections = re.split(r"^## ", index_page(), flags=re.M)[1:]
    listed = {
        title.strip().lower(): re.findall(r"^\| \[`(.+?)`\]", section, re.M)
        for section in sections
        for title in [section.partition("\n")[0]]
    }
    listed.pop("exit codes")
    assert listed == {group: list(commands) for group, commands in GROUPS.items()}


@pytest.mark.parametrize("info", EVERYTHING, ids=lambda info: info.name)
def test_a_page_names_the_situations_of_the_conformance_tests(info: tricks.TrickInfo) -> None:
    section = trick_page(info).partition("## Is it checked?")[2].partition("\n## ")[0]
    if info.command:
        assert not section
        return
    rows = [row.strip("| ").split(" | ") for row in section.splitlines() if row.startswith("| ")][2:]
    expected = [
        [IMAGES[place.dimension], LABELS[place.labels], "on" if place.deep_supervision else "off"]
        for situations in met(info).values()
        for place in situations
    ]
    assert [row[:3] for row in rows] == expected
    assert f"nnunet-tricks conformance {info.trainer}" in section or needs_others(info)


def test_a_step_after_training_is_told_by_its_own_function() -> None:
    named = {info.name: trick_page(info) for info in EVERYTHING}
    assert "Components of equal size are kept together" in named["KeepLargest"]
    assert "Components of equal size are kept together" not in named["FillHoles"]


@pytest.mark.parametrize("info", EVERYTHING, ids=lambda info: info.name)
def test_the_page_of_a_trick_says_what_the_catalogue_says(info: tricks.TrickInfo) -> None:
    page = trick_page(info)
    assert page.count("\n# ") == 1
    assert tricks.command(info) in page
    assert info.paper.bibtex in page
    assert info.base or " ".join(info.formula.split()) in " ".join(page.split())
    assert all(
        parameter.help.replace("|", "&#124;") in page and parameter.allowed in page for parameter in info.parameters
    )
    assert all(f"{measured.delta:+.2f}" in page for measured in info.measured)
    assert f"**Use it** {info.use_when}." in page
    assert f"**Better not** {info.avoid_when}." in page
    assert "None" not in page.partition("## Paper")[0]


def test_every_trick_says_when_to_use_it_and_when_not() -> None:
    silent = [info.name for info in EVERYTHING if not (info.use_when and info.avoid_when)]
    assert silent == []


def test_every_hook_has_words_and_a_kind_of_picture() -> None:
    from website.pictures.gallery import kind_of

    assert set(HOOK_WORDS) == set(HOOKS)
    assert all(kind_of(info) for info in EVERYTHING if not info.base)


def test_a_picture_that_could_not_be_made_is_told_on_the_page() -> None:
    (info,) = (info for info in EVERYTHING if info.name == "Tversky")
    page = trick_page(info, failure="ValueError: nothing to draw")
    assert "The picture of this trick could not be made" in page
    assert "ValueError: nothing to draw" in page
    assert f"pictures/{info.name}.png" not in page


def test_verdicts_are_those_of_the_reports() -> None:
    (verdict,) = evidence.verdicts_on("ExpLog")
    report = (ROOT / "experiments/hippocampus/report/report.md").read_text()
    assert verdict.word == "helps"
    assert f"| {verdict.trainer} | {verdict.difference} | {verdict.interval} |" in report
    assert verdict.page == "experiments/hippocampus/README.md"
    assert evidence.verdicts_on("Hausdorff") == []
    # What the baseline has too is not judged, and what is done with trained models is.
    assert evidence.verdicts_on("EfficientNetLite0UNet") == []
    assert {verdict.baseline for verdict in evidence.verdicts_on("Freeze")} == {
        "nnUNetTrainerEfficientNetLite0UNet_Adam_lr0p001_1epochs"
    }
    assert all(verdict.data.startswith("Dataset") for verdict in evidence.verdicts_on("KeepLargest"))
    assert len(evidence.verdicts_on("KeepLargest")) == 4


def test_costs_are_those_of_the_benchmarks() -> None:
    costs = evidence.costs_of("ClDice")
    assert [cost.file for cost in costs] == ["benchmarks/results/loss_step.json"] * 2
    assert all(cost.time > 5 for cost in costs)
    assert evidence.costs_of("GTAugB")[1].time < 1
    assert evidence.costs_of("StepLR") == []


def test_links_lead_to_places_on_the_site() -> None:
    docs = ROOT / "docs"
    known = places() | {place_of(file) for file in other_files()}
    known |= {file.relative_to(docs).as_posix() for file in docs.rglob("*")}
    for page in DOCUMENTS:
        if page == "README.md":
            continue
        text = with_links((ROOT / page).read_text(), page)
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)\s#]+)", text):
            place = Path(place_of(page)).parent.joinpath(target)
            assert str(Path(*_without_dots(place.parts))) in known, f"{page} links to {target}"


def _without_dots(parts: tuple[str, ...]) -> list[str]:
    kept: list[str] = []
    for part in parts:
        if part == "..":
            kept.pop()
        else:
            kept.append(part)
    return kept


def test_words_for_generated_pages_become_links() -> None:
    text = "`Tversky` and `Dice` in `nnunet-tricks compare`\n```\n`Tversky`\n```\n# `Tversky`"
    linked = with_generated_links(text, "losses.md")
    assert linked.startswith("[`Tversky`](tricks/Tversky.md) and [`Dice`](tricks/Dice.md) in [`nnunet-tricks compare`]")
    assert linked.endswith("```\n`Tversky`\n```\n# `Tversky`")
    assert "tricks/Dice.md" not in with_generated_links("`Dice`", "metrics.md")


def test_generated_pages_have_a_title_each() -> None:
    for place, content in generated_pages():
        assert re.search(r"^# \S", content, re.M), place


def test_the_table_of_blocks_is_the_catalogues_with_what_was_measured() -> None:
    page = blocks_table.PAGE.read_text(encoding="utf-8")
    assert page == blocks_table.inserted(page), "run 'python -m website.blocks_table'"
    networks = {info for info in CATALOGUE if info.place == "network" and "network.backbone" not in info.hooks}
    others = {info for info in networks if info.base or "network.norm" in info.hooks}
    assert {info for info, _ in blocks_table.blocks()} == networks - others
    counts = {"parameters over planned": 1.5, "multiply-adds over planned": 2, "activations over planned": 3}
    measured = {"2D": counts | {"over planned": {"ratio": 1.234}}}
    assert "| 1.50 | 2.00 | 3.00 | 1.23 |  |" in blocks_table.table({"ShapeStream": measured})
