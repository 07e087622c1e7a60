r"""Contrastive learning: of many views, the encoder finds the one of the same patch.

NT-Xent of Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020, eq. 1:
$-\log \frac{\exp(s_{ij} / \tau)}{\sum_{k \ne i} \exp(s_{ik} / \tau)}$, where s is the cosine of two projections. It is
the mean over all views of a batch. Each GPU compares the views of its own patches. With nnU-Net's small batches in 3D
there are few views to choose from, so the task is easy there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor, nn

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.trainer import PretextTrainer
from nnunet_tricks.tricks.pretraining.pretext.views import two_views, view_sides

FEW_PATCHES = 8
"""Patches of a batch below which the log warns."""
PROJECTED = 128
"""Numbers of a projection, as in the paper."""


def similarities(projections: Tensor) -> Tensor:
    """Cosines of each view with all others: (views, views); that with itself is minus infinity."""
    unit = F.normalize(projections.float(), dim=1)
    return (unit @ unit.T).fill_diagonal_(-torch.inf)


class NTXentLoss(nn.Module):
    """Cross-entropy of finding a view's partner among all other views.

    Attributes:
        temperature: Number that cosines are divided by.

    Examples:
        >>> same = torch.eye(2).repeat(2, 1)  # two patches, whose views are the same
        >>> round(float(NTXentLoss(temperature=0.5)(same, torch.tensor([[2], [3], [0], [1]]))), 4)
        0.2395
    """

    def __init__(self, temperature: float) -> None:
        """Remember the temperature."""
        super().__init__()
        self.temperature = temperature

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss.

        Args:
            output: Projections: (views, numbers).
            target: Number of each view's partner: (views, 1).
        """
        with torch.autocast(output.device.type, enabled=False):
            return F.cross_entropy(similarities(output) / self.temperature, target[:, 0])


class ProjectedEncoder(nn.Module):
    """An encoder with a projection of its deepest features; the decoder only keeps its place in the checkpoint.

    Attributes:
        encoder: Encoder of the planned network.
        decoder: Its decoder, which is not used.
        projection: Two linear layers after the mean over all voxels. Instance norm makes these means nearly the same
            for all images, so batch norm stands before them. It takes away what views share.
    """

    def __init__(self, network: Any) -> None:
        """Take a planned network apart."""
        super().__init__()
        self.encoder: nn.Module = network.encoder
        self.decoder: nn.Module = network.decoder
        width = int(network.encoder.output_channels[-1])
        self.projection = nn.Sequential(
            nn.BatchNorm1d(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, PROJECTED)
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, *spatial) to (B, numbers of a projection)."""
        features: Tensor = self.encoder(images)[-1]
        projected: Tensor = self.projection(features.flatten(2).mean(2))
        return projected


class nnUNetTrainerPretextContrastive(PretextTrainer):
    """nnU-Net's encoder learns which two views are of one patch."""

    pretext_trick = "PretextContrastive"
    unit: ClassVar[str] = "share of views whose partner is found"
    definition: ClassVar[str] = (
        "loss, and share of views whose partner is the nearest of all, among two views of four patches of each "
        "validation image"
    )
    trains_decoder = False

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse batches of one patch, in which there is nothing to tell apart."""
        super().check_planned(planned)
        if planned.batch_size < 2:
            raise ValueError(
                "PretextContrastive tells the patches of a batch apart, so each GPU needs two at least, and the plans "
                f"have {planned.configuration.batch_size} in all: plan a larger batch, or take PretextGenesis or "
                "PretextMasked"
            )

    def _notes(self) -> Iterator[str]:
        yield from super()._notes()
        if self.batch_size < FEW_PATCHES:
            yield (
                f"with {self.batch_size} patches in a batch PretextContrastive tells each view from "
                f"{2 * self.batch_size - 2} others only. With two patches it learned nothing in our trials: "
                "plan a larger batch, or take PretextMasked"
            )

    @classmethod
    def prepared(cls, network: nn.Module) -> nn.Module:
        """The encoder with a projection."""
        return ProjectedEncoder(network)

    @staticmethod
    def idle_parameters(network: nn.Module) -> Iterator[nn.Parameter]:
        """The decoder's own, which the task never reaches."""
        kept = {id(parameter) for parameter in network.encoder.parameters()}  # type: ignore[union-attr]
        yield from (p for p in network.decoder.parameters() if id(p) not in kept)  # type: ignore[union-attr]

    def _build_loss(self) -> nn.Module:
        return NTXentLoss(self.parameters["PretextContrastive"].temperature)

    def pose(self, images: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
        """Two views of each patch, and the number of each view's partner."""
        sides = view_sides(images.shape[2:], self.configuration_manager.pool_op_kernel_sizes)
        return two_views(images, sides, chance, mirrored=self.inference_allowed_mirroring_axes or ())

    def score(self, given: Tensor, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of views whose partner is found, and is not."""
        hits = (similarities(output).argmax(1) == target[:, 0]).sum()[None]
        return hits, len(output) - hits

    def measured(self, given: Tensor, output: Tensor, target: Tensor) -> dict[str, float]:
        """The numbers that ``definition`` describes."""
        hits, _ = self.score(given, output, target)
        return {"loss": float(self.loss(output, target)), "found_share": float(hits) / len(output)}

    def shown(self, images: Tensor, given: Tensor, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        """Both views."""
        first, second = given.chunk(2)
        return {"one view": first, "the other": second}
