import json
from pathlib import Path

import pytest

from nnunet_tricks.demo.stages import STATE, DemoState, Stage

SETTINGS = {"trainers": ["nnUNetTrainer_6epochs"], "patch": [16, 32, 32]}


def _stage(folder: Path, name: str) -> Stage:
    return Stage(name=name, seconds=1, work=lambda _: None, made=(folder / name,))


def test_finished_stages_stay_finished_while_what_they_made_is_there(tmp_path: Path) -> None:
    state = DemoState(tmp_path, SETTINGS)
    first, second = _stage(tmp_path, "one"), _stage(tmp_path, "two")
    for stage in (first, second):
        state.begin(stage)
        stage.made[0].mkdir()
        state.finish(stage, 3.14)
    second.made[0].rmdir()
    again = DemoState(tmp_path, SETTINGS)
    assert again.is_done(first)
    assert not again.is_done(second)
    assert again.seconds["one"] == 3.1


def test_what_an_interrupted_stage_left_is_removed(tmp_path: Path) -> None:
    stage = _stage(tmp_path, "train")
    stage.made[0].mkdir()
    (stage.made[0] / "half a checkpoint").touch()
    state = DemoState(tmp_path / "demo", SETTINGS)
    assert not state.is_done(stage)
    state.begin(stage)
    assert not stage.made[0].exists()


def test_other_settings_need_another_folder(tmp_path: Path) -> None:
    DemoState(tmp_path, SETTINGS)
    with pytest.raises(ValueError, match=r"another patch: .*--out.*--restart"):
        DemoState(tmp_path, {**SETTINGS, "patch": [8, 8, 8]})
    assert DemoState(tmp_path, {**SETTINGS, "patch": [8, 8, 8]}, restart=True).settings["patch"] == [8, 8, 8]


def test_a_restart_removes_what_the_demo_made_and_nothing_else(tmp_path: Path) -> None:
    DemoState(tmp_path, SETTINGS)
    notes = tmp_path / "notes.txt"
    notes.write_text("kept")
    (tmp_path / "results" / "model").mkdir(parents=True)
    DemoState(tmp_path, SETTINGS, restart=True)
    assert not (tmp_path / "results").exists()
    assert notes.read_text() == "kept"


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.tex"
    precious.write_text("results")
    for restart in (False, True):
        with pytest.raises(ValueError, match="not empty"):
            DemoState(tmp_path, SETTINGS, restart=restart)
    assert precious.read_text() == "results"


@pytest.mark.parametrize("content", ["", "[]", '{"settings": {}}'])
def test_an_unreadable_state_is_said_so(tmp_path: Path, content: str) -> None:
    (tmp_path / STATE).write_text(content)
    with pytest.raises(ValueError, match="--restart"):
        DemoState(tmp_path, SETTINGS)


def test_the_state_is_never_half_written(tmp_path: Path) -> None:
    DemoState(tmp_path, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == [STATE]
    assert json.loads((tmp_path / STATE).read_text()) == {"settings": SETTINGS, "seconds": {}}
