"""The 70 x 70 discriminator of pix2pix, which is MONAI's ``PatchDiscriminator``, and its loss."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from torch import Tensor, nn

RECEPTIVE_FIELD = 70
"""Side in voxels of the part of an image that one output of the discriminator depends on."""


def check_installed() -> None:
    """Refuse to train where MONAI is missing.

    Raises:
        ValueError: With the line that installs it.
    """
    if find_spec("monai") is None:
        raise ValueError("'ganaug train' needs monai, not installed here: pip install 'nnunet_tricks[synthesis]'")


def patch_discriminator(inputs: int, width: int = 64) -> nn.Module:
    """The discriminator: one logit for each patch of 70 x 70 voxels of a mask and its image.

    Args:
        inputs: Channels of condition and image together.
        width: Channels after the first convolution.
    """
    from monai.networks.nets.patchgan_discriminator import PatchDiscriminator

    discriminator: nn.Module = PatchDiscriminator(spatial_dims=2, channels=width, in_channels=inputs, num_layers_d=3)
    return discriminator


class AdversarialLoss:
    """Cross-entropy of a discriminator's outputs."""

    def __init__(self) -> None:
        """Take MONAI's."""
        from monai.losses.adversarial_loss import PatchAdversarialLoss

        self.loss: Any = PatchAdversarialLoss(criterion="bce")

    def __call__(self, outputs: list[Tensor], *, real: bool, of_generator: bool = False) -> Tensor:
        """Mean cross-entropy.

        Args:
            outputs: What MONAI's discriminator returns: the features of its layers, and the logits at last.
            real: Whether the images should be found real.
            of_generator: Whether the generator learns from it.
        """
        loss: Tensor = self.loss(outputs[-1], real, not of_generator)
        return loss
