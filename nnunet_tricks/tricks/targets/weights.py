"""Weight maps of a data set on their way through nnU-Net's loader.

A raw data set may have a folder ``weightsTr`` with a map of weights for some cases, on the grid of their label maps.
They are preprocessed as images are, and travel as one more channel of the image, so that nnU-Net crops and pads them
with it. Before its transforms they are split off: what moves voxels moves them, too, and what changes intensities does
not. At the end they are one more channel of the target at full size. All the way they are weights less 1: nnU-Net pads
with 0, and there a voxel shall weigh 1.
"""

# mypy: untyped-calls-exclude="nibabel"
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2 import paths
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from numpy.typing import NDArray

from nnunet_tricks.nnunet.folders import is_json, read_json
from nnunet_tricks.utilities.files import write_atomically
from nnunet_tricks.utilities.progress import shown
from nnunet_tricks.utilities.wording import some

FOLDER = "weightsTr"
KEY = "regression_target"
"""Key under which batchgeneratorsv2 moves numbers as it moves images, and leaves their values as they are."""
SOURCES = "sources.json"
"""File beside the stored maps that says what they were made from."""
MOST = 1000
"""Largest weight: stored in half precision, it still has three digits."""
HALF = 0.5
"""Weight above which ``binary`` makes it 1."""


def prepare(
    plans: PlansManager,
    configuration: ConfigurationManager,
    dataset_json: Mapping[str, Any],
    log: Callable[[str], None],
) -> Path | None:
    """Preprocess the maps of a data set that are new or have changed.

    If the raw data set is missing, as on a machine that only trains, stored maps are used.

    Args:
        plans: nnU-Net's reader of the plans.
        configuration: Configuration whose images the maps are for.
        dataset_json: Content of ``dataset.json``.
        log: Function that takes a line of the log.

    Returns:
        Folder of the preprocessed maps; ``None`` where there are none.

    Raises:
        ValueError: If there are maps of unknown cases, or with other shapes, NaN, infinity, weights below 0 or above
            ``MOST``; or if stored maps are needed and are not complete.
    """
    images = Path(paths.nnUNet_preprocessed) / plans.dataset_name / configuration.data_identifier
    folder = images.with_name(f"{images.name}_weights")
    raw = Path(paths.nnUNet_raw) / plans.dataset_name if paths.nnUNet_raw else None
    if raw is None or not raw.is_dir():
        if folder.is_dir() and not (folder / SOURCES).is_file():
            raise ValueError(f"{folder} is not complete: begin a training once where the raw data set is")
        return folder if folder.is_dir() else None
    if not (raw / FOLDER).is_dir() or not images.is_dir():
        return None
    kind = infer_dataset_class(str(images))
    cases = kind.get_identifiers(str(images))
    maps = _files(raw / FOLDER, str(dataset_json["file_ending"]), cases)
    folder.mkdir(exist_ok=True)
    for stale in {file.stem for file in folder.glob("*.npy")} - maps.keys():
        (folder / f"{stale}.npy").unlink()
    known = read_json(folder / SOURCES) if is_json(folder / SOURCES) else {}
    sources = {case: [_state(file), _state(images / f"{case}.pkl")] for case, file in maps.items()}
    old = [case for case in maps if known.get(case) != sources[case] or not (folder / f"{case}.npy").is_file()]
    if old:
        (folder / SOURCES).unlink(missing_ok=True)
    dataset = kind(str(images), old)
    for case in shown(old, "weights", len(old)):
        _, segmentation, _, properties = dataset.load_case(case)
        weights = preprocessed(maps[case], plans, configuration, properties, tuple(segmentation.shape[1:]))
        content = BytesIO()
        np.save(content, weights)
        write_atomically(folder / f"{case}.npy", content.getvalue())
    if known != sources:
        write_atomically(folder / SOURCES, json.dumps(sources, indent=1))
    log(f"weights of {len(maps)} of {len(cases)} cases from {raw / FOLDER}; others weigh 1")
    return folder


def preprocessed(
    file: Path,
    plans: PlansManager,
    configuration: ConfigurationManager,
    properties: Mapping[str, Any],
    shape: tuple[int, ...],
) -> NDArray[np.float16]:
    """A map as it lies on the preprocessed image, transposed, cropped and resampled linearly.

    Args:
        file: Map of a case.
        plans: nnU-Net's reader of the plans.
        configuration: Configuration whose images the map is for.
        properties: Properties of the preprocessed case.
        shape: Shape of its image without channels.

    Raises:
        ValueError: If it is no map of weights for the case.
    """
    weights = checked(file, _read(file, plans)).transpose(plans.transpose_forward)
    raw = tuple(properties["shape_before_cropping"])
    if weights.shape != raw:
        raise ValueError(f"{file} has {weights.shape} voxels, its label map {raw}: both must have the same grid")
    weights = weights[tuple(slice(*edges) for edges in properties["bbox_used_for_cropping"])]
    if weights.shape != shape:
        spacing = [properties["spacing"][axis] for axis in plans.transpose_forward]
        target = [*spacing[: len(spacing) - len(configuration.spacing)], *configuration.spacing]
        # nnU-Net resamples images with splines, which overshoot, and probabilities linearly.
        weights = np.asarray(configuration.resampling_fn_probabilities(weights[None], shape, spacing, target))[0]
    return np.clip(weights, 0, MOST).astype(np.float16)


def checked(file: Path, weights: NDArray[Any]) -> NDArray[np.float32]:
    """Weights that are finite and not negative.

    Args:
        file: File that they come from.
        weights: Any numbers.

    Raises:
        ValueError: If some are NaN, infinite, below 0 or above ``MOST``.
    """
    odd = np.count_nonzero(~np.isfinite(weights))
    if odd:
        raise ValueError(f"{file} holds NaN or infinity in {odd} voxels: weights must be numbers from 0 to {MOST}")
    lowest, highest = float(weights.min()), float(weights.max())
    if lowest < 0 or highest > MOST:
        raise ValueError(f"{file} holds weights from {lowest:g} to {highest:g}: they must be from 0 to {MOST}")
    return weights.astype(np.float32)


def _read(file: Path, plans: PlansManager) -> NDArray[Any]:
    if file.suffix == ".npy":
        return _stored(file)
    if file.name.endswith((".nii", ".nii.gz")):
        # ITK reads NaN in NIfTI as 0.
        import nibabel

        image: Any = nibabel.load(file)
        checked(file, np.asanyarray(image.dataobj))
    weights, _ = plans.image_reader_writer_class().read_images([str(file)])
    if len(weights) != 1:
        raise ValueError(f"{file} has {len(weights)} channels, and a map of weights has one")
    return np.asarray(weights[0])


def _stored(file: Path) -> NDArray[Any]:
    try:
        stored: NDArray[Any] = np.load(file)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{file} cannot be read as an array of numbers: {error}") from None
    if stored.dtype.kind not in "biuf" or stored.ndim not in (2, 3) or not stored.size:
        raise ValueError(
            f"{file} must hold real numbers for each voxel along two or three axes, got {stored.dtype} of shape "
            f"{stored.shape}"
        )
    return stored if stored.ndim == 3 else stored[None]


def _files(folder: Path, ending: str, cases: list[str]) -> dict[str, Path]:
    """The map of each case that has one, with the data set's ending or NumPy's: pictures hold whole numbers only."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    maps = {}
    for file in files:
        end = next((end for end in (ending, ".npy") if file.name.endswith(end)), None)
        if end:
            maps[file.name.removesuffix(end)] = file
    unknown = [file.name for file in files if file not in maps.values()]
    unknown += [maps[case].name for case in maps if case not in cases]
    if unknown:
        raise ValueError(
            f"{folder} holds {some(unknown)}, which are no maps of preprocessed cases: names must be those of label "
            f"maps, ending in {ending} or .npy"
        )
    return maps


def _state(file: Path) -> list[int]:
    """Time and size of a file: both differ where another one took its place, whether that is newer or not."""
    found = file.stat()
    return [found.st_mtime_ns, found.st_size]


class ImageWithWeights:
    """An image that is read where it is cropped, with one more channel: its weights less 1.

    Attributes:
        shape: (channels + 1, z, y, x).
        dtype: Type of the numbers that are read.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, image: Any, weights: NDArray[np.float16] | None) -> None:
        """Stand in front of both, and read nothing yet.

        Args:
            image: (channels, z, y, x), anything that can be sliced as an array.
            weights: (z, y, x); ``None`` where all weigh 1.
        """
        self.image, self.weights = image, weights
        self.shape = (image.shape[0] + 1, *image.shape[1:])
        self.ndim = len(self.shape)

    def __getitem__(self, where: tuple[slice, ...]) -> NDArray[np.float32]:
        """A copy of a box with all channels.

        Args:
            where: A slice for each of the four axes; that of the channels takes all.
        """
        box = (slice(None), *where[1:])
        image = np.asarray(self.image[box], dtype=np.float32)
        if self.weights is None:
            return np.concatenate([image, np.zeros_like(image[:1])])
        return np.concatenate([image, self.weights[tuple(where[1:])][None].astype(np.float32) - 1])


class WeightedCases:
    """A data set of nnU-Net's loader whose images have weights as their last channel."""

    def __init__(self, cases: Any, folder: Path) -> None:
        """Put weights behind the images of a data set.

        Args:
            cases: nnU-Net's data set, or another that stands for it.
            folder: Folder of preprocessed maps; cases that have none weigh 1.
        """
        self.cases = cases
        self.identifiers = cases.identifiers
        self.folder = folder

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        """A case as nnU-Net loads it, with weights, which are read where they are cropped."""
        image, *rest = self.cases.load_case(identifier)
        file = self.folder / f"{identifier}.npy"
        weights = np.load(file, mmap_mode="r") if file.is_file() else None
        return (ImageWithWeights(image, weights), *rest)


class SplitWeights(BasicTransform):
    """Takes the weights off the image, before all other transforms."""

    def apply(self, data_dict: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Leave the image as nnU-Net expects it, and the weights under ``KEY``."""
        image = data_dict["image"]
        data_dict["image"], data_dict[KEY] = image[:-1].contiguous(), image[-1:].contiguous()
        return data_dict


class AppendWeights(BasicTransform):
    """Appends the weights to the segmentation, at full size only, after all other transforms."""

    def __init__(self, *, binary: bool) -> None:
        """Say whether weights become 0 or 1."""
        super().__init__()
        self.binary = binary

    def apply(self, data_dict: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Append them.

        Args:
            data_dict: Sample with the segmentation (channels, *spatial), or a list of them, full size first.

        Raises:
            ValueError: If a transform of the augmentation has lost the weights.
        """
        segmentation, moved = data_dict["segmentation"], data_dict.pop(KEY, None)
        full = segmentation[0] if isinstance(segmentation, list) else segmentation
        if moved is None or moved.shape[1:] != full.shape[1:]:
            raise ValueError("this augmentation does not move weight maps with the image: take another one or none")
        weights = (moved + 1).clamp_min(0)
        if self.binary:
            weights = (weights > HALF).to(weights.dtype)
        joined = torch.cat([full.float(), weights])
        data_dict["segmentation"] = [joined, *segmentation[1:]] if isinstance(segmentation, list) else joined
        return data_dict


class WithWeights:
    """Stands for ``get_training_transforms`` or ``get_validation_transforms`` while nnU-Net builds its loaders."""

    def __init__(self, original: Callable[..., ComposeTransforms], *, binary: bool) -> None:
        """Stand for a function.

        Args:
            original: Function of the trainer.
            binary: Whether weights become 0 or 1.
        """
        self.original, self.binary = original, binary

    def __call__(self, *args: Any, **kwargs: Any) -> ComposeTransforms:
        """The original transforms, between splitting weights off and appending them."""
        transforms = self.original(*args, **kwargs)
        return ComposeTransforms([SplitWeights(), transforms, AppendWeights(binary=self.binary)])
