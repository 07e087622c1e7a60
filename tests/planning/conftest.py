import json
import os
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from nnunet_tricks.nnunet.sandbox import sandbox

DATASET = "Dataset777_Planned"
CHANNEL = {
    "max": 900.0,
    "mean": 60.0,
    "median": 55.0,
    "min": -900.0,
    "percentile_00_5": -60.0,
    "percentile_99_5": 200.0,
    "std": 40.0,
}


_PLANS: dict[str, dict[str, Any]] = {}
"""Planning takes nnU-Net seconds, and gives the same each time."""


class Planned:
    """A data set of which nnU-Net's planner sees sizes and spacings, and no image has to be read."""

    def __init__(self, folder: Path) -> None:
        self.raw, self.preprocessed = folder / "raw", folder / "preprocessed"

    def plan(
        self,
        shape: list[int],
        spacing: list[float],
        *,
        channels: tuple[str, ...] = ("MRI",),
        planner: Callable[[str], Any] | None = None,
        properties: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """Plans of nnU-Net's own planner, or of another."""
        if planner is None:
            from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner

            planner = ExperimentPlanner
        raw, preprocessed = self.raw / DATASET, self.preprocessed / DATASET
        for part in ("imagesTr", "labelsTr"):
            (raw / part).mkdir(parents=True, exist_ok=True)
        for channel in range(len(channels)):
            (raw / "imagesTr" / f"case_{channel:04d}.nii.gz").touch()
        (raw / "labelsTr" / "case.nii.gz").touch()
        preprocessed.mkdir(parents=True, exist_ok=True)
        described = {
            "channel_names": {str(at): name for at, name in enumerate(channels)},
            "labels": {"background": 0, "organ": 1},
            "numTraining": 1000,
            "file_ending": ".nii.gz",
            "overwrite_image_reader_writer": "SimpleITKIO",
        }
        fingerprint = {
            "shapes_after_crop": [shape] * 3,
            "spacings": [spacing] * 3,
            "median_relative_size_after_cropping": 0.5,
            "foreground_intensity_properties_per_channel": {
                str(at): {**CHANNEL, **(properties or {})} for at in range(len(channels))
            },
        }
        (raw / "dataset.json").write_text(json.dumps(described))
        (preprocessed / "dataset_fingerprint.json").write_text(json.dumps(fingerprint))
        key = f"{planner.__module__} {planner} {described} {fingerprint}"
        if key in _PLANS:
            return deepcopy(_PLANS[key])
        made = planner(DATASET)
        # Looking for a low resolution takes nnU-Net a minute.
        made.lowres_creation_threshold = 0
        made.plan_experiment()
        written = preprocessed / f"{made.plans_identifier}.json"
        _PLANS[key] = json.loads(written.read_text())
        return deepcopy(_PLANS[key])

    def fingerprint(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.preprocessed / DATASET / "dataset_fingerprint.json").read_text())
        return read


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[Planned]:
    made = Planned(tmp_path)
    with sandbox(raw=made.raw, preprocessed=made.preprocessed, results=tmp_path / "results"):
        yield made


@pytest.fixture
def linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nnU-Net finds our resampling function, here and in its processes, whether this environment is linked or not."""
    from nnunetv2.preprocessing.resampling import utils

    from nnunet_tricks.door import hook

    # Here nnU-Net may have been imported already, its processes begin with sitecustomize.
    monkeypatch.setattr(utils, "recursive_find_python_class", utils.recursive_find_python_class)
    hook._wrap_class_finder(utils)
    (tmp_path / "door").mkdir()
    (tmp_path / "door" / "sitecustomize.py").write_text("from nnunet_tricks.door.hook import install\n\ninstall()\n")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path / "door"), *os.environ.get("PYTHONPATH", "").split()])
    )
