"""Training of slice correspondence on images, and the file that it goes on from."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from nnunet_tricks.annotation.features import Volume, scaled
from nnunet_tricks.annotation.interpolation.correspondence import Correspondence, moved
from nnunet_tricks.utilities.files import replacing

STEPS = 1500
BATCH = 4
RATE = 1e-3
CROP = 64
APART = 3
"""Slices of a pair are at most so far from each other."""
SIDE = 160
"""Slices are shrunk by a whole factor until no side is longer, so that the window reaches farther."""
_SAVED_EVERY = 50

Bytes = NDArray[np.uint8]


@dataclass
class Trained:
    """A network and the factor by which slices are shrunk for it.

    Attributes:
        network: Of slice correspondence.
        factor: Pixels of a slice per pixel of the network's.
        step: How long it was trained.
        file: Where it is kept.
    """

    network: Correspondence
    factor: int
    step: int
    file: Path


def device(name: str | None = None) -> torch.device:
    """The named device, else a GPU if there is one.

    Raises:
        ValueError: If there is no such device.
    """
    try:
        found = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device '{name}' cannot be used: {str(error).splitlines()[0]}") from error
    return found


def factor_of(shapes: Iterable[tuple[int, ...]]) -> int:
    """How much slices of these volumes are shrunk, by the longest side of any.

    Args:
        shapes: With slices first.

    Examples:
        >>> factor_of([(30, 50, 35)]), factor_of([(30, 512, 512), (90, 256, 256)])
        (1, 4)
    """
    return max(1, -(-max(max(shape[1:]) for shape in shapes) // SIDE))


def shrunk(volume: Volume, factor: int) -> torch.Tensor:
    """Slices as the network sees them.

    Args:
        volume: Slices first, any intensities.
        factor: See ``factor_of``.

    Returns:
        Of shape (slices, 1, rows, columns), in [0, 1].
    """
    whole = torch.from_numpy(np.ascontiguousarray(scaled(volume)))[:, None]
    rows, columns = (-length % factor for length in volume.shape[1:])
    whole = functional.pad(whole, (0, columns, 0, rows), mode="replicate")
    return functional.avg_pool2d(whole, factor) if factor > 1 else whole


def trained(
    file: Path,
    volumes: Callable[[], Iterable[Volume]],
    shapes: Sequence[tuple[int, ...]],
    *,
    steps: int = STEPS,
    on: torch.device | None = None,
    seed: int = 0,
) -> Trained:
    """A network that was trained so long: read, trained on from where it was left, or from the start.

    What comes out does not depend on how often the training was interrupted.

    Args:
        file: Of the network, written every fifty steps.
        volumes: Gives the training images, slices first; called only if there is something to train.
        shapes: Of these volumes.
        steps: To train in all; none are added to a network that has more.
        on: Device.
        seed: Of weights and pairs.

    Raises:
        ValueError: If the file is of other images or another seed, no volume has two slices, or there is neither a
            network nor a step to train one.
    """
    if steps < (0 if file.is_file() else 1):
        raise ValueError(
            f"steps must be at least {0 if file.is_file() else 1}, got {steps}: "
            + (f"{file} is used as it is from 0 on" if file.is_file() else f"there is no network in {file} yet")
        )
    on = on or device()
    identity = {"factor": factor_of(shapes), "shapes": crc32(repr([*map(tuple, shapes)]).encode()), "seed": seed}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Correspondence().to(on)
    optimizer = torch.optim.Adam(network.parameters())
    step = 0
    if file.is_file():
        try:
            kept = torch.load(file, map_location=on, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ValueError(f"{file} is no network of slice correspondence: choose another --network") from error
        if not isinstance(kept, dict) or kept.get("identity") != identity:
            raise ValueError(f"{file} is a network of other images or another seed: choose another --network")
        network.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        step = kept["step"]
    if step < steps:
        images = [_as_bytes(shrunk(one, identity["factor"])) for one in volumes()]
        images = [one for one in images if len(one) > 1]
        if not images:
            raise ValueError("no volume has two slices to learn from")
        step = _train(network, optimizer, images, range(step, steps), identity, file, on)
    return Trained(network.eval(), identity["factor"], step, file)


def _train(
    network: Correspondence,
    optimizer: torch.optim.Optimizer,
    images: Sequence[Bytes],
    steps: range,
    identity: dict[str, int],
    file: Path,
    on: torch.device,
) -> int:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    for step in track(steps, "Learning which pixel is which", console=console, transient=True):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / steps.stop) ** 0.9
        generator = np.random.default_rng([identity["seed"], step])
        source, target = (torch.from_numpy(one).to(on) for one in _pairs(images, generator))
        features = network(torch.cat([source, target]))
        shares = network.shares(*features.chunk(2))
        loss = functional.smooth_l1_loss(moved(source, shares, network.radius), target, beta=0.05)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if (step + 1) % _SAVED_EVERY == 0 or step + 1 == steps.stop:
            _save(file, {"identity": identity, "step": step + 1} | _states(network, optimizer))
    return steps.stop


def _pairs(images: Sequence[Bytes], generator: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pairs of slices of one volume, with the same random crop, contrast and orientation."""
    side = [min(CROP, max(one.shape[axis] for one in images)) for axis in (1, 2)]
    side = [max(side)] * 2
    pairs = np.zeros((2, BATCH, 1, *side), np.float32)
    for index in range(BATCH):
        image = images[int(generator.integers(len(images)))]
        apart = int(generator.integers(1, min(APART, len(image) - 1) + 1))
        first = int(generator.integers(len(image) - apart))
        two = image[[first, first + apart]].astype(np.float32) / 255
        corner = [int(generator.integers(max(0, n - s) + 1)) for n, s in zip(two.shape[1:], side, strict=True)]
        two = two[:, corner[0] : corner[0] + side[0], corner[1] : corner[1] + side[1]]
        missing = [s - n for s, n in zip(side, two.shape[1:], strict=True)]
        two = np.pad(two, [(0, 0), *((0, m) for m in missing)], mode="symmetric" if min(two.shape) > 1 else "edge")
        two = np.rot90(two, int(generator.integers(4)), (1, 2))
        two = two[:: generator.choice([-1, 1]), :: generator.choice([-1, 1])]
        pairs[:, index, 0] = two ** np.float32(np.exp(generator.uniform(-0.5, 0.5)))
    return pairs[0], pairs[1]


def _as_bytes(slices: torch.Tensor) -> Bytes:
    return (255 * slices[:, 0]).round().to(torch.uint8).numpy()


def _states(network: Correspondence, optimizer: torch.optim.Optimizer) -> dict[str, object]:
    return {"network": network.state_dict(), "optimizer": optimizer.state_dict()}


def _save(file: Path, content: dict[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        torch.save(content, temporary)
