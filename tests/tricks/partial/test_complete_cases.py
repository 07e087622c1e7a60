"""Trainings without the cases that lack a class."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.tiny_data import WITHOUT_CORE
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet import annotated_classes
from nnunet_tricks.nnunet.sandbox import seed_everything


@pytest.fixture
def own_bench() -> Iterator[Bench]:
    """Data that a test may change."""
    with Bench() as bench:
        yield bench


def test_a_case_that_lacks_a_class_is_never_read(own_bench: Bench) -> None:
    cls, plain = trainers.find("nnUNetTrainerCompleteCases"), trainers.find("nnUNetTrainer_2epochs")
    with own_bench.room(cls, Situation("labels", "2d", True)) as run:
        seed_everything(0)
        trainer = run.build()
        trainer.on_train_start()
        log = "".join(file.read_text() for file in Path(trainer.output_folder).glob("training_log*.txt"))
        assert "CompleteCases: 1 of 2 training cases lack a class and are left out" in log
        drawn = {case for _ in range(8) for case in next(trainer.dataloader_train)["keys"]}
        assert drawn == set(trainer.do_split()[0])
        assert WITHOUT_CORE not in drawn
        validation = trainer.do_split()[1]
        table = {case: ["organ"] for case in trainer.do_split()[0]} | {WITHOUT_CORE: ["organ"]}
        table |= {case: ["organ", "core"] for case in validation}
        (run.data.raw / annotated_classes.FILE).write_text(json.dumps(table))
        with pytest.raises(ValueError, match="leaves no training case in fold 0"):
            trainer.do_split()
    with own_bench.room(plain, Situation("labels", "2d", True)) as run:
        assert run.build().do_split()[1] == validation
