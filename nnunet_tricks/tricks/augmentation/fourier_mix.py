r"""FourierMix: low spatial frequencies of a patch get the strength that they have in another image.

$\tilde x = F^{-1}\big(M_\beta \circ |F(y)| + (1 - M_\beta) \circ |F(x)|,\; \angle F(x)\big)$ with the patch $x$, a
patch $y$ of another case, and $M_\beta$ 1 up to frequencies of $\beta$ times the side along each axis (Yang and Soatto,
"FDA: Fourier domain adaptation for semantic segmentation", CVPR 2020, eq. 2 and 3). Low frequencies hold shading and
contrast, and the phase holds where things are: the look changes, and the labels stay. Every channel is changed by the
same channel of the other image. Voxels outside of the image stay as they are.

Other cases are those of the training fold. ``dataset`` takes those of another data set, whose labels are not needed:
domain adaptation without a network. ``beta`` 0 swaps the mean alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2 import paths
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from torch import Tensor

from nnunet_tricks.nnunet.folders import read_json
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.preconditions import training_cases
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.sampling.loader import cases_of, read_from


def mixed(image: Tensor, other: Tensor, beta: float) -> Tensor:
    """An image with the low frequencies' strength of another one.

    Args:
        image: (C, *spatial).
        other: Image of the same shape.
        beta: Highest frequency that is changed, as a part of each side.

    Returns:
        (C, *spatial).

    Examples:
        >>> bright, dark = torch.tensor([[3.0, 5.0]]), torch.tensor([[1.0, 1.0]])
        >>> mixed(bright, dark, beta=0).tolist()
        [[0.0, 2.0]]
    """
    axes = tuple(range(1, image.ndim))
    own, others = (torch.fft.fftn(part.float(), dim=axes) for part in (image, other))
    low = torch.ones((), dtype=torch.bool)
    for side in image.shape[1:]:
        # As whole numbers, since a rounded fraction would change another number of frequencies.
        frequencies = (torch.fft.fftfreq(side) * side).round().abs()
        low = low[..., None] & (frequencies <= int(beta * side))
    amplitudes = torch.where(low, others.abs(), own.abs())
    return torch.fft.ifftn(torch.polar(amplitudes, own.angle()), dim=axes).real


@dataclass
class OtherImages:
    """Cases whose low frequencies are taken.

    Attributes:
        cases: Data set that they are read from.
        names: Names of the cases.
        own: Data set that patches are read from.
        current: Case whose patch is being made in this process.
    """

    cases: Any = field(repr=False)
    names: tuple[str, ...]
    own: Any = field(repr=False)
    current: str = ""

    def draw(self, size: Sequence[int]) -> Tensor | None:
        """A random patch of another case than the current one, (C, *size); ``None`` where there is none.

        Args:
            size: Its size; in 2D it is in a random slice.
        """
        others = [name for name in self.names if name != self.current or self.cases is not self.own]
        if not others:
            return None
        image = self.cases.load_case(others[np.random.randint(len(others))])[0]
        wanted = (*(1,) * (3 - len(size)), *size)
        box = []
        for side, length in zip(wanted, image.shape[1:], strict=True):
            room = length - side
            first = np.random.randint(room + 1) if room >= 0 else room // 2
            box.append([int(first), int(first + side)])
        patch = torch.from_numpy(crop_and_pad_nd(image, box, 0)).float()
        # Data sets may note which case was loaded last, as those do that measure the voxels of each case.
        if self.current and self.cases is self.own:
            self.own.load_case(self.current)
        return patch[:, 0] if len(size) == 2 else patch


class ReadCases:
    """A data set of nnU-Net's loader that tells ``OtherImages`` which case was loaded last.

    Attributes:
        cases: nnU-Net's data set, or another that stands for it.
        identifiers: Names of its cases.
        images: Where it is noted.
    """

    def __init__(self, cases: Any, images: OtherImages) -> None:
        """Wrap the data set."""
        self.cases, self.images = cases, images
        self.identifiers = cases.identifiers

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        """Load a case as nnU-Net does, and note its name."""
        self.images.current = identifier
        loaded: tuple[Any, ...] = self.cases.load_case(identifier)
        return loaded


class MixFrequencies(BasicTransform):
    """Gives the low frequencies of a patch the strength that they have in another image."""

    def __init__(self, images: OtherImages, *, p: float, beta: float) -> None:
        """Set up the transform.

        Args:
            images: Images to take them from.
            p: Probability that a patch is changed.
            beta: Highest frequency, as a part of each side.
        """
        super().__init__()
        self.images, self.p, self.beta = images, p, beta

    def apply(self, data_dict: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Change the image.

        Args:
            data_dict: Sample with image (C, *spatial) and segmentation (channels, *spatial), labels first.
        """
        if not self.p or np.random.uniform() >= self.p:
            return data_dict
        image = data_dict["image"]
        other = self.images.draw(image.shape[1:])
        if other is None:
            return data_dict
        # Channels behind those of the image, such as weights, are no image.
        seen, behind = image[: len(other)], image[len(other) :]
        outside = data_dict["segmentation"][:1] < 0
        changed = torch.where(outside, seen, mixed(seen, other[: len(seen)], self.beta))
        return {**data_dict, "image": torch.cat([changed, behind])}


class nnUNetTrainerFourierMix(TrickTrainer):
    """nnU-Net whose training patches take the look of other images."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse another data set that is not there, or has other channels."""
        super().check_planned(planned)
        number = cls.parameters["FourierMix"].dataset
        if number:
            cls._other_folder(planned.plans.dataset_name, planned.configuration.data_identifier, planned.dataset_json)

    @classmethod
    def check_fresh(cls, planned: Planned) -> None:
        """Refuse a fold with a single training case, which has no other."""
        super().check_fresh(planned)
        folder = Path(os.fspath(paths.nnUNet_preprocessed)) / planned.plans.dataset_name
        training = training_cases(folder / "splits_final.json", planned.fold)
        if not cls.parameters["FourierMix"].dataset and training is not None and len(training) < 2:
            raise ValueError(
                f"FourierMix takes the look of other training cases, and fold {planned.fold} of "
                f"{planned.plans.dataset_name} has {len(training)}: at least two are needed, or another data set, as "
                "in nnUNetTrainerFourierMix_dataset501"
            )

    @classmethod
    def _other_folder(cls, dataset: str, identifier: str, description: dict[str, Any]) -> Path:
        """Folder of the other data set's preprocessed images.

        Raises:
            ValueError: If it is not there, or its channels are others.
        """
        number, preprocessed = cls.parameters["FourierMix"].dataset, Path(os.fspath(paths.nnUNet_preprocessed))
        if dataset.startswith(f"Dataset{number:03d}_"):
            raise ValueError(f"dataset{number} of FourierMix is the data set itself: leave it out for its other cases")
        folder = next(iter(sorted(preprocessed.glob(f"Dataset{number:03d}_*/{identifier}"))), None)
        if folder is None or not any(folder.glob("*.pkl")):
            raise ValueError(
                f"FourierMix takes images of data set {number}, and {preprocessed} has no preprocessed ones under "
                f"{identifier}: 'nnUNetv2_plan_and_preprocess -d {number}', with the same plans and configuration"
            )
        theirs = read_json(folder.parent / "dataset.json")
        counts = [len(part.get("channel_names") or part.get("modality") or {}) for part in (description, theirs)]
        if counts[0] != counts[1]:
            raise ValueError(
                f"FourierMix swaps channel by channel: {dataset} has {counts[0]} channels, and {folder.parent.name} "
                f"has {counts[1]}"
            )
        return folder

    def training_loader(self, loader: Any) -> Any:
        """nnU-Net's loader of patches with the look of other images."""
        loader = super().training_loader(loader)
        settings, cases = self.parameters["FourierMix"], cases_of(loader)
        images = OtherImages(cases, tuple(loader.indices), cases)
        if settings.dataset:
            name, identifier = self.plans_manager.dataset_name, self.configuration_manager.data_identifier
            folder = os.fspath(self._other_folder(name, identifier, self.dataset_json))
            images.cases = infer_dataset_class(folder)(folder)
            images.names = tuple(images.cases.identifiers)
        self._log_plainly(f"low frequencies of {len(images.names)} cases, up to {settings.beta:g} of a side")
        read_from(loader, ReadCases(cases, images))
        mix = MixFrequencies(images, p=settings.p, beta=settings.beta)
        loader.transforms = ComposeTransforms([mix, loader.transforms])
        return loader
