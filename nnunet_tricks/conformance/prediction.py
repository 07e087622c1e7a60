"""Whether stock nnU-Net's prediction computes the same as the trained network."""

from __future__ import annotations

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from torch import Tensor, nn

from nnunet_tricks.conformance.checks import require
from nnunet_tricks.training.trainer import TrickTrainer

TOLERANCE = 1e-4
"""Relative, between two networks of the same weights."""
AGAIN = 1e-6
"""The same, between two predictions of one network."""


@torch.no_grad()
def require_same_network(predictor: nnUNetPredictor, trainer: nnUNetTrainer) -> None:
    """Compare the network that prediction builds with that of the trainer, on an image of noise.

    Args:
        predictor: Initialized from a model folder.
        trainer: Initialized; gets the predictor's weights.

    Raises:
        ViolationError: If a second prediction or the trainer's network differs, or outputs are probabilities.
    """
    plans, configuration = predictor.plans_manager, predictor.configuration_manager
    channels = determine_num_input_channels(plans, configuration, predictor.dataset_json)
    if isinstance(trainer, TrickTrainer):
        channels = trainer.input_channels(channels)
    image = torch.randn((1, channels, *configuration.patch_size), generator=torch.Generator().manual_seed(0))
    network = predictor.network
    network.load_state_dict(predictor.list_of_parameters[0])
    first, second = _logits(network, image), _logits(network, image)
    scale = float(first.abs().max())
    require(bool(first.isfinite().all()), "the trained network's output is not finite")
    require(
        float((first - second).abs().max()) <= AGAIN * scale,
        "predicts the same image twice with different results: what is random must end with network.eval()",
    )
    require(
        not _are_probabilities(network, image),
        "the network's outputs all lie from 0 to 1: a softmax or sigmoid is in it, and nnU-Net's prediction applies "
        "its own to what must be logits",
    )
    # Training may continue from other weights than those that predict, such as weights before averaging.
    trainer.network.load_state_dict(network.state_dict(), strict=False)
    trainer.set_deep_supervision_enabled(False)
    trained = _logits(trainer.network, image)
    require(
        first.shape == trained.shape and float((first - trained).abs().max()) <= TOLERANCE * scale,
        "prediction builds another network than the training has: both must come from build_network_architecture",
    )


def _logits(network: nn.Module, image: Tensor) -> Tensor:
    network.eval()
    output = network(image)
    return output if isinstance(output, Tensor) else output[0]


def _are_probabilities(network: nn.Module, image: Tensor) -> bool:
    """Whether outputs lie from 0 to 1 whatever the contrast; logits of one image can lie there by chance."""
    outputs = torch.stack([_logits(network, contrast * image) for contrast in (1, -1, 100, -100)])
    return bool(outputs.min() >= 0 and outputs.max() <= 1 and outputs.any())
