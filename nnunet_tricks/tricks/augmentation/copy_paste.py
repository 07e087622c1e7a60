"""Copy-paste: objects of other cases, with their labels, are put into training patches.

Before all augmentation, a patch gets with probability ``p`` from 1 to ``most`` objects of other training cases, each
somewhere in its middle part, the size that the network gets. A case is drawn, then a class or region of it, then one of
its objects, all uniformly. The voxels of the object replace those of the patch in all channels, without blending, and
their labels do so, too. Ghiasi et al., "Simple copy-paste is a strong data augmentation method for instance
segmentation", CVPR 2021, which also finds no use in blending.

What nobody annotated stays so: an object covers the image there, and its labels are left out. Voxels outside of the
image stay as they are. Objects are what is connected in the preprocessed labels of a class or region; those that are
larger than a patch are left out. In 2D one slice of an object is pasted. In a cascade the object is also in what the
first stage has predicted.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from numpy.typing import NDArray

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.sampling.case_objects import Objects, numbered, of_cases, plain_labels
from nnunet_tricks.tricks.sampling.foreground import planned_foreground
from nnunet_tricks.tricks.sampling.loader import cases_of, read_from


@dataclass
class Donors:
    """Cases whose objects are pasted.

    Attributes:
        cases: Data set that they are read from.
        objects: For each case the class, place and box of each object that fits into a patch, by class or region.
        ignore: Label of voxels that nobody annotated, if there is one.
        current: Case whose patch is being made in this process.
    """

    cases: Any = field(repr=False)
    objects: dict[str, dict[Hashable, list[tuple[NDArray[np.int32], NDArray[np.int32]]]]] = field(repr=False)
    ignore: int | None
    current: str = ""

    def draw(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]] | None:
        """A random object of another case than the current one.

        Returns:
            Its box of the image, (C, z, y, x), of the segmentation, (z, y, x), and its voxels in there. ``None`` where
            no other case has an object.
        """
        others = [case for case in self.objects if case != self.current]
        if not others:
            return None
        case = others[np.random.randint(len(others))]
        classes = list(self.objects[case])
        label = classes[np.random.randint(len(classes))]
        of_class = self.objects[case][label]
        box, place = of_class[np.random.randint(len(of_class))]
        image, segmentation, *_ = self.cases.load_case(case)
        inside = tuple(slice(int(first), int(stop)) for first, stop in box)
        everywhere = (slice(None), *inside)
        part = np.asarray(segmentation[everywhere])[0]
        numbers = numbered(plain_labels(part), label, self.ignore)
        return np.asarray(image[everywhere]), part, numbers == numbers[tuple(place - box[:, 0])]


class NotedCases:
    """A data set of nnU-Net's loader that notes which case was loaded last.

    Attributes:
        cases: nnU-Net's data set, or another that stands for it.
        identifiers: Names of its cases.
        donors: Where it is noted.
    """

    def __init__(self, cases: Any, donors: Donors) -> None:
        """Wrap the data set."""
        self.cases, self.donors = cases, donors
        self.identifiers = cases.identifiers

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        """Load a case as nnU-Net does, and note its name."""
        self.donors.current = identifier
        loaded: tuple[Any, ...] = self.cases.load_case(identifier)
        return loaded


class PasteObjects(BasicTransform):
    """Pastes objects of other cases into a patch."""

    def __init__(self, donors: Donors, size: Sequence[int], *, p: float, most: int) -> None:
        """Set up the transform.

        Args:
            donors: Cases to take objects from.
            size: Size of a patch as the network gets it; the patch that is read may be larger.
            p: Probability that a patch gets objects.
            most: Largest number of objects.
        """
        super().__init__()
        self.donors, self.size, self.p, self.most = donors, tuple(size), p, most

    def apply(self, data_dict: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Paste into image and segmentation.

        Args:
            data_dict: Sample with image (C, *spatial) and segmentation (channels, *spatial), labels first.
        """
        if not self.p or np.random.uniform() >= self.p:
            return data_dict
        # They may be views of what is stored.
        image, segmentation = data_dict["image"].clone(), data_dict["segmentation"].clone()
        for _number in range(np.random.randint(1, self.most + 1)):
            drawn = self.donors.draw()
            if drawn is not None:
                self._paste(image, segmentation, *drawn)
        # Data sets may note which case was loaded last, as those do that measure the voxels of each case.
        self.donors.cases.load_case(self.donors.current)
        return {**data_dict, "image": image, "segmentation": segmentation}

    def _paste(
        self,
        image: torch.Tensor,
        segmentation: torch.Tensor,
        voxels: NDArray[Any],
        labels: NDArray[Any],
        mask: NDArray[np.bool_],
    ) -> None:
        if image.ndim == 3:
            # Connected voxels are in each slice between the first and the last.
            number = np.random.randint(len(mask))
            voxels, labels, mask = voxels[:, number], labels[number], mask[number]
        sides, room = np.array(mask.shape), np.array(image.shape[1:])
        low = (room - self.size) // 2
        corner = low + np.random.randint(0, np.maximum(np.array(self.size) - sides, 0) + 1)
        region = tuple(slice(int(at), int(at + side)) for at, side in zip(corner, sides, strict=True))
        before = plain_labels(segmentation[0][region].numpy())
        covered = mask & (before >= 0)
        annotated = covered if self.donors.ignore is None else covered & (before != self.donors.ignore)
        for channel, content in zip(image, voxels, strict=True):
            channel[region][torch.from_numpy(covered)] = torch.from_numpy(content[covered]).to(channel.dtype)
        plain = plain_labels(labels)
        for number, channel in enumerate(segmentation):
            # Colours of instances go with the labels, and not into what the first stage has predicted.
            content = plain if number else labels
            channel[region][torch.from_numpy(annotated)] = torch.from_numpy(content[annotated]).to(channel.dtype)


def fitting(objects: Objects, size: Sequence[int]) -> dict[Hashable, list[tuple[NDArray[np.int32], NDArray[np.int32]]]]:
    """Box and one voxel of each object whose box is not larger than a patch, by class or region that has some.

    Args:
        objects: Objects of a case.
        size: Size of a patch; in 2D the first axis of objects does not count.
    """
    fits = {
        label: [
            (box, places[0])
            for box, places in zip(found.boxes, found.places, strict=True)
            if (np.diff(box)[-len(size) :, 0] <= size).all()
        ]
        for label, found in objects.items()
    }
    return {label: of_class for label, of_class in fits.items() if of_class}


class nnUNetTrainerCopyPaste(TrickTrainer):
    """nnU-Net that pastes objects of other cases into its training patches."""

    @classmethod
    def check_fresh(cls, planned: Planned) -> None:
        """Refuse training cases of which none has an object for another."""
        super().check_fresh(planned)
        cases = planned_foreground(planned)
        if cases and (len(cases) < 2 or not any(cases.values())):
            with_some = sum(bool(classes) for classes in cases.values())
            raise ValueError(
                f"CopyPaste takes objects of other training cases, and {with_some} of the {len(cases)} training cases "
                f"of {planned.plans.dataset_name} have foreground: at least two cases are needed, one with foreground"
            )

    def training_loader(self, loader: Any) -> Any:
        """nnU-Net's loader of patches with objects of other cases.

        Raises:
            ValueError: If no object fits into a patch.
        """
        loader = super().training_loader(loader)
        settings, cases = self.parameters["CopyPaste"], cases_of(loader)
        ignore = self.label_manager.ignore_label
        size = tuple(int(side) for side in self.configuration_manager.patch_size)
        found = of_cases(
            cases,
            loader.indices,
            Path(self.preprocessed_dataset_folder),
            loader.annotated_classes_key,
            ignore,
            self._log_plainly,
        )
        fits = {case: fitting(objects, size) for case, objects in found.items()}
        donors = Donors(cases, {case: objects for case, objects in fits.items() if objects}, ignore)
        total, fit = (
            sum(len(of_class) for of_case in part for of_class in of_case)
            for part in (
                [[of.sizes for of in objects.values()] for objects in found.values()],
                [list(objects.values()) for objects in fits.values()],
            )
        )
        if not fit:
            raise ValueError(
                f"CopyPaste has nothing to paste: none of {total} objects in {len(found)} training cases fits into a "
                f"patch of {'x'.join(map(str, size))} voxels"
            )
        self._log_plainly(
            f"objects to paste: {fit} of {total} fit into a patch, from {len(donors.objects)} of {len(found)} cases"
        )
        paste = PasteObjects(donors, size, p=settings.p, most=settings.most)
        read_from(loader, NotedCases(cases, donors))
        loader.transforms = ComposeTransforms([paste, loader.transforms])
        return loader
