"""Training of slice correspondence on images, and the file from which it continues."""

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
"""Largest distance between the slices of a pair."""
SIDE = 160
"""Longest side of a slice; longer ones are shrunk by a whole factor, so that the window reaches farther."""
_SAVED_EVERY = 50

Bytes = NDArray[np.uint8]


@dataclass
class TrainedCorrespondence:
    """A network, and the factor by which slices are shrunk for it.

    Attributes:
        network: Network of slice correspondence.
        factor: Pixels of a slice per pixel of the network.
        step: Number of training steps so far.
        file: File of the network.
    """

    network: Correspondence
    factor: int
    step: int
    file: Path


def device(name: str | None = None) -> torch.device:
    """The named device, or by default a GPU if there is one.

    Raises:
        ValueError: If there is no such device.
    """
    try:
        usable = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=usable)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device '{name}' cannot be used: {str(error).splitlines()[0]}") from error
    return usable


def factor_of(shapes: Iterable[tuple[int, ...]]) -> int:
    """Factor by which slices of these volumes are shrunk, from the longest side of any.

    Args:
        shapes: Shapes of the volumes, slices first.

    Examples:
        >>> factor_of([(30, 50, 35)]), factor_of([(30, 512, 512), (90, 256, 256)])
        (1, 4)
    """
    return max(1, -(-max(max(shape[1:]) for shape in shapes) // SIDE))


def shrunk(volume: Volume, factor: int) -> torch.Tensor:
    """Slices as the network sees them.

    Args:
        volume: Volume with slices first and any intensities.
        factor: See ``factor_of``.

    Returns:
        Slices of shape (slices, 1, rows, columns), in [0, 1].
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
) -> TrainedCorrespondence:
    """Read a network and train its missing steps, or train one from the start.

    The result does not depend on how often the training was interrupted.

    Args:
        file: File of the network, written every fifty steps.
        volumes: Function that gives the training images, slices first; it is called only if steps are missing.
        shapes: Shapes of these volumes.
        steps: Training steps in all; a network that has more is used as it is.
        on: Device of the training.
        seed: Seed of weights and pairs.

    Raises:
        ValueError: If the file has other images or another seed, no volume has two slices, or there is neither a
            network nor a step to train one.
    """
    if steps < (0 if file.is_file() else 1):
        raise ValueError(
            f"steps must be at least {0 if file.is_file() else 1}, got {steps}: "
            + (f"with 0, {file} is used as it is" if file.is_file() else f"there is no network in {file} yet")
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
            raise ValueError(f"{file} is not a network of slice correspondence: choose another --network") from error
        if not isinstance(kept, dict) or kept.get("identity") != identity:
            raise ValueError(f"{file} is a network of other images or another seed: choose another --network")
        network.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        step = kept["step"]
    if step < steps:
        images = [_as_bytes(shrunk(volume, identity["factor"])) for volume in volumes()]
        images = [image for image in images if len(image) > 1]
        if not images:
            raise ValueError("no volume has two slices to learn from")
        step = _train(network, optimizer, images, range(step, steps), identity, file, on)
    return TrainedCorrespondence(network.eval(), identity["factor"], step, file)


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
        source, target = (torch.from_numpy(slices).to(on) for slices in _pairs(images, generator))
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
    """Draw pairs of slices of one volume, with the same random crop, contrast and orientation."""
    side = [min(CROP, max(image.shape[axis] for image in images)) for axis in (1, 2)]
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
