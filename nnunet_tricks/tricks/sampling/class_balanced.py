"""Class-aware sampling: first the class, then a case that has it.

nnU-Net draws a case, and then, for the patches that it centres on foreground, one of the classes of that case: a class
that few cases have is seen seldom. Here the class of such a patch is drawn first, all alike, then a case among those
that have it, then one of its voxels. How many patches are centred on foreground, and how the others are drawn, does not
change. Shen et al., "Relay backpropagation for effective learning of deep convolutional neural networks", ECCV 2016,
section 4.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from nnunet_tricks.training.trainer import TrickTrainer


class ClassFirst:
    """Draws for a loader of nnU-Net, in place of its own methods of the same names.

    Attributes:
        loader: nnU-Net's.
        cases: The cases of each class or region; no class is without any.
        oversampled: nnU-Net's rule, which patches of a batch are centred on foreground.
        drawn: The class of each patch of the batch that is being made, ``None`` for those that lie anywhere.
        current: That of the patch that is being made.
    """

    def __init__(self, loader: Any, cases: Mapping[Hashable, Sequence[str]]) -> None:
        """Take both."""
        self.loader = loader
        self.cases = cases
        # nnU-Net chooses one of its two rules when a loader is made.
        self.oversampled = loader.get_do_oversample
        self.drawn: list[Hashable | None] = []
        self.current: Hashable | None = None

    def install(self) -> None:
        """Let the loader draw so."""
        for name in ("get_indices", "get_do_oversample", "get_bbox"):
            setattr(self.loader, name, getattr(self, name))

    def get_indices(self) -> list[str]:
        """The cases of a batch."""
        classes = list(self.cases)
        chosen = list(type(self.loader).get_indices(self.loader))
        self.drawn = [None] * len(chosen)
        for number in range(len(chosen)):
            if self.oversampled(number):
                self.drawn[number] = classes[np.random.randint(len(classes))]
                having = self.cases[self.drawn[number]]
                chosen[number] = having[np.random.randint(len(having))]
        return chosen

    def get_do_oversample(self, number: int) -> bool:
        """Whether a patch is centred on foreground."""
        self.current = self.drawn[number]
        return self.current is not None

    def get_bbox(
        self,
        data_shape: Any,
        force_fg: bool,
        class_locations: Any,
        overwrite_class: Any = None,
        verbose: bool = False,
    ) -> Any:
        """nnU-Net's box around a voxel of the class that was drawn."""
        wanted = self.current if force_fg else overwrite_class
        return type(self.loader).get_bbox(self.loader, data_shape, force_fg, class_locations, wanted, verbose)


def cases_by_class(loader: Any) -> dict[Hashable, list[str]]:
    """Which cases have a class or region, from what nnU-Net's preprocessing stored with them.

    Args:
        loader: nnU-Net's.
    """
    found: dict[Hashable, list[str]] = {}
    for case in loader.indices:
        locations = loader._data.load_case(case)[-1]["class_locations"]
        for one, voxels in locations.items():
            # What is annotated at all has a key of its own where there is an ignore label.
            if len(voxels) and one != loader.annotated_classes_key:
                found.setdefault(one, []).append(case)
    return found


class nnUNetTrainerClassBalancedSampling(TrickTrainer):
    """nnU-Net that draws the class of a foreground patch before its case."""

    def training_loader(self, loader: Any) -> Any:
        """nnU-Net's loader, drawing so."""
        loader = super().training_loader(loader)
        cases = cases_by_class(loader)
        if cases:
            ClassFirst(loader, cases).install()
        listed = ", ".join(f"{one} in {len(having)}" for one, having in cases.items()) or "none"
        self.print_to_log_file(f"of {len(loader.indices)} training cases have a class: {listed}", add_timestamp=False)
        if not self.oversample_foreground_percent:
            self.print_to_log_file(
                "ClassBalancedSampling changes nothing: no patch is centred on foreground; add Oversample",
                add_timestamp=False,
            )
        elif all(len(having) == len(loader.indices) for having in cases.values()):
            self.print_to_log_file(
                "ClassBalancedSampling changes nothing: all training cases have the same classes", add_timestamp=False
            )
        return loader
