"""Colleagues who have nnU-Net and nothing else predict what we predict, voxel for voxel."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import SimpleITK

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.tiny_data import UNSEEN_CASE
from nnunet_tricks.export.write import export
from tests.door.conftest import libraries, make  # noqa: F401, fixtures: environments with or without us
from tests.door.environments import Environment, Maker
from tests.export.conftest import TRAINER
from tests.test_command_line_runs import COMMAND


def predict(environment: Environment, images: Path, model: Path, out: Path) -> subprocess.CompletedProcess[str]:
    words = ["-i", images, "-o", out, "-m", model, "-f", 0, "-device", "cpu", "-npp", 1, "-nps", 1]
    command = ["-c", COMMAND, "nnUNetv2_predict_from_modelfolder", *words, "--save_probabilities"]
    return environment.run(*command, nnUNet_def_n_proc="1", OMP_WAIT_POLICY="PASSIVE")


def test_stock_nnunet_predicts_the_same(bench: Bench, volumes: Path, make: Maker, tmp_path: Path) -> None:  # noqa: F811
    images = bench.data("regions", flat=False).raw / "imagesTs"
    plain, linked = make(tricks=False), make()
    assert plain.run("-c", "import nnunet_tricks").returncode == 1
    assert linked.tricks("link").returncode == 0
    export(volumes, tmp_path / "exported")

    refused = predict(plain, images, volumes, tmp_path / "refused")
    assert f"Could not find requested nnunet trainer {TRAINER}" in refused.stderr
    for environment, model, name in ((linked, volumes, "ours"), (plain, tmp_path / "exported", "theirs")):
        done = predict(environment, images, model, tmp_path / name)
        assert done.returncode == 0, done.stderr

    ours, theirs = (SimpleITK.ReadImage(tmp_path / name / f"{UNSEEN_CASE}.nii.gz") for name in ("ours", "theirs"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(ours), SimpleITK.GetArrayFromImage(theirs))
    ours, theirs = (np.load(tmp_path / name / f"{UNSEEN_CASE}.npz")["probabilities"] for name in ("ours", "theirs"))
    assert np.ptp(ours) > 0
    assert np.array_equal(ours, theirs)
