"""Real trainings on real images under a real SLURM: jobs, a failure, a killed head process, and the local queue."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nnunet_tricks.experiment.record import Record

pytestmark = pytest.mark.slurm

CASES = 12
PATIENCE = 400.0
TRAINERS = '''
import os
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class nnUNetTrainerOneStep(nnUNetTrainer):
    """One step; writes down that it has begun, and fails once where it is told to."""

    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = self.num_iterations_per_epoch = self.num_val_iterations_per_epoch = 1

    def on_train_start(self):
        begun = Path(os.environ["NNUNET_TRICKS_TEST_BEGUN"]) / f"{type(self).__name__}_{self.fold}"
        attempts = begun.read_text() if begun.exists() else ""
        begun.write_text(attempts + "x")
        if self.fold == 1 and type(self) is nnUNetTrainerOneStep and not attempts:
            raise RuntimeError("a cosmic ray")
        super().on_train_start()


class nnUNetTrainerSteeper(nnUNetTrainerOneStep):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.initial_lr = 0.1
'''
SPEC = """datasets: [504]
configurations: [3d_fullres_small]
trainers: [nnUNetTrainerOneStep, nnUNetTrainerSteeper]
folds: [0, 1, 2]
"""
PROFILE = """scheduler: slurm
retries: 1
training: {time: 20min, memory: 4 GB, cpus: 1}
preparation: {time: 20min, memory: 4 GB, cpus: 1}
snakemake: {slurm-init-seconds-before-status-checks: 2, seconds-between-status-checks: 2, latency-wait: 10}
"""


class Place:
    """A folder with hippocampus images, trainers, an experiment file and a profile."""

    def __init__(self, folder: Path, images: Path, snakemake: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        raw = folder / "raw" / "Dataset504_Hippocampus"
        for part in ("imagesTr", "labelsTr"):
            (raw / part).mkdir(parents=True)
        names = [file.name for file in sorted((images / "labelsTr").iterdir())[:CASES]]
        for name in names:
            (raw / "labelsTr" / name).symlink_to(images / "labelsTr" / name)
            (raw / "imagesTr" / name.replace(".nii", "_0000.nii")).symlink_to(images / "imagesTr" / name)
        labels = {"background": 0, "Anterior": 1, "Posterior": 2}
        description = {"labels": labels, "numTraining": CASES, "file_ending": ".nii.gz", "channel_names": {"0": "MRI"}}
        (raw / "dataset.json").write_text(json.dumps(description))
        for name in ("preprocessed", "results", "own", "begun"):
            (folder / name).mkdir()
        (folder / "own" / "one_step.py").write_text(TRAINERS)
        self.spec = folder / "spec.yaml"
        self.spec.write_text(SPEC)
        self.profile = folder / "one_node.yaml"
        self.profile.write_text(PROFILE)
        self.variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")},
            **{f"nnUNet_{name}": str(folder / name) for name in ("raw", "preprocessed", "results")},
            "nnUNet_extTrainer": str(folder / "own"),
            "nnUNet_n_proc_DA": "1",
            "nnUNet_def_n_proc": "1",
            "nnUNet_compile": "f",
            "OMP_NUM_THREADS": "1",
            "NNUNET_TRICKS_SNAKEMAKE": str(snakemake),
            "NNUNET_TRICKS_TEST_BEGUN": str(folder / "begun"),
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        """``nnunet-tricks``, as users start it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "nnunet_tricks.cli", *words],
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def start_head(self) -> subprocess.Popen[str]:
        words = ["--runner", "snakemake", "--profile", str(self.profile), "--device", "cpu", "--no-timing"]
        return self.start("run", str(self.spec), *words)

    def begun(self) -> dict[str, int]:
        """How often each training began."""
        return {file.name: len(file.read_text()) for file in (self.folder / "begun").iterdir()}

    def models(self) -> list[Path]:
        return sorted((self.folder / "results").glob("Dataset504_Hippocampus/*/fold_*"))

    def done(self) -> int:
        return sum((model / "validation" / "summary.json").is_file() for model in self.models())


@pytest.fixture
def place(tmp_path: Path, sample_data: Path, snakemake: Path, slurm: Path) -> Iterator[Place]:
    images = sample_data / "train3d" / "Task04_Hippocampus"
    if not images.is_dir():
        pytest.skip(f"no hippocampus images at {images}")
    made = Place(tmp_path, images, snakemake)
    yield made
    for process in made.started:
        if process.poll() is None:
            kill(process)


def until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.2)


def jobs(state: str = "PENDING,RUNNING") -> list[str]:
    jobs = subprocess.run(["squeue", "-h", "-o", "%i", "-t", state], capture_output=True, text=True, check=True)
    return jobs.stdout.split()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_grid_survives_failures_and_kills_and_is_finished_by_the_local_queue(place: Place) -> None:
    head = place.start_head()
    until(lambda: place.begun().get("nnUNetTrainerOneStep_0"))
    until(lambda: jobs("RUNNING"))
    running = jobs()
    kill(head)
    assert jobs(), "jobs go on without the head process"

    head = place.start_head()
    until(lambda: place.begun().get("nnUNetTrainerOneStep_1") == 2)  # it failed, and was submitted again
    kill(head)
    assert set(jobs()) - set(running)

    local = place.start("run", str(place.spec), "--device", "cpu", "--json")
    output, _ = local.communicate(timeout=PATIENCE)
    assert local.returncode == 0, output
    # Jobs of the killed head process that had not begun find nothing left to do.
    until(lambda: not jobs())
    assert place.done() == 6
    counts = place.begun()
    assert counts.pop("nnUNetTrainerOneStep_1") == 2
    assert len(counts) == 5
    assert set(counts.values()) == {1}
    for model in place.models():
        states = place.folder / "results" / "nnunet_tricks" / model.relative_to(place.folder / "results")
        codes = [attempt.returncode for attempt in Record.read(states / "train").attempts]
        assert codes == ([1, 0] if str(model).endswith("OneStep__nnUNetPlans__3d_fullres_small/fold_1") else [0])
