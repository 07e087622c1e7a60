"""Local shuffling of a patch's windows at once, against loops over the windows.

python -m benchmarks.shuffling [--rounds 10] [--threads 1] [--out benchmarks/results/shuffling.json]

One loop has the tensors and random numbers of our tasks. The other has NumPy's, as in the published code. Times are CPU
time, and all that is compared takes turns. A copy of the patch, which each of them makes, is timed too: no way of
shuffling is faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measuring import paired, save
from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.shuffling import WINDOWS, grid_of, shuffled

PATCHES = (
    ((40, 56, 40), (3, 4, 3)),
    ((64, 64, 64), (4, 4, 4)),
    ((96, 96, 96), (5, 5, 5)),
    ((128, 128, 128), (6, 6, 6)),
    ((256, 256), (8, 8)),
    ((512, 512), (16, 16)),
)
"""Patches, and typical sides of their windows."""
COPY = "copy of the patch"


def main() -> None:
    """Measure, print a table, save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [_row(shape, sides, arguments.rounds) for shape, sides in PATCHES]
    if arguments.out:
        save(arguments.out, {"threads": arguments.threads, "rounds": arguments.rounds, "results": rows})


def _row(shape: tuple[int, ...], sides: tuple[int, ...], rounds: int) -> dict[str, Any]:
    image, chance = torch.rand(1, *shape), Chance(0, torch.device("cpu"))
    corners, inside = grid_of(shape, sides, [0] * len(shape))
    # Windows lie all over the patch, as in trainings.
    chosen = corners[chance.order(len(corners))[:WINDOWS]]
    functions: dict[str, Callable[[], object]] = {
        "at once": partial(shuffled, image, chosen, inside, chance),
        "loop": partial(_one_by_one, image, sides, len(chosen), chance),
        "loop in NumPy": partial(_in_numpy, image, sides, len(chosen), np.random.RandomState(0)),
        COPY: image.clone,
    }
    timed = paired(functions, baseline="at once", rounds=rounds, clock=process_time)
    words = f"{'x'.join(map(str, shape))}, {len(chosen)} windows of {'x'.join(map(str, sides))}"
    loops = ", ".join(f"{name} {timed[name]['ratio']:.1f}" for name in functions if name.startswith("loop"))
    own, copy = (timed[name]["milliseconds"] for name in ("at once", COPY))
    print(f"{words:44} {own:7.2f} ms, a copy alone {copy:.2f} ms; times as long: {loops}")
    return {"shape": shape, "sides": sides, "windows": len(chosen), "timed": timed}


def _one_by_one(image: Tensor, sides: tuple[int, ...], windows: int, chance: Chance) -> Tensor:
    """Shuffling window by window, at random places."""
    result = image.clone()
    for _ in range(windows):
        begins = [chance.whole(0, length - side) for length, side in zip(image.shape[1:], sides, strict=True)]
        place = (slice(None), *(slice(begin, begin + side) for begin, side in zip(begins, sides, strict=True)))
        window = image[place]
        result[place] = window.flatten(1)[:, torch.randperm(prod(sides))].view_as(window)
    return result


def _in_numpy(image: Tensor, sides: tuple[int, ...], windows: int, chance: np.random.RandomState) -> Tensor:
    """The same with NumPy, for an image of one channel."""
    (original,) = image.numpy()
    result = original.copy()
    for _ in range(windows):
        begins = [chance.randint(0, length - side + 1) for length, side in zip(original.shape, sides, strict=True)]
        place = tuple(slice(begin, begin + side) for begin, side in zip(begins, sides, strict=True))
        window = original[place].flatten()
        chance.shuffle(window)
        result[place] = window.reshape(sides)
    return torch.from_numpy(result[None])


if __name__ == "__main__":
    main()
