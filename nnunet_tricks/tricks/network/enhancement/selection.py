"""Which channels are shown twice, sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Score = Callable[[Tensor, Sequence[int] | None], Tensor]
"""A function from features (B, C, *spatial) and the spatial axes to look along to scores (B, C); high is better."""


def most_instructive(scores: Tensor, count: int) -> Tensor:
    """The channels with the highest scores, best first.

    Of equal scores the lower channel comes first, on every device. A score that is not a number comes last.

    Args:
        scores: (B, C).
        count: Number of channels to choose in each sample, from 0 to C.

    Returns:
        (B, count) channel numbers.

    Raises:
        ValueError: If there are fewer channels.

    Examples:
        >>> most_instructive(torch.tensor([[1.0, 3.0, 3.0, torch.nan]]), 3)
        tensor([[1, 2, 0]])
    """
    if not 0 <= count <= scores.shape[1]:
        raise ValueError(f"count must be from 0 to the {scores.shape[1]} channels, got {count}")
    known = scores.masked_fill(scores.isnan(), -torch.inf)
    return known.sort(dim=1, descending=True, stable=True).indices[:, :count]


def enhanced(features: Tensor, index: Tensor, *, selected_first: bool = False) -> Tensor:
    """All channels, then the chosen ones once more.

    Args:
        features: (B, C, *spatial).
        index: (B, k) channel numbers.
        selected_first: Whether the chosen ones come before all channels.

    Returns:
        (B, C + k, *spatial). A chosen channel gets the gradients of both its copies.

    Examples:
        >>> enhanced(torch.tensor([[[[1.0]], [[2.0]]]]), torch.tensor([[1]])).flatten()
        tensor([1., 2., 2.])
    """
    samples, channels = features.shape[:2]
    every = torch.arange(channels, device=index.device).expand(samples, channels)
    first = channels * torch.arange(samples, device=index.device).unsqueeze(1)
    rows = torch.cat([index, every] if selected_first else [every, index], dim=1) + first
    # Copies whole maps: a third of the time of gather, forward and backward.
    return features.flatten(0, 1).index_select(0, rows.flatten()).reshape(*rows.shape, *features.shape[2:])


class Enhancement(nn.Module):
    """Appends the most instructive channels of a feature map; has no weights, and fits behind any layer.

    Attributes:
        channels: Number of channels that come in.
        count: Number of channels that are added.
        axes: Spatial axes that the score looks along; all if ``None``.
        selected_first: Whether the added channels come before all channels.

    Examples:
        >>> from nnunet_tricks.tricks.network.enhancement.curvature import curvature_score
        >>> Enhancement(curvature_score, channels=8, ratio=0.75)(torch.randn(2, 8, 16, 16)).shape
        torch.Size([2, 14, 16, 16])
    """

    def __init__(
        self,
        score: Score,
        *,
        channels: int,
        ratio: float,
        axes: Sequence[int] | None = None,
        selected_first: bool = False,
    ) -> None:
        """Choose ``floor(ratio * channels)`` channels.

        Args:
            score: Score of the channels; those with the highest are added.
            channels: Number of channels that come in.
            ratio: Share of the channels to add, from 0 (none) to 1 (all are shown twice).
            axes: Spatial axes that the score looks along.
            selected_first: Whether the added channels come before all channels.

        Raises:
            ValueError: If the ratio is not from 0 to 1.
        """
        super().__init__()
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio must be from 0 to 1, got {ratio}")
        self.score = score
        self.channels = channels
        self.count = int(ratio * channels)
        self.axes = None if axes is None else tuple(axes)
        self.selected_first = selected_first

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, *spatial) -> (B, C + count, *spatial)."""
        if not self.count:
            return features
        return enhanced(features, self.choose(features), selected_first=self.selected_first)

    @torch.no_grad()
    def choose(self, features: Tensor) -> Tensor:
        """The channels (B, count) that are added, best first."""
        return most_instructive(self.score(features, self.axes), self.count)

    def extra_repr(self) -> str:
        """Settings that str(network) shows."""
        return f"{self.channels} channels, {self.count} of them twice"
