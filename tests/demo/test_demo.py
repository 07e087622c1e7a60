"""One real demo, with nnU-Net's own commands: interrupted, taken up again, finished, looked at."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = """
import argparse, sys
from nnunet_tricks.commands import demo
parser = argparse.ArgumentParser()
demo.add_arguments(parser)
sys.exit(demo.run(parser.parse_args()))
"""


def _demo(*words: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_from_nothing_to_a_comparison(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.mkdir()
    environment = {**os.environ, **{f"nnUNet_{name}": str(users) for name in ("raw", "preprocessed", "results")}}
    out = tmp_path / "demo"
    words = ("--quick", "-tr", "nnUNetTrainerTversky", "--device", "cpu", "--out", str(out))

    interrupted = _demo(*words, environment=environment)
    _wait_for(out / "logs" / "plan_and_preprocess.txt", interrupted)
    interrupted.send_signal(signal.SIGTERM)
    interrupted.communicate(timeout=60)
    assert interrupted.returncode == 128 + signal.SIGTERM
    phantoms = {path: path.stat().st_mtime_ns for path in (out / "raw").rglob("*")}
    assert list(json.loads((out / "demo.json").read_text())["seconds"]) == ["make phantoms"]

    resumed = _demo(*words, environment=environment)
    table, progress = resumed.communicate(timeout=900)
    assert resumed.returncode == 0, progress
    assert {path: path.stat().st_mtime_ns for path in (out / "raw").rglob("*")} == phantoms
    assert list(users.iterdir()) == []
    assert "[1/6] plan and preprocess" in progress
    rows = [line.split() for line in table.splitlines()]
    assert [row[:2] for row in rows if row and row[0] in {"kidney", "tumour"}] == [
        [name, trainer]
        for name in ("kidney", "tumour")
        for trainer in ("nnUNetTrainer_1epochs", "nnUNetTrainerTversky_1epochs")
    ]
    picture = Image.open(out / "comparison.png")
    assert min(picture.size) > 300
    assert np.asarray(picture).std() > 10

    again = _demo(*words, "--json", environment=environment)
    result, progress = again.communicate(timeout=100)
    assert again.returncode == 0, progress
    assert progress == ""
    scores = json.loads(result)["scores"]
    # One epoch suffices to find the kidneys, if not always for nnU-Net's own loss.
    assert scores["nnUNetTrainerTversky_1epochs"]["kidney"]["Dice"] > 0.1


def _wait_for(file: Path, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 120
    while not file.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(1)
