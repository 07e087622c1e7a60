"""The doctor names what is wrong and what fixes it, and never breaks down itself."""

import json
import re
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.door.environments import Environment, Maker
from tests.door.names import OURS, OWN
from tests.terminals import at_terminal

PATHS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


def examine(environment: Environment, **variables: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    done = environment.tricks("doctor", "--json", **variables)
    assert not done.stderr, done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] == (done.returncode == 0)
    topics: dict[str, list[dict[str, Any]]] = {}
    for finding in report["findings"]:
        topics.setdefault(finding["topic"], []).append(finding)
    return done.returncode, topics


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {name: str(tmp_path_factory.mktemp(name)) for name in PATHS}


@pytest.fixture(scope="module")
def linked(make: Maker) -> Environment:
    environment = make()
    environment.tricks("link")
    return environment


@pytest.fixture(scope="module")
def reports(make: Maker, linked: Environment, paths: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two full examinations, at once because they spend seconds on imports: linked, and with a user's own trainers."""
    own = tmp_path_factory.mktemp("own")
    (own / "my_trainers.py").write_text(OWN)
    unlinked = make()
    line = unlinked.tricks("env", nnUNet_extTrainer=str(own)).stdout.strip()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(examine, linked, **paths)
        second = pool.submit(examine, unlinked, nnUNet_extTrainer=line.partition("=")[2], **paths)
        return {"linked": first.result(), "own": second.result()}


def test_all_is_well(reports: Any, linked: Environment) -> None:
    code, found = reports["linked"]
    assert code == 0, found
    assert not [finding for findings in found.values() for finding in findings if finding["level"] == "missing"]
    assert found["door"][0]["says"] == f"linked in {linked.site_packages} (environment)"
    theirs, ours = found["look-up"]
    assert theirs["says"].startswith("nnU-Net finds its own nnUNetTrainerCELoss in ")
    assert ours["says"].startswith(f"nnU-Net finds our {OURS} in ")
    assert " ms of it for the link" in found["start of python"][0]["says"]


def test_a_users_own_trainer_of_our_name_is_pointed_out(reports: Any) -> None:
    code, found = reports["own"]
    assert code == 0, found
    assert found["door"][0]["says"].startswith("nnUNet_extTrainer holds ")
    assert found["look-up"][-1]["says"].endswith("in my_trainers; that one wins")


def test_nothing_is_there(make: Maker) -> None:
    code, found = examine(make(nnunet=False, libs=False))
    assert code == 1
    for topic in ("nnunetv2", "torch", "nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "door"):
        assert found[topic][0]["level"] == "missing"
        assert found[topic][0]["fix"]
    assert found["door"][0]["fix"] == "nnunet-tricks link"
    assert found["torch"][1]["says"] == "cannot be imported: ModuleNotFoundError: No module named 'torch'"


def test_packages_that_break_on_import(make: Maker) -> None:
    environment = make(nnunet=False, libs=False)
    (environment.site_packages / "torch.py").write_text("raise OSError('libcuda.so is of another age')\n")
    code, found = examine(environment)
    assert code == 1
    assert "libcuda.so is of another age" in found["torch"][1]["says"]

    (environment.site_packages / "torch.py").write_text("import os; os.abort()\n")
    code, found = examine(environment)
    assert code == 1
    assert "the interpreter ended with code -6" in found["torch"][1]["says"]


def test_folders_that_are_missing_or_read_only(make: Maker, tmp_path: Path) -> None:
    environment = make(nnunet=False, libs=False)
    paths = {name: str(tmp_path / name) for name in PATHS}
    for name in ("nnUNet_preprocessed", "nnUNet_results"):
        Path(paths[name]).mkdir(mode=0o555)
    _, found = examine(environment, **paths)
    assert found["nnUNet_raw"][0]["fix"] == f"mkdir -p {paths['nnUNet_raw']}"
    if environment.run("-c", f"import os, sys; sys.exit(os.access({paths['nnUNet_results']!r}, os.W_OK))").returncode:
        pytest.skip("this user may write everywhere and cannot give that right away")
    assert found["nnUNet_preprocessed"][0]["level"] == "note"
    assert found["nnUNet_results"][0]["level"] == "missing"
    assert found["nnUNet_results"][0]["fix"] == f"chmod u+w {paths['nnUNet_results']}"


def test_an_outdated_link_and_a_command_of_another_python(make: Maker, tmp_path: Path) -> None:
    environment = make(nnunet=False, libs=False)
    environment.tricks("link")
    hook = environment.site_packages / "_nnunet_tricks_link.py"
    hook.write_text(hook.read_text() + "# of an older version\n")
    command = tmp_path / "nnUNetv2_train"
    command.write_text(f"#!{sys.executable}\n")
    command.chmod(0o755)
    _, found = examine(environment, PATH=str(tmp_path))
    assert found["door"][0]["level"] == "note"
    assert found["door"][0]["fix"] == "nnunet-tricks link"
    assert found["nnUNetv2_train"][0]["level"] == "missing"
    assert f"belongs to another Python, {sys.executable}" in found["nnUNetv2_train"][0]["says"]


def test_people_get_sentences(make: Maker) -> None:
    done = make(nnunet=False, libs=False).tricks("doctor")
    assert done.returncode == 1
    assert "missing  nnunetv2: is not installed\n         fix: " in done.stdout
    assert done.stdout.rstrip().endswith("to fix.")


def test_findings_use_the_width_of_a_terminal(make: Maker) -> None:
    environment = make(nnunet=False, libs=False)
    variables = {
        "PATH": str(environment.folder / "bin"),
        "HOME": str(environment.home),
        "nnUNet_raw": "/no/such folder",
    }
    shown = at_terminal(60, "doctor", python=environment.python, environment=variables)
    assert shown.code == 1
    # A path is one word, however long it is.
    too_long = [line.strip().removeprefix("fix: ").removesuffix(" \\") for line in shown.lines if len(line) > 60]
    assert all(" " not in line and "/" in line for line in too_long), too_long
    assert "\x1b[31mmissing\x1b[0m  nnunetv2: is not installed\n         fix: " in shown.text
    # Commands that take several lines are the same commands.
    in_pipe = re.findall("fix: (.*)", environment.tricks("doctor", nnUNet_raw="/no/such folder").stdout)
    fixes = re.findall(r"fix: ((?:.*\\\n)*.*)", shown.plain)
    assert [shlex.split(fix.replace("\\\n", " ")) for fix in fixes] == [shlex.split(fix) for fix in in_pipe]
    assert "mkdir -p '/no/such folder'" in fixes
