"""Phantoms as an nnU-Net raw data set."""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

import json
import shutil
from pathlib import Path

import SimpleITK

from nnunet_tricks.demo.phantom import LABELS, Phantom, make_phantom

NAME = "Dataset001_Phantoms"
FILE_ENDING = ".nii.gz"


def write_phantoms(folder: Path, *, train: int, unseen: int, seed: int = 0) -> None:
    """Write a raw data set, which gets its name only when it is complete.

    Args:
        folder: The data set's folder, which must not exist.
        train: Number of cases to train on, in ``imagesTr``.
        unseen: Number of cases to predict, in ``imagesTs``, with their truth in ``labelsTs``.
        seed: Seed of the first phantom.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for index in range(train + unseen):
        part = "Tr" if index < train else "Ts"
        phantom = make_phantom(seed + index)
        case = f"phantom_{seed + index:03d}"
        _write(
            phantom,
            partial / f"images{part}" / f"{case}_0000{FILE_ENDING}",
            partial / f"labels{part}" / f"{case}{FILE_ENDING}",
        )
    dataset = {"channel_names": {"0": "CT"}, "labels": LABELS, "numTraining": train, "file_ending": FILE_ENDING}
    (partial / "dataset.json").write_text(json.dumps(dataset, indent=4), encoding="utf-8")
    partial.rename(folder)


def _write(phantom: Phantom, image_file: Path, label_file: Path) -> None:
    for file, array in ((image_file, phantom.image), (label_file, phantom.labels)):
        file.parent.mkdir(parents=True, exist_ok=True)
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing(phantom.spacing[::-1])
        SimpleITK.WriteImage(image, str(file))
