"""Whole patches of nnU-Net's augmentation, to the last bit, with the installed batchgeneratorsv2 and the oldest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_tricks.nnunet import patches
from tests.checkout import import_folder
from tests.training.resampling.whole_augmentation import KINDS, compared

OLDEST = "0.3.2"
"""The oldest release that nnU-Net 2.7 allows."""

OURS = {"ExactBlurTransform", "ExactRemovalTransform", "ExactLevelsTransform"}


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_installed_release_patches_are_the_same(kind: str) -> None:
    with patches.unmeasured_blur():
        assert compared(kind) >= OURS


def test_with_the_oldest_release_patches_are_the_same(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--retries", "0", "--timeout", "10"]
    wanted = f"batchgeneratorsv2=={OLDEST}"
    target = tmp_path / "oldest"
    installed = subprocess.run([*pip, "--target", target, wanted], capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"pip does not get {wanted}: {installed.stderr.strip().splitlines()[-1:]}")
    path = os.pathsep.join([str(target), str(import_folder(tmp_path))])
    program = [sys.executable, "-m", "tests.training.resampling.whole_augmentation"]
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" ") for line in done.stdout.splitlines()]
    assert [row[:2] for row in rows] == [[OLDEST, "MaskedSpatialTransform"]] * len(KINDS)
    assert all(set(row) >= OURS for row in rows)
