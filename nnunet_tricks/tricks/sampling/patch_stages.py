"""From small patches to the planned one: which sizes, with how many patches in a batch, in which epochs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

Size = tuple[int, ...]

LEAST_SIDE = 8
"""No side begins with fewer voxels, unless the planned one has fewer. nnU-Net's blur mirrors images at their border, by
up to four voxels, and fails where a side has no more than that."""


@dataclass(frozen=True)
class PatchStage:
    """Some epochs of a training, in which patches have one size.

    Attributes:
        first: Its first epoch, from 0.
        size: Voxels of a patch along each axis.
        batch: Number of patches in a batch, on all GPUs together.
    """

    first: int
    size: Size
    batch: int

    def __str__(self) -> str:
        """In words.

        Examples:
            >>> print(PatchStage(20, (16, 8, 8), 2))
            from epoch 20: 16x8x8, 2 patches in a batch
        """
        patches = "1 patch" if self.batch == 1 else f"{self.batch} patches"
        return f"from epoch {self.first}: {in_words(self.size)}, {patches} in a batch"


def in_words(size: Sequence[int]) -> str:
    """A size as it stands in messages.

    Examples:
        >>> in_words((40, 56, 40))
        '40x56x40'
    """
    return "x".join(map(str, size))


def growing_sizes(patch: Sequence[int], steps: Sequence[int], *, in_turn: bool = False) -> tuple[Size, ...]:
    """Sizes from a small patch to the planned one; from one to the next, one axis grows by one step.

    The first is the smallest patch with at least two voxels in the network's deepest stage, since norm layers cannot
    normalise a single one, and with sides of ``LEAST_SIDE``. The axis that grows is the one whose next side is
    shortest; of several, the first.

    Args:
        patch: Planned size, a multiple of the steps.
        steps: Voxels of the patch for one voxel in the deepest stage, along each axis.
        in_turn: Whether the axes grow one after the other instead.

    Returns:
        At least one size. The last one is the planned one.

    Examples:
        >>> growing_sizes((16, 32, 32), (8, 16, 16))
        ((16, 16, 16), (16, 32, 16), (16, 32, 32))
        >>> growing_sizes((128, 128, 128), (32, 32, 32), in_turn=True)[:4]
        ((64, 32, 32), (64, 64, 32), (64, 64, 64), (96, 64, 64))
    """
    planned = tuple(patch)
    size = [step * ceil(min(side, LEAST_SIDE) / step) for side, step in zip(planned, steps, strict=True)]
    sizes, axis = [tuple(size)], -1
    while tuple(size) != planned:
        unfinished = [axis for axis, side in enumerate(planned) if size[axis] < side]
        if in_turn:
            axis = next((later for later in unfinished if later > axis), unfinished[0])
        else:
            axis = min(unfinished, key=lambda axis: size[axis] + steps[axis])
        size[axis] += steps[axis]
        sizes.append(tuple(size))
    deepest = [prod(sides) // prod(steps) for sides in sizes]
    return tuple(size for size, voxels in zip(sizes, deepest, strict=True) if voxels > 1 or size == planned)


def larger_batch(size: Sequence[int], patch: Sequence[int], batch: int, most: int, *, processes: int = 1) -> int:
    """Number of patches of a size that have as many voxels as a planned batch, rounded down.

    Several processes get equally many, since nnU-Net cannot compute batch Dice with unequal shares.

    Args:
        size: Size of the patches.
        patch: Planned size.
        batch: Planned number of patches.
        most: Largest number; the planned one, if that is larger.
        processes: Number of processes that share the batch.

    Examples:
        >>> larger_batch((64, 32, 32), (128, 128, 128), 2, 64), larger_batch((16, 8, 8), (40, 56, 40), 9, 64)
        (64, 64)
        >>> larger_batch((96, 128, 128), (128, 128, 128), 2, 64)
        2
    """
    count = min(batch * prod(patch) // prod(size), most)
    return max(batch, count - count % processes)


def stages_of(sizes: Sequence[Size], batches: Sequence[int], epochs: int) -> tuple[PatchStage, ...]:
    """Stages of equal length; the last one has the remainder, too.

    A training with fewer epochs than sizes takes some of the sizes, as evenly as possible, and always the last one.

    Args:
        sizes: All sizes.
        batches: Number of patches for each of them.
        epochs: Length of the training, at least 1.

    Examples:
        >>> sizes = (8,), (16,), (24,), (32,)
        >>> [(stage.first, stage.size) for stage in stages_of(sizes, (2,) * 4, 6)]
        [(0, (8,)), (1, (16,)), (2, (24,)), (3, (32,))]
        >>> [stage.size for epochs in (2, 1) for stage in stages_of(sizes, (2,) * 4, epochs)]
        [(8,), (32,), (32,)]
    """
    count = min(len(sizes), epochs)
    length = epochs // count
    last = len(sizes) - 1
    chosen = [last - round(last * back / max(count - 1, 1)) for back in reversed(range(count))]
    return tuple(PatchStage(length * number, sizes[at], batches[at]) for number, at in enumerate(chosen))


def stage_at(stages: Sequence[PatchStage], epoch: int) -> PatchStage:
    """The stage of an epoch; after the last epoch the last stage.

    Args:
        stages: Stages in their order, the first from epoch 0.
        epoch: The epoch, from 0.
    """
    return stages[bisect_right([stage.first for stage in stages], epoch) - 1]


def share_of_process(count: int, anywhere: float, processes: int, rank: int) -> tuple[int, int]:
    """Patches of a batch that a process gets, and how many of them are centred on foreground; both by nnU-Net's rules.

    The patches on foreground are the last ones of the batch, so the last processes have them.

    Args:
        count: Patches of the batch.
        anywhere: Fraction of them that may lie anywhere.
        processes: Number of processes.
        rank: Number of the process, from 0.

    Examples:
        >>> [share_of_process(7, 0.5, 3, rank) for rank in range(3)]
        [(3, 0), (2, 1), (2, 2)]
    """
    whole, rest = divmod(count, processes)
    before, own = whole * rank + min(rank, rest), whole + (rank < rest)
    return own, min(max(before + own - round(count * anywhere), 0), own)
