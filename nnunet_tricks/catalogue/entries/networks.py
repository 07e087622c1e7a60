"""Networks of other kinds in place of nnU-Net's planned U-Net."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import MODEL
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import Paper, cited

_FOLDER = "nnunet_tricks.tricks.network.architecture"
_ENCODERS = ("pretrained encoders", "other networks")
_EXTRA = "networks"
_SMP, _MONAI = "segmentation_models_pytorch", "monai"
_WHOLE = ("supervision", "network.backbone", "network.block", "network.norm", "network.bottleneck")
"""What a whole network replaces: it has blocks and norm layers of its own, and one output."""


def backbone(
    name: str,
    *,
    module: str,
    summary: str,
    formula: str,
    paper: Paper,
    parameters: tuple[Parameter, ...] = (),
) -> TrickInfo:
    """A timm encoder under nnU-Net's decoder.

    Args:
        name: Token in trainer names.
        module: File of its trainer.
        summary: Line for lists.
        formula: Parts of the network.
        paper: Paper of the encoder.
        parameters: Settings, in the order in which names spell them.
    """
    return TrickInfo(
        name=name,
        hooks=("network.backbone",),
        phase=MODEL,
        module=f"{_FOLDER}.{module}",
        summary=summary,
        formula=formula,
        paper=paper,
        challenges=_ENCODERS,
        dimensions=2,
        parameters=parameters,
        multiple=32,
        minimum=32,
    )


def whole(
    name: str,
    *,
    module: str,
    summary: str,
    formula: str,
    paper: Paper,
    dimensions: int,
    multiple: int,
    minimum: int = 1,
    package: str = "",
    licence: str = "",
) -> TrickInfo:
    """A whole network with one output.

    Args:
        name: Token in trainer names.
        module: File of its trainer.
        summary: Line for lists.
        formula: Parts of the network.
        paper: Paper of the network.
        dimensions: Number of axes of its images.
        multiple: Number to whose multiples images are padded for it.
        minimum: Voxels that a patch must have along its longest side.
        package: Library that has it; empty where it is our own.
        licence: Licence of a part that is not free for all uses.
    """
    return TrickInfo(
        name=name,
        hooks=_WHOLE,
        phase=MODEL,
        module=f"{_FOLDER}.{module}",
        summary=summary,
        formula=formula,
        paper=paper,
        challenges=("other networks",),
        dimensions=dimensions,
        packages=(package,) if package else (),
        extra=_EXTRA if package else "",
        multiple=multiple,
        minimum=minimum,
        licence=licence,
    )


ENTRIES: tuple[TrickInfo, ...] = (
    backbone(
        "ResNet50UNet",
        module="resnet50_unet",
        summary="a ResNet-50 as encoder, under nnU-Net's decoder (2D)",
        formula="stage at full resolution, ResNet-50 with strides 2 to 32, nnU-Net's decoder",
        paper=cited("he2016residual"),
    ),
    backbone(
        "Res2Net50UNet",
        module="res2net50_unet",
        summary="a Res2Net-50 as encoder, under nnU-Net's decoder (2D)",
        formula="stage at full resolution, Res2Net-50 (26w4s, deep stem) with strides 2 to 32, nnU-Net's decoder",
        paper=cited("gao2021res2net"),
    ),
    backbone(
        "EfficientNetLite0UNet",
        module="efficientnet_lite0_unet",
        summary="an EfficientNet-Lite0 as encoder, under nnU-Net's decoder: small and fast (2D)",
        formula="stage at full resolution, EfficientNet-Lite0 with strides 2 to 32, nnU-Net's decoder",
        paper=cited("tan2019efficientnet"),
    ),
    backbone(
        "TimmUNet",
        module="timm_unet",
        summary="any encoder of timm, by its name there, under nnU-Net's decoder (2D)",
        formula="stage at full resolution, the encoder's stages, nnU-Net's decoder",
        paper=cited("wightman2019timm"),
        parameters=(
            Parameter(
                name="encoder",
                default="resnet18",
                word=True,
                help="timm's name of an encoder with features of several resolutions, such as convnext_tiny or vgg16_bn",
            ),
        ),
    ),
    whole(
        "SegResNet",
        module="seg_resnet",
        summary="MONAI's SegResNet in place of the planned network (3D)",
        formula="residual encoder of four stages, 32 filters, and a decoder of one residual block each; group norm",
        paper=cited("myronenko2019segresnet"),
        dimensions=3,
        multiple=8,
        minimum=16,
        package=_MONAI,
    ),
)
