"""The harness finds what it is there to find, says it plainly, and finds nothing where there is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerDiceLoss import nnUNetTrainerDiceLoss
from nnunetv2.training.nnUNetTrainer.variants.network_architecture.nnUNetTrainerNoDeepSupervision import (
    nnUNetTrainerNoDeepSupervision,
)

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import FULL_GRID, Situation, pairwise
from nnunet_tricks.conformance.outcome import ConformanceReport, Status
from nnunet_tricks.conformance.steps import OF_PRETEXT, STEPS
from tests.conformance import planted

PLAIN = Situation("labels", "2d", True)


def failed(report: ConformanceReport) -> dict[str, str]:
    return {outcome.step: outcome.reason for outcome in report.failures}


SELECTED = pairwise()


@pytest.mark.parametrize(
    "situation", [pytest.param(s, marks=[] if s in SELECTED else pytest.mark.slow) for s in FULL_GRID], ids=str
)
def test_stock_nnunet_holds_everywhere(bench: Bench, situation: Situation) -> None:
    report = bench.check(nnUNetTrainer, situation)
    assert report.explain() == []
    skipped = {outcome.step for outcome in report.outcomes if outcome.status is Status.NOT_APPLICABLE}
    assert skipped == OF_PRETEXT | ({"first stage"} if situation.dimension != "cascade" else set()) | (
        set() if situation.ignore else {"ignored"}
    )


@pytest.mark.parametrize(
    ("trainer", "situation", "step", "reason"),
    [
        (planted.nnUNetTrainerNothingAnnotated, Situation("labels+ignore", "2d", True), "ignored", "loss is nan"),
        (planted.nnUNetTrainerNothingAnnotated, Situation("labels+ignore", "3d", False), "ignored", "loss is nan"),
        (planted.nnUNetTrainerNothingThere, PLAIN, "background", "loss is nan"),
        (planted.nnUNetTrainerNoRegions, Situation("regions", "2d", True), "train steps", "out of bounds"),
        (planted.nnUNetTrainerInfiniteGradient, PLAIN, "train steps", "gradient of"),
        (planted.nnUNetTrainerDetached, PLAIN, "train steps", "does not require grad"),
        (planted.nnUNetTrainerNumpy, PLAIN, "bfloat16", "BFloat16"),
        (planted.nnUNetTrainerHalf, PLAIN, "bfloat16", "under bfloat16 autocast is"),
        (planted.nnUNetTrainerOtherWhenCompiled, PLAIN, "compile", "the compiled loss is"),
        (
            planted.nnUNetTrainerWrongWithoutSupervision,
            Situation("labels", "2d", False),
            "train steps",
            "tuple or list",
        ),
        (planted.nnUNetTrainerExtraArgument, PLAIN, "build", "KeyError: 'alpha'"),
        (planted.nnUNetTrainerInstanceNetwork, PLAIN, "predict", "missing 1 required positional argument"),
        (planted.nnUNetTrainerForgottenMirroring, PLAIN, "build", "set self.inference_allowed_mirroring_axes"),
        (planted.nnUNetTrainerRaisingProperty, PLAIN, "build", "attribute 'schedule' raises NotImplementedError"),
        (planted.nnUNetTrainerOtherName, PLAIN, "epochs", "names the trainer 'nnUNetTrainer'"),
        (planted.nnUNetTrainerForgetsMomentum, PLAIN, "--c", "the optimizer state after continuing"),
        (planted.nnUNetTrainerNoValidation, PLAIN, "--val", "no summary.json"),
        (
            planted.nnUNetTrainerNoValidation,
            Situation("labels", "cascade", True),
            "first stage",
            "no prediction of case_0",
        ),
        (nnUNetTrainerDiceLoss, Situation("labels+ignore", "2d", False), "train steps", "index 3 is out of bounds"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value) if isinstance(value, Situation) else "",
)
def test_a_planted_fault_is_found(
    bench: Bench, trainer: type[nnUNetTrainer], situation: Situation, step: str, reason: str
) -> None:
    faults = failed(bench.check(trainer, situation))
    assert reason in faults[step]
    assert "\n" not in faults[step]


@pytest.mark.parametrize(
    ("trainer", "situation"),
    [
        (planted.nnUNetTrainerNothingAnnotated, PLAIN),
        (planted.nnUNetTrainerNoRegions, PLAIN),
        (planted.nnUNetTrainerWrongWithoutSupervision, PLAIN),
        (planted.nnUNetTrainerNoTestTimeMirroring, PLAIN),
        (nnUNetTrainerDiceLoss, PLAIN),
    ],
)
def test_a_fault_is_not_seen_where_it_is_not(bench: Bench, trainer: type[nnUNetTrainer], situation: Situation) -> None:
    assert failed(bench.check(trainer, situation)) == {}


def test_a_fault_in_one_step_is_not_blamed_on_the_next(bench: Bench) -> None:
    """Weights that are not a number any more would fail everything that follows."""
    faults = failed(bench.check(planted.nnUNetTrainerNothingAnnotated, Situation("labels+ignore", "2d", True)))
    assert set(faults) == {"ignored"}


def test_what_cannot_be_reached_says_why(bench: Bench) -> None:
    report = bench.check(planted.nnUNetTrainerRaisingProperty, PLAIN)
    unreached = [o for o in report.outcomes if o.status is Status.NOT_APPLICABLE and o.step != "first stage"]
    assert [o.step for o in unreached] == [step for step in STEPS if step not in ("first stage", "build")]
    assert {o.reason for o in unreached} == {"not reached: build"}


def test_a_trainer_without_deep_supervision_is_not_asked_for_it(bench: Bench) -> None:
    report = bench.check(nnUNetTrainerNoDeepSupervision, PLAIN)
    assert {outcome.status for outcome in report.outcomes} == {Status.NOT_APPLICABLE}
    assert report.outcomes[-1].reason == "the trainer itself switches deep supervision off"


def logs(folder: Path) -> str:
    """All logs below a folder. nnU-Net begins another one in each second in which a trainer is built."""
    return "\n".join(file.read_text() for file in sorted(folder.rglob("training_log_*.txt")))


def test_the_trainer_may_say_how_long_its_schedule_is(bench: Bench) -> None:
    """The harness stops trainings early, and must not shorten the schedule by it."""
    with bench.room(nnUNetTrainer, PLAIN) as run:
        run.build()
        STEPS["epochs"](run)
        checkpoint = next(run.folder.rglob("checkpoint_final.pth"))
        assert checkpoint.is_file()
        assert "Current learning rate: 0.01" in logs(run.folder)
        STEPS["--c"](run)
        rates = logs(run.folder).splitlines()
    assert any("Current learning rate: 0.00999" in line for line in rates)
