"""Writes what was predicted for a case: whole files or none, and maps beside the segmentation."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
import tifffile
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import insert_crop_into_image
from nnunetv2.inference import export_prediction

PARTIAL = "partial"
PICTURES = (".png", ".bmp", ".tif", ".tiff", ".jpg")
STEPS = 65_534
"""Grey levels of a map while nnU-Net's writer, which takes whole numbers only, gives it its place in space."""

nnunet_export = export_prediction.export_prediction_from_logits


@dataclass(frozen=True)
class CaseWriter:
    """Stands for nnU-Net's ``export_prediction_from_logits``, and travels to its processes.

    Attributes:
        shifts: Added to the logits of each output before they become labels.
        maps: Names of the maps behind the logits.
    """

    shifts: tuple[float, ...] = ()
    maps: tuple[str, ...] = ()

    def __call__(
        self,
        logits: Any,
        properties: dict[str, Any],
        configuration_manager: Any,
        plans_manager: Any,
        dataset_json: dict[str, Any],
        target: str,
        save_probabilities: bool = False,
        *threads: int,
    ) -> None:
        """Write the case under temporary names, then give the files theirs, the segmentation last.

        Args:
            logits: (outputs + maps, *spatial), as predicted.
            properties: What nnU-Net's preprocessing found out about the image.
            configuration_manager: nnU-Net's.
            plans_manager: nnU-Net's.
            dataset_json: Content of the file.
            target: Path of the result without its ending.
            save_probabilities: Whether ``.npz`` and ``.pkl`` are written, too. They hold unshifted probabilities.
            threads: As nnU-Net calls its function.
        """
        final = Path(target)
        partial = partial_file(final)
        managers = (properties, configuration_manager, plans_manager, dataset_json)
        values = torch.as_tensor(logits)
        outputs = values[: len(values) - len(self.maps)]
        for name, values_of_map in zip(self.maps, values[len(outputs) :], strict=True):
            in_image = _in_image(values_of_map[None], properties, configuration_manager, plans_manager)
            reader = plans_manager.image_reader_writer_class()
            write_map(in_image, name, final, properties, reader, dataset_json["file_ending"])
        if save_probabilities:
            nnunet_export(outputs.numpy(), *managers, str(partial), True, *threads)
        if any(self.shifts) or not save_probabilities:
            shifted = outputs.float() + torch.tensor(self.shifts or (0.0,)).reshape(-1, *[1] * (outputs.ndim - 1))
            shown = shifted.numpy() if any(self.shifts) else outputs.numpy()
            nnunet_export(shown, *managers, str(partial), False, *threads)
        for ending in (".npz", ".pkl", dataset_json["file_ending"]):
            written = partial.with_name(partial.name + ending)
            if save_probabilities or ending == dataset_json["file_ending"]:
                written.replace(final.with_name(final.name + ending))


def map_file(target: Path, name: str, ending: str) -> Path:
    """Where the map of a case lies: in a folder of the map's name, beside the segmentations.

    Examples:
        >>> map_file(Path("out/liver_1"), "entropy", ".png").as_posix()
        'out/entropy/liver_1.tif'
    """
    return target.parent / name / (target.name + (".tif" if ending in PICTURES else ending))


def partial_file(target: Path, ending: str = "") -> Path:
    """The name of a file while it is written.

    Each process has names of its own: processes of a killed prediction may still write when the next one begins.
    """
    return target.with_name(f".{target.name}.{PARTIAL}{os.getpid()}{ending}")


def remove_partial_files(folder: Path, cases: Sequence[str] | None = None) -> None:
    """Delete what a killed prediction left half written.

    Args:
        folder: The folder.
        cases: Cases whose files are deleted, where other processes may be writing others; all if not given.
    """
    beginnings = tuple(f".{case}.{PARTIAL}" for case in cases or ())
    for pattern in (f".*.{PARTIAL}*", ".*.json.[0-9]*"):
        for file in folder.glob(pattern):
            if cases is None or file.name.startswith(beginnings):
                file.unlink(missing_ok=True)


def write_map(
    values: npt.NDArray[np.float32], name: str, target: Path, properties: Mapping[str, Any], reader: Any, ending: str
) -> None:
    """Write a map in the image's grid as float32.

    Args:
        values: Not negative, in the image's grid as nnU-Net's reader has it.
        name: Name of the map.
        target: Path of the case's segmentation without its ending.
        properties: Those with which nnU-Net writes the segmentation.
        reader: nnU-Net's, for this kind of file.
        ending: Ending of the segmentations.
    """
    file = map_file(target, name, ending)
    file.parent.mkdir(exist_ok=True)
    if ending in PICTURES:
        partial = partial_file(file.parent / target.name, ".tif")
        tifffile.imwrite(partial, values.squeeze(0).astype(np.float32))
    else:
        partial = partial_file(file.parent / target.name, ending)
        largest = max(float(values.max()), 1e-12)
        reader.write_seg(np.round(values / largest * STEPS).astype(np.uint16), str(partial), properties)
        image = SimpleITK.ReadImage(str(partial), SimpleITK.sitkFloat32) * (largest / STEPS)
        SimpleITK.WriteImage(image, str(partial))
    partial.replace(file)


def _in_image(
    values: torch.Tensor, properties: Mapping[str, Any], configuration_manager: Any, plans_manager: Any
) -> npt.NDArray[np.float32]:
    """Resample a map to the image's grid, as nnU-Net does it with probabilities."""
    shape = properties["shape_after_cropping_and_before_resampling"]
    spacing = [properties["spacing"][axis] for axis in plans_manager.transpose_forward]
    planned = configuration_manager.spacing
    current = planned if len(planned) == len(shape) else [spacing[0], *planned]
    resampled = configuration_manager.resampling_fn_probabilities(values.float().numpy(), shape, current, spacing)
    whole = np.zeros(properties["shape_before_cropping"], np.float32)
    insert_crop_into_image(whole, np.asarray(resampled, np.float32)[0], properties["bbox_used_for_cropping"])
    return whole.transpose(plans_manager.transpose_backward).clip(min=0)


def write_cases(rows: Mapping[str, Mapping[str, float]], file: Path) -> None:
    """Write one row for each case, the most doubtful first.

    Args:
        rows: From a case to its numbers, alike for all.
        file: ``cases.csv``.
    """
    columns = list(next(iter(rows.values()), {}))
    order = sorted(rows, key=lambda case: (-rows[case][columns[0]], case)) if columns else []
    partial = partial_file(file)
    with partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["case", *columns])
        writer.writerows([case, *(f"{rows[case][column]:.6g}" for column in columns)] for case in order)
    partial.replace(file)
