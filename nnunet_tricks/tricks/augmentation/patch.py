"""The properties of a configuration's patches that augmentations depend on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

ALIKE = 1.25
"""Largest ratio of voxel edges of axes that may change places. Beyond it a quarter turn would stretch objects by more
than the paper's own largest scale."""


@dataclass(frozen=True)
class Patch:
    """Patches of a configuration.

    Attributes:
        size: Size in voxels, as the network gets the patches.
        spacing: Edges of a voxel in mm.
        by_slices: Whether nnU-Net finds them so flat that it warps the slices of the first axis alike, in their plane.
        colour: Whether their channels are red, green and blue.
        together: Whether these have one scale, as without normalisation or after division by 255.
        resampled: Whether voxels of all images have these edges. If not, only the order of the axes is known: along the
            first one voxels are longest.

    Examples:
        >>> patch = Patch((16, 96, 64), (5, 1, 1), by_slices=True, colour=False)
        >>> patch.plane.size, patch.plane.turning_axes, patch.turning_axes
        ((96, 64), (0, 1), (1, 2))
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    by_slices: bool
    colour: bool
    resampled: bool = True
    together: bool = False

    @property
    def plane(self) -> Patch:
        """The part that is warped at a time: the patch, or one of its slices."""
        if not self.by_slices:
            return self
        return replace(self, size=self.size[1:], spacing=self.spacing[1:], by_slices=False)

    @property
    def turning_axes(self) -> tuple[int, ...]:
        """The axes that may change places, since their voxel edges are alike; empty if there are no two.

        Volumes that are not resampled have at most those in the plane of the slices.
        """
        in_plane = self.by_slices or (len(self.size) == 3 and not self.resampled)
        axes = range(1 if in_plane else 0, len(self.size))
        groups = [group for count in range(len(axes), 1, -1) for group in combinations(axes, count)]
        # The largest group first, and of pairs the one whose edges are most alike.
        groups.sort(key=lambda group: (-len(group), self._stretch(group)))
        return next((group for group in groups if self._stretch(group) <= ALIKE), ())

    def _stretch(self, axes: tuple[int, ...]) -> float:
        edges = [self.spacing[axis] for axis in axes]
        return max(edges) / min(edges)
