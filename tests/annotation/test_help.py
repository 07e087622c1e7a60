"""``nnunet-tricks annotate``: its sub-commands explain themselves, and import nothing heavy for that."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.commands.annotate import SUBCOMMANDS


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_sub_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["annotate", name, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert f"nnunet-tricks annotate {name}" in shown
    assert "show this help message" in shown


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from nnunet_tricks.cli import main
for name in {["--help", *SUBCOMMANDS]!r}:
    try:
        main(["annotate", name, "--help"])
    except SystemExit:
        pass
heavy = {{"torch", "nnunetv2", "numpy", "SimpleITK", "matplotlib", "rich"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Sparse annotation" in done.stdout
