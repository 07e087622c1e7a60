"""A trained model, and the channels that it selects in an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnunet_tricks.nnunet.model_folder import FINAL
from nnunet_tricks.pictures.trained import TrainedFold
from nnunet_tricks.tricks.network.enhancement.decoder import EnhancedDecoder, enhanced_decoder
from nnunet_tricks.tricks.network.enhancement.selection import Enhancement


@dataclass(frozen=True)
class StageSelection:
    """The selection of channels at one skip connection.

    Attributes:
        stage: Number of the skip connection; 0 has full resolution.
        features: Feature maps, (C, *spatial).
        scores: Scores of the channels, (C).
        chosen: Channels that are shown twice, best first.
    """

    stage: int
    features: Tensor
    scores: Tensor
    chosen: list[int]

    @property
    def ranked(self) -> list[int]:
        """All channels, the most instructive first."""
        return self.scores.sort(descending=True, stable=True).indices.tolist()


@dataclass(frozen=True)
class Look:
    """A look at the model while it sees one image.

    Attributes:
        case: Name of the image.
        patch: Patch that the network saw, the middle of the preprocessed image, (channels, *spatial).
        selections: Selections at its skip connections, from shallow to deep.
    """

    case: str
    patch: Tensor
    selections: list[StageSelection]


class EnhancedModel(TrainedFold):
    """A fold of a trained model with enhanced skip connections."""

    def __init__(self, folder: Path, fold: str | None = None, checkpoint: str = FINAL, *, trust: bool = False) -> None:
        """Load a fold; arguments as for any trained fold.

        Raises:
            ValueError: Also if the model has no enhanced skip connections.
        """
        super().__init__(folder, fold, checkpoint, trust=trust)
        decoder = enhanced_decoder(self.network)
        if decoder is None or not any(layer.count for _, layer in decoder.enhanced()):
            raise ValueError(
                f"{folder} was trained by {self.trainer}, which shows no channel twice: give a model of IFECurvature, "
                "IFEEntropy or IFERandom"
            )
        self._decoder = decoder

    def look(self, case: str, files: list[str]) -> Look:
        """Preprocess an image as nnU-Net does, and look at the selections in the middle of it.

        Args:
            case: Name of the image.
            files: Files of its channels.
        """
        patch = self.middle_patch(files)
        return Look(case, patch, selections(self.network, self._decoder, patch))


@torch.inference_mode()
def selections(network: nn.Module, decoder: EnhancedDecoder, patch: Tensor) -> list[StageSelection]:
    """The selection of each enhancement when the network sees a patch.

    Args:
        network: Network with enhanced skip connections; left in evaluation mode.
        decoder: Its decoder.
        patch: (channels, *spatial).

    Returns:
        Selections from shallow to deep.
    """
    features: dict[int, Tensor] = {}

    def remember(stage: int) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            features[stage] = inputs[0]

        return hook

    layers = dict(decoder.enhanced())
    handles = [layer.register_forward_pre_hook(remember(stage)) for stage, layer in layers.items()]
    try:
        network.eval()(patch.unsqueeze(0))
    finally:
        for handle in handles:
            handle.remove()
    return [_selection(stage, layer, features[stage]) for stage, layer in sorted(layers.items())]


def _selection(stage: int, layer: Enhancement, features: Tensor) -> StageSelection:
    scores = layer.score(features, layer.axes)[0]
    return StageSelection(stage, features[0], scores, layer.choose(features)[0].tolist())
