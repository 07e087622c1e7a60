"""Class-aware sampling: first the class, then a case that has it.

nnU-Net draws a case first. For a patch that it centres on foreground it then draws one of the classes of that case, so
a class that few cases have is seen seldom. Here the class of such a patch is drawn first, each with the same
probability. Then come a case among those that have it, and one of its voxels. How many patches are centred on
foreground does not change, nor how the others are drawn. Shen et al., "Relay backpropagation for effective learning of
deep convolutional neural networks", ECCV 2016, section 4.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.sampling.foreground import foreground
from nnunet_tricks.tricks.sampling.loader import LoaderDraws, cases_of


class ClassFirst(LoaderDraws[Hashable]):
    """Draws the class of a foreground patch before its case.

    What is drawn for a patch is its class, or ``None`` for a patch that may lie anywhere.

    Attributes:
        cases: Cases of each class or region, at least one.
        oversampled: nnU-Net's rule, by its number in the batch, for which patches are centred on foreground.
    """

    def __init__(self, loader: Any, cases: Mapping[Hashable, Sequence[str]]) -> None:
        """Prepare draws for a loader.

        Args:
            loader: nnU-Net's.
            cases: Cases of each class or region, at least one.
        """
        super().__init__(loader)
        self.cases = cases
        # nnU-Net chooses one of its two rules when a loader is made.
        self.oversampled = loader.get_do_oversample

    def draw_batch(self) -> list[tuple[str, Hashable | None]]:
        """nnU-Net's cases, and for foreground patches a class and one of its cases."""
        classes = list(self.cases)
        batch: list[tuple[str, Hashable | None]] = []
        for number, case in enumerate(self.nnunets_cases()):
            if not self.oversampled(number):
                batch.append((case, None))
                continue
            drawn_class = classes[np.random.randint(len(classes))]
            cases_with_it = self.cases[drawn_class]
            batch.append((cases_with_it[np.random.randint(len(cases_with_it))], drawn_class))
        return batch

    def on_foreground(self, drawn: Hashable | None) -> bool:
        """Patches for which a class was drawn."""
        return drawn is not None

    def get_bbox(
        self,
        data_shape: Any,
        force_fg: bool,
        class_locations: Any,
        overwrite_class: Any = None,
        verbose: bool = False,
    ) -> tuple[Any, Any]:
        """nnU-Net's box around a voxel of the class that was drawn."""
        wanted = self.current if force_fg else overwrite_class
        return self.nnunets_box(data_shape, force_fg, class_locations, wanted, verbose)


def cases_by_class(loader: Any) -> dict[Hashable, list[str]]:
    """The cases that have a class or region, by what nnU-Net's preprocessing stored with them.

    Args:
        loader: nnU-Net's.
    """
    by_class: dict[Hashable, list[str]] = {}
    for case in loader.indices:
        locations = cases_of(loader).load_case(case)[-1]["class_locations"]
        for label in foreground(locations, loader.annotated_classes_key):
            by_class.setdefault(label, []).append(case)
    return by_class


class nnUNetTrainerClassBalancedSampling(TrickTrainer):
    """nnU-Net that draws the class of a foreground patch before its case."""

    def training_loader(self, loader: Any) -> Any:
        """nnU-Net's loader with these draws; the log says how many cases have each class."""
        loader = super().training_loader(loader)
        by_class = cases_by_class(loader)
        if by_class:
            ClassFirst(loader, by_class).install()
        listed = ", ".join(f"{label} in {len(cases)}" for label, cases in by_class.items()) or "none"
        self.print_to_log_file(f"of {len(loader.indices)} training cases have a class: {listed}", add_timestamp=False)
        if not self.oversample_foreground_percent:
            self.print_to_log_file(
                "ClassBalancedSampling changes nothing: no patch is centred on foreground; add Oversample",
                add_timestamp=False,
            )
        elif all(len(cases) == len(loader.indices) for cases in by_class.values()):
            self.print_to_log_file(
                "ClassBalancedSampling changes nothing: all training cases have the same classes", add_timestamp=False
            )
        return loader
