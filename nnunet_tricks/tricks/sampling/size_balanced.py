"""Size-balanced sampling: patches on foreground fall on small objects as often as on large ones.

nnU-Net centres a patch on a random voxel of a class of its case. An object with a thousand times the voxels of another
gets a thousand times its patches. Here the object is drawn first, each of the class and case with the same probability,
then one of its voxels. How cases and classes are drawn does not change, nor how many patches are centred on foreground.

An object is what is connected in the preprocessed labels, corners included. Parts that may be connected through voxels
that nobody annotated are one object. The objects are found once and kept beside the preprocessed data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.sampling.case_objects import Objects, of_cases
from nnunet_tricks.tricks.sampling.loader import cases_of, read_from


class BalancedCases:
    """A data set of nnU-Net's loader whose stored voxels of a class hold equally many of each object.

    Attributes:
        cases: nnU-Net's data set, or another that stands for it.
        identifiers: Names of its cases.
        objects: Objects of each case.
    """

    def __init__(self, cases: Any, objects: dict[str, Objects]) -> None:
        """Put voxels of objects in front of a data set."""
        self.cases, self.objects = cases, objects
        self.identifiers = cases.identifiers

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        """Load a case as nnU-Net does, with voxels of its objects to centre patches on."""
        *arrays, properties = self.cases.load_case(identifier)
        locations = dict(properties["class_locations"])
        for label, found in self.objects[identifier].items():
            # nnU-Net's coordinates begin with that of the channel.
            locations[label] = np.pad(found.places.reshape(-1, found.places.shape[-1]), ((0, 0), (1, 0)))
        return (*arrays, {**properties, "class_locations": locations})


class nnUNetTrainerSizeBalancedSampling(TrickTrainer):
    """nnU-Net that draws an object before the voxel that a patch is centred on."""

    def training_loader(self, loader: Any) -> Any:
        """nnU-Net's loader with voxels of objects; the log says how many objects there are, and of which size."""
        loader = super().training_loader(loader)
        cases = cases_of(loader)
        objects = of_cases(
            cases,
            loader.indices,
            Path(self.preprocessed_dataset_folder),
            loader.annotated_classes_key,
            self.label_manager.ignore_label,
            self._log_plainly,
        )
        read_from(loader, BalancedCases(cases, objects))
        sizes = [found.sizes for of_case in objects.values() for found in of_case.values()]
        listed = np.concatenate(sizes) if sizes else np.zeros(0)
        if not len(listed):
            self._log_plainly("SizeBalancedSampling changes nothing: no training case has an object")
        elif all(len(found) == 1 for found in sizes):
            self._log_plainly("SizeBalancedSampling changes nothing: no case has two objects of a class")
        else:
            self._log_plainly(
                f"{len(listed)} objects in {len(objects)} training cases, of {listed.min()} to {listed.max()} voxels, "
                f"half of them of {int(np.median(listed))} or less; each is drawn as often as any other of its class "
                "and case"
            )
        return loader
