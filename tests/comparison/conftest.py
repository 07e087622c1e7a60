import pytest

from tests.comparison.world import World


@pytest.fixture
def world(tmp_path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A small data set, with nnU-Net's environment set to it."""
    made = World(tmp_path / "nnunet")
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    return made
