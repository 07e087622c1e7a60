"""What pip builds has all that is in the tree, and each part of it works where the checkout is not."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

import nnunet_tricks
from nnunet_tricks.cli import COMMANDS
from tests.checkout import ROOT

OURS = ("nnunet_tricks", "dataset_conversion")
FOUND_BY_FOLDER = {"nnunet_tricks.door.ext.nnunet_tricks_bridge"}
"""Modules that nnU-Net finds in a folder of its own choice. They act when they are imported."""
CALL = "from nnunet_tricks.cli import main; sys.exit(main())"


def _tree() -> set[str]:
    files = {file for package in OURS for file in (ROOT / package).rglob("*") if file.is_file()}
    return {str(file.relative_to(ROOT)) for file in files if file.suffix != ".pyc"}


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def _run(unpacked: Path, cwd: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the wheel's files first on the path, and the libraries of this environment behind them."""
    start = f"import sys; sys.path.insert(0, {str(unpacked)!r})\n"
    return subprocess.run(
        [sys.executable, "-c", start + program, *words], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_the_wheel_has_every_file_of_the_tree_and_no_other(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == _tree()


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {file.parent for package in OURS for file in (ROOT / package).rglob("*.py")}
    assert not {str(folder) for folder in folders if not (folder / "__init__.py").exists()} - {
        str(ROOT / "nnunet_tricks" / "door" / "ext")
    }


def test_every_module_of_the_wheel_can_be_imported(unpacked: Path, tmp_path: Path) -> None:
    files = {name.removesuffix(".py").removesuffix("/__init__") for name in _tree() if name.endswith(".py")}
    names = {file.replace("/", ".") for file in files} - FOUND_BY_FOLDER
    program = f"""
from importlib import import_module
elsewhere = [name for name in sys.argv[1:] if not import_module(name).__file__.startswith({str(unpacked)!r})]
sys.exit(str(elsewhere) if elsewhere else 0)
"""
    done = _run(unpacked, tmp_path, program, *sorted(names))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_wheel_starts(command: str, unpacked: Path, tmp_path: Path) -> None:
    done = _run(unpacked, tmp_path, CALL, command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"nnunet-tricks {command}" in done.stdout


def test_a_report_is_made_again_by_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    done = _run(unpacked, tmp_path, CALL, "verify", str(ROOT / "experiments" / "hippocampus" / "report"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_tested_is_what_is_installed() -> None:
    """Only an editable installation may take the package from the checkout."""
    installed, name = distribution("nnunet_tricks"), "nnunet_tricks/__init__.py"
    editable = name not in {str(file) for file in installed.files or ()}
    expected = ROOT / name if editable else Path(str(installed.locate_file(name)))
    assert Path(nnunet_tricks.__file__).resolve() == expected.resolve()
