"""The trainer of tasks in which an image is restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nnunet_tricks.tricks.pretraining.pretext.skips import without_skips
from nnunet_tricks.tricks.pretraining.pretext.trainer import PretextTrainer


class RestorationLoss(nn.Module):
    """Mean squared error over the voxels that count.

    The target has the channels of the truth, and then one that is 1 where a voxel counts and 0 elsewhere.
    """

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss.

        Args:
            output: (B, C, *spatial).
            target: (B, C + 1, *spatial).

        Examples:
            >>> truth, counts = torch.tensor([[[0.0, 0.0]]]), torch.tensor([[[1.0, 0.0]]])
            >>> RestorationLoss()(torch.tensor([[[2.0, 9.0]]]), torch.cat((truth, counts), 1))
            tensor(4.)
        """
        truth, counts = target[:, :-1], target[:, -1:]
        squared = (output.float() - truth).square() * counts
        return squared.sum() / (counts.sum() * truth.shape[1]).clamp_min(1)


class RestorationTrainer(PretextTrainer):
    """A trainer whose network gives the image back as it was."""

    unit: ClassVar[str] = (
        "restored share: 1 minus the squared error over that of returning the input, or the mean of each patch where "
        "that is less"
    )
    definition: ClassVar[str] = (
        "mean squared error over the voxels that count, of the restored image, of the input as it is, and of an image "
        "with the mean of each patch and channel everywhere; 1 minus the first over the smaller of the others. Four "
        "patches of each validation image, in the units of the plans' normalisation"
    )

    @classmethod
    def prepared(cls, network: nn.Module) -> nn.Module:
        """The planned network, without skip connections where the name says so.

        Its output begins at 0, the mean of normalised images. Else the first steps would shrink the last features until
        the output is no longer larger than the image, and a training that starts from them would see next to nothing.
        """
        decoder: Any = network.decoder
        nn.init.zeros_(decoder.seg_layers[-1].weight)
        nn.init.zeros_(decoder.seg_layers[-1].bias)
        return without_skips(network) if cls.parameters[cls.pretext_trick].noskips else network

    def _build_loss(self) -> nn.Module:
        return RestorationLoss()

    def score(self, given: Tensor, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """By how much the squared error is less than that of knowing nothing, and what is left of it.

        Returning the input knows nothing, and so does the mean of each patch. The lesser error of both counts: other
        grey values are far from the truth, so the mean alone would restore most of what ``PretextGenesis`` spoils.
        """
        error = _errors(output, target)
        idle = torch.minimum(_errors(given, target), _errors(_means(target), target))
        return (idle - error).clamp_min(0), error

    def measured(self, given: Tensor, output: Tensor, target: Tensor) -> dict[str, float]:
        """The errors that ``definition`` describes."""
        voxels = float(target[:, -1].sum()) * (target.shape[1] - 1)
        error, untouched = (float(_errors(image, target).sum()) / max(voxels, 1) for image in (output, given))
        constant = float(_errors(_means(target), target).sum()) / max(voxels, 1)
        return {
            "error": error,
            "error_of_input": untouched,
            "error_of_mean": constant,
            "restored_share": 1 - error / min(untouched, constant) if min(untouched, constant) else 0.0,
        }

    def shown(self, images: Tensor, given: Tensor, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        """What the network got, what it made of it, and the truth."""
        return {"input": given, "restored": output, "truth": images}


def all_count(images: Tensor) -> Tensor:
    """A target of images in which every voxel counts."""
    return torch.cat((images, torch.ones_like(images[:, :1])), 1)


def _errors(image: Tensor, target: Tensor) -> Tensor:
    """Summed squared errors of each channel over the voxels that count."""
    squared = (image.float() - target[:, :-1]).square() * target[:, -1:]
    return squared.transpose(0, 1).flatten(1).sum(1)


def _means(target: Tensor) -> Tensor:
    """The mean of each patch and channel over the voxels that count, as an image of one voxel."""
    truth, counts = target[:, :-1], target[:, -1:]
    axes = tuple(range(2, target.ndim))
    return (truth * counts).sum(axes, keepdim=True) / counts.sum(axes, keepdim=True).clamp_min(1)
