"""Features of slices: the codes of an autoencoder that learned to reproduce them.

This is close to Zheng et al., "Biomedical image segmentation via representative annotation", AAAI 2019, who select by
such codes. Their network is not published.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nnunet_tricks.annotation.features import Array, Volume, thumbnails
from nnunet_tricks.annotation.row_store import RowStore

SIDE = 128
LATENT = 128
STEPS = 3000
BATCH = 64
_WIDTHS = (16, 32, 64, 64)


class Autoencoder(nn.Module):
    """A network from slices of 128x128 pixels to 128 numbers, and back."""

    def __init__(self) -> None:
        """Build encoder and decoder, with four steps each."""
        super().__init__()
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for before, after in zip((1, *_WIDTHS), _WIDTHS, strict=False):
            down += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.GroupNorm(4, after), nn.ReLU()]
            up = [nn.ConvTranspose2d(after, before, 4, stride=2, padding=1), *up]
            up = [nn.GroupNorm(4, after), nn.ReLU(), *up]
        small = (_WIDTHS[-1], SIDE // 16, SIDE // 16)
        flat = int(np.prod(small))
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, flat), nn.Unflatten(1, small), *up)

    def forward(self, slices: Tensor) -> Tensor:
        """Reproduce slices, of shape (n, 1, 128, 128)."""
        reproduced: Tensor = self.decoder(self.encoder(slices))
        return reproduced


def latents(volumes: Iterable[Volume], *, seed: int = 0, steps: int = STEPS) -> list[Array]:
    """Features of all slices of all volumes; the network learns from these very slices, without any label.

    Args:
        volumes: Volumes with slices first, from inferior to superior; they are read one by one.
        seed: Seed of weights and batches.
        steps: Training steps, each with 64 slices.

    Returns:
        For each volume one row of 128 features per slice. The mean of all rows is subtracted, and rows have length one.
    """
    with RowStore(SIDE * SIDE, np.uint8) as rows:
        for volume in volumes:
            rows.add(np.round(255 * thumbnails(volume, SIDE)))
        return _learned(rows, seed, steps)


def _learned(rows: RowStore, seed: int, steps: int) -> list[Array]:
    from rich.console import Console
    from rich.progress import track

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Autoencoder().to(device)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    generator = np.random.default_rng(seed)
    for _ in track(range(steps), "Learning what slices look like", console=console, transient=True):
        batch = generator.integers(len(rows), size=min(BATCH, len(rows)))
        slices = _as_slices(rows.take(batch)).to(device) / 255
        loss = functional.mse_loss(network(slices), slices)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    network.eval()
    with torch.inference_mode():
        parts = [
            network.encoder(part.to(device) / 255).cpu()
            for _, chunk in rows.chunks()
            for part in _as_slices(chunk).tensor_split([*range(256, len(chunk), 256)])
        ]
    codes = torch.cat(parts)
    unit = functional.normalize(codes - codes.mean(0)).numpy()
    return np.split(unit, np.cumsum(rows.parts)[:-1])


def _as_slices(rows: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(rows.copy()).reshape(-1, 1, SIDE, SIDE)
