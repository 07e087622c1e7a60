import math
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.comparison.curves import curve


def lines(first: int, dice: list[float]) -> str:
    """What nnU-Net's trainer writes, by its own formatting of arrays."""
    text = ""
    for number, value in enumerate(dice, first):
        text += (
            f"2026-01-01 00:00:00.000001: \n2026-01-01 00:00:00.000002: Epoch {number} \n"
            "2026-01-01 00:00:00.000003: Current learning rate: 0.01 \n"
            f"2026-01-01 00:00:01.000000: train_loss {np.round(np.float32(-value), decimals=4)} \n"
            f"2026-01-01 00:00:01.000000: val_loss {np.round(np.float32(-value / 2), decimals=4)} \n"
            f"2026-01-01 00:00:01.000000: Pseudo dice {[np.float32(value), np.float32('nan')]} \n"
            "2026-01-01 00:00:01.000000: Epoch time: 1.0 s \n"
        )
    return text


def test_epochs_that_were_trained_again_count_as_trained_last(tmp_path: Path) -> None:
    # By name the second log stands before the first: nnU-Net does not pad its numbers.
    (tmp_path / "training_log_2026_1_9_00_00_00.txt").write_text(lines(0, [0.1, 0.2]))
    (tmp_path / "training_log_2026_1_10_00_00_00.txt").write_text(lines(1, [0.3, 0.4]))
    epochs = curve(tmp_path)
    assert [epoch.number for epoch in epochs] == [0, 1, 2]
    assert [epoch.dice for epoch in epochs] == pytest.approx([0.1, 0.3, 0.4])
    assert [epoch.train for epoch in epochs] == pytest.approx([-0.1, -0.3, -0.4])
    assert [epoch.validation for epoch in epochs] == pytest.approx([-0.05, -0.15, -0.2])


def test_logs_that_say_nothing(tmp_path: Path) -> None:
    assert curve(tmp_path) == []
    (tmp_path / "training_log_2026_1_1_0_0_0.txt").write_bytes(b"\xff\n2026-01-01 00:00:00.1: Epoch 0\n")
    assert curve(tmp_path) == []
    (tmp_path / "training_log_2026_1_1_0_0_0.txt").write_text(
        "2026-01-01 00:00:00.1: Epoch 0\n2026-01-01 00:00:00.1: train_loss nan\n"
    )
    (epoch,) = curve(tmp_path)
    assert math.isnan(epoch.train)
    assert math.isnan(epoch.dice)
