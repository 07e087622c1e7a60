"""Small data sets in nnU-Net's folders, and trainers that are built on them as ``nnUNetv2_train`` does."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
import torch
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from numpy.typing import NDArray

from nnunet_tricks.conformance.tiny_plans import PLANS_NAME, tiny_plans
from nnunet_tricks.demo import phantom
from nnunet_tricks.door.lookup import find_trainer
from nnunet_tricks.nnunet.sandbox import sandbox
from website.pictures.scene import LABELS, LARGE, SIZE, make_scene, tiled, training_images

Case = tuple[NDArray[Any], NDArray[np.uint8], tuple[float, ...]]
"""Image, label map, and edges of a voxel in mm; none for pictures."""

CASES = 6
PART = 40
"""Sides of patches that are much smaller than the image."""
TILE = 112
"""Sides of patches that nearly hold the whole scene."""
VOLUME_PATCH = (8, 32, 32)
FEATURES = (8, 16, 16, 16)


@dataclass(frozen=True)
class PreparedData:
    """A preprocessed data set.

    Attributes:
        plans: Content of the plans file.
        dataset: Content of dataset.json.
        file: The plans file.
        configuration: Configuration that is preprocessed.
    """

    plans: dict[str, Any]
    dataset: dict[str, Any]
    file: Path
    configuration: str

    def trainer(self, name: str) -> nnUNetTrainer:
        """A trainer on this data set, not yet initialized.

        Args:
            name: Name of any trainer that nnU-Net finds.
        """
        settings = {**deepcopy(self.plans), "continue_training": False}
        return find_trainer(name)(settings, self.configuration, 0, deepcopy(self.dataset), torch.device("cpu"))


@dataclass(frozen=True)
class Laboratory:
    """The data sets of all pictures.

    Attributes:
        scene: The scene, with one class of objects; its patches are whole images.
        parts: Images with a class of large objects and a rare one of small objects; patches are small parts of them.
        tiles: Four of these images side by side, in which a patch nearly holds one.
        volumes: Volumes of the demo, with kidneys and tumours.
    """

    scene: PreparedData
    parts: PreparedData
    tiles: PreparedData
    volumes: PreparedData


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    """Make the data sets in a temporary folder; nnU-Net works there as long as the block lasts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw, preprocessed, results = (folder / part for part in ("raw", "preprocessed", "results"))
        for part in (raw, preprocessed, results):
            part.mkdir()
        scene = make_scene()
        alone: Case = ((255 * scene.image).astype(np.uint8), scene.truth.astype(np.uint8) * LARGE, ())
        images: list[Case] = [(image, truth, ()) for image, truth in training_images(CASES)]
        phantoms = [phantom.make_phantom(seed) for seed in range(3)]
        volumes: list[Case] = [(case.image, case.labels, case.spacing) for case in phantoms]
        tiles: list[Case] = [(tiled(image), tiled(truth), ()) for image, truth, _ in images]
        whole = (SIZE, SIZE)
        with sandbox(raw=raw, preprocessed=preprocessed, results=results):
            yield Laboratory(
                scene=_prepare(folder, "Dataset901_Scene", [alone] * 3, {"background": 0, "object": LARGE}, whole),
                parts=_prepare(folder, "Dataset902_Parts", images, LABELS, (PART, PART)),
                tiles=_prepare(folder, "Dataset903_Tiles", tiles, LABELS, (TILE, TILE)),
                volumes=_prepare(folder, "Dataset904_Volumes", volumes, phantom.LABELS, VOLUME_PATCH),
            )


def _prepare(
    folder: Path, name: str, cases: Sequence[Case], labels: Mapping[str, int], patch: tuple[int, ...]
) -> PreparedData:
    source, target = folder / "raw" / name, folder / "preprocessed" / name
    flat = len(patch) == 2
    ending = ".png" if flat else ".nii.gz"
    for part in ("imagesTr", "labelsTr"):
        (source / part).mkdir(parents=True)
    target.mkdir()
    names = [f"case_{number}" for number in range(len(cases))]
    files = {case: (source / f"imagesTr/{case}_0000{ending}", source / f"labelsTr/{case}{ending}") for case in names}
    for case, (image, truth, spacing) in zip(names, cases, strict=True):
        for file, array in zip(files[case], (image, truth), strict=True):
            _write(file, array, spacing)
    dataset = {
        "channel_names": {"0": "CT"},
        "labels": dict(labels),
        "numTraining": len(cases),
        "file_ending": ending,
    }
    values = np.concatenate([image[truth > 0] for image, truth, _ in cases]).astype(float)
    plans = _plans(name, values, patch, cases[0][2])
    for place in (source, target):
        (place / "dataset.json").write_text(json.dumps(dataset))
    (target / "splits_final.json").write_text(json.dumps([{"train": names[:-1], "val": names[-1:]}]))
    prepared = PreparedData(plans, dataset, target / f"{PLANS_NAME}.json", "2d" if flat else "3d_fullres")
    prepared.file.write_text(json.dumps(plans))
    manager = PlansManager(deepcopy(plans))
    configuration = manager.get_configuration(prepared.configuration)
    out = target / configuration.data_identifier
    out.mkdir()
    preprocessor = DefaultPreprocessor(verbose=False)
    for case, (image_file, label_file) in files.items():
        preprocessor.run_case_save(str(out / case), [str(image_file)], str(label_file), manager, configuration, dataset)
    return prepared


def _write(file: Path, array: NDArray[Any], spacing: tuple[float, ...]) -> None:
    image: Any = SimpleITK.GetImageFromArray(array)
    if spacing:
        image.SetSpacing(spacing[::-1])
    SimpleITK.WriteImage(image, str(file))


def _plans(name: str, values: NDArray[np.float64], patch: tuple[int, ...], spacing: tuple[float, ...]) -> Any:
    intensities = {
        "0": {
            "max": float(values.max()),
            "mean": float(values.mean()),
            "median": float(np.median(values)),
            "min": float(values.min()),
            "percentile_00_5": float(np.percentile(values, 0.5)),
            "percentile_99_5": float(np.percentile(values, 99.5)),
            "std": float(values.std()),
        }
    }
    plans = tiny_plans(name, flat=len(patch) == 2, intensities=intensities)
    configuration = plans["configurations"]["2d" if len(patch) == 2 else "3d_fullres"]
    configuration["patch_size"] = list(patch)
    configuration["normalization_schemes"] = ["ZScoreNormalization"]
    configuration["use_mask_for_norm"] = [False]
    configuration["architecture"]["arch_kwargs"]["features_per_stage"] = list(FEATURES)
    if spacing:
        configuration["spacing"] = list(spacing)
    return plans
