"""Stock nnU-Net finds us, after everybody else, and comes to no harm by it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from nnunet_tricks.door import hook
from tests.checkout import ROOT
from tests.door.environments import Environment, Maker, copy_nnunet
from tests.door.names import ILLEGAL, NEAREST, OURS, OWN, REASON


@pytest.fixture(scope="module")
def precedence(make: Maker, tmp_path_factory: pytest.TempPathFactory) -> Any:
    environment = make()
    linked = environment.tricks("link")
    assert linked.returncode == 0, linked.stderr
    folders = {name: tmp_path_factory.mktemp(name) for name in ("own", "broken", "probe")}
    (folders["own"] / "my_trainers.py").write_text(OWN)
    (folders["broken"] / "my_trainers.py").write_text("raise RuntimeError('broken by its owner')\n")
    (folders["probe"] / "importing.py").write_text(
        "import sys\ndef find(name):\n    import dataset_conversion\n    return dataset_conversion.__file__\n"
    )
    return environment.answers("precedence.py", *map(str, folders.values()))


def test_ours_are_found_and_nnunets_own_are_untouched(precedence: Any) -> None:
    found = precedence["linked"]
    assert found[OURS]["module"].startswith("nnunet_tricks.")
    assert found[OURS]["importable"]
    assert found["nnUNetTrainer"]["module"] == "nnunetv2.training.nnUNetTrainer.nnUNetTrainer"
    assert found["nnUNetTrainerCELoss"]["module"].startswith("nnunetv2.")


def test_a_caller_of_the_old_finder_finds_ours_too(precedence: Any) -> None:
    # as nnU-Net's run_training_from_pretrained does
    assert precedence["linked"][f"old {OURS}"] == precedence["linked"][OURS]
    assert precedence["linked"]["old nnUNetTrainerCELoss"] == precedence["linked"]["nnUNetTrainerCELoss"]


@pytest.mark.parametrize("finder", ["", "old "])
def test_an_illegal_name_ends_with_our_sentence(precedence: Any, finder: str) -> None:
    answer = precedence["linked"][finder + ILLEGAL]
    assert answer["error"] == "RuntimeError"
    assert REASON in answer["message"]
    assert NEAREST in answer["message"]


def test_a_name_that_is_not_ours_gets_nnunets_own_answer(precedence: Any) -> None:
    message = precedence["linked"]["Foreign"]["message"]
    assert message.startswith("Could not find requested nnunet trainer Foreign")
    assert "nnunet_tricks" not in message
    assert precedence["linked"]["old Foreign"] == {"found": None}


@pytest.mark.parametrize("name", [OURS, f"old {OURS}", ILLEGAL, f"old {ILLEGAL}"])
def test_a_users_own_trainer_wins(precedence: Any, name: str) -> None:
    assert precedence["own"][name]["module"] == "my_trainers"


def test_nobody_hides_the_failure_of_a_users_own_file(precedence: Any) -> None:
    assert precedence["broken own"][OURS] == {"error": "RuntimeError", "message": "broken by its owner"}
    assert precedence["broken own"]["nnUNetTrainerCELoss"] == precedence["linked"]["nnUNetTrainerCELoss"]


@pytest.mark.parametrize("case", ["ours fails", "ours fails, own"])
def test_our_failure_breaks_nobody(precedence: Any, case: str) -> None:
    for name in ("nnUNetTrainer", "nnUNetTrainerCELoss"):
        assert precedence[case][name] == precedence["linked"][name]
    if "own" in case:
        assert precedence[case][OURS]["module"] == "my_trainers"


def test_our_failure_leaves_nnunets_error_with_a_note(precedence: Any) -> None:
    message = precedence["ours fails"][OURS]["message"]
    assert message.startswith(f"Could not find requested nnunet trainer {OURS}")
    assert "nnunet_tricks could not be asked for nnUNetTrainerTversky: ModuleNotFoundError" in message
    # The old finder raises nothing itself, its callers do.
    assert precedence["ours fails"][f"old {OURS}"] == {"found": None}
    assert "nnunet_tricks could not be asked for nnUNetTrainerTversky: ModuleNotFoundError" in precedence["said"]


def test_ours_is_not_mistaken_for_nnunets_folder_of_the_same_name(precedence: Any) -> None:
    assert Path(precedence["inside"]["found"]).parts[-2:] == ("dataset_conversion", "__init__.py")
    assert "nnunetv2" not in Path(precedence["inside"]["found"]).parts
    assert precedence["path kept"]


def check(environment: Environment, found: Any) -> None:
    """What must hold however nnU-Net is installed."""
    assert found[OURS]["module"].startswith("nnunet_tricks."), found
    assert found["nnUNetTrainerCELoss"]["module"].startswith("nnunetv2.")
    assert REASON in found[ILLEGAL]["message"]


@pytest.mark.parametrize("release", ["2.7.0", "2.8.1"])
def test_nnunet_installed_by_pip(make: Maker, nnunet_release: Callable[[str], Path], release: str) -> None:
    environment = make(nnunet=False)
    for path in nnunet_release(release).iterdir():
        path.rename(environment.site_packages / path.name)
    assert environment.tricks("link").returncode == 0
    found = environment.answers("look_ups.py", OURS, "nnUNetTrainerCELoss", ILLEGAL, "Foreign", "--spawn")
    check(environment, found)
    assert found["nnunetv2"] == str(environment.site_packages / "nnunetv2")
    assert found["spawned"] == found[OURS]
    assert found["Foreign"] == {"found": None} or "Could not find" in found["Foreign"]["message"]


@pytest.mark.parametrize("mode", ["compat", "lenient"])
def test_nnunet_installed_editable(make: Maker, tmp_path: Path, mode: str) -> None:
    copy_nnunet(tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "nnunetv2"\nversion = "2.8.1"\n'
        '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
        '[tool.setuptools.packages.find]\ninclude = ["nnunetv2*"]\n'
    )
    environment = make(nnunet=False)
    environment.pip("install", "--no-deps", "--config-settings", f"editable_mode={mode}", "-e", tmp_path)
    with_finder = list(environment.site_packages.glob("__editable___nnunetv2*_finder.py"))
    assert bool(with_finder) == (mode == "lenient")
    assert environment.tricks("link").returncode == 0
    found = environment.answers("look_ups.py", OURS, "nnUNetTrainerCELoss", ILLEGAL)
    check(environment, found)
    assert found["nnunetv2"] == str(tmp_path / "nnunetv2")


def test_read_only_nnunet_and_site_packages_are_linked_in_the_user_site(make: Maker) -> None:
    environment = make(user_site=True)
    with environment.read_only():
        linked = environment.tricks("link")
        assert linked.returncode == 0, linked.stderr
        assert f"{environment.site_packages} (environment) cannot be written: Permission denied" in linked.stdout
        assert f"Linked in {environment.user_site} (user site)" in linked.stdout
        check(environment, environment.answers("look_ups.py", OURS, "nnUNetTrainerCELoss", ILLEGAL))
        assert environment.tricks("unlink").returncode == 0
    assert [path for path in environment.user_site.rglob("*") if path.is_file()] == []


def test_pip_uninstall_without_unlink_is_silent(make: Maker, wheel: Path) -> None:
    environment = make(tricks=False)
    environment.pip("install", "--quiet", "--no-deps", "--no-index", wheel)
    assert environment.tricks("link").returncode == 0
    ours = environment.answers("look_ups.py", OURS)
    assert ours[OURS]["module"].startswith("nnunet_tricks.")

    environment.pip("uninstall", "--quiet", "--yes", "nnunet_tricks")
    assert environment.tricks("list").returncode != 0
    bare = environment.run("-c", "pass")
    assert (bare.returncode, bare.stdout, bare.stderr) == (0, "", "")
    found = environment.answers("look_ups.py", OURS, "nnUNetTrainerCELoss")
    assert found["nnUNetTrainerCELoss"]["module"].startswith("nnunetv2.")
    assert found[OURS]["message"].startswith(f"Could not find requested nnunet trainer {OURS}")
    assert "_nnunet_tricks_link.py asks nnunet_tricks, which is not installed" in found[OURS]["message"]


def test_the_wheel_has_what_is_copied_and_what_nnunet_reads(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        for path in ("hook.py", "probe.py", "ext/nnunet_tricks_bridge.py"):
            assert packed.read(f"nnunet_tricks/door/{path}") == (ROOT / "nnunet_tricks" / "door" / path).read_bytes()


def test_python_3_15_start_file_does_the_same(make: Maker) -> None:
    environment = make(nnunet=False, libs=False)
    assert environment.tricks("link").returncode == 0
    (environment.site_packages / "nnunet_tricks_link.pth").unlink()
    # PEP 829: every line but comments is an entry point, resolved and called, for a virtual environment twice.
    program = f"""
import pkgutil, sys
lines = open({str(environment.site_packages / "nnunet_tricks_link.start")!r}, encoding="utf-8").read().splitlines()
entries = [line for line in lines if not line.startswith("#")]
for entry in 2 * entries:
    pkgutil.resolve_name(entry)()
print(len(entries), [type(finder).__name__ for finder in sys.meta_path].count("NnunetTricksLink"))
"""
    assert environment.run("-c", program).stdout.split() == ["1", "1"]


def test_hook_imports_nothing_at_start() -> None:
    program = "import sys; before = set(sys.modules); import hook; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(Path(hook.__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["hook"]
