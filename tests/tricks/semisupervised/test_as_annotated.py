"""Trainings on the old label maps of a data set with added labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnunet_tricks.annotation.raw_data import FORMAT, MANIFEST
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.sandbox import seed_everything

SITUATION = Situation("labels+ignore", "2d", True)


@pytest.fixture
def own_bench() -> Iterator[Bench]:
    """Data that a test may change."""
    with Bench() as bench:
        yield bench


def test_label_maps_with_added_labels_are_replaced_by_the_old_ones(own_bench: Bench) -> None:
    cls = trainers.find("nnUNetTrainerAsAnnotated")
    with own_bench.room(cls, SITUATION) as run:
        seed_everything(0)
        trainer = run.build()
        trainer.on_train_start()
        log = "".join(file.read_text() for file in Path(trainer.output_folder).glob("training_log*.txt"))
        assert "AsAnnotated changes nothing: 'annotate grow' has added no labels for fold 0" in log
        old, validation = trainer.do_split()
        entries: dict[str, dict[str, str]] = {case: {} for case in (*old, *validation)}
        entries |= {f"{case}_grown0": {"grown_from": case} for case in (*old, "unlabelled")}
        (run.data.raw / MANIFEST).write_text(json.dumps({"format": FORMAT, "cases": entries}))
        split = run.data.preprocessed / "splits_final.json"
        grown = [f"{case}_grown0" for case in (*old, "unlabelled")]
        split.write_text(json.dumps([{"train": grown, "val": validation}]))
        assert trainer.do_split() == (old, validation)
        assert list(trainer._notes()) == []
        log = "".join(file.read_text() for file in Path(trainer.output_folder).glob("training_log*.txt"))
        assert f"AsAnnotated: {len(old) + 1} of {len(old) + 1} training cases have added labels" in log
        assert "and 1 images without one are left out" in log
        with own_bench.room(trainers.find("nnUNetTrainer_2epochs"), SITUATION) as plain:
            assert plain.build().do_split()[0] == grown  # what the trick is compared with


def test_a_data_set_for_a_last_training_is_refused(own_bench: Bench) -> None:
    with own_bench.room(trainers.find("nnUNetTrainerAsAnnotated"), SITUATION) as run:
        entries = {"case_0": {"grown_from": "case_0"}}
        (run.data.raw / MANIFEST).write_text(json.dumps({"format": FORMAT, "cases": entries}))
        with pytest.raises(ValueError, match="was made by 'annotate grow --final' and has no old label maps"):
            run.build()
