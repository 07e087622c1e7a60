"""Networks, losses and other things that the papers name, and what runs them here. Standard library only.

What the papers print in tables stands in experiment files instead.
"""

from __future__ import annotations

from collections.abc import Mapping

PLANNED = "nnUNetTrainer"
"""nnU-Net's own trainer, with the U-Net of the plans."""

NETWORKS: Mapping[str, Mapping[str, str]] = {
    "Trick paper": {
        "2D U-Net with a ResNet-50 as encoder": "nnUNetTrainerMedISeg2D_ResNet50UNet",
        "3D U-Net": "nnUNetTrainerMedISeg3D_GenesisUNet3D",
        "ViT-B/16": "nnUNetTrainerMedISeg2D_ViTB16",
        "ViT-L/16": "nnUNetTrainerMedISeg2D_ViTL16",
        "ViT-B/32": "nnUNetTrainerMedISeg2D_ViTB32",
        "ViT-L/32": "nnUNetTrainerMedISeg2D_ViTL32",
    },
    "IFE paper": {
        "U-Net": "nnUNetTrainerIFE2D",
        "nnU-Net": PLANNED,
        "DeepLabV3+": "nnUNetTrainerIFE2D_DeepLabV3Plus",
        "SINetV2": "nnUNetTrainerIFE2D_SINetV2",
    },
    "Slice paper": {
        "Inception U-Net (2D)": "",
        "SegFormer, MiT-B3 (2D)": "nnUNetTrainerSegFormerB3",
        "CAM-WNet, VGG16 (2D)": "",
        "SegResNet (3D)": "nnUNetTrainerSegResNet",
        "UNETR (3D)": "nnUNetTrainerUNETR",
        "Attention U-Net (3D)": "nnUNetTrainerAttentionUNet",
    },
    "Survey": {
        "U-Net": PLANNED,
        "3D U-Net": PLANNED,
        "V-Net": "nnUNetTrainerVNet",
        "U-Net++": "nnUNetTrainerUNetPlusPlus",
        "Attention U-Net": "nnUNetTrainerAttentionUNet",
        "DeepLabV3+": "nnUNetTrainerDeepLabV3Plus",
        "residual encoder": f"{PLANNED} -p nnUNetResEncUNetMPlans",
        "residual blocks": "nnUNetTrainerResidual",
        "dense connections": "nnUNetTrainerDense",
        "inception": "nnUNetTrainerInception",
        "recurrent residual blocks": "nnUNetTrainerRecurrentResidual",
        "depthwise separable convolutions": "nnUNetTrainerDepthwiseSeparable",
        "channel attention (squeeze-and-excitation)": "nnUNetTrainerSqueezeExcitation",
        "mixed attention (CBAM)": "nnUNetTrainerCBAM",
        "attention gates": "nnUNetTrainerAttentionGates",
        "non-local attention": "nnUNetTrainerNonLocal",
        "atrous spatial pyramid pooling": "nnUNetTrainerASPP",
        "pyramid pooling": "nnUNetTrainerPyramidPooling",
        "shape stream (SAU-Net)": "nnUNetTrainerShapeStream",
    },
}
"""Trainers of the networks of each paper, by the paper's names; empty where there is none yet."""

LOSSES: Mapping[str, str] = {
    "cross-entropy (1)": "nnUNetTrainerCE",
    "weighted cross-entropy (2)": "nnUNetTrainerWCE",
    "balanced cross-entropy (3)": "nnUNetTrainerBalancedCE",
    "distance map (4, 5)": "nnUNetTrainerDistanceCE",
    "Dice (6, 7)": "nnUNetTrainerDice",
    "Tversky (8)": "nnUNetTrainerTversky",
    "generalised Dice (9, 11)": "nnUNetTrainerGeneralizedDice",
    "boundary (10, 12)": "nnUNetTrainerBoundary",
    "exponential logarithmic (13 to 16)": "nnUNetTrainerExpLog",
    "active contour": "nnUNetTrainerActiveContour",
    "Hausdorff distance": "nnUNetTrainerHausdorff",
}
"""Trainers of the survey's losses, by their names and the numbers of their equations."""

COMMANDS: Mapping[str, Mapping[str, str]] = {
    "Slice paper": {
        "Table 3: how good interpolated masks are": "nnunet-tricks annotate quality DENSE_LABELS -o FILE.csv"
    }
}
"""Commands for what is no training, by paper and by its place there."""
