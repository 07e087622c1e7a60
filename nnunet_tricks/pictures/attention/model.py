"""A trained model whose blocks show what they attend to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from nnunet_tricks.nnunet.model_folder import FINAL
from nnunet_tricks.pictures.trained import TrainedFold
from nnunet_tricks.tricks.network.blocks.viewing import AttentionView, Viewable, views_of


@dataclass(frozen=True)
class AttentionLook:
    """What the blocks of a model made of an image.

    Attributes:
        case: Name of the image.
        image: First channel of the patch that the network saw, (*spatial).
        views: Maps and weights, in the order in which the network computes them.
    """

    case: str
    image: Tensor
    views: list[AttentionView]


class AttentiveModel(TrainedFold):
    """A fold of a trained model that has blocks to look at."""

    def __init__(self, folder: Path, fold: str | None = None, checkpoint: str = FINAL, *, trust: bool = False) -> None:
        """Load a fold; arguments as for any trained fold.

        Raises:
            ValueError: Also if the model has no such blocks.
        """
        super().__init__(folder, fold, checkpoint, trust=trust)
        if not any(isinstance(module, Viewable) for module in self.network.modules()):
            raise ValueError(
                f"{folder} was trained by {self.trainer}, which has no attention to look at: give a model with gates, "
                "attention, non-local blocks or a shape stream ('nnunet-tricks list --hook network'); for channels "
                "that are shown twice there is 'nnunet-tricks show-ife'"
            )

    def look(self, case: str, files: list[str]) -> AttentionLook:
        """Preprocess an image as nnU-Net does, and look at the blocks while the network sees the middle of it.

        Args:
            case: Name of the image.
            files: Files of its channels.
        """
        patch = self.middle_patch(files)
        # With neighbouring slices as channels, the slice itself stands in the middle.
        first = len(patch) // max(self.channels, 1) // 2 * self.channels
        return AttentionLook(case, patch[first], views_of(self.network, patch))
