import json

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.experiment.frozen import Frozen, place, state_of
from nnunet_tricks.experiment.spec import read_experiment
from tests.experiment.conftest import DATASET

SPEC = "datasets: [901]\nconfigurations: [3d_fullres]\ntricks: [Tversky, CE]\nepochs: 5\nfolds: [0, 1]\n"
MODEL = f"{DATASET}/nnUNetTrainerTversky_5epochs__nnUNetPlans__3d_fullres/fold_0"


def lock(file, capsys) -> tuple[int, str]:
    code = main(["run", str(file), "--lock"])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def begin(folders, name: str = "training_log_2026_1_31_09_05_00.txt") -> None:
    (folders.results / MODEL).mkdir(parents=True, exist_ok=True)
    (folders.results / MODEL / name).write_text("")


def test_a_locked_file_that_stays_as_it_is_holds(spec, preprocessed, capsys) -> None:
    file = spec(SPEC)
    assert not state_of(file, preprocessed).holds
    code, said = lock(file, capsys)
    assert code == 0
    assert "before the first of 6 trainings" in said
    begin(preprocessed, "training_log_2999_1_31_09_05_00.txt")
    state = state_of(file, preprocessed)
    assert state.holds
    assert state.lock
    assert state.lock.text == SPEC
    # A second lock of the same file is the first.
    assert lock(file, capsys)[0] == 0
    assert state_of(file, preprocessed) == state


def test_after_the_first_training_nothing_can_be_locked(spec, preprocessed, capsys) -> None:
    begin(preprocessed)
    file = spec(SPEC)
    code, said = lock(file, capsys)
    assert code == 2
    assert "1 of its 6 trainings have begun" in said
    assert MODEL in said
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
    begin(preprocessed)
    state = state_of(file, preprocessed)
    assert state.began_before == (MODEL,)
    assert not state.holds
    assert MODEL in state.sentence


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
    with pytest.raises(ValueError, match="nnUNetTrainerTopk10Loss is not ours"):
        read_experiment(spec(listed + "shared_randomness: true\n"))
    with pytest.raises(ValueError, match="must be true or false, got 'maybe'"):
        read_experiment(spec(SPEC + "shared_randomness: maybe\n"))
