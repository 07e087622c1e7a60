"""A trained model, and the channels that it selects in an image."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import Tensor, nn

from nnunet_tricks.door.lookup import find_trainer, findable
from nnunet_tricks.nnunet.model_folder import FINAL, find_model, load
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


class EnhancedModel:
    """A fold of a trained model with enhanced skip connections.

    Attributes:
        trainer: Name of the trainer.
        ending: Ending of the images' files.
    """

    def __init__(self, folder: Path, fold: str | None = None, checkpoint: str = FINAL, *, trust: bool = False) -> None:
        """Load a fold.

        Args:
            folder: Folder ``<trainer>__<plans>__<configuration>``.
            fold: Number of the fold, or ``all``; the first that exists if not given.
            checkpoint: Name of the file in the fold.
            trust: Whether the checkpoint may hold more than data, see ``nnunet.checkpoint``.

        Raises:
            ValueError: If it is no model folder, the checkpoint holds more than data, the model has no enhanced skip
                connections, or it is the second stage of a cascade.
        """
        model = find_model(folder, [fold] if fold else (), (checkpoint,))
        self.trainer = load(folder / model.checkpoints[0], trust=trust)["trainer_name"]
        # nnU-Net says on stdout that there is no GPU, although none is wanted.
        with findable(find_trainer(self.trainer)), redirect_stdout(io.StringIO()):
            self._predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
            self._predictor.initialize_from_trained_model_folder(str(folder), (model.folds[0],), checkpoint)
        decoder = enhanced_decoder(self._predictor.network)
        if decoder is None or not any(layer.count for _, layer in decoder.enhanced()):
            raise ValueError(
                f"{folder} was trained by {self.trainer}, which shows no channel twice: give a model of IFECurvature, "
                "IFEEntropy or IFERandom"
            )
        if self._predictor.configuration_manager.previous_stage_name:
            raise ValueError(
                f"{folder} is the second stage of a cascade, which needs predictions of the first: give the model of "
                f"{self._predictor.configuration_manager.previous_stage_name}"
            )
        self._decoder = decoder
        self._predictor.network.load_state_dict(self._predictor.list_of_parameters[0])
        self.ending = str(self._predictor.dataset_json["file_ending"])

    def look(self, case: str, files: list[str]) -> Look:
        """Preprocess an image as nnU-Net does, and look at the selections in the middle of it.

        Args:
            case: Name of the image.
            files: Files of its channels.
        """
        manager = self._predictor.configuration_manager
        preprocessor = manager.preprocessor_class(verbose=False)
        image, _, _ = preprocessor.run_case(
            files, None, self._predictor.plans_manager, manager, self._predictor.dataset_json
        )
        patch = _middle(torch.as_tensor(image), list(manager.patch_size))
        return Look(case, patch, selections(self._predictor.network, self._decoder, patch))


def _middle(image: Tensor, size: list[int]) -> Tensor:
    """The patch in the middle of (channels, *spatial); its middle slice where the network is 2D."""
    if len(size) < image.ndim - 1:
        image = image[:, image.shape[1] // 2]
    padded = pad_nd_image(image, size, "constant", {"value": 0})
    for axis, length in enumerate(size, start=1):
        padded = padded.narrow(axis, (padded.shape[axis] - length) // 2, length)
    return padded


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
