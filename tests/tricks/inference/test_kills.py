"""Commands that are killed by the system in the middle of their work, and go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.cli import main
from tests.tricks.inference.test_predict import Model

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")

PREDICTED, COMBINED = 8, 60
"""Numbers of cases. An ensemble takes so little time for one that it needs many, or it ends before it is killed."""

ENDINGS = (".png", ".npz", ".pkl")
PATIENCE = 300.0


@pytest.fixture(scope="module")
def images(slices: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    unseen = sorted(slices[1].iterdir())
    for number in range(PREDICTED):
        shutil.copy(unseen[number % len(unseen)], folder / f"case_{number:02d}_0000.png")
    return folder


def kill_in_the_middle(words: list[str], out: Path) -> dict[str, int]:
    """Kill a command when it has finished some cases and is writing another.

    Returns:
        The segmentations that are there, with their times.
    """
    process = subprocess.Popen([sys.executable, "-m", "nnunet_tricks.cli", *words], cwd=out.parent)
    end = time.monotonic() + PATIENCE
    while len(list(out.glob("case_*.png"))) < 2 or not list(out.glob(".case_*")):
        assert process.poll() is None, "it has ended before it was killed"
        assert time.monotonic() < end
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return {file.name: file.stat().st_mtime_ns for file in out.glob("case_*.png")}


def check(words: list[str], flag: str, others: list[str], out: Path, whole: Path) -> None:
    """Kill a command, look at what it leaves, and let it go on.

    Args:
        words: The command.
        flag: Flag with which it goes on.
        others: Other settings.
        out: Its output folder.
        whole: What the command makes if nobody kills it.
    """
    finished = kill_in_the_middle(words, out)
    expected = [file.name for file in whole.glob("case_*.png")]
    assert 2 <= len(finished) < len(expected)
    same(out, whole, list(finished))
    before = {file.name: file.stat().st_mtime_ns for file in out.iterdir()}
    assert main([*words, flag, *others]) == 2
    assert main(words) == 2
    assert {file.name: file.stat().st_mtime_ns for file in out.iterdir()} == before

    assert main([*words, flag]) == 0
    assert {name: (out / name).stat().st_mtime_ns for name in finished} == finished
    assert not list(out.glob(".*"))
    same(out, whole, expected)


def same(out: Path, whole: Path, names: list[str]) -> None:
    for name in names:
        assert (out / name).read_bytes() == (whole / name).read_bytes()
        stored, expected = (np.load((folder / name).with_suffix(".npz"))["probabilities"] for folder in (out, whole))
        assert np.array_equal(stored, expected)
        assert (out / name).with_suffix(".pkl").is_file()


@pytest.fixture(scope="module")
def predicted(slices: Model, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is predicted if nobody kills the command."""
    out = tmp_path_factory.mktemp("predicted") / "out"
    assert main(predict(slices, images, out)) == 0
    return out


def predict(slices: Model, images: Path, out: Path) -> list[str]:
    words = ["predict", "-i", str(images), "-o", str(out), "-m", str(slices[0]), "-f", "0", "--tta", "none"]
    return [*words, "--save_probabilities", "-device", "cpu", "-npp", "0", "-nps", "0", "--disable_progress_bar"]


def test_a_killed_prediction_goes_on(slices: Model, images: Path, predicted: Path, tmp_path: Path) -> None:
    words = predict(slices, images, tmp_path / "out")
    check(words, "--continue_prediction", ["--step", "0.3"], tmp_path / "out", predicted)


def test_a_killed_ensemble_goes_on(predicted: Path, tmp_path: Path) -> None:
    members = [tmp_path / "first", tmp_path / "second"]
    for member in members:
        member.mkdir()
        for name in ("dataset.json", "plans.json"):
            shutil.copy(predicted / name, member)
    for number in range(COMBINED):
        source = predicted / f"case_{number % PREDICTED:02d}"
        for member in members:
            for ending in ENDINGS:
                shutil.copy(source.with_suffix(ending), member / f"case_{number:02d}{ending}")
        probabilities = np.load(source.with_suffix(".npz"))["probabilities"]
        np.savez_compressed(members[1] / f"case_{number:02d}.npz", probabilities=probabilities[..., ::-1])
    words = ["ensemble", "-i", *map(str, members), "--save_probabilities", "--disable_progress_bar", "-o"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    out = tmp_path / "out"
    check([*words, str(out)], "--continue_ensemble", ["--weights", "1", "2"], out, tmp_path / "whole")
