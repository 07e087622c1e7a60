"""Trainings on cases of which one lacks a class."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from nnunet_tricks.catalogue import naming
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import LABEL_MODES, Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES, WITHOUT_CORE
from nnunet_tricks.conformance.tiny_images import CORE
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet import annotated_classes
from nnunet_tricks.nnunet.annotated_classes import AnnotatedClasses
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.tricks.partial.summary import of_annotated

PICTURES = Situation("labels", "2d", True)


@pytest.fixture(scope="module")
def own_bench() -> Iterator[Bench]:
    """Data that these tests may change."""
    with Bench() as bench:
        yield bench


def room(bench: Bench, name: str, situation: Situation = PICTURES):
    cls = trainers.find(f"nnUNetTrainer{name}")
    assert cls is not None
    return bench.room(cls, situation)


def begun(run: Run):
    seed_everything(0)
    trainer = run.build()
    trainer.on_train_start()
    return trainer


def log_of(trainer) -> str:
    return "".join(file.read_text() for file in sorted(Path(trainer.output_folder).glob("training_log*.txt")))


def with_table(run: Run, content: object) -> None:
    (run.data.raw / annotated_classes.FILE).write_text(json.dumps(content))


@pytest.mark.parametrize("labels", LABEL_MODES)
def test_pseudo_dice_counts_no_false_alarm_where_nobody_knows(bench: Bench, labels: str) -> None:
    """A network that predicts the core everywhere has false alarms only in cases that are annotated for it."""
    with room(bench, "PartialLabels", Situation(labels, "2d", False)) as run:
        trainer = begun(run)
        batch = next(trainer.dataloader_val)
        shape = batch["data"].shape
        channels = trainer.label_manager.num_segmentation_heads
        logits = torch.full((len(batch["data"]), channels, *shape[2:]), -9.0)
        logits[:, -1] = 9
        trainer.network = lambda data: logits.clone()
        counts = {}
        for known in (True, False):
            target = batch["target"].clone()
            if labels.startswith("labels"):
                target[target == CORE] = 0  # a case that lacks a class has no voxel of it
            given = {**batch, "target": target, "keys": [TRAINING_CASES[2] if known else WITHOUT_CORE] * shape[0]}
            counts[known] = trainer.validation_step(given)
        core = -1
        assert counts[True]["fp_hard"][core] > 0
        assert counts[False]["fp_hard"][core] == 0
        # The other class is known in both.
        assert counts[True]["fn_hard"][0] == counts[False]["fn_hard"][0] > 0


def test_all_annotated_is_nnunets_training_bit_for_bit(own_bench: Bench) -> None:
    weights = []
    for name in ("PartialLabels", "_2epochs"):
        with room(own_bench, name) as run:
            kept = (run.data.raw / annotated_classes.FILE).read_text()
            with_table(run, {WITHOUT_CORE: ["organ", "core"]})
            trainer = begun(run)
            trainer.on_train_epoch_start()
            seed_everything(1)
            for _ in range(2):
                trainer.train_step(next(trainer.dataloader_train))
            weights.append(trainer.network.state_dict())
            if name == "PartialLabels":
                assert "PartialLabels changes nothing: no training case lacks a class" in log_of(trainer)
            (run.data.raw / annotated_classes.FILE).write_text(kept)
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_the_log_and_debug_json_say_what_is_known(own_bench: Bench) -> None:
    with room(own_bench, "PartialLabels") as run:
        trainer = begun(run)
        assert "of 2 training cases are annotated for organ 2, core 1" in log_of(trainer)
        debug = json.loads((Path(trainer.output_folder) / "debug.json").read_text())
        assert debug["annotated_sha256"] == trainer.annotated_classes.sha256
        copy = run.data.preprocessed / annotated_classes.FILE
        assert json.loads(copy.read_text()) == {WITHOUT_CORE: ["organ"]}


def test_a_changed_table_is_refused_when_continuing(own_bench: Bench) -> None:
    with room(own_bench, "PartialLabels") as run:
        begun(run)
        trainer = run.build()
        trainer.current_epoch = 1
        kept = (run.data.raw / annotated_classes.FILE).read_text()
        with_table(run, {})
        try:
            with pytest.raises(ValueError, match="not as it was when this training began"):
                trainer.on_train_start()
        finally:
            (run.data.raw / annotated_classes.FILE).write_text(kept)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({TRAINING_CASES[0]: ["organ"]}, r"case 'case_0' has \d+ voxels of core, which .* does not list"),
        ({"nobody": ["organ"]}, "names nobody"),
        ({TRAINING_CASES[0]: ["heart"]}, "annotated for heart"),
        ({case: ["core"] for case in TRAINING_CASES}, "no training case that is annotated for organ"),
    ],
)
def test_wrong_tables_are_refused_before_a_folder_is_made(own_bench: Bench, content: dict, words: str) -> None:
    with room(own_bench, "PartialLabels") as run:
        kept = (run.data.raw / annotated_classes.FILE).read_text()
        with_table(run, content)
        try:
            with pytest.raises(ValueError, match=words):
                run.build()
            assert not run.model_folder().exists()
        finally:
            (run.data.raw / annotated_classes.FILE).write_text(kept)


@pytest.mark.parametrize("mixing", ["MixUp", "CutMix", "CopyPaste", "GANAug"])
def test_tricks_that_mix_cases_are_refused(bench: Bench, mixing: str) -> None:
    name = str(naming.combine(mixing, "PartialLabels")).removeprefix("nnUNetTrainer")
    with room(bench, name) as run, pytest.raises(ValueError, match=f"{mixing} brings voxels of other cases"):
        run.build()


def test_exclusion_is_for_label_maps(bench: Bench) -> None:
    situation = Situation("regions", "2d", True)
    with room(bench, "PartialLabels_exclusion1", situation) as run, pytest.raises(ValueError, match="has regions"):
        run.build()


def test_class_balance_counts_a_class_where_it_is_annotated(bench: Bench) -> None:
    with room(bench, "WCE_PartialLabels") as partly, room(bench, "WCE") as plain:
        counts, theirs = partly.build().count_voxels(), plain.build().count_voxels()
    assert counts.annotated == theirs.annotated == sum(counts.voxels)
    assert counts.voxels[1] == theirs.voxels[1]
    # The core has its share of the first case in both.
    shapes = {"case_0": 36 * 40, WITHOUT_CORE: 28 * 40}
    assert counts.voxels[2] == round(theirs.voxels[2] / shapes["case_0"] * sum(shapes.values()))


def test_a_summary_leaves_out_what_is_not_annotated() -> None:
    classes = Classes.of({"labels": {"background": 0, "organ": 1, "core": 2}})
    table = AnnotatedClasses(Path("annotated.json"), classes, {"a": frozenset(["organ"])})
    cases = [
        {"reference_file": f"/x/{case}.nii.gz", "metrics": {1: {"Dice": organ}, 2: {"Dice": core}}}
        for case, organ, core in (("a", 0.5, 0.0), ("b", 0.7, 0.9))
    ]
    summary = {"metric_per_case": cases, "mean": {1: {"Dice": 0.6}, 2: {"Dice": 0.45}}, "foreground_mean": {"Dice": 0}}
    known = of_annotated(summary, table, ".nii.gz")
    assert np.isnan(known["metric_per_case"][0]["metrics"][2]["Dice"])
    assert known["mean"][2]["Dice"] == pytest.approx(0.9)
    assert known["foreground_mean"]["Dice"] == pytest.approx(0.75)
    assert summary["metric_per_case"][0]["metrics"][2]["Dice"] == 0
