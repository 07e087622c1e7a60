"""How tricks change what nnU-Net's loader draws; its private names stand in this file only.

The loader makes a batch patch by patch. It asks ``get_indices`` once for the cases of the batch. For each patch it then
asks ``get_do_oversample`` whether to centre it on foreground, and ``get_bbox`` for the box to cut out. ``get_bbox`` is
not told which patch the box is for. ``LoaderDraws`` remembers it between the calls.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

Drawn = TypeVar("Drawn")

_METHODS = ("get_indices", "get_do_oversample", "get_bbox")


class LoaderDraws(ABC, Generic[Drawn]):
    """Draws for one of nnU-Net's loaders, in place of its own methods of the same names.

    Attributes:
        loader: nnU-Net's ``nnUNetDataLoader``.
        drawn: Results of ``draw_batch`` for each patch of the batch in progress.
        current: Result for the patch in progress; ``None`` before the first patch.
    """

    def __init__(self, loader: Any) -> None:
        """Keep the loader; its own draws stay until ``install``."""
        self.loader = loader
        self.drawn: list[Drawn | None] = []
        self.current: Drawn | None = None

    def install(self) -> None:
        """Replace the loader's own draws by these."""
        for name in _METHODS:
            setattr(self.loader, name, getattr(self, name))

    @abstractmethod
    def draw_batch(self) -> list[tuple[str, Drawn | None]]:
        """The case of each patch, and what else is drawn for the patch before its case is loaded."""

    def on_foreground(self, drawn: Drawn | None) -> bool:
        """Whether nnU-Net has to centre a patch on foreground.

        Args:
            drawn: Result of ``draw_batch`` for the patch.
        """
        return False

    @abstractmethod
    def get_bbox(
        self,
        data_shape: Any,
        force_fg: bool,
        class_locations: Any,
        overwrite_class: Any = None,
        verbose: bool = False,
    ) -> tuple[Any, Any]:
        """The box of the patch in progress: where it begins and where it ends along each axis.

        Args:
            data_shape: Shape of the image, (z, y, x).
            force_fg: Answer of ``on_foreground``.
            class_locations: Locations of the classes, as the data set stores them with the case.
            overwrite_class: Class to centre the patch on, in place of a random one; nnU-Net gives none.
            verbose: Whether nnU-Net prints what it does.
        """

    def get_indices(self) -> list[str]:
        """The cases of a batch."""
        batch = self.draw_batch()
        self.drawn = [drawn for _, drawn in batch]
        return [case for case, _ in batch]

    def get_do_oversample(self, number: int) -> bool:
        """Whether patch ``number`` of the batch is centred on foreground; from now on it is the one in progress."""
        self.current = self.drawn[number]
        return self.on_foreground(self.current)

    def nnunets_cases(self) -> list[str]:
        """The cases of a batch by nnU-Net's own rule."""
        return list(type(self.loader).get_indices(self.loader))

    def nnunets_box(self, *arguments: Any) -> tuple[Any, Any]:
        """A box by nnU-Net's own rule, from the arguments of ``get_bbox``."""
        low, high = type(self.loader).get_bbox(self.loader, *arguments)
        return low, high


@dataclass(frozen=True)
class PatchesDrawn:
    """Patches as a loader draws them.

    Attributes:
        size: Voxels along each axis, as the network gets them.
        loaded: Voxels along each axis before they are augmented.
        batch: Number of patches in a batch.
        fraction: Fraction of them that is centred on foreground, as nnU-Net's loader takes it.
    """

    size: tuple[int, ...]
    loaded: tuple[int, ...]
    batch: int
    fraction: float


def draw_patches(loader: Any, patches: PatchesDrawn) -> None:
    """Let a loader draw such patches from now on, as if it had been made for them; transforms are another matter.

    Args:
        loader: nnU-Net's, whose processes have not started.
        patches: What to draw.
    """
    # To a loader, an image is a volume of one slice.
    slices = (1,) if loader.patch_size_was_2d else ()
    loader.patch_size, loader.final_patch_size = (*slices, *patches.loaded), (*slices, *patches.size)
    loader.need_to_pad = np.subtract(loader.patch_size, loader.final_patch_size).astype(int)
    loader.batch_size = patches.batch
    loader.oversample_foreground_percent = patches.fraction


def loader_of(batches: Any) -> Any:
    """The loader behind what makes batches of it, in this process or in others.

    Args:
        batches: nnU-Net's ``dataloader_train`` or ``dataloader_val``.
    """
    return batches.data_loader if hasattr(batches, "data_loader") else batches.generator


def cases_of(loader: Any) -> Any:
    """The data set that a loader reads its cases from."""
    return loader._data


def read_from(loader: Any, cases: Any) -> None:
    """Let a loader read another data set in place of its own.

    Args:
        loader: nnU-Net's, whose processes have not started.
        cases: Data set with ``identifiers`` and ``load_case``, as nnU-Net's.
    """
    loader._data = cases
    loader.indices = list(cases.identifiers)
