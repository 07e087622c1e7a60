"""The training cases of a fold, as a GAN sees them: crops of single slices."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from numpy.typing import NDArray
from torch import Tensor

from nnunet_tricks.nnunet import plans_file
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.preconditions import training_cases
from nnunet_tricks.tricks.sampling.foreground import foreground
from nnunet_tricks.tricks.synthesis.generator import FEWEST_HALVINGS
from nnunet_tricks.tricks.synthesis.place import GanPlace

ON_FOREGROUND = 0.5
"""Part of the crops that is centred on foreground."""
SMALLEST_CROP = 24
"""Below it the discriminator has no output."""
QUANTILES = (0.001, 0.999)
"""Part of the voxels below the darkest and the brightest grey value that a GAN can draw."""
VOXELS = 20_000
"""Voxels of each case that are looked at for these."""


@dataclass(frozen=True)
class FoldCases:
    """Preprocessed training cases of a fold.

    Attributes:
        place: Place of the fold's GAN.
        planned: Plans, configuration and labels.
        names: Names of the cases.
        data: nnU-Net's data set of them.
        known: All labels, background and ignore label among them.
        folder: Folder of the preprocessed images.
    """

    place: GanPlace
    planned: Planned
    names: tuple[str, ...]
    data: Any = field(repr=False)
    known: tuple[int, ...]
    folder: Path

    @classmethod
    def of(cls, dataset: str, configuration: str, fold: str, plans_name: str = plans_file.DEFAULT_PLANS) -> FoldCases:
        """Find the cases; their images are not read.

        Args:
            dataset: Number or full name of the data set.
            configuration: Configuration of the plans.
            fold: Fold of the split, or ``all``.
            plans_name: Stem of the plans file.

        Raises:
            ValueError: If the data are not preprocessed, or there is no such configuration or fold.
        """
        file = plans_file.find(dataset, plans_name=plans_name)
        plans = plans_file.read(file)
        if configuration not in plans["configurations"]:
            known = ", ".join(plans["configurations"])
            raise ValueError(f"-c {configuration} is not in {file.parent.name}/{file.name}, which has {known}")
        description = json.loads((file.parent / "dataset.json").read_text(encoding="utf-8"))
        planned = Planned.of(plans, configuration, description, fold=fold)
        names = _names(file.parent / "splits_final.json", fold)
        folder = file.parent / planned.configuration.data_identifier
        missing = [name for name in names if not (folder / f"{name}.pkl").is_file()]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(names)} training cases of fold {fold} are not in {folder}, such as "
                f"{missing[0]}: 'nnUNetv2_preprocess -d {dataset} -plans_name {plans_name} -c {configuration}'"
            )
        ignore = planned.labels.ignore_label
        labels = sorted({*map(int, planned.labels.all_labels), *([] if ignore is None else [int(ignore)])})
        place = GanPlace.of(file.parent, file.parent.name, configuration, fold, plans_name, folder.name)
        data = infer_dataset_class(os.fspath(folder))(os.fspath(folder), list(names))
        return cls(place, planned, tuple(sorted(names)), data, tuple(labels), folder)

    @property
    def patch(self) -> tuple[int, ...]:
        """Size of the configuration's patches."""
        return tuple(int(side) for side in self.planned.configuration.patch_size)

    def check_foreground(self) -> None:
        """Refuse masks that hold nothing to draw.

        Raises:
            ValueError: If no training case has foreground.
        """
        for name in self.names:
            if self.locations(name):
                return
        raise ValueError(
            f"none of the {len(self.names)} training cases of {self.place.dataset}, fold {self.place.fold}, has "
            "foreground: a GAN that draws images for masks needs masks with objects"
        )

    def check_depth(self, neighbours: int) -> None:
        """Refuse volumes with fewer slices than the generator is told of at once.

        Args:
            neighbours: Slices on either side.

        Raises:
            ValueError: With the first of them.
        """
        depth = 2 * neighbours + 1
        for name in self.names:
            slices = self.data.load_case(name)[0].shape[1]
            if slices < depth:
                raise ValueError(
                    f"with --neighbours {neighbours} the generator is told of {depth} slices at once, and {name} of "
                    f"{self.place.dataset} has {slices}: give a number up to {(slices - 1) // 2}"
                )

    def locations(self, name: str) -> list[Any]:
        """Some voxels of each class or region that a case has."""
        properties = self.data.load_case(name)[-1]
        return list(foreground(properties["class_locations"], (-1, *self.planned.labels.all_labels)).values())

    def ranges(self) -> tuple[tuple[float, float], ...]:
        """Darkest and brightest grey value of each channel that a GAN can draw."""
        drawn: list[NDArray[Any]] = []
        for number, name in enumerate(self.names):
            image, labels = (np.asarray(part[:]) for part in self.data.load_case(name)[:2])
            voxels = image.reshape(len(image), -1)[:, labels.reshape(-1) >= 0]
            chosen = np.random.default_rng(number).integers(voxels.shape[1], size=VOXELS)
            drawn.append(voxels[:, chosen])
        low, high = np.quantile(np.concatenate(drawn, 1), QUANTILES, axis=1)
        return tuple((float(a), max(float(b), float(a) + 1e-3)) for a, b in zip(low, high, strict=True))

    def mask(self, name: str) -> NDArray[np.int16]:
        """The whole label map of a case, (Z, Y, X)."""
        return np.asarray(self.data.load_case(name)[1][:])[0].astype(np.int16)

    def style(self, name: str, ranges: Sequence[tuple[float, float]]) -> Tensor:
        """Means and deviations of a case's channels, where the range of grey values is from -1 to 1."""
        image, labels = (np.asarray(part[:]) for part in self.data.load_case(name)[:2])
        inside = scaled(torch.from_numpy(image[:, labels[0] >= 0]).float(), ranges)
        return torch.cat([inside.mean(1), inside.std(1, correction=0)])

    def draw(
        self, size: Sequence[int], *, neighbours: int = 0, on_foreground: float = ON_FOREGROUND
    ) -> tuple[str, Tensor, Tensor]:
        """A random crop of a slice, by NumPy's global generator.

        Args:
            size: Its size, (Y, X).
            neighbours: Slices on either side whose labels are cropped, too.
            on_foreground: Probability that the crop is centred on foreground.

        Returns:
            Name of the case, image (C, Y, X), and label maps (slices, Y, X), negative outside of the image.
        """
        name = self.names[np.random.randint(len(self.names))]
        image, labels, *_ = self.data.load_case(name)
        shape = image.shape[1:]
        classes = self.locations(name) if np.random.uniform() < on_foreground else []
        if classes:
            voxels = classes[np.random.randint(len(classes))]
            place = [int(at) for at in voxels[np.random.randint(len(voxels))][1:]]
        else:
            place = [np.random.randint(side) for side in shape]
        box = [[place[0], place[0] + 1]]
        for at, side, length in zip(place[1:], size, shape[1:], strict=True):
            # Inside the image where it is large enough, and around it where it is not.
            first = min(max(at - side // 2, 0), length - side) if length >= side else (length - side) // 2
            box.append([first, first + side])
        around = [[place[0] - neighbours, place[0] + neighbours + 1], *box[1:]]
        cropped = crop_and_pad_nd(image, box, 0)[:, 0], crop_and_pad_nd(labels, around, -1)[0]
        return name, torch.from_numpy(cropped[0]).float(), torch.from_numpy(cropped[1].astype(np.int16))


def crop_size(patch: tuple[int, ...]) -> tuple[int, int]:
    """Size of the crops that a GAN is trained with: the patch's in its plane, as a multiple of 8 and at least 24.

    Examples:
        >>> crop_size((40, 56)), crop_size((16, 28, 10))
        ((40, 56), (32, 24))
    """
    multiple = 2**FEWEST_HALVINGS
    height, width = (max(-(-side // multiple) * multiple, SMALLEST_CROP) for side in patch[-2:])
    return height, width


def scaled(image: Tensor, ranges: Sequence[tuple[float, float]]) -> Tensor:
    """Grey values as the network sees them, from -1 to 1.

    Args:
        image: (C, ...).
        ranges: Grey values of each channel that become -1 and 1; what is beyond is cut off.

    Examples:
        >>> scaled(torch.tensor([[0.0, 5.0, 20.0]]), [(0, 10)]).tolist()
        [[-1.0, 0.0, 1.0]]
    """
    low, high = (_of_channels(image, [pair[end] for pair in ranges]) for end in (0, 1))
    return ((image - low) / (high - low) * 2 - 1).clamp(-1, 1)


def unscaled(image: Tensor, ranges: Sequence[tuple[float, float]]) -> Tensor:
    """Grey values of a preprocessed image, from what the network draws.

    Examples:
        >>> unscaled(torch.tensor([[-1.0, 0.0, 1.0]]), [(0, 10)]).tolist()
        [[0.0, 5.0, 10.0]]
    """
    low, high = (_of_channels(image, [pair[end] for pair in ranges]) for end in (0, 1))
    return (image + 1) / 2 * (high - low) + low


def _of_channels(image: Tensor, values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=image.dtype, device=image.device).reshape(-1, *(1,) * (image.ndim - 1))


def _names(split: Path, fold: str) -> list[str]:
    if not split.is_file():
        raise ValueError(
            f"{split} is not there, so that nobody knows the training cases of a fold: 'nnunet-tricks split' makes it"
        )
    folds = json.loads(split.read_text(encoding="utf-8"))
    if fold != "all" and not (fold.isdecimal() and int(fold) < len(folds)):
        raise ValueError(f"-f {fold} is not in {split}, which has folds 0 to {len(folds) - 1}; 'all' is all of them")
    return training_cases(split, fold) or []
