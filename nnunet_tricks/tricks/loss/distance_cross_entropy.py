r"""U-Net's border weights: cross-entropy counts most where two objects nearly touch.

$-\frac{1}{N} \sum_i (w_{t_i} + w_0 \exp(-\frac{(d_1(i) + d_2(i))^2}{2 \sigma^2})) \log p_{i,t_i}$ over the N annotated
voxels, with class weights $w_c$ and the distances to the borders of the nearest two objects. Ronneberger et al.,
"U-Net", MICCAI 2015, eq. 2. The survey's Eq. 5 adds the map to the loss, where it has no gradient: U-Net multiplies.

Connected voxels of one class are an object, or an instance where the raw data set has ``instancesTr``. Distances are in
multiples of the mean edge of a voxel. The border map is made at full size; lower levels of deep supervision have the
class weights alone. A slice that stands alone has its own objects and borders. Parts that may be one object through
voxels that nobody annotated are one (``targets/pieces.py``). With ``border`` 0 this is cross-entropy weighted by class,
and with ``cb`` 0 as well the plain one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from torch import Tensor

from nnunet_tricks.training.criterion import DecisionWeights, Prediction
from nnunet_tricks.tricks.loss.weighted_cross_entropy import weighted_cross_entropy
from nnunet_tricks.tricks.targets.border import border_weights
from nnunet_tricks.tricks.targets.pieces import MapOfKinds
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer


@dataclass(frozen=True, kw_only=True)
class DistanceCrossEntropy:
    """Cross-entropy weighted by class and by closeness to two borders.

    Attributes:
        weights: Weights of classes, by decision and right answer.
    """

    weights: DecisionWeights

    def __call__(self, prediction: Prediction) -> Tensor:
        """The loss, a scalar, at least 0."""
        if prediction.maps is None:
            return weighted_cross_entropy(prediction, weights=self.weights, plain=True)
        weights = prediction.decision_weights(self.weights).add_(prediction.maps)
        return prediction.mean(weights * prediction.decision_cross_entropy)


class nnUNetTrainerDistanceCE(MappedLossTrainer):
    """nnU-Net with U-Net's weighted cross-entropy in place of Dice + cross-entropy."""

    per_decision = True
    instances = True

    @property
    def map_of_kinds(self) -> MapOfKinds:
        """Border weights of the strength and width that the name says."""
        settings = self.parameters["DistanceCE"]
        return partial(border_weights, border=settings.border, sigma=settings.sigma)

    def make_loss(self) -> DistanceCrossEntropy:
        """Cross-entropy weighted by class and by the borders' map."""
        return DistanceCrossEntropy(weights=self.decision_weights(self.parameters["DistanceCE"].cb))
