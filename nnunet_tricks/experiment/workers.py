"""Measures what nnU-Net's workers need for a data set, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from nnunet_tricks.door.commands import with_our_trainers
from nnunet_tricks.experiment.loading import Loading
from nnunet_tricks.nnunet.folders import Folders, is_json, read_json
from nnunet_tricks.utilities.python import words_of_python

TRAINER = "nnUNetTrainer_run2"
"""nnU-Net's own training, with our augmentation."""

USUAL = ("3d_fullres", "2d")


def measure(dataset: str, configuration: str | None, plans: str, device: str | None) -> tuple[str, Loading]:
    """Times training steps, and batches with nnU-Net's augmentation and with ours.

    Args:
        dataset: Number or full name.
        configuration: One of the plans; the first of ``USUAL`` that is preprocessed if not given.
        plans: Name of the plans.
        device: nnU-Net's ``-device``; a GPU if torch finds one, where it is not given.

    Returns:
        What was measured, in words, and the figures.

    Raises:
        ValueError: If the data set is not preprocessed, or the measurement fails.
    """
    folders = Folders.of_environment()
    name = folders.dataset(dataset)
    file = folders.preprocessed / name / f"{plans}.json"
    if not is_json(file):
        raise ValueError(f"{name} has no {plans}: 'nnUNetv2_plan_and_preprocess -d {dataset}' makes them")
    configuration = configuration or _preprocessed(file)
    device = device or _device()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "timing.json"
        words = [name, configuration, plans, TRAINER, device, str(out)]
        done = subprocess.run(
            [*words_of_python("nnunet_tricks.experiment.timing"), *words],
            # Threads that wait by spinning make a step many times slower as soon as the cores do other things too.
            env=with_our_trainers({"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "nnUNet_results": folder}),
            capture_output=True,
            text=True,
            check=False,
        )
        if not is_json(out):
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ValueError(f"{configuration} of {name} could not be timed: {last}")
        timing = read_json(out)
    loading = Loading.of(timing)
    assert loading is not None
    return f"{configuration} of {name}, on {timing['device']}", loading


def _preprocessed(file: Path) -> str:
    configurations = read_json(file)["configurations"]
    for name in USUAL:
        identifier = configurations.get(name, {}).get("data_identifier", f"{file.stem}_{name}")
        if name in configurations and (file.parent / identifier).is_dir():
            return name
    raise ValueError(
        f"neither {' nor '.join(USUAL)} of {file.parent.name} is preprocessed: name a configuration with -c"
    )


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
