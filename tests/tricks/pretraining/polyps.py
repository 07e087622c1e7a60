"""Real polyps as a small nnU-Net data set, and short trainings on them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from PIL import Image

from nnunet_tricks.conformance.tiny_plans import PLANS_NAME, tiny_plans
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.sandbox import sandbox, seed_everything

TRAINING, VALIDATION = 80, 120
SIDE = 96
NAME = "Dataset950_Polyps"
BATCH = 4


@dataclass(frozen=True)
class Polyps:
    """The data set in folders of its own, preprocessed.

    Attributes:
        folder: Folder of raw, preprocessed and results.
        plans: Content of the plans file.
        dataset_json: Content of dataset.json.
    """

    folder: Path
    plans: dict[str, Any]
    dataset_json: dict[str, Any]

    @contextmanager
    def used(self) -> Iterator[None]:
        """nnU-Net works in these folders."""
        folders = {name: self.folder / name for name in ("raw", "preprocessed", "results")}
        with sandbox(**folders):
            yield

    def dice(self, name: str, *, steps: int, seed: int) -> float:
        """Mean Dice of the validation images after so many training steps of a trainer."""
        cls = trainers.find(f"nnUNetTrainer{name}")
        assert cls is not None
        with self.used():
            seed_everything(seed)
            plans = {**json.loads(json.dumps(self.plans)), "continue_training": False}
            trainer = cls(plans, "2d", 0, dict(self.dataset_json), torch.device("cpu"))
            trainer.initialize()
            trainer.on_train_start()
            trainer.on_train_epoch_start()
            for _ in range(steps):
                trainer.train_step(next(trainer.dataloader_train))
            return self._validated(trainer)

    def _validated(self, trainer: Any) -> float:
        trainer.set_deep_supervision_enabled(False)
        trainer.network.eval()
        _, cases = trainer.do_split()
        dataset = trainer.dataset_class(trainer.preprocessed_dataset_folder, cases)
        scores = []
        for case in cases:
            image, label, *_ = dataset.load_case(case)
            with torch.no_grad():
                predicted = trainer.network(torch.from_numpy(image[:, 0])[None]).argmax(1)[0].numpy() == 1
            truth = label[0, 0] == 1
            scores.append(2 * (predicted & truth).sum() / max(predicted.sum() + truth.sum(), 1))
        return float(np.mean(scores))


def make(source: Path, folder: Path) -> Polyps:
    """Write and preprocess the data set.

    Args:
        source: Folder ``train`` of Kvasir-SEG with ``images`` and ``masks``.
        folder: Folder for everything.
    """
    raw, preprocessed = folder / "raw" / NAME, folder / "preprocessed" / NAME
    for part in (raw / "imagesTr", raw / "labelsTr", preprocessed / f"{PLANS_NAME}_2d", folder / "results"):
        part.mkdir(parents=True)
    files = sorted((source / "images").iterdir())
    random.Random(0).shuffle(files)
    cases, colours = [], []
    for file in files[: TRAINING + VALIDATION]:
        image = Image.open(file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        mask = Image.open(source / "masks" / f"{file.stem}.png").convert("L")
        label = np.asarray(mask.resize((SIDE, SIDE), Image.Resampling.NEAREST)) > 127
        image.save(raw / "imagesTr" / f"{file.stem}_0000.png")
        Image.fromarray(label.astype(np.uint8)).save(raw / "labelsTr" / f"{file.stem}.png")
        cases.append(file.stem)
        colours.append(np.asarray(image)[label])
    values = np.concatenate(colours).astype(float)
    intensities = {str(channel): _summary(values[:, channel]) for channel in range(3)}
    plans = tiny_plans(NAME, flat=True, intensities=intensities)
    plans["configurations"]["2d"] |= {"patch_size": [SIDE, SIDE], "batch_size": BATCH}
    dataset_json = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "polyp": 1},
        "numTraining": len(cases),
        "file_ending": ".png",
    }
    split = [{"train": cases[:TRAINING], "val": cases[TRAINING:]}]
    fingerprint = {"foreground_intensity_properties_per_channel": intensities}
    contents: dict[str, Any] = {PLANS_NAME: plans, "dataset": dataset_json, "splits_final": split}
    for name, content in {**contents, "dataset_fingerprint": fingerprint}.items():
        (preprocessed / f"{name}.json").write_text(json.dumps(content))
    (raw / "dataset.json").write_text(json.dumps(dataset_json))
    polyps = Polyps(folder, plans, dataset_json)
    with polyps.used():
        manager = PlansManager(plans)
        configuration = manager.get_configuration("2d")
        for case in cases:
            DefaultPreprocessor(verbose=False).run_case_save(
                str(preprocessed / configuration.data_identifier / case),
                [str(raw / "imagesTr" / f"{case}_0000.png")],
                str(raw / "labelsTr" / f"{case}.png"),
                manager,
                configuration,
                dataset_json,
            )
    return polyps


def _summary(values: Any) -> dict[str, float]:
    low, median, high = np.percentile(values, [0.5, 50, 99.5])
    return {
        "max": float(values.max()),
        "mean": float(values.mean()),
        "median": float(median),
        "min": float(values.min()),
        "percentile_00_5": float(low),
        "percentile_99_5": float(high),
        "std": float(values.std()),
    }
