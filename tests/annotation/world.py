"""A small dense data set of nnU-Net, planned by hand, with volumes stored in different orders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

DATASET = "Dataset501_Toy"
CASES = [f"case{number}" for number in range(10)]
SHAPE = (20, 12, 10)  # k, j, i
UPRIGHT = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


def labels_of(number: int) -> NDArray[np.uint8]:
    """Two nested objects in slices 4 to 15."""
    generator = np.random.default_rng(number)
    label = np.zeros(SHAPE, np.uint8)
    top = 4 + int(generator.integers(2))
    label[4:16, top : top + 5, 2:8] = 1
    label[7:12, top + 1 : top + 3, 3:6] = 2
    return label


def save(
    array: NDArray[Any], file: Path, spacing: tuple[float, ...] = (0.8, 0.9, 3.0), direction: Any = UPRIGHT
) -> None:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin((3.0, -7.0, 40.0))
    image.SetDirection(np.asarray(direction, float).ravel().tolist())
    file.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(file), useCompression=True)


def plans(transpose: tuple[int, int, int] = (0, 1, 2), spacing: float = 3.0) -> dict[str, Any]:
    backward = [int(axis) for axis in np.argsort(transpose)]
    return {
        "dataset_name": DATASET,
        "plans_name": "nnUNetPlans",
        "transpose_forward": list(transpose),
        "transpose_backward": backward,
        "foreground_intensity_properties_per_channel": {"0": {"mean": 40.0}},
        "configurations": {
            "2d": {"data_identifier": "nnUNetPlans_2d", "patch_size": [12, 10], "spacing": [0.9, 0.8]},
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "patch_size": [20, 12, 10],
                "spacing": [spacing, 0.9, 0.8],
            },
        },
    }


def build(root: Path, monkeypatch: pytest.MonkeyPatch, direction: Any = UPRIGHT, **changes: Any) -> Path:
    """Make nnU-Net's folders with the data set, and return that of the raw data."""
    for name in ("raw", "preprocessed", "results"):
        (root / name).mkdir()
        monkeypatch.setenv(f"nnUNet_{name}", str(root / name))
    raw = root / "raw" / DATASET
    for number, case in enumerate(CASES):
        image = np.random.default_rng(number).integers(-100, 100, SHAPE).astype(np.int16)
        save(image, raw / "imagesTr" / f"{case}_0000.nii.gz", direction=direction)
        save(labels_of(number), raw / "labelsTr" / f"{case}.nii.gz", direction=direction)
    save(image, raw / "imagesTs" / "test_0000.nii.gz", direction=direction)
    save(labels_of(99), raw / "labelsTs" / "test.nii.gz", direction=direction)
    description = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "organ": 1, "lesion": 2},
        "numTraining": len(CASES),
        "file_ending": ".nii.gz",
        **changes,
    }
    (raw / "dataset.json").write_text(json.dumps(description))
    preprocessed = root / "preprocessed" / DATASET
    preprocessed.mkdir()
    (preprocessed / "dataset_fingerprint.json").write_text("{}")
    (preprocessed / "nnUNetPlans.json").write_text(json.dumps(plans()))
    return raw


def array(file: Path) -> NDArray[Any]:
    return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file))))
