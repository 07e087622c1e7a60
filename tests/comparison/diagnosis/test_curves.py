"""Symptoms of curves, on logs that are drawn at random in nnU-Net's format."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.comparison import curves as means
from nnunet_tricks.comparison.diagnosis import curves, loading, symptom, whole_images, zeros
from nnunet_tricks.comparison.diagnosis.diagnose import joined
from nnunet_tricks.comparison.diagnosis.finding import Finding
from nnunet_tricks.comparison.diagnosis.rate import RATE_TOO_LARGE
from nnunet_tricks.comparison.diagnosis.training import ClassScore, Training
from nnunet_tricks.nnunet import training_log
from nnunet_tricks.nnunet.training_log import LoggedEpoch, LoggedTraining

NUMBERS = st.one_of(st.just(math.nan), st.floats(-2, 1e5).map(lambda number: float(np.round(number, 4))))
DICE = st.one_of(st.just(math.nan), st.just(0.0), st.floats(0, 1).map(lambda number: float(np.round(number, 4))))
EPOCHS = st.lists(
    st.tuples(st.floats(1e-5, 10), NUMBERS, NUMBERS, st.lists(DICE, min_size=3, max_size=3), st.floats(0.1, 1e4)),
    max_size=12,
)


def written(epochs: list[tuple[float, float, float, list[float], float]]) -> list[str]:
    """What nnU-Net's trainer writes, by its own formatting."""
    lines: list[str] = []
    for number, (rate, train, validation, dice, seconds) in enumerate(epochs):
        rounded = [np.round(np.float32(value), decimals=4) for value in dice]
        lines += [
            "",
            f"Epoch {number}",
            f"Current learning rate: {np.round(rate, decimals=5)}",
            f"train_loss {np.round(np.float64(train), decimals=4)}",
            f"val_loss {np.round(np.float64(validation), decimals=4)}",
            f"Pseudo dice {rounded}",
            f"Epoch time: {np.round(seconds, decimals=2)} s",
        ]
    return [f"2026-01-01 00:00:00.000001: {line} " for line in lines]


def same(read: float, noted: float) -> bool:
    return bool(np.isclose(read, noted, rtol=1e-6, atol=1e-5, equal_nan=True))


def training(epochs: tuple[LoggedEpoch, ...], **settings: str) -> Training:
    return Training(Path("model/fold_0"), LoggedTraining(epochs), names=("a", "b", "c"), settings=settings)


@given(EPOCHS)
def test_every_number_of_a_log_is_read(epochs: list[tuple[float, float, float, list[float], float]]) -> None:
    log = training_log.read(written(epochs)).epochs
    assert [epoch.number for epoch in log] == [*range(len(epochs))]
    for read, (rate, train, validation, dice, _) in zip(log, epochs, strict=True):
        assert same(read.rate, round(rate, 5))
        assert same(read.train, train)
        assert same(read.validation, validation)
        assert all(map(same, read.dice, dice))
    for mean, epoch in zip(means.read(written(epochs)), log, strict=True):
        defined = [value for value in epoch.dice if not math.isnan(value)]
        assert same(mean.dice, float(np.mean(defined)) if defined else math.nan)


@given(EPOCHS)
def test_any_log_can_be_looked_at(epochs: list[tuple[float, float, float, list[float], float]]) -> None:
    trained = training(training_log.read(written(epochs)).epochs)
    for finding in joined([], list(curves.symptoms(trained, None))):
        assert finding.symptom
        assert finding.seen
        assert finding.epoch is None or 0 <= finding.epoch < len(epochs)


@given(st.lists(st.text(max_size=60), max_size=20))
def test_any_text_can_be_read(lines: list[str]) -> None:
    assert training_log.read(lines).epochs == ()


@given(st.integers(3, 30), st.integers(3, 30), st.floats(0.2, 1))
def test_a_class_that_falls_to_0_is_named_with_its_epoch(before: int, after: int, dice: float) -> None:
    values = [dice] * before + [0.0] * after
    epochs = tuple(
        LoggedEpoch(number, 0.009, -0.5, -0.5, (0.8, value, 0.8), 9.0) for number, value in enumerate(values)
    )
    (finding,) = joined([], list(curves.symptoms(training(epochs), None)))
    assert (finding.symptom, finding.classes, finding.epoch) == (symptom.FALLS_TO_0, ("b",), before)
    assert "learning rate 0.009" in finding.seen[0]


@given(st.integers(1, 20), st.sampled_from([math.nan, math.inf]), st.floats(1e-4, 10))
def test_the_first_loss_that_is_no_number_is_named(epoch: int, value: float, rate: float) -> None:
    losses = [-0.3] * epoch + [value] * 3
    epochs = tuple(LoggedEpoch(number, rate, loss, -0.3, (0.5, 0.5, 0.5), 9.0) for number, loss in enumerate(losses))
    (finding,) = joined([], list(curves.symptoms(training(epochs), None)))
    assert (finding.symptom, finding.epoch) == (symptom.LOSS_NAN, epoch)
    assert (finding.cause == RATE_TOO_LARGE) == (rate > 0.1)


@given(st.lists(st.floats(0.3, 0.95), min_size=6, max_size=200), st.floats(0.001, 0.02))
def test_a_training_that_learns_has_no_findings(rises: list[float], rate: float) -> None:
    count = len(rises)
    dice = sorted(rises)
    epochs = tuple(
        LoggedEpoch(n, rate * (1 - n / count) ** 0.9, 0.5 - value, 0.5 - value, (value,) * 3, 9.0)
        for n, value in enumerate(dice)
    )
    assert joined([], list(curves.symptoms(training(epochs), None))) == []


def test_a_loss_that_is_content_without_a_class() -> None:
    settings = {"loss": "DeepSupervisionWrapper((loss): DC_and_CE_loss())"}
    epochs = tuple(LoggedEpoch(n, 0.008, -0.8, -0.8, (0.9, 0.0, 0.9), 9.0) for n in range(10))
    (finding,) = joined([], list(curves.symptoms(training(epochs, **settings), None)))
    assert finding.cause == zeros.PATCHES_WITHOUT
    assert any("lower than -0.67" in sentence for sentence in finding.seen)


def test_a_validation_that_is_worse_only_because_cases_are_averaged() -> None:
    epochs = tuple(LoggedEpoch(n, 0.001, -0.8, -0.8, (0.9, 0.9, 0.9), 9.0) for n in range(10))
    trained = training(epochs)
    for score, cause in [
        (ClassScore(0.5, 9000, 500, 500), whole_images.SMALL_CASES),
        (ClassScore(0.5, 900, 1800, 10), whole_images.FALSE_ALARMS),
        (ClassScore(0.5, 900, 10, 1800), whole_images.MISSES),
    ]:
        scored = Training(trained.folder, trained.log, names=trained.names, scores={"a": score})
        assert [finding.cause for finding in joined([], list(curves.symptoms(scored, None)))] == [cause]


def test_a_cause_explains_only_its_own_classes() -> None:
    fault = Finding("class missing from the fold", symptom.STAYS_AT_0, "certain", ("counted",), (), classes=("a",))
    epochs = tuple(LoggedEpoch(n, 0.008, 0.1, 0.1, (0.0, 0.0, 0.9), 9.0) for n in range(10))
    found = joined([fault], list(curves.symptoms(training(epochs), None)))
    assert [(finding.cause, finding.classes) for finding in found] == [
        ("class missing from the fold", ("a",)),
        (zeros.TOO_FEW, ("b",)),
    ]
    assert len(found[0].seen) == 3


@given(st.lists(st.integers(1, 40), min_size=3, max_size=3), st.lists(st.integers(2, 20), min_size=2, max_size=3))
def test_windows_are_those_of_nnunet(image: list[int], patch: list[int]) -> None:
    from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window

    padded = [max(size, window) for size, window in zip(image[-len(patch) :], patch, strict=True)]
    steps = compute_steps_for_sliding_window(padded, patch, loading.OVERLAP)
    expected = math.prod(map(len, steps)) * math.prod(image[: 3 - len(patch)])
    assert loading.windows(image, patch) == expected
