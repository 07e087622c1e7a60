r"""BiCC: as CC-Dice, and each predicted object is judged in its own cell, too.

$L + (1 - \alpha) E_k[CE_k - Dice_k] + \alpha E_j[CE_j - Dice_j]$ with the cells of the objects k of the truth, see
``cc_dice.py``, and those of the predicted objects j, connected voxels with a probability above 0.5. In a cell without
truth, $Dice_j$ is $1 - \frac{\sum p \bar{p}}{\sum \bar{p}}$, where $\bar{p}$ has no gradient: an object that is not
there costs by how sure the network is of it, on its own scale. BiCC loss (arXiv 2609.30223, 2026), for one class in 3D
with alpha 0.5. Here, as in ``CCDice``, each class is taken against the rest, and means go over the same.

With alpha 0 it is CC-Dice. An image that has objects of a class, of which none is predicted, is one cell.

Distances are measured in mm, as in the published code, or in ``voxels``. Cells of predicted objects are cut in every
step, on the CPU, at full size only. A network that is not yet sure of anything predicts many objects.
"""

# mypy: untyped-calls-exclude="torch"
from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from nnunet_tricks.training import voxel_sizes
from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.loss.cc_dice import CCDiceLoss, cell_term
from nnunet_tricks.tricks.loss.cell_sums import Partition
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.no_smooth import LEAST, PlainDice, plain_dice
from nnunet_tricks.tricks.targets.cells import cells
from nnunet_tricks.tricks.targets.pieces import MapOfKinds, map_of_annotated
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer


@dataclass(frozen=True, kw_only=True)
class BiCCLoss:
    """Cross-entropy and Dice of the whole, and of the cells of true and of predicted objects.

    Attributes:
        alpha: Share of the cells of predicted objects.
        spacing: Edges of a voxel in mm, ``None`` where distances are measured in voxels.
        batch: Whether the batch counts as one image for Dice of the whole.
    """

    with_logs: ClassVar[bool] = True

    alpha: float
    spacing: tuple[float, ...] | None
    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar."""
        if prediction.maps is None:
            return cross_entropy(prediction) + PlainDice(batch=self.batch)(prediction)
        partition = Partition.of(prediction, prediction.maps)
        loss = CCDiceLoss(alpha=1, beta=1, batch=self.batch).whole(prediction, partition)
        if self.alpha < 1:
            loss = loss + (1 - self.alpha) * cell_term(prediction, partition)
        if self.alpha > 0:
            # The compiler would trace NumPy, which the cells are made with.
            cut = torch.compiler.disable(cells_of_prediction)
            predicted = cut(prediction, prediction.maps, self.spacing)
            loss = loss + self.alpha * predicted_term(prediction, predicted)
        return loss


def predicted_term(prediction: Prediction, numbers: Tensor) -> Tensor:
    """The mean of cross-entropy minus Dice over the cells of predicted objects.

    Args:
        prediction: Logits beside their truth.
        numbers: Cells of predicted objects, (B, foreground classes or regions, *spatial).

    Returns:
        A scalar; the mean cross-entropy of images without predicted and true objects is part of it.
    """
    partition = Partition.of(prediction, numbers, squared=True)
    counts = partition.cells
    # A score of 1 - x where x is the loss of a cell without truth.
    false = 1 - partition.squares[..., 2:-1:2] / counts.predicted.detach().clamp_min(LEAST)
    score = torch.where(counts.truth > 0, plain_dice(counts), false)
    return partition.mean(-score, prediction.decision_cross_entropy)


def cells_of_prediction(prediction: Prediction, truth: Tensor, spacing: tuple[float, ...] | None) -> Tensor:
    """Cells of the objects that are predicted with a probability above 0.5; no gradient.

    Args:
        prediction: Logits beside their truth.
        truth: Cells of true objects, (B, foreground classes or regions, *spatial).
        spacing: Edges of a voxel in mm, ``None`` to measure in voxels.

    Returns:
        Numbers of cells, in the shape, type and device of ``truth``. Where no object of a class is predicted, and there
        are some, the image is one cell.
    """
    # Without no_grad around it: the prediction keeps its probabilities, and their gradient.
    masks = (prediction.probabilities.detach()[:, -truth.shape[1] :] > 0.5).cpu().numpy()
    known = None if prediction.annotated is None else prediction.annotated.cpu().numpy()
    has_objects = (truth.flatten(2).amax(2) > 0).cpu().numpy()
    edges = (1.0,) * (truth.ndim - 2) if spacing is None else spacing[-(truth.ndim - 2) :]
    maps = []
    for image, of_classes in enumerate(masks):
        annotated = None if known is None else known[image]
        for mask, exist in zip(of_classes, has_objects[image], strict=True):
            made = map_of_annotated(partial(cells, physical=spacing is not None), mask, edges, annotated, numbers=True)
            if exist and made.max() <= 0:
                made[:] = 1
            maps.append(torch.from_numpy(made))
    return torch.stack(maps).view_as(truth).to(truth)


class nnUNetTrainerBiCC(MappedLossTrainer):
    """nnU-Net's Dice + cross-entropy of the whole, and of the cells of true and of predicted objects."""

    instances = True
    numbers = True

    @property
    def map_of_kinds(self) -> MapOfKinds:
        """A function that cuts images into cells."""
        return partial(cells, physical=self.parameters["BiCC"].distance == "mm")

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse to measure predictions in voxels that images do not have."""
        super().check_planned(planned)
        settings = cls.parameters["BiCC"]
        if settings.distance == "mm" and settings.alpha and not voxel_sizes.as_planned(planned.configuration):
            raise ValueError(
                f"BiCC measures predictions in the planned voxel, and the configuration of {planned.plans.plans_name} "
                "does not resample images to it: take BiCC_voxels, or plans with one spacing"
            )

    def make_loss(self) -> BiCCLoss:
        """Cross-entropy and Dice of the whole and of each cell."""
        settings = self.parameters["BiCC"]
        edges = tuple(float(edge) for edge in self.configuration_manager.spacing)
        return BiCCLoss(
            alpha=settings.alpha, spacing=edges if settings.distance == "mm" else None, batch=self.batch_dice
        )
