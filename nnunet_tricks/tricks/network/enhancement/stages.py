"""Which skip connections are enhanced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Where = Literal["middle", "shallow"]


def chosen_stages(skips: int, count: int, where: Where) -> range:
    """Neighbouring skip connections of a U-Net, from shallow to deep.

    ``middle`` chooses in the middle: of four skip connections the second and third, as in the paper's U-Net.
    ``shallow`` begins at the second one, at half resolution, however deep the network is. So does the paper's U-Net.

    Args:
        skips: Number of skip connections; number 0 has full resolution.
        count: Number of skip connections to choose.
        where: ``middle`` or ``shallow``.

    Returns:
        Numbers of the chosen skip connections.

    Raises:
        ValueError: If there are too few skip connections.

    Examples:
        >>> [list(chosen_stages(skips, 2, "middle")) for skips in (2, 3, 4, 5, 6, 7)]
        [[0, 1], [1, 2], [1, 2], [2, 3], [2, 3], [3, 4]]
        >>> list(chosen_stages(6, 2, "shallow"))
        [1, 2]
    """
    first = 1 if where == "shallow" else max(skips - count + 1, 0) // 2
    if first + count > skips:
        raise ValueError(
            f"r names ratios of {count} stages, but the network has {skips} skip connections"
            + (f", {skips - 1} of them below full resolution" if where == "shallow" else "")
            + ": name fewer, from shallow to deep"
        )
    return range(first, first + count)


def axes_of(kernel: int | Sequence[int], dimensions: int) -> tuple[int, ...]:
    """Spatial axes along which a stage's convolutions look; nnU-Net has kernels of 1 where voxels are far apart.

    Examples:
        >>> axes_of([1, 3, 3], 3), axes_of(3, 2)
        ((1, 2), (0, 1))
    """
    sizes = [kernel] * dimensions if isinstance(kernel, int) else kernel
    return tuple(axis for axis, size in enumerate(sizes) if size > 1) or tuple(range(dimensions))
