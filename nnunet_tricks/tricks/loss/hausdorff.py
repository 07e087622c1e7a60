r"""Hausdorff loss by distance transforms: a wrong voxel costs by its squared distance from the border.

$\frac{1}{NC} \sum_{i,c} (p_{ic} - g_{ic})^2 (d_{G,c}(i)^\alpha + d_{P,c}(i)^\alpha)$ over the N annotated voxels and C
foreground classes, with the distances to the borders of the truth and of the prediction at 0.5. Karimi and Salcudean,
"Reducing the Hausdorff distance in medical image segmentation with convolutional neural networks", IEEE TMI 2020.

The workers that augment compute the truth's distances. The prediction's are computed in every step, on the CPU, and
only if ``both`` is named; the authors, too, have a version with the truth's alone. Where nothing is predicted both are
the same. Distances lead from a voxel to the nearest one on the other side of the border, in multiples of the mean edge
of a voxel. A class that is absent from a patch or fills it has no border and costs nothing here. Only annotated voxels
are another side; for a slice that stands alone those of its plane (``targets/pieces.py``).

As in the paper it is added to Dice, and the two weigh the same: in each step the term is multiplied by ``weight`` and
by the ratio of the two, which has no gradient. The authors set this ratio once per epoch. Lower levels of deep
supervision have Dice alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from nnunet_tricks.training import voxel_sizes
from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.loss.dice import dice_score
from nnunet_tricks.tricks.targets.distance import distance_to_the_other_side
from nnunet_tricks.tricks.targets.pieces import MapOfKinds, map_of_annotated
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer


@dataclass(frozen=True, kw_only=True)
class HausdorffLoss:
    """Dice, and the Hausdorff term scaled to the same size.

    Attributes:
        weight: Weight of the Hausdorff term.
        alpha: Exponent of the distances.
        both: Edges of a voxel in mm if the prediction's distances count, too; ``None`` if they do not.
        batch: Whether the batch counts as one image for Dice.
    """

    weight: float
    alpha: float
    both: tuple[float, ...] | None
    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar, at least 0."""
        if prediction.maps is None:
            return 1 - dice_score(prediction.counts(batch=self.batch)).mean()
        dice, hausdorff = self.terms(prediction, prediction.maps)
        with torch.no_grad():
            ratio = dice / hausdorff.clamp_min(1e-12)
        return dice + self.weight * ratio * hausdorff

    def terms(self, prediction: Prediction, distances: Tensor) -> tuple[Tensor, Tensor]:
        """Dice loss and Hausdorff term, two scalars.

        Args:
            prediction: Logits beside their truth.
            distances: Distances of the truth, (B, foreground classes or regions, *spatial), raised to alpha.
        """
        if self.both is not None:
            spacing = self.both[-(distances.ndim - 2) :]
            distances = distances + of_prediction(prediction, distances, spacing, self.alpha)
        counts, paid = prediction.counts_and_mapped(distances, errors=True, batch=self.batch)
        return 1 - dice_score(counts).mean(), paid.sum() / (prediction.voxels * paid.shape[1])


def of_prediction(prediction: Prediction, like: Tensor, spacing: tuple[float, ...], alpha: float) -> Tensor:
    """Distances to the other side of the border of what is predicted, raised to alpha; no gradient.

    Args:
        prediction: Logits beside their truth.
        like: Distances of the truth, (B, foreground classes or regions, *spatial).
        spacing: Edges of a voxel in mm.
        alpha: Exponent of the distances.

    Returns:
        Distances of the shape, type and device of ``like``.
    """
    with torch.no_grad():
        masks = (prediction.probabilities[:, -like.shape[1] :] > 0.5).cpu().numpy()
    known = None if prediction.annotated is None else prediction.annotated.cpu().numpy()
    distances = partial(distance_to_the_other_side, power=alpha)
    maps = [
        torch.from_numpy(map_of_annotated(distances, mask, spacing, None if known is None else known[image]))
        for image, of_classes in enumerate(masks)
        for mask in of_classes
    ]
    return torch.stack(maps).view_as(like).to(like)


class nnUNetTrainerHausdorff(MappedLossTrainer):
    """nnU-Net with Dice and the Hausdorff loss in place of Dice + cross-entropy."""

    @property
    def map_of_kinds(self) -> MapOfKinds:
        """Distances to the other side of the border, raised to alpha."""
        return partial(distance_to_the_other_side, power=self.parameters["Hausdorff"].alpha)

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse to measure predictions in voxels that images do not have."""
        super().check_planned(planned)
        if cls.parameters["Hausdorff"].both and not voxel_sizes.as_planned(planned.configuration):
            raise ValueError(
                f"Hausdorff_both measures predictions in the planned voxel, and the configuration of "
                f"{planned.plans.plans_name} does not resample images to it: take Hausdorff without 'both', which "
                "measures each case in its own voxels, or plans with one spacing"
            )

    def make_loss(self) -> HausdorffLoss:
        """Dice and the Hausdorff term."""
        settings = self.parameters["Hausdorff"]
        spacing = tuple(float(edge) for edge in self.configuration_manager.spacing)
        return HausdorffLoss(
            weight=settings.weight,
            alpha=settings.alpha,
            both=spacing if settings.both else None,
            batch=self.batch_dice,
        )
