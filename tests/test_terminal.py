"""The width of the terminal is used, no word is broken, and files and pipes get the same as ever."""

import json
import os
import subprocess
import sys

import pytest

from nnunet_tricks.catalogue import EVERYTHING
from nnunet_tricks.cli import CLOSED_PIPE, COMMANDS, GROUPS
from nnunet_tricks.commands.list import _hooks
from tests.terminals import CALL, Shown, at_terminal

WIDTHS = (40, 80, 200)
SHOW = ("show", "Tversky_alpha0p2_NoDeepSupervision")

SHOWN_IN_PIPES = """\
KeepLargest_count2: for trained models

KeepLargest: only the largest component of each class stays, or the largest few for organs in pairs
phase      result post-processing
switches   postprocessing
formula    components with |C| >= the count-th largest size stay
parameters count: components that stay: 2 for both kidneys
                  a whole number from 1 to 1000, default 1, here 2
"""


def piped(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    command = [sys.executable, "-c", CALL, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def tricks() -> dict[int, Shown]:
    return {columns: at_terminal(columns, "list") for columns in WIDTHS}


def test_list_has_a_line_for_each_trick_in_a_pipe() -> None:
    lines = piped("list").stdout.splitlines()
    name, hooks = (max(map(len, column)) for column in zip(*((i.name, _hooks(i)) for i in EVERYTHING), strict=True))
    rows = {info.phase: [] for info in EVERYTHING}
    for info in EVERYTHING:
        rows[info.phase].append(f"  {info.name:{name}}  {_hooks(info):{hooks}}  {info.summary}")
    table = lines[: lines.index("")]
    assert sorted(table) == sorted([*rows, *(row for phase in rows.values() for row in phase)])
    for phase, expected in rows.items():
        start = table.index(phase) + 1
        assert table[start : start + len(expected)] == expected


def test_a_pipe_does_not_care_how_wide_a_terminal_would_be() -> None:
    for words in (["list"], list(SHOW), ["show", "MedISeg3D"]):
        assert piped(*words, COLUMNS="40").stdout == piped(*words, COLUMNS="200").stdout
    assert piped("show", "KeepLargest_count2").stdout.startswith(SHOWN_IN_PIPES)


@pytest.mark.parametrize("columns", WIDTHS)
def test_list_has_columns(tricks: dict[int, Shown], columns: int) -> None:
    shown = tricks[columns]
    assert shown.code == 0
    assert max(map(len, shown.lines)) <= columns
    text = " ".join(shown.words)
    assert all(f" {info.name} " in text and info.summary in text for info in EVERYTHING if columns < 200)
    starts = {line[:27].strip(): line for line in shown.lines if line.startswith("  ") and line[2] != " "}
    if columns == 80:
        assert all(
            starts[info.name][27:].split() == info.summary.split()[: len(starts[info.name][27:].split())]
            for info in EVERYTHING
        )
    if columns == 200:
        assert all(
            info.summary in next(line for line in shown.lines if line.split()[:1] == [info.name]) for info in EVERYTHING
        )


@pytest.mark.parametrize("columns", WIDTHS)
def test_show_keeps_all_its_words(columns: int) -> None:
    shown = at_terminal(columns, *SHOW)
    # At 40 columns the trainer's name is longer than a line: in text it is broken at underscores, in a command never.
    trainer = f"nnUNetTrainer{SHOW[1]}"
    assert max(len(line) for line in shown.lines if line != trainer) <= columns
    in_pipe = piped(*SHOW).stdout
    assert "".join(shown.words) == "".join(in_pipe.split())
    if columns >= 80:
        assert shown.words == in_pipe.split()


def test_a_shown_command_still_runs_when_it_is_copied() -> None:
    shown = at_terminal(60, *SHOW).plain
    command = shown.partition("\nexample ")[2]
    echoed = subprocess.run(["sh", "-c", f"echo {command}"], capture_output=True, text=True, check=True).stdout
    assert "\\\n" in command
    assert echoed == "nnUNetv2_train 501 3d_fullres 0 -tr nnUNetTrainerTversky_alpha0p2_NoDeepSupervision\n"


@pytest.mark.parametrize("columns", WIDTHS)
def test_help_groups_the_commands(columns: int) -> None:
    shown = at_terminal(columns, "--help")
    assert max(map(len, shown.lines)) <= columns
    places = [shown.lines.index(f"{group}:") for group in GROUPS]
    assert places == sorted(places)
    assert all(any(line.split()[:1] == [name] for line in shown.lines) for name in COMMANDS)
    if columns >= 80:
        # One line each.
        for name, purpose in COMMANDS.items():
            assert f"  {name:20}  {purpose}" in shown.lines


def test_the_help_of_a_command_is_its_own() -> None:
    assert piped("run", "--help").stdout.startswith("usage: nnunet-tricks run [-h]")
    assert piped("annotate", "select", "--help").stdout.startswith("usage: nnunet-tricks annotate select [-h]")


def test_colours_are_only_where_they_are_wanted(tricks: dict[int, Shown]) -> None:
    assert "\x1b[1mdata augmentation\x1b[0m" in tricks[80].text
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown = at_terminal(80, "list", environment=variables)
        assert "\x1b" not in shown.text
        assert shown.text == tricks[80].plain
    assert "\x1b" not in piped("list", TERM="xterm").stdout


@pytest.mark.parametrize(
    "variables",
    [
        {"LANG": "C", "LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
    ],
    ids=["LANG=C", "ASCII locale", "ASCII"],
)
def test_the_same_without_unicode(tricks: dict[int, Shown], variables: dict[str, str]) -> None:
    assert at_terminal(80, "list", environment=variables) == tricks[80]


@pytest.mark.parametrize(
    "words", [["list", "--json"], ["list"], ["--help"], ["show", "Tversky"], ["completion", "zsh"]]
)
def test_a_pipe_that_closes_early(words: list[str]) -> None:
    # The reader is gone before anything is written.
    command = f'{{ sleep 1; exec {sys.executable} -c "$CALL" {" ".join(words)}; }} | true; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CALL": CALL, "PYTHONUNBUFFERED": ""},
    )
    assert done.stderr == ""
    # As other programs end that write into a closed pipe.
    other = subprocess.run(
        ["bash", "-c", "{ sleep 1; exec cat /dev/zero; } | true; echo ${PIPESTATUS[0]}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == other.stdout == f"{CLOSED_PIPE}\n"


def test_json_is_the_same_at_a_terminal() -> None:
    for words in (["list", "--json"], ["show", "Tversky", "--json"]):
        assert json.loads(at_terminal(40, *words).text) == json.loads(piped(*words).stdout)
