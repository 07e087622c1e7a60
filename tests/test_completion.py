"""The Tab key, pressed in real shells."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnunet_tricks.catalogue import CATALOGUE, EVERYTHING
from nnunet_tricks.catalogue.continuation import trainers, tricks
from nnunet_tricks.catalogue.naming import is_legal
from nnunet_tricks.cli import COMMANDS, main, parser_of
from nnunet_tricks.commands.list import problems
from tests.terminals import CALL, ShellSession

TYPED = {
    "nnunet-tricks dem": "nnunet-tricks demo ",
    "nnunet-tricks annotate spa": "nnunet-tricks annotate sparsify ",
    "nnunet-tricks annotate select --pol": "nnunet-tricks annotate select --policy ",
    "nnunet-tricks run --runner sn": "nnunet-tricks run --runner snakemake ",
    "nnunet-tricks list --for class-i": "nnunet-tricks list --for class-imbalance ",
    "nnunet-tricks list --for redo": "nnunet-tricks list --for redoing-a-papers-table ",
    "nnunet-tricks run --device cpu --runner sn": "nnunet-tricks run --device cpu --runner snakemake ",
    "nnunet-tricks show keepl": "nnunet-tricks show KeepLargest",
    "nnunet-tricks show Tversky_me": "nnunet-tricks show Tversky_mediseg",
    "nnunet-tricks demo -tr nnUNetTrainerCE Wa": "nnunet-tricks demo -tr nnUNetTrainerCE nnUNetTrainerWarmup",
    "nnunet-tricks predict -tr Hausd": "nnunet-tricks predict -tr nnUNetTrainerHausdorff",
    "nnunet-tricks verify spec_": "nnunet-tricks verify spec_file.yaml ",
    "nnunet-tricks check --raw spec_": "nnunet-tricks check --raw spec_file.yaml ",
    "nnUNetv2_train 501 2d 0 -tr nnUNetTrainerSkel": "nnUNetv2_train 501 2d 0 -tr nnUNetTrainerSkeletonRecall",
}
"""What is typed before the Tab key, and what stands there after it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the scripts, a file, and our command on the path."""
    made = tmp_path_factory.mktemp("home")
    (made / "spec_file.yaml").write_text("")
    (made / "bin").mkdir()
    command = made / "bin" / "nnunet-tricks"
    command.write_text(f"#!{sys.executable}\n{CALL}\n")
    command.chmod(0o755)
    for shell in ("bash", "zsh", "fish"):
        script = subprocess.run([command, "completion", shell], capture_output=True, text=True, check=True).stdout
        (made / f"completion.{shell}").write_text(script)
    return made


def variables(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder), "PS1": "> ", "LC_ALL": "C.UTF-8"}


def needed(shell: str) -> str:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} on this machine")
    return program


@pytest.fixture(scope="module")
def bash(folder: Path) -> Iterator[ShellSession]:
    session = ShellSession([needed("bash"), "--norc", "--noprofile", "-i"], variables(folder))
    session.press(f"cd {folder}; source completion.bash; bind 'set enable-bracketed-paste off'\n", "> ")
    session.press('bind -x \'"\\C-xd": printf "<%s>" "$READLINE_LINE"\'; echo re\'\'ady\n', "ready")
    yield session
    session.close()


@pytest.fixture(scope="module")
def zsh(folder: Path) -> Iterator[ShellSession]:
    (folder / ".zshrc").write_text(
        "autoload -Uz compinit; compinit -u -D; source completion.zsh; bindkey -e; unset zle_bracketed_paste\n"
        'dump() { print -rn -- "<$BUFFER>" }; zle -N dump; bindkey "^Xd" dump; bindkey "^U" kill-whole-line\n'
    )
    home = variables(folder) | {"ZDOTDIR": str(folder)}
    session = ShellSession([needed("zsh"), "-d", "-i", "-c", f"cd {folder}; exec zsh -d -i"], home)
    session.press("echo re''ady\n", "ready")
    yield session
    session.close()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_tab_key(shell: str, request: pytest.FixtureRequest) -> None:
    session: ShellSession = request.getfixturevalue(shell)
    lines = {}
    for typed in TYPED:
        shown = session.press(f"{typed}\t\x18d", r"<nn[^>]*>")
        lines[typed] = re.findall(r"<(nn[^>]*)>", shown)[-1]
        session.press("\x15echo re''ady\n", "ready")
    assert lines == TYPED


def test_the_tab_key_of_fish(folder: Path) -> None:
    fish = needed("fish")
    for typed, expected in TYPED.items():
        command = f"cd {folder}; source completion.fish; complete -C '{typed}'"
        done = subprocess.run(
            [fish, "--no-config", "-c", command],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **variables(folder)},
        )
        assert done.stderr == ""
        assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [expected.split()[-1]]


def test_tab_on_nothing_lists_the_sub_commands(bash: ShellSession) -> None:
    shown = bash.press("nnunet-tricks cluster \t\t", "setup")
    assert {"setup", "profile", "check"} <= set(shown.split())
    bash.press("\x15echo re''ady\n", "ready")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_right_and_has_all_flags(shell: str, folder: Path) -> None:
    script = (folder / f"completion.{shell}").read_text()
    if shutil.which(shell):
        checked = subprocess.run(
            [shell, "-n", folder / f"completion.{shell}"], capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")
    assert not re.search("@[A-Z]+@", script)

    def look(parser: argparse.ArgumentParser, route: str) -> None:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, child in action.choices.items():
                    look(child, f"{route} {name}".strip())
            for flag in action.option_strings:
                word = {2: f"-s {flag[1:]} "}.get(len(flag), f"-o {flag[1:]} " if flag[1] != "-" else f"-l {flag[2:]} ")
                lines = [line for line in script.splitlines() if route in line]
                assert any((f"{word}" if shell == "fish" else flag) in f"{line} " for line in lines), f"{route} {flag}"

    look(parser_of(*COMMANDS), "")


def test_an_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["completion", "tcsh"])
    assert left.value.code == 2
    assert re.search(r"invalid choice: 'tcsh' \(choose from '?bash'?, '?zsh'?, '?fish'?\)", capsys.readouterr().err)
    for words in ([], ["bash", "--tricks", "T"], ["--tricks", "T", "--trainers", "T"]):
        assert main(["completion", *words]) == 2
        assert "one of bash, zsh, fish" in capsys.readouterr().err


def test_every_problem_is_a_word_for_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert [word for word in problems() if shlex.quote(word) != word] == []
    shown = []
    for problem in ("redoing-a-papers-table", "redoing a paper's table"):
        assert main(["list", "--for", problem]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert "MedISeg2D" in shown[0]


def test_all_names_and_only_names() -> None:
    assert tricks("") == [info.name for info in EVERYTHING]
    names = trainers("")
    assert all(map(is_legal, names))
    assert {f"nnUNetTrainer{info.name}" for info in CATALOGUE} - set(names) == {
        f"nnUNetTrainer{info.name}" for info in CATALOGUE if not is_legal(f"nnUNetTrainer{info.name}")
    }
    assert "nnUNetTrainer" in names


@pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: info.name)
def test_what_follows_a_trick_is_legal(info) -> None:
    start = f"{info.trainer}_"
    following = [name.removeprefix(start) for name in trainers(start)]
    if not is_legal(info.trainer):
        assert following == []
        return
    numbers = {parameter.name for parameter in info.parameters if not isinstance(parameter.default, (bool, str))}
    assert numbers <= set(following)
    assert all(is_legal(start + token) for token in following if token not in numbers)
    assert not {other.name for other in CATALOGUE if not info.base and info.clashes_with(other)} & set(following)


def test_names_go_on_as_they_may() -> None:
    assert trainers("nnUNetTrainerTversky_beta0p8_alp") == []  # alpha stands before beta
    assert trainers("nnUNetTrainerTversky_100") == ["nnUNetTrainerTversky_100epochs"]
    assert trainers("nnUNetTrainerTversky_100epochs_a") == []
    assert trainers("nnUNetTrainerTversky_alpha0p2") == ["nnUNetTrainerTversky_alpha0p2"]
    assert trainers("nnUNetTrainerNothing_") == trainers("nnUNetTrainerTversky_alpha7_") == []
    assert trainers("nnunettrainerskel") == ["nnUNetTrainerSkeletonRecall"]
