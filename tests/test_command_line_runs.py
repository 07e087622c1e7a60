"""nnU-Net's own commands with our trainers, as users type them: linked, and through ``nnUNet_extTrainer``.

The data are the tiny ones of the conformance harness, preprocessed once; what takes time is to start interpreters. The
environments' own copies of nnU-Net have shorter epochs. Planning is what the tests of the demo run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES, UNSEEN_CASE, TinyData
from nnunet_tricks.door.external import is_read
from tests.door.conftest import libraries, make  # noqa: F401, fixtures: environments with or without a link
from tests.door.environments import Environment, Maker

PATIENCE = 900
"""Seconds for one command on a very busy machine."""

LENGTHS = {"self.num_iterations_per_epoch = 250": 60, "self.num_val_iterations_per_epoch = 50": 10}
"""Lines of nnU-Net's trainer, and how long our epochs are: still long enough to be killed in the second one."""

COMMAND = """
import sys
from importlib.metadata import entry_points
name, *sys.argv[1:] = sys.argv[1:]
next(iter(entry_points(group="console_scripts", name=name))).load()()
"""

SHORTER = '''
import torch
from nnunet_tricks.door import trainers

class nnUNetTrainerOurs(trainers.find("nnUNetTrainerTverskyCE")):
    """A user's trainer on top of one of ours: a single step per epoch."""

    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = self.num_iterations_per_epoch = self.num_val_iterations_per_epoch = 1
'''


@dataclass(frozen=True)
class Setup:
    """nnU-Net's folders, and the environment whose commands work in them."""

    folder: Path
    environment: Environment
    external: str = ""

    def start(self, command: str, *words: object) -> subprocess.Popen[str]:
        """Start one of nnU-Net's commands."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("nnUNet_", "PYTHON"))}
        variables |= {f"nnUNet_{name}": str(self.folder / name) for name in ("raw", "preprocessed", "results")}
        variables |= {"nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        variables |= {"nnUNet_extTrainer": self.external} if self.external else {}
        return subprocess.Popen(
            [str(self.environment.python), "-u", "-c", COMMAND, command, *map(str, words)],
            cwd=self.environment.home,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str, *words: object) -> subprocess.CompletedProcess[str]:
        """Run one of nnU-Net's commands to its end."""
        process = self.start(command, *words)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess([command, *map(str, words)], process.returncode, out, err)

    def succeed(self, command: str, *words: object) -> str:
        """Run a command that must succeed, and return what it printed."""
        done = self.run(command, *words)
        assert done.returncode == 0, f"{done.args}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def train(self, data: TinyData, configuration: str, fold: object, trainer: str, *flags: str) -> str:
        return self.succeed("nnUNetv2_train", data.name, configuration, fold, "-tr", trainer, "-device", "cpu", *flags)

    def model(self, data: TinyData, trainer: str, configuration: str) -> Path:
        return self.folder / "results" / data.name / f"{trainer}__nnUNetPlans__{configuration}"

    def predict(self, data: TinyData, configuration: str, trainer: str) -> Path:
        out = self.folder / "predictions" / f"{trainer}_{configuration}"
        flags = ["-d", data.name, "-c", configuration, "-f", 0, "-tr", trainer, "-device", "cpu", "-npp", 1, "-nps", 1]
        self.succeed("nnUNetv2_predict", "-i", data.raw / "imagesTs", "-o", out, *flags)
        return out / f"{UNSEEN_CASE}{data.ending}"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("nnunet"))


def shortened(environment: Environment) -> Environment:
    """Give the environment's own copy of nnU-Net shorter epochs."""
    file = environment.site_packages / "nnunetv2" / "training" / "nnUNetTrainer" / "nnUNetTrainer.py"
    code = file.read_text()
    for line, number in LENGTHS.items():
        assert code.count(line) == 1
        code = code.replace(line, f"{line.partition('=')[0]}= {number}")
    file.write_text(code)
    return environment


@pytest.fixture(scope="module")
def linked(make: Maker, tiny: Bench) -> Setup:  # noqa: F811
    environment = shortened(make())
    done = environment.tricks("link")
    assert done.returncode == 0, done.stderr
    return Setup(tiny.folder, environment)


@pytest.fixture(scope="module")
def external(make: Maker, tiny: Bench, tmp_path_factory: pytest.TempPathFactory) -> Setup:  # noqa: F811
    """A user's own folder, then ours, as ``nnunet-tricks env`` says it."""
    if not is_read():
        pytest.skip("nnU-Net reads nnUNet_extTrainer since 2.8")
    environment = shortened(make())
    own = tmp_path_factory.mktemp("own_trainers")
    (own / "my_trainers.py").write_text(SHORTER)
    said = environment.tricks("env", nnUNet_extTrainer=str(own))
    assert said.returncode == 0, said.stderr
    line = f'{said.stdout}\nprintf %s "$nnUNet_extTrainer"'
    value = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    return Setup(tiny.folder, environment, value)


def checkpoint(model: Path, name: str = "checkpoint_final.pth", fold: int | str = 0) -> dict[str, object]:
    return torch.load(model / f"fold_{fold}" / name, map_location="cpu", weights_only=False)


def assert_prediction(file: Path, data: TinyData) -> None:
    """Legal labels, and the image's place in the world."""
    predicted = SimpleITK.ReadImage(str(file))
    image = SimpleITK.ReadImage(str(data.raw / "imagesTs" / f"{UNSEEN_CASE}_0000{data.ending}"))
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert np.allclose(getattr(predicted, what)(), getattr(image, what)()), what
    assert set(np.unique(SimpleITK.GetArrayFromImage(predicted)).tolist()) <= data.legal_labels


def test_linked_rgb_pictures_a_killed_training_continues_and_predicts(linked: Setup, tiny: Bench) -> None:
    data, trainer = tiny.data("labels", flat=True), "nnUNetTrainerTversky_2epochs"
    model = linked.model(data, trainer, "2d")
    process = linked.start("nnUNetv2_train", data.name, "2d", 0, "-tr", trainer, "-device", "cpu")
    started = time.monotonic()
    try:
        # nnU-Net writes this at the end of the first epoch; --c goes on from it where there is nothing later.
        while not (model / "fold_0" / "progress.png").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() - started < PATIENCE
            time.sleep(0.1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert checkpoint(model, "checkpoint_best.pth")["current_epoch"] == 1
    assert not (model / "fold_0" / "checkpoint_final.pth").exists()

    said = linked.train(data, "2d", 0, trainer, "--c")

    assert "Epoch 1\n" in said
    assert "Epoch 0\n" not in said
    assert "nnunet_tricks" in said
    assert "Tversky (alpha 0.3, beta 0.7" in said
    final = checkpoint(model)
    assert (final["current_epoch"], final["trainer_name"]) == (2, trainer)
    assert (model / "fold_0" / "validation" / "summary.json").is_file()
    assert_prediction(linked.predict(data, "2d", trainer), data)


def test_external_volumes_train_validate_again_and_predict(external: Setup, tiny: Bench) -> None:
    data, trainer = tiny.data("regions+ignore", flat=False), "nnUNetTrainerDiceOHEM_NoDeepSupervision_1epochs"
    said = external.train(data, "3d_fullres", 0, trainer)
    assert "not found in nnunetv2.training.nnUNetTrainer" in said
    model = external.model(data, trainer, "3d_fullres")
    summary = model / "fold_0" / "validation" / "summary.json"
    dice = json.loads(summary.read_text())["foreground_mean"]["Dice"]
    assert 0 <= dice <= 1
    assert checkpoint(model)["trainer_name"] == trainer

    summary.unlink()
    external.train(data, "3d_fullres", 0, trainer, "--val")

    assert json.loads(summary.read_text())["foreground_mean"]["Dice"] == dice
    assert_prediction(external.predict(data, "3d_fullres", trainer), data)


def test_external_cascade_of_a_users_trainer_on_top_of_ours(external: Setup, tiny: Bench) -> None:
    data, trainer = tiny.data("labels", flat=False), "nnUNetTrainerOurs"
    second = external.model(data, trainer, "3d_cascade_fullres")
    predicted = external.model(data, trainer, "3d_lowres") / "predicted_next_stage" / "3d_cascade_fullres"

    refused = external.run("nnUNetv2_train", data.name, "3d_cascade_fullres", 0, "-tr", trainer, "-device", "cpu")
    assert refused.returncode != 0
    assert refused.stderr.strip().splitlines()[-1] == (
        "ValueError: 3d_cascade_fullres starts from what the same trainer predicts with 3d_lowres, and "
        f"{predicted} holds nothing for any case. No fold of the split keeps case_0 for validation (2 such cases), so "
        "that no first stage would predict it that has not learned from it: make a split in which each case is in the "
        f"'val' of one fold, and first train each fold: 'nnUNetv2_train {data.name} 3d_lowres 0 -tr {trainer} -p "
        "nnUNetPlans' and so on"
    )
    assert not second.exists()

    external.train(data, "3d_lowres", "all", trainer)
    assert {file.name.partition(".")[0] for file in predicted.iterdir()} == set(TRAINING_CASES)
    external.train(data, "3d_cascade_fullres", 0, trainer)
    assert checkpoint(second)["trainer_name"] == trainer
    assert (second / "fold_0" / "validation" / "summary.json").is_file()
