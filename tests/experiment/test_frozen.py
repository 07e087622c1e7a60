import hashlib
import json
import time

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.experiment.frozen import Frozen, place, state_of
from nnunet_tricks.experiment.observer import Observer
from nnunet_tricks.experiment.record import Attempt, Record
from nnunet_tricks.experiment.spec import read_experiment
from tests.experiment.conftest import DATASET

SPEC = "datasets: [901]\nconfigurations: [3d_fullres]\ntricks: [Tversky, CE]\nepochs: 5\nfolds: [0, 1]\n"
MODEL = f"{DATASET}/nnUNetTrainerTversky_5epochs__nnUNetPlans__3d_fullres/fold_0"


def lock(file, capsys) -> tuple[int, str]:
    code = main(["run", str(file), "--lock"])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def begin(folders, name: str = "training_log_2026_1_31_09_05_00.txt", *, at: float | None = None) -> None:
    """A training that is begun, by a queue at some moment, or by hand."""
    model, states = folders.results / MODEL, folders.state / MODEL / "train"
    model.mkdir(parents=True, exist_ok=True)
    observer = Observer(model=str(model))
    if at is not None:
        states.mkdir(parents=True, exist_ok=True)
        record = observer.begin(Record()).begin(states, Attempt(command="nnUNetv2_train", began=at, device="cpu"))
    (model / name).write_text("")
    if at is not None:
        observer.look(record).written(states)


def test_a_locked_file_that_stays_as_it_is_holds(spec, preprocessed, capsys) -> None:
    file = spec(SPEC)
    assert not state_of(file, preprocessed).holds
    code, text = lock(file, capsys)
    assert code == 0
    assert "before the first of 6 trainings" in text
    begin(preprocessed, "training_log_1999_1_31_09_05_00.txt", at=time.time() + 60)
    state = state_of(file, preprocessed)
    assert state.holds
    assert "before the first training, and has not changed since" in state.sentence
    assert state.lock
    assert state.lock.text == SPEC
    # A second lock of the same file is the first.
    assert lock(file, capsys)[0] == 0
    assert state_of(file, preprocessed) == state


def test_after_the_first_training_nothing_can_be_locked(spec, preprocessed, capsys) -> None:
    begin(preprocessed)
    file = spec(SPEC)
    code, text = lock(file, capsys)
    assert code == 2
    assert "1 of its 6 trainings have begun" in text
    assert MODEL in text
    assert not place(file).exists()


def test_a_change_after_the_lock_is_told(spec, preprocessed, capsys) -> None:
    file = spec(SPEC)
    lock(file, capsys)
    spec(SPEC.replace("epochs: 5", "epochs: 6"))
    assert not state_of(file, preprocessed).holds
    assert main(["run", str(file), "--dry-run", "--no-timing", "--device", "cpu"]) == 0
    assert "was changed afterwards" in capsys.readouterr().err


def test_before_any_result_a_changed_file_is_locked_anew_and_the_first_lock_is_remembered(
    spec, preprocessed, capsys
) -> None:
    file = spec(SPEC)
    lock(file, capsys)
    first = Frozen.read(file)
    spec(SPEC.replace("epochs: 5", "epochs: 6"))
    assert lock(file, capsys)[0] == 0
    second = Frozen.read(file)
    assert first
    assert second
    assert second.earlier == ((first.locked_at, first.sha256),)
    assert state_of(file, preprocessed).holds


def test_a_training_older_than_the_lock_is_named(spec, preprocessed, capsys) -> None:
    """As when results were moved away while the file was locked."""
    file = spec(SPEC)
    lock(file, capsys)
    begin(preprocessed, "training_log_2999_1_31_09_05_00.txt", at=time.time() - 3600)
    state = state_of(file, preprocessed)
    assert state.began_before == (MODEL,)
    assert not state.holds
    assert f"when 1 of its trainings had begun: {MODEL}" in state.sentence


@pytest.mark.parametrize("key", ["text", "sha256", "locked_at", "earlier"])
def test_a_lock_that_was_edited_is_refused(spec, preprocessed, capsys, key) -> None:
    file = spec(SPEC)
    lock(file, capsys)
    content = json.loads(place(file).read_text())
    place(file).write_text(json.dumps(content | {key: "other"}))
    with pytest.raises(ValueError, match="lock"):
        state_of(file)


def test_the_baseline_can_have_more_runs(spec, preprocessed) -> None:
    comparison = read_experiment(spec(SPEC + "runs: 2\nbaseline_runs: 3\n")).comparisons[0]
    assert [len(comparison.runs_of(arm)) for arm in comparison.arms] == [3, 2, 2]


def test_all_share_their_randomness_or_none(spec) -> None:
    comparison = read_experiment(spec(SPEC + "shared_randomness: true\n")).comparisons[0]
    assert [arm.trainer(2) for arm in comparison.arms][:2] == [
        "nnUNetTrainer_5epochs_shared_run2",
        "nnUNetTrainerTversky_5epochs_shared_run2",
    ]
    listed = SPEC.replace("tricks: [Tversky, CE]", "trainers: [nnUNetTrainer, nnUNetTrainerTopk10Loss]").replace(
        "epochs: 5\n", ""
    )
    with pytest.raises(ValueError, match="and nnUNetTrainerTopk10Loss is not one of them"):
        read_experiment(spec(listed + "shared_randomness: true\n"))
    with pytest.raises(ValueError, match="must be true or false, got 'maybe'"):
        read_experiment(spec(SPEC + "shared_randomness: maybe\n"))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
@pytest.mark.parametrize("hours", [-11, 0, 11])
def test_local_times_are_no_evidence(spec, preprocessed, capsys, monkeypatch, zone, hours) -> None:
    """Whatever zone the trainer's logs and the reader's machine are in, the sentence is the same."""
    file = spec(SPEC)
    lock(file, capsys)
    name = time.strftime("training_log_%Y_%m_%d_%H_%M_%S.txt", time.gmtime(time.time() + 3600 * hours))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        begin(preprocessed, name, at=time.time() + 60)
        assert state_of(file, preprocessed).holds
        begin(preprocessed, "training_log_1_by_hand.txt")
        state = state_of(file, preprocessed)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert not state.holds
    assert not state.began_before
    assert f"started by hand, so it is not known whether they began earlier: {MODEL}" in state.sentence


def test_results_that_were_moved_away_are_remembered(spec, preprocessed, capsys) -> None:
    begin(preprocessed, at=time.time())
    (preprocessed.results / MODEL / "training_log_2026_1_31_09_05_00.txt").unlink()
    code, text = lock(spec(SPEC), capsys)
    assert code == 2
    assert "1 of its 6 trainings have begun" in text


def test_line_ends_that_git_changes_are_no_change(spec, preprocessed, capsys) -> None:
    file = spec(SPEC)
    lock(file, capsys)
    for ends in ("\r\n", "\n"):
        file.write_bytes(SPEC.replace("\n", ends).encode())
        place(file).write_bytes(place(file).read_text().replace("\n", ends).encode())
        assert state_of(file, preprocessed).holds
        assert lock(file, capsys)[0] == 0
    place(file).unlink()
    file.write_bytes(SPEC.replace("\n", "\r\n").encode())
    lock(file, capsys)
    windows = Frozen.read(file)
    file.write_bytes(SPEC.encode())
    assert state_of(file, preprocessed).holds
    place(file).unlink()
    lock(file, capsys)
    unix = Frozen.read(file)
    assert windows
    assert unix
    assert windows.sha256 == unix.sha256


def test_a_lock_of_an_earlier_version_on_windows_still_holds(spec, preprocessed, capsys) -> None:
    file = spec(SPEC)
    lock(file, capsys)
    text = SPEC.replace("\n", "\r\n")
    old = json.loads(place(file).read_text()) | {"text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    place(file).write_text(json.dumps(old))
    assert state_of(file, preprocessed).holds
