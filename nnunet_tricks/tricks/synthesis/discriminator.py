"""The 70 x 70 discriminator of pix2pix and CycleGAN, which is MONAI's ``PatchDiscriminator``, and its loss."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from torch import Tensor, nn

RECEPTIVE_FIELD = 70
"""Side in voxels of the part of an image that one output of the discriminator depends on."""


def check_installed(command: str = "ganaug train") -> None:
    """Refuse to train where MONAI is missing.

    Args:
        command: Command that needs it.

    Raises:
        ValueError: With the line that installs it.
    """
    if find_spec("monai") is None:
        raise ValueError(f"'{command}' needs monai, not installed here: pip install 'nnunet_tricks[synthesis]'")


def patch_discriminator(inputs: int, width: int = 64, *, norm: str = "BATCH", bias: bool = False) -> nn.Module:
    """The discriminator: one logit for each patch of 70 x 70 voxels of an image, or of a mask and its image.

    Args:
        inputs: Channels of condition and image together.
        width: Channels after the first convolution.
        norm: MONAI's name of the norm.
        bias: Whether convolutions before a norm have a bias.
    """
    from monai.networks.nets.patchgan_discriminator import PatchDiscriminator

    discriminator: nn.Module = PatchDiscriminator(
        spatial_dims=2, channels=width, in_channels=inputs, num_layers_d=3, norm=norm, bias=bias
    )
    return discriminator


class AdversarialLoss:
    """How wrong a discriminator's outputs are."""

    def __init__(self, criterion: str = "bce") -> None:
        """Take MONAI's.

        Args:
            criterion: ``bce`` for cross-entropy as in pix2pix, or ``least_squares`` as in CycleGAN.
        """
        from monai.losses.adversarial_loss import PatchAdversarialLoss

        # Least squares of the outputs as they are, as published; MONAI would put a leaky ReLU before them.
        self.loss: Any = PatchAdversarialLoss(criterion=criterion, no_activation_leastsq=True)

    def __call__(self, outputs: list[Tensor], *, real: bool, of_generator: bool = False) -> Tensor:
        """Mean over patches.

        Args:
            outputs: What MONAI's discriminator returns: the features of its layers, and the logits at last.
            real: Whether the images should be found real.
            of_generator: Whether the generator learns from it.
        """
        loss: Tensor = self.loss(outputs[-1], real, not of_generator)
        return loss
