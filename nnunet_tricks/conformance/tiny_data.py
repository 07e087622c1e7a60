"""Raw and preprocessed nnU-Net data sets of four small cases, made by nnU-Net's own preprocessor."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from numpy.typing import NDArray

from nnunet_tricks.conformance.grid import LABEL_MODES
from nnunet_tricks.conformance.tiny_images import CORE, IGNORED, ORGAN, tiny_image, tiny_labels
from nnunet_tricks.conformance.tiny_plans import PLANS_NAME, tiny_plans
from nnunet_tricks.nnunet import annotated_classes

TRAINING_CASES = ("case_0", "case_1", "case_2")
WITHOUT_CORE = TRAINING_CASES[1]
"""The inner class is missing in this case, as it is in real data, and the case is not annotated for it."""
UNSEEN_CASE = "case_3"

# Sizes differ. The second image is smaller than the patch and is padded. The third, for validation, must not be padded:
# padding becomes background, and a patch without annotation must not have any.
_SHAPES_2D = ((36, 40), (28, 40), (44, 33), (38, 35))
_SHAPES_3D = ((7, 26, 30), (5, 30, 25), (8, 22, 28), (7, 28, 26))
_SPACINGS = ((3.0, 1.0, 1.0), (3.0, 0.9, 1.1), (2.5, 1.2, 1.0), (3.5, 0.9, 0.9))


@dataclass(frozen=True)
class TinyData:
    """A data set in nnU-Net's folders.

    Attributes:
        name: ``DatasetXXX_Name``.
        raw: Its folder below ``nnUNet_raw``.
        preprocessed: Its folder below ``nnUNet_preprocessed``.
        plans: Content of its plans file.
        dataset_json: Content of its ``dataset.json``.
    """

    name: str
    raw: Path
    preprocessed: Path
    plans: dict[str, Any]
    dataset_json: dict[str, Any]

    @property
    def ending(self) -> str:
        """Ending of image files."""
        return str(self.dataset_json["file_ending"])

    @property
    def legal_labels(self) -> frozenset[int]:
        """Labels that a prediction may have: all but the ignore label."""
        return frozenset((0, ORGAN, CORE))


def make_tiny_data(raw: Path, preprocessed: Path, *, labels: str, flat: bool) -> TinyData:
    """Write a data set, preprocessed for every configuration of its plans. Call it in a ``sandbox``.

    Args:
        raw: Folder that takes the place of ``nnUNet_raw``.
        preprocessed: Folder that takes the place of ``nnUNet_preprocessed``.
        labels: One of ``grid.LABEL_MODES``.
        flat: 2D RGB PNG rather than 3D NIfTI.

    Returns:
        The data set.
    """
    number = 901 + LABEL_MODES.index(labels) + (0 if flat else len(LABEL_MODES))
    name = f"Dataset{number}_Tiny{'2D' if flat else '3D'}{labels.title().replace('+', '')}"
    source, target = raw / name, preprocessed / name
    dataset_json = _dataset_json(labels, flat)
    images = _write_images(source, ignore=labels.endswith("ignore"), flat=flat, ending=dataset_json["file_ending"])
    fingerprint = _fingerprint(images, flat)
    plans = tiny_plans(name, flat=flat, intensities=fingerprint["foreground_intensity_properties_per_channel"])
    _write_json(source / "dataset.json", dataset_json)
    _write_json(source / annotated_classes.FILE, {WITHOUT_CORE: ["whole" if labels.startswith("regions") else "organ"]})
    _write_json(target / "dataset.json", dataset_json)
    _write_json(target / "dataset_fingerprint.json", fingerprint)
    _write_json(target / f"{PLANS_NAME}.json", plans)
    _write_json(target / "splits_final.json", [{"train": list(TRAINING_CASES[:2]), "val": list(TRAINING_CASES[2:])}])
    shutil.copytree(source / "labelsTr", target / "gt_segmentations")
    data = TinyData(name, source, target, plans, dataset_json)
    _preprocess(data)
    return data


def _dataset_json(labels: str, flat: bool) -> dict[str, Any]:
    regions = labels.startswith("regions")
    classes: dict[str, int | list[int]] = {"background": 0}
    classes |= {"whole": [ORGAN, CORE], "core": [CORE]} if regions else {"organ": ORGAN, "core": CORE}
    if labels.endswith("ignore"):
        classes["ignore"] = IGNORED
    return {
        "channel_names": {"0": "R", "1": "G", "2": "B"} if flat else {"0": "MRI"},
        "labels": classes,
        **({"regions_class_order": [ORGAN, CORE]} if regions else {}),
        "numTraining": len(TRAINING_CASES),
        "file_ending": ".png" if flat else ".nii.gz",
    }


def _write_images(
    source: Path, *, ignore: bool, flat: bool, ending: str
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Write images and labels; return those of the training cases."""
    for folder in ("imagesTr", "labelsTr", "weightsTr", "imagesTs"):
        (source / folder).mkdir(parents=True)
    written = []
    for index, case in enumerate((*TRAINING_CASES, UNSEEN_CASE)):
        labels = tiny_labels((_SHAPES_2D if flat else _SHAPES_3D)[index], core=case != WITHOUT_CORE, ignore=ignore)
        image = tiny_image(labels, channels=3 if flat else 1, seed=index)
        spacing = None if flat else _SPACINGS[index]
        if case == UNSEEN_CASE:
            _write(source / "imagesTs" / f"{case}_0000{ending}", image, spacing)
            continue
        _write(source / "imagesTr" / f"{case}_0000{ending}", image, spacing)
        _write(source / "labelsTr" / f"{case}{ending}", labels[..., None], spacing)
        if case != WITHOUT_CORE:
            # Another weight for the rows of the first half.
            rows = np.arange(labels.shape[-2])[:, None] < labels.shape[-2] // 2
            weights = np.broadcast_to(np.where(rows, 1, 3).astype(np.uint8), labels.shape)
            _write(source / "weightsTr" / f"{case}{ending}", weights[..., None], spacing)
        written.append((image, labels))
    return written


def _write(file: Path, array: NDArray[np.uint8], spacing: tuple[float, ...] | None) -> None:
    rgb = array.shape[-1] == 3
    image: Any = SimpleITK.GetImageFromArray(array if rgb else array[..., 0], isVector=rgb)
    if spacing is not None:
        image.SetSpacing(spacing[::-1])
        image.SetOrigin((-12.0, 7.5, 30.0))
        image.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    SimpleITK.WriteImage(image, str(file))


def _fingerprint(images: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]], flat: bool) -> dict[str, Any]:
    """The fingerprint that nnU-Net would write, made without its pools of processes."""
    channels = images[0][0].shape[-1]
    intensities = {}
    for channel in range(channels):
        values = np.concatenate([image[..., channel][labels > 0] for image, labels in images]).astype(float)
        intensities[str(channel)] = {
            "max": values.max(),
            "mean": values.mean(),
            "median": float(np.median(values)),
            "min": values.min(),
            "percentile_00_5": float(np.percentile(values, 0.5)),
            "percentile_99_5": float(np.percentile(values, 99.5)),
            "std": values.std(),
        }
    shapes = [list(labels.shape) for _, labels in images]
    return {
        "foreground_intensity_properties_per_channel": intensities,
        "median_relative_size_after_cropping": 1.0,
        "shapes_after_crop": [[1, *shape] for shape in shapes] if flat else shapes,
        "spacings": [[999.0, 1.0, 1.0]] * len(images) if flat else [list(s) for s in _SPACINGS[: len(images)]],
    }


def _preprocess(data: TinyData) -> None:
    plans = PlansManager(json.loads((data.preprocessed / f"{PLANS_NAME}.json").read_text()))
    preprocessor = DefaultPreprocessor(verbose=False)
    for name in plans.available_configurations:
        configuration = plans.get_configuration(name)
        folder = data.preprocessed / configuration.data_identifier
        if folder.exists():
            continue  # the second stage of the cascade trains on the data of full resolution
        folder.mkdir()
        for case in TRAINING_CASES:
            image = str(data.raw / "imagesTr" / f"{case}_0000{data.ending}")
            labels = str(data.raw / "labelsTr" / f"{case}{data.ending}")
            preprocessor.run_case_save(str(folder / case), [image], labels, plans, configuration, data.dataset_json)


def _write_json(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=4), encoding="utf-8")
