"""How long models were trained: what compare refuses, and what it says."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from nnunet_tricks.cli import main
from tests.comparison.world import World

SECONDS = 30.0


def trained(world: World, trainer: str, epochs: Sequence[int], *, before: Sequence[int] = ()) -> Path:
    """A model of three folds, each trained for so many epochs, perhaps after an interruption."""
    model = world.train(trainer)
    for fold, count in enumerate(epochs):
        folder = model / f"fold_{fold}"
        (log,) = folder.glob("training_log_*.txt")
        head = log.read_text().splitlines()[0]
        first = before[fold] if before else 0
        for name, numbers in (("1_9_0_0_0", range(first)), ("1_10_0_0_0", range(first and first - 1, count))):
            lines = [
                f"2026-01-01 00:00:00.0: Epoch {n}\n2026-01-01 00:00:00.0: Epoch time: {SECONDS} s" for n in numbers
            ]
            (folder / f"training_log_2026_{name}.txt").write_text("\n".join([head, *lines]))
        log.unlink()
    return model


def notes(models: Sequence[Path], capsys, *words: str) -> list[str]:
    assert main(["compare", *map(str, models), "--workers", "1", "--json", *words]) == 0, capsys.readouterr().err
    return list(json.loads(capsys.readouterr().out)["tables"][0]["notes"])


def refusal(models: Sequence[Path], capsys) -> str:
    assert main(["compare", *map(str, models), "--workers", "1"]) == 2
    error: str = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_who_ended_early_and_what_that_saved(world: World, capsys) -> None:
    stopped = trained(world, "nnUNetTrainerStopEarly_patience5_100epochs", (40, 100, 70), before=(30, 0, 0))
    models = [trained(world, "nnUNetTrainer_100epochs", (100, 100, 100)), stopped]
    said = notes(models, capsys)
    assert (
        "nnUNetTrainerStopEarly_patience5_100epochs ended early: fold 0 after 40 of 100 epochs, fold 1 after 100 of "
        "100 epochs, fold 2 after 70 of 100 epochs. That saved 30% of its epochs, about 45 min 0 s." in said
    )
    assert not any("nnUNetTrainer_100epochs ended" in note for note in said)


def test_a_training_that_could_have_ended_and_did_not(world: World, capsys) -> None:
    stopped = trained(world, "nnUNetTrainerStopEarly_100epochs", (100, 100, 100))
    said = notes([world.train("nnUNetTrainer_100epochs"), stopped], capsys)
    assert any(note.startswith("nnUNetTrainerStopEarly_100epochs did not end early: fold 0 after 100") for note in said)
    said = notes([world.train("nnUNetTrainer_100epochs"), world.train("nnUNetTrainerStopEarly_loss_100epochs")], capsys)
    assert any("may have ended early: no log says" in note for note in said)


def test_lengths_that_no_name_says_are_refused_unless_accepted(world: World, capsys) -> None:
    models = [trained(world, "nnUNetTrainer_100epochs", (100, 100, 50)), world.train("nnUNetTrainerCE_100epochs")]
    error = refusal(models, capsys)
    assert "different lengths, which no name says: 50 epochs: nnUNetTrainer_100epochs__nnUNetPlans__3d/fold_2" in error
    assert "--accept lengths compares all the same" in error
    assert any("no name says: 50 epochs" in note for note in notes(models, capsys, "--accept", "lengths"))


@pytest.mark.parametrize(("epochs", "refused"), [(100, False), (60, True)])
def test_a_trainer_with_a_name_of_its_own_is_as_long_as_the_others(
    world: World, capsys, epochs: int, refused: bool
) -> None:
    models = [world.train("nnUNetTrainer_100epochs"), trained(world, "MyTrainer", [epochs] * 3)]
    if refused:
        assert f"other lengths than the 100 epochs of the other names: {epochs} epochs: MyTrainer" in refusal(
            models, capsys
        )
    else:
        assert not any("length" in note for note in notes(models, capsys))


def test_a_training_that_was_begun_anew_is_as_long_as_it_says_last(world: World, capsys) -> None:
    model = trained(world, "MyTrainer", (100, 100, 100))
    for fold in range(3):
        log = "2026-01-02 00:00:00.0: This split has 4 training and 2 validation cases.\n2026-01-02: x: Epoch 9 \n"
        (model / f"fold_{fold}" / "training_log_2026_1_11_0_0_0.txt").write_text(log)
    assert "10 epochs: MyTrainer" in refusal([world.train("nnUNetTrainer_100epochs"), model], capsys)
