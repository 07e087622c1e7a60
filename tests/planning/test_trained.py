"""From the command through nnU-Net's preprocessing, training, validation and prediction; the base's data stay."""

import argparse
import json
import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from nnunetv2.experiment_planning.plan_and_preprocess_api import preprocess_dataset
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.commands import plan
from nnunet_tricks.conformance import run as runs
from nnunet_tricks.conformance.grid import Cell
from nnunet_tricks.conformance.sandbox import sandbox
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.conformance.tiny_data import TinyData, make_tiny_data


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(params=[False, True], ids=["3d", "2d"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TinyData]:
    raw, preprocessed = tmp_path / "raw", tmp_path / "preprocessed"
    with sandbox(raw=raw, preprocessed=preprocessed, results=tmp_path / "results"):
        yield make_tiny_data(raw, preprocessed, labels="labels", flat=request.param)


@pytest.mark.usefixtures("linked")
def test_all_variants_train_and_predict_and_the_base_stays_byte_for_byte(
    data: TinyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = "2d" if len(data.dataset_json["channel_names"]) == 3 else "3d_fullres"
    folder = data.preprocessed / f"nnUNetPlans_{base}"
    before = _hashes(folder)
    assert len(before) >= 6
    patch = ["48"] if base == "2d" else ["8", "32", "32"]
    name = "Resize40x48" if base == "2d" else "Spacing2x1p25x1"
    geometry = ["--resize", "40", "48"] if base == "2d" else ["--spacing", "2", "1.25", "1"]
    for options, plans_name, configuration in (
        (["--patch", *patch], "nnUNetPlans", f"{base}_patch{'x'.join(patch)}"),
        (["--no-resampling"], "nnUNetPlansNoResampling", base),
        (["--normalization", "none"], "nnUNetPlansNoIntensityNorm", base),
        (geometry, f"nnUNetPlans{name}", base),
    ):
        parser = argparse.ArgumentParser()
        plan.add_arguments(parser)
        assert plan.run(parser.parse_args([data.name, "--from", base, *options])) == 0
        plans = json.loads((data.preprocessed / f"{plans_name}.json").read_text())
        if plans_name != "nnUNetPlans":
            number = int(data.name[len("Dataset") :].partition("_")[0])
            preprocess_dataset(number, plans_name, [configuration], [1], show_progress_bar=False)
            assert len(list((data.preprocessed / f"{plans_name}_{base}").iterdir())) >= 6
        monkeypatch.setitem(runs.CONFIGURATIONS, "2d" if base == "2d" else "3d", configuration)
        cell = Cell("labels", "2d" if base == "2d" else "3d", True)
        run = runs.Run(nnUNetTrainer, cell, replace(data, plans=deepcopy(plans)), tmp_path)
        for step in ("epoch", "--val", "predict"):
            STEPS[step](run)
        shutil.rmtree(tmp_path / "prediction")
        assert _hashes(folder) == before
