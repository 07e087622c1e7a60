"""How many of nnU-Net's workers keep a device busy."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.experiment.loading import Loading, cores, measure_loading
from nnunet_tricks.experiment.processes import MARK, end_leftovers

ROOM = Loading(
    step=0.2, stock=3.0, ours=0.5, stock_memory=900_000_000, ours_memory=600_000_000, workers=12, cores=8, free=64 << 30
)


def test_it_says_how_many_workers_are_enough() -> None:
    assert ROOM.needed(ROOM.stock) == 15
    assert ROOM.sentences == [
        "a training step takes 0.20 s; a worker makes a batch in 3.00 s with nnU-Net's augmentation and 900 MB of "
        "memory, in 0.50 s with ours and 600 MB of memory",
        "workers that keep the device busy: 15 with nnU-Net's augmentation, 3 with ours; nnU-Net starts 12 here, and "
        "there are 8 cores",
        "export nnUNet_n_proc_DA=3 is enough with ours",
    ]


def test_it_says_that_workers_would_die() -> None:
    room = replace(ROOM, free=2 << 30)
    assert room.room == 3
    assert "memory has room for 3 workers" in room.sentences[2]
    assert "nnUNet_n_proc_DA=3 is enough" in room.sentences[3]


@pytest.mark.parametrize(("step", "share"), [(0.05, 80), (0.03, 48)])
def test_it_says_how_busy_the_device_can_be_at_best(step: float, share: int) -> None:
    assert f"export nnUNet_n_proc_DA=8 keeps it busy {share} % of the time" in replace(ROOM, step=step).sentences[-1]


def test_what_was_timed_before_loading_was_measured_says_nothing() -> None:
    assert Loading.of({"step": 0.1}) is None
    held = {"step": 0.1, "stock": 1.0, "ours": 0.5, "stock_memory": None, "ours_memory": None, "workers": 4}
    loading = Loading.of({"loading": held})
    assert loading is not None
    assert loading.cores == cores()
    assert loading.room is None
    assert "memory" not in " ".join(loading.sentences)


def test_both_augmentations_are_measured(bench: Bench) -> None:
    trainer = trainers.find("nnUNetTrainer_run2")
    assert trainer is not None
    with bench.room(trainer, Situation("labels", "2d", True)) as run:
        built = run.build()
        built.on_train_start()
        figures = measure_loading(built, lambda work, _: (work(), 0.01)[1], 1)
    assert json.loads(json.dumps(figures)) == figures
    loading = Loading.of({"loading": figures})
    assert loading is not None
    assert loading.stock > 0 < loading.ours
    assert loading.sentences


LOADING_GOES_ON = """
import multiprocessing, sys, time
from nnunet_tricks.experiment import timing

def measured(arguments):
    multiprocessing.Process(target=time.sleep, args=(120,), daemon=True).start()
    return {"step": 0.1}

timing._measure = measured
timing.main(["Dataset001", "2d", "nnUNetPlans", "nnUNetTrainer", "cpu", sys.argv[1]])
"""


def test_loading_processes_end_with_the_measurement(tmp_path: Path) -> None:
    """Else they keep the output open, and whoever reads it waits for them."""
    out = tmp_path / "timing.json"
    done = subprocess.run(
        [sys.executable, "-c", LOADING_GOES_ON, str(out)], env={**os.environ, MARK: str(tmp_path)}, check=False
    )
    assert end_leftovers(tmp_path) == 0
    assert done.returncode == 0
    assert json.loads(out.read_text(encoding="utf-8")) == {"step": 0.1}


def test_a_data_set_that_is_not_preprocessed_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bench.data("labels", flat=True)
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(bench.folder / name))
    assert main(["doctor", "--workers", data.name, "-p", "OtherPlans"]) == 2
    assert f"{data.name} has no OtherPlans: 'nnUNetv2_plan_and_preprocess" in capsys.readouterr().err
