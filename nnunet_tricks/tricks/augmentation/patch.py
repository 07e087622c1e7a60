"""What an augmentation has to know of a configuration's patches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

ALIKE = 1.25
"""Axes whose voxel edges differ by a larger factor must not change places: a quarter turn would stretch objects by
more than the paper's own largest scale."""


@dataclass(frozen=True)
class Patch:
    """Patches of a configuration.

    Attributes:
        size: In voxels, as the network gets them.
        spacing: Edges of a voxel in mm.
        by_slices: Whether nnU-Net finds them so flat that it warps the slices of the first axis alike, in their plane.
        colour: Whether their channels are red, green and blue.
        together: Whether these have one scale, as they have it without normalisation, or divided by 255.
        resampled: Whether voxels of all images have these edges. Else only the order of axes is known: nnU-Net puts the
            one along which voxels are longest first.

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
        """What is warped: the patch, or one of its slices."""
        if not self.by_slices:
            return self
        return replace(self, size=self.size[1:], spacing=self.spacing[1:], by_slices=False)

    @property
    def turning_axes(self) -> tuple[int, ...]:
        """The axes that may change places, since their voxel edges are alike; empty where there are no two.

        Of volumes that are not resampled those in the plane of the slices only, if any.
        """
        in_plane = self.by_slices or (len(self.size) == 3 and not self.resampled)
        axes = range(1 if in_plane else 0, len(self.size))
        groups = [group for count in range(len(axes), 1, -1) for group in combinations(axes, count)]
        # The largest group first, and of pairs the one that is most alike.
        groups.sort(key=lambda group: (-len(group), self._stretch(group)))
        return next((group for group in groups if self._stretch(group) <= ALIKE), ())

    def _stretch(self, axes: tuple[int, ...]) -> float:
        edges = [self.spacing[axis] for axis in axes]
        return max(edges) / min(edges)
