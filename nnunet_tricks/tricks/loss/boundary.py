r"""Boundary loss: a prediction pays for each voxel by its distance from the true border.

$(1 - w) L_{GD} + w \frac{1}{NC} \sum_{i,c} \phi_c(i) p_{ic}$ over the N annotated voxels and C foreground classes, with
generalized Dice and the signed distance $\phi$ to the border of the class, negative inside. Kervadec et al., "Boundary
loss for highly unbalanced segmentation", MIDL 2019, eqs. 5 and 8; the survey's Eqs. 10 to 12, whose 12 lacks the sum.

The weight w rises linearly from 0 at the first epoch to ``weight`` at the end of the training, as the authors' schedule
does in 100 epochs. Distances are in multiples of the mean edge of a voxel. A class that is absent from a patch or fills
it has no border and costs nothing. Lower levels of deep supervision have generalized Dice alone. Un-annotated voxels
are no border: distances in a slice that stands alone are those of its plane (``targets/pieces.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.tricks.loss.generalized_dice import GeneralizedDiceLoss, generalized_dice
from nnunet_tricks.tricks.targets.distance import signed_distance_in_voxels
from nnunet_tricks.tricks.targets.pieces import MapOfKinds
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer


@dataclass(frozen=True, kw_only=True)
class BoundaryLoss:
    """Generalized Dice and the boundary term, whose weight rises over the training.

    Attributes:
        weight: Weight of the boundary term at the end of the training.
        batch: Whether the batch counts as one image for generalized Dice.
    """

    weight: float
    batch: bool

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar; negative where the boundary term is."""
        now = self.weight * prediction.progress
        if prediction.maps is None or not now:
            return GeneralizedDiceLoss(batch=self.batch)(prediction)
        counts, paid = prediction.counts_and_mapped(prediction.maps, background=True, batch=self.batch)
        boundary = paid.sum() / (prediction.voxels * paid.shape[1])
        return (1 - now) * (1 - generalized_dice(counts).mean()) + now * boundary


class nnUNetTrainerBoundary(MappedLossTrainer):
    """nnU-Net with generalized Dice and the boundary loss in place of Dice + cross-entropy.

    Attributes:
        boundary_schedule: Weight over the epochs in words, for debug.json.
    """

    boundary_schedule: str

    @property
    def map_of_kinds(self) -> MapOfKinds:
        """Signed distances to the border."""
        return signed_distance_in_voxels

    def make_loss(self) -> BoundaryLoss:
        """Generalized Dice, and the boundary term by its schedule."""
        weight = self.parameters["Boundary"].weight
        self.boundary_schedule = f"{weight:g} * epoch / {self.num_epochs}, the first epoch being 0"
        return BoundaryLoss(weight=weight, batch=self.batch_dice)

    def on_train_epoch_start(self) -> None:
        """Write the weight into the log."""
        super().on_train_epoch_start()
        weight = self.parameters["Boundary"].weight * self.criterion.progress
        self.print_to_log_file(f"Weight of the boundary term: {weight:.4f}")
