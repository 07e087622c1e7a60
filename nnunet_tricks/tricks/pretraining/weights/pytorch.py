"""The weights that torchvision has had from the beginning: ImageNet-1k, trained in the usual way.

The trick paper's row 'PyTorch' (table 1). For a ResNet-50: ``resnet50-0676ba61.pth``, in torchvision
``IMAGENET1K_V1``. He et al., "Deep residual learning for image recognition", CVPR 2016.
"""

from __future__ import annotations

from nnunet_tricks.tricks.pretraining.weights.trainer import WeightsTrainer


class nnUNetTrainerPretrainedPyTorch(WeightsTrainer):
    """nnU-Net whose encoder starts from torchvision's first weights."""

    weights_trick = "PretrainedPyTorch"
