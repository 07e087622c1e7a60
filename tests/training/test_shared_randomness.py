import numpy as np
import pytest
import torch

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.training.shared_randomness import NUMBER, seeded

CELL = Situation("labels", "3d", True)


def begun(bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch, processes: int, seed: int):
    """First weights, and the first batches, after other things have been drawn from the seed."""
    trainer = trainers.find(name)
    assert trainer is not None
    with bench.room(trainer, CELL) as run:
        # The room has seeds and processes of its own.
        monkeypatch.setenv("nnUNet_n_proc_DA", str(processes))
        np.random.seed(seed)
        torch.manual_seed(seed)
        built = run.build(untouched=True)
        weights = torch.cat([value.flatten().float() for value in built.network.state_dict().values()]).clone()
        training, validation = built.get_dataloaders()
        try:
            batches = [next(training) for _ in range(6)] + [next(validation) for _ in range(2)]
        finally:
            for loader in (training, validation):
                if hasattr(loader, "_finish"):
                    loader._finish()
    return weights, batches


def alike(batches, other) -> bool:
    pairs = zip(batches, other, strict=True)
    return all(torch.equal(first["data"], second["data"]) for first, second in pairs)


def test_baseline_and_trick_begin_alike_and_see_the_same_however_many_processes_load(bench, monkeypatch) -> None:
    weights, batches = begun(bench, "nnUNetTrainer_2epochs_shared", monkeypatch, 0, 1)
    of_trick, with_trick = begun(bench, "nnUNetTrainerDiceOHEM_2epochs_shared", monkeypatch, 2, 2)
    assert torch.equal(weights, of_trick)
    assert alike(batches, with_trick)
    assert [batch[NUMBER] for batch in with_trick[:6]] == [1, 2, 3, 4, 5, 6]
    assert not torch.equal(batches[0]["data"], batches[1]["data"])


def test_what_is_drawn_does_not_depend_on_an_interruption(bench) -> None:
    trainer = trainers.find("nnUNetTrainer_2epochs_shared")
    assert trainer is not None
    steps = ("build", "epochs", "--c")
    assert bench.check(trainer, CELL, steps=steps).explain() == []


def test_another_run_differs(bench, monkeypatch) -> None:
    weights, batches = begun(bench, "nnUNetTrainer_2epochs_shared", monkeypatch, 0, 1)
    others, of_others = begun(bench, "nnUNetTrainer_2epochs_shared_run2", monkeypatch, 0, 1)
    assert not torch.equal(weights, others)
    assert not any(alike([batch], [other]) for batch, other in zip(batches, of_others, strict=True))


def test_without_the_word_nothing_is_shared(bench, monkeypatch) -> None:
    weights, batches = begun(bench, "nnUNetTrainer_2epochs", monkeypatch, 0, 1)
    others, of_others = begun(bench, "nnUNetTrainer_2epochs", monkeypatch, 0, 2)
    assert not torch.equal(weights, others)
    assert not alike(batches, of_others)
    assert NUMBER not in batches[0]


def test_what_is_drawn_outside_goes_on_as_before() -> None:
    np.random.seed(3)
    torch.manual_seed(3)
    expected = np.random.rand(), torch.rand(1)
    np.random.seed(3)
    torch.manual_seed(3)
    with seeded("anything"):
        first = np.random.rand(), torch.rand(1)
    with seeded("anything"):
        assert (np.random.rand(), torch.rand(1)) == first
    assert (np.random.rand(), torch.rand(1)) == expected


def test_names() -> None:
    name = parse("nnUNetTrainerTversky_5epochs_shared_run2")
    assert (name.shared, name.run, str(name)) == (True, 2, "nnUNetTrainerTversky_5epochs_shared_run2")
    with pytest.raises(IllegalName, match="nnUNetTrainer_shared_run2"):
        parse("nnUNetTrainer_run2_shared")
    with pytest.raises(IllegalName, match="shared stands twice"):
        parse("nnUNetTrainer_shared_shared")
