"""Planted faults that neither crash nor show in the log: each is named by what is wrong."""

from __future__ import annotations

import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerTopkLoss import nnUNetTrainerTopk10Loss

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.outcome import ConformanceReport
from nnunet_tricks.conformance.steps import STEPS
from tests.conformance import planted_learning as planted

LABELS = Situation("labels", "2d", True)
FLAT = Situation("labels", "2d", False)
IGNORE = Situation("labels+ignore", "2d", True)
REGIONS = Situation("regions", "2d", False)
IGNORED_REGIONS = Situation("regions+ignore", "3d", True)
SLOW = ("bfloat16", "compile")
"""Steps that see none of these faults."""


def check(bench: Bench, trainer: type[nnUNetTrainer], situation: Situation, *, until: str = "") -> ConformanceReport:
    steps = [step for step in STEPS if step not in SLOW]
    return bench.check(trainer, situation, steps=tuple(steps[: steps.index(until) + 1] if until else steps))


@pytest.mark.parametrize(
    ("trainer", "situation", "step", "reason"),
    [
        (planted.nnUNetTrainerIgnoredIsBackground, IGNORE, "ignored", "nobody annotated count: other predictions"),
        (planted.nnUNetTrainerIgnoredRegionsCount, IGNORED_REGIONS, "ignored", "other predictions there change"),
        (planted.nnUNetTrainerLearnsFromIgnored, IGNORE, "ignored", "the loss has a gradient there"),
        (planted.nnUNetTrainerIgnoredInTheDenominator, IGNORE, "ignored", "with as many of them it is"),
        (
            nnUNetTrainerTopk10Loss,
            Situation("labels+ignore", "3d", True),
            "ignored",
            "TopKLoss counts voxels that nobody",
        ),
        (planted.nnUNetTrainerTimesZero, LABELS, "train steps", "every gradient is 0"),
        (planted.nnUNetTrainerTimesZero, LABELS, "loss", "the loss is 0 where the truth is predicted, and 0 where"),
        (planted.nnUNetTrainerZeroGradient, REGIONS, "train steps", "every gradient is 0"),
        (planted.nnUNetTrainerZeroGradient, REGIONS, "loss", "the gradient of the loss is 0 everywhere"),
        (planted.nnUNetTrainerNegatedLoss, LABELS, "loss", "where the opposite is predicted"),
        (planted.nnUNetTrainerNegatedLoss, IGNORED_REGIONS, "loss", "where the opposite is predicted"),
        (planted.nnUNetTrainerNegatedGradient, FLAT, "loss", "against its own gradient the loss grows"),
        (planted.nnUNetTrainerMissesAClass, LABELS, "loss", "does not notice that class 1 is taken for class 2"),
        (planted.nnUNetTrainerMissesARegion, REGIONS, "loss", "does not notice that region 2 is missed"),
        (
            planted.nnUNetTrainerSwapsClasses,
            Situation("labels", "3d", True),
            "loss",
            "channels 1 and 2 are taken for each other",
        ),
        (planted.nnUNetTrainerFirstImageOnly, FLAT, "loss", "does not notice image 2 of the batch"),
        (planted.nnUNetTrainerLowerLevelsOnly, LABELS, "loss", "the output at full size has no gradient"),
        (planted.nnUNetTrainerNegatedStep, FLAT, "train steps", "goes against the gradient of self.loss"),
        (planted.nnUNetTrainerUphill, LABELS, "train steps", "steps along the gradient, not against it"),
        (planted.nnUNetTrainerOptimizesACopy, FLAT, "train steps", "left every weight as it was"),
        (planted.nnUNetTrainerTrainsOnAll, FLAT, "train steps", "trains on case_2, which the split keeps"),
        (planted.nnUNetTrainerLambda, FLAT, "pickle", "the training loader cannot be pickled"),
        (planted.nnUNetTrainerLambdaInValidation, FLAT, "pickle", "the validation loader cannot be pickled"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value) if isinstance(value, Situation) else "",
)
def test_what_is_wrong_in_training_is_named(
    bench: Bench, trainer: type[nnUNetTrainer], situation: Situation, step: str, reason: str
) -> None:
    report = check(bench, trainer, situation, until="ignored")
    assert reason in {outcome.step: outcome.reason for outcome in report.failures}[step]
    assert all("\n" not in outcome.reason for outcome in report.failures)
    # Somebody's own loss has nothing to do with our tricks.
    assert all("SparseSlices" not in outcome.reason for outcome in report.failures)


@pytest.mark.parametrize(
    ("trainer", "situation", "step", "reason"),
    [
        (planted.nnUNetTrainerNoisyPrediction, LABELS, "predict", "predicts the same image twice with different"),
        (planted.nnUNetTrainerDropoutForEver, FLAT, "predict", "predicts the same image twice with different"),
        (planted.nnUNetTrainerSoftmaxInside, LABELS, "predict", "a softmax or sigmoid is in it"),
        (planted.nnUNetTrainerSigmoidInside, REGIONS, "predict", "a softmax or sigmoid is in it"),
        (planted.nnUNetTrainerOtherActivation, LABELS, "predict", "prediction builds another network"),
        (planted.nnUNetTrainerScheduleAnew, FLAT, "--c", "the learning rate of epoch 1 is 0.01 after --c and 0.00999"),
        (planted.nnUNetTrainerNoRate, FLAT, "epochs", "the learning rate was 0 in all of 2 epochs"),
        (planted.nnUNetTrainerForgetfulLoss, LABELS, "--c", "the training loss of epoch 1 is"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_is_wrong_after_training_is_named(
    bench: Bench, trainer: type[nnUNetTrainer], situation: Situation, step: str, reason: str
) -> None:
    reasons = {outcome.step: outcome.reason for outcome in check(bench, trainer, situation).failures}
    assert set(reasons) == {step}
    assert reason in reasons[step]


@pytest.mark.parametrize(
    "trainer",
    [
        planted.nnUNetTrainerNamedTransform,
        planted.nnUNetTrainerEverySecondStep,
        planted.nnUNetTrainerClearsGradients,
        planted.nnUNetTrainerAveraged,
    ],
)
def test_what_is_unusual_is_no_fault(bench: Bench, trainer: type[nnUNetTrainer]) -> None:
    assert check(bench, trainer, FLAT).explain() == []
