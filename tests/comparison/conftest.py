from collections.abc import Callable
from pathlib import Path

import pytest

from tests.comparison.world import World


@pytest.fixture
def world(tmp_path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A small data set, with nnU-Net's environment set to it."""
    made = World(tmp_path / "nnunet")
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def spec(tmp_path: Path) -> Callable[[str], Path]:
    """Writes an experiment file."""

    def write(text: str) -> Path:
        file = tmp_path / "experiment.yaml"
        file.write_text(text)
        return file

    return write
