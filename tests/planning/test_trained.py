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
from nnunetv2.experiment_planning.plan_and_preprocess_api import plan_experiment_dataset, preprocess_dataset
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.commands import plan
from nnunet_tricks.conformance import run as runs
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.conformance.tiny_data import TinyData, make_tiny_data
from nnunet_tricks.nnunet.sandbox import sandbox
from nnunet_tricks.planning.planners import find


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
    before = _hashes(data.preprocessed)
    assert len(before) >= 12
    patch = ["48"] if base == "2d" else ["8", "32", "32"]
    name = "Resize40x48" if base == "2d" else "Spacing2x1p25x1"
    geometry = ["--resize", "40", "48"] if base == "2d" else ["--spacing", "2", "1.25", "1"]
    for options, plans_name, configuration in (
        (["--patch", *patch], "nnUNetPlans", f"{base}_patch{'x'.join(patch)}"),
        (["--no-resampling"], "nnUNetPlansNoResampling", base),
        (["--normalization", "none"], "nnUNetPlansNoIntensityNorm", base),
        (geometry, f"nnUNetPlans{name}", base),
    ):
        _plan(data, base, *options)
        plans = json.loads((data.preprocessed / f"{plans_name}.json").read_text())
        if plans_name != "nnUNetPlans":
            _preprocess(data, plans_name, configuration)
        monkeypatch.setitem(runs.CONFIGURATIONS, "2d" if base == "2d" else "3d", configuration)
        cell = Situation("labels", "2d" if base == "2d" else "3d", True)
        run = runs.Run(nnUNetTrainer, cell, replace(data, plans=deepcopy(plans)), tmp_path)
        for step in ("epochs", "--val", "predict"):
            STEPS[step](run)
        shutil.rmtree(tmp_path / "prediction")
        _check_that_all_stays(data, before)


@pytest.mark.usefixtures("linked")
def test_all_else_that_is_preprocessed_leaves_the_base_byte_for_byte(data: TinyData) -> None:
    base = "2d" if len(data.dataset_json["channel_names"]) == 3 else "3d_fullres"
    before = _hashes(data.preprocessed)
    assert plan_experiment_dataset(_number(data), find("nnUNetPlannerMinMax"))[1] == "nnUNetPlansMinMax"
    made = ["nnUNetPlansMinMax"]
    if base == "2d":
        _plan(data, base, "--normalization", "imagenet")
        made.append("nnUNetPlansImageNet")
    else:
        _plan(data, base, "-p", "nnUNetPlansMinMax", "--normalization", "zscore")
        made.append("nnUNetPlansMinMaxZScore")
        ct = deepcopy(data.plans)
        for configuration in ct["configurations"].values():
            if "data_identifier" in configuration:
                configuration["normalization_schemes"] = ["CTNormalization"]
        (data.preprocessed / "CT.json").write_text(json.dumps(ct))
        _plan(data, base, "-p", "CT", "--normalization", "ct-window")
        made.append("CTCTWindow")
    for plans_name in made:
        _preprocess(data, plans_name, base)
        _check_that_all_stays(data, before)


def _plan(data: TinyData, base: str, *options: str) -> None:
    parser = argparse.ArgumentParser()
    plan.add_arguments(parser)
    assert plan.run(parser.parse_args([data.name, "--from", base, *options])) == 0


def _number(data: TinyData) -> int:
    return int(data.name[len("Dataset") :].partition("_")[0])


def _preprocess(data: TinyData, plans_name: str, configuration: str) -> None:
    preprocess_dataset(_number(data), plans_name, [configuration], [1], show_progress_bar=False)
    assert len(list((data.preprocessed / f"{plans_name}_{configuration}").iterdir())) >= 6


def _check_that_all_stays(data: TinyData, before: dict[str, str]) -> None:
    """Every file of the data set is as it was; its plans may have gained configurations."""
    after = _hashes(data.preprocessed)
    mine = "nnUNetPlans.json"
    assert {file: after.get(file) for file in before if file != mine} == {
        file: content for file, content in before.items() if file != mine
    }
    plans = json.loads((data.preprocessed / mine).read_text())
    configurations = {name: plans["configurations"][name] for name in data.plans["configurations"]}
    assert {**plans, "configurations": configurations} == data.plans
