"""What lies in the working directory hides no module from the programs that we start."""

import os
import subprocess
import sys

import pytest

from nnunet_tricks.experiment.local import LocalQueue
from nnunet_tricks.utilities.python import words_of_python
from tests.experiment.generic import counting

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 always looks there")


@pytest.fixture
def strewn(tmp_path, monkeypatch):
    """A working directory with a file that has the name of a module of Python's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "random.py").write_text("raise RuntimeError('not the module that was meant')\n")
    return tmp_path


def test_only_the_bare_interpreter_takes_the_file(strewn) -> None:
    code = ["-c", "import random"]
    assert subprocess.run([sys.executable, *code], capture_output=True, check=False).returncode == 1
    assert subprocess.run([*words_of_python(), *code], check=False).returncode == 0


def test_the_queue_runs_in_any_folder(strewn) -> None:
    assert LocalQueue([counting(strewn, "c0")], ["cpu"], dict(os.environ)).run()
