"""The papers' bases: what they are made of, and that a table is redone by adding one trick."""

from __future__ import annotations

from pathlib import Path

import pytest
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.conformance.baseline import check_baseline
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy

BASES = [info for info in CATALOGUE if info.base]
CELL = Situation("labels", "2d", True)
HOOKS = {info.name: info.hooks for info in CATALOGUE}


def found(name: str) -> type[nnUNetTrainer]:
    trainer = trainers.find(f"nnUNetTrainer{name}")
    assert trainer is not None
    return trainer


@pytest.mark.parametrize("base", BASES, ids=lambda info: info.name)
def test_a_base_is_its_parts_bit_for_bit(bench: Bench, base) -> None:
    parts = found("_".join(base.parts))
    assert check_baseline(bench, found(base.name), (), base=parts, situation=CELL).explain() == []


@pytest.mark.parametrize("base", BASES, ids=lambda info: info.name)
def test_its_hooks_are_those_of_its_parts(base) -> None:
    parts = parse(f"nnUNetTrainer{'_'.join(base.parts)}")
    assert {hook for trick in parts.tricks for hook in trick.info.hooks} == set(base.hooks)


@pytest.mark.parametrize(
    "added",
    [
        "OHEM",
        "UniformDeepSupervision",
        "GTAugB",
        "Oversample",
        "InstanceNorm",
        "PolyLR",
        "Adam",
        "IFECurvature",
        "RandomErasing",
    ],
)
@pytest.mark.parametrize("base", ["MedISeg2D", "IFE2D"])
def test_one_trick_more_changes_what_it_claims_and_nothing_else(bench: Bench, base: str, added: str) -> None:
    trainer = found(f"{base}_{added}")
    hooks = HOOKS[added]
    assert check_baseline(bench, trainer, hooks, base=found(base), situation=CELL).explain() == []


def test_a_bare_base_has_none_of_nnunets_tricks(bench: Bench) -> None:
    with bench.room(found("MedISeg3D"), Situation("labels", "3d", False)) as run:
        trainer = run.build(untouched=True)
        trainer.on_train_start()
        batches = [next(trainer.dataloader_train) for _ in range(5)]
        log = Path(trainer.log_file).read_text()
    assert not trainer.enable_deep_supervision
    assert not isinstance(trainer.loss, DeepSupervisionWrapper)
    assert trainer.loss.loss is cross_entropy
    assert trainer.inference_allowed_mirroring_axes is None
    assert trainer.oversample_foreground_percent == 0
    assert all(batch["data"].shape[2:] == (6, 24, 24) for batch in batches)
    assert "MedISeg3D: CE (" in log
    assert "SGD (lr 0.01, momentum 0.9, decay 0.0001, nesterov False); ConstantLR; 1000 epochs" in log


def test_deep_supervision_comes_back_where_it_is_added(bench: Bench) -> None:
    with bench.room(found("MedISeg2D_UniformDeepSupervision"), CELL) as run:
        trainer = run.build(untouched=True)
    assert trainer.enable_deep_supervision
    assert isinstance(trainer.loss, DeepSupervisionWrapper)
    assert trainer.loss.loss.loss is cross_entropy


def test_two_bases_and_what_a_base_has_already_are_refused() -> None:
    for name in ("MedISeg2D_MedISeg3D", "MedISeg3D_BN", "MedISeg2D_NoDA", "IFE2D_StepLR_parts2"):
        with pytest.raises(IllegalName):
            parse(f"nnUNetTrainer{name}")
