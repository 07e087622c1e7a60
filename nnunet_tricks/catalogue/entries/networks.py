"""Networks of other kinds in place of nnU-Net's planned U-Net."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import MODEL, table_9
from nnunet_tricks.catalogue.info import Measurement, Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import Paper, cited

_FOLDER = "nnunet_tricks.tricks.network.architecture"
_ENCODERS = ("pretrained encoders", "other networks")
_EXTRA = "networks"
_SMP, _MONAI = "segmentation_models_pytorch", "monai"
_BACKBONE = ("network.backbone", "network.width")
"""What an encoder of its own replaces: it has channels of its own."""
_WHOLE = (
    "supervision",
    *_BACKBONE,
    "network.block",
    "network.norm",
    "network.gates",
    "network.path",
    "network.bottleneck",
    "network.stem",
    "network.shape",
)
"""What a whole network replaces: it has blocks and norm layers of its own, and one output."""


def backbone(
    name: str,
    *,
    module: str,
    summary: str,
    formula: str,
    paper: Paper,
    use_when: str,
    avoid_when: str,
    parameters: tuple[Parameter, ...] = (),
) -> TrickInfo:
    """A timm encoder under nnU-Net's decoder.

    Args:
        name: Token in trainer names.
        module: File of its trainer.
        summary: Line for lists.
        formula: Parts of the network.
        paper: Paper of the encoder.
        use_when: When to use it.
        avoid_when: When not.
        parameters: Settings, in the order in which names spell them.
    """
    return TrickInfo(
        name=name,
        hooks=_BACKBONE,
        phase=MODEL,
        module=f"{_FOLDER}.{module}",
        summary=summary,
        formula=formula,
        paper=paper,
        challenges=_ENCODERS,
        use_when=use_when,
        avoid_when=avoid_when,
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
    use_when: str,
    avoid_when: str,
    dimensions: int,
    multiple: int,
    minimum: int = 1,
    package: str = "",
    licence: str = "",
    parameters: tuple[Parameter, ...] = (),
    measured: tuple[Measurement, ...] = (),
) -> TrickInfo:
    """A whole network with one output.

    Args:
        name: Token in trainer names.
        module: File of its trainer.
        summary: Line for lists.
        formula: Parts of the network.
        paper: Paper of the network.
        use_when: When to use it.
        avoid_when: When not.
        dimensions: Number of axes of its images.
        multiple: Number to whose multiples images are padded for it.
        minimum: Voxels that a patch must have along its longest side.
        package: Library that has it; empty where it is our own.
        licence: Licence of a part that is not free for all uses.
        parameters: Its settings.
        measured: What papers report for it.
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
        use_when=use_when,
        avoid_when=avoid_when,
        dimensions=dimensions,
        packages=(package,) if package else (),
        extra=_EXTRA if package else "",
        multiple=multiple,
        minimum=minimum,
        licence=licence,
        parameters=parameters,
        measured=measured,
    )


def vit(kind: str, patch: int, *, size: str, use_when: str, avoid_when: str, isic: float, conic: float) -> TrickInfo:
    """A vision transformer under a convolutional decoder.

    Args:
        kind: ``B`` or ``L``.
        patch: Side of its tokens in pixels.
        size: Number of layers, channels and heads.
        use_when: When to use it.
        avoid_when: When not.
        isic: Points of Dice on ISIC 2018.
        conic: Points of Dice on CoNIC.
    """
    return whole(
        f"ViT{kind}{patch}",
        module="vit",
        summary=f"a vision transformer with tokens of {patch} pixels, under a convolutional decoder (2D)",
        formula=f"tokens of {patch} x {patch} pixels, {size}; then blocks that double the size",
        paper=cited("dosovitskiy2021image"),
        use_when=use_when,
        avoid_when=avoid_when,
        dimensions=2,
        multiple=patch,
        parameters=(
            Parameter(
                name="dropout",
                default=0.0,
                high=0.9,
                help="share of values that are left out in training, behind positions and in perceptrons; 0.1 in the "
                "trick paper's published code",
                paper=cited("zhang2022tricks"),
            ),
        ),
        measured=table_9(f"ViT-{kind}/{patch}", isic=isic, conic=conic),
    )


_BASE, _LARGE = "12 layers of 768 channels and 12 heads", "24 layers of 1024 channels and 16 heads"

ENTRIES: tuple[TrickInfo, ...] = (
    backbone(
        "ResNet50UNet",
        module="resnet50_unet",
        summary="a ResNet-50 as encoder, under nnU-Net's decoder (2D)",
        formula="stage at full resolution, ResNet-50 with strides 2 to 32, nnU-Net's decoder",
        paper=cited("he2016residual"),
        use_when="with pretrained weights beside it, or to redo the trick paper's 2D baseline",
        avoid_when="from scratch with few images: the planned U-Net is the stronger start there",
    ),
    backbone(
        "Res2Net50UNet",
        module="res2net50_unet",
        summary="a Res2Net-50 as encoder, under nnU-Net's decoder (2D)",
        formula="stage at full resolution, Res2Net-50 (26w4s, deep stem) with strides 2 to 32, nnU-Net's decoder",
        paper=cited("gao2021res2net"),
        use_when="with pretrained weights, where objects of very different sizes occur",
        avoid_when="from scratch with few images, or in 3D",
    ),
    backbone(
        "EfficientNetLite0UNet",
        module="efficientnet_lite0_unet",
        summary="an EfficientNet-Lite0 as encoder, under nnU-Net's decoder: small and fast (2D)",
        formula="stage at full resolution, EfficientNet-Lite0 with strides 2 to 32, nnU-Net's decoder",
        paper=cited("tan2019efficientnet"),
        use_when="where training and prediction must be fast, with ImageNet weights beside it",
        avoid_when="where the planned network fits your time: it has ten times as many parameters to learn with",
    ),
    backbone(
        "TimmUNet",
        module="timm_unet",
        summary="any encoder of timm, by its name there, under nnU-Net's decoder (2D)",
        formula="stage at full resolution, the encoder's stages, nnU-Net's decoder",
        paper=cited("wightman2019timm"),
        use_when="to try any encoder that timm has, with its weights",
        avoid_when="where no weights for the encoder are at hand: most gain little without them",
        parameters=(
            Parameter(
                name="encoder",
                default="resnet18",
                word=True,
                help="timm's name of an encoder with features of several resolutions, such as convnext_tiny",
            ),
        ),
    ),
    whole(
        "DeepLabV3Plus",
        module="deeplab_v3_plus",
        summary="DeepLabV3+ over a ResNet-50 in place of the planned network (2D)",
        formula="ResNet-50 to 1/16 of the size, pyramid of receptive fields, 48 early channels; one output",
        paper=cited("chen2018deeplab"),
        use_when="to redo the IFE paper, or for large objects in pictures",
        avoid_when="for small or thin objects: its output is made at a quarter of the size",
        dimensions=2,
        multiple=16,
        minimum=32,
        package=_SMP,
    ),
    whole(
        "SegFormerB3",
        module="segformer_b3",
        summary="SegFormer-B3, a transformer, in place of the planned network (2D)",
        formula="mix transformer B3 with strides 4 to 32, all stages joined at 1/4 of the size; one output",
        paper=cited("xie2021segformer"),
        use_when="with many pictures",
        avoid_when="for small objects: its output is made at a quarter of the size; and commercially: see the licence",
        dimensions=2,
        multiple=32,
        minimum=32,
        package=_SMP,
        licence="the encoder's code has the NVIDIA Source Code License, which allows research, but no commercial use",
    ),
    whole(
        "UNetPlusPlus",
        module="unet_plus_plus",
        summary="U-Net++ over a ResNet-50 in place of the planned network (2D)",
        formula="ResNet-50 with strides 2 to 32, nested decoders on each skip connection; one output",
        paper=cited("zhou2018unetplusplus"),
        use_when="to compare nested skip connections with nnU-Net's own",
        avoid_when="where memory is short: its nested decoders keep many maps at full size",
        dimensions=2,
        multiple=32,
        minimum=32,
        package=_SMP,
    ),
    whole(
        "SegResNet",
        module="seg_resnet",
        summary="MONAI's SegResNet in place of the planned network (3D)",
        formula="residual encoder of four stages, 32 filters, and a decoder of one residual block each; group norm",
        paper=cited("myronenko2019segresnet"),
        use_when="as a second kind of network for an ensemble in 3D",
        avoid_when="in the hope of a gain alone: nnU-Net's planned network is usually as good",
        dimensions=3,
        multiple=8,
        minimum=16,
        package=_MONAI,
    ),
    whole(
        "UNETR",
        module="unetr",
        summary="UNETR, a vision transformer under a U-Net's decoder (3D)",
        formula="ViT-B with pieces of 16^3 voxels, its layers 3, 6, 9 and 12 as skip connections; one output",
        paper=cited("hatamizadeh2022unetr"),
        use_when="to redo a paper, or with many volumes",
        avoid_when="with few volumes: transformers from scratch need more data than U-Nets",
        dimensions=3,
        multiple=16,
        minimum=32,
        package=_MONAI,
    ),
    whole(
        "SwinUNETR",
        module="swin_unetr",
        summary="Swin UNETR, a transformer of windows under a U-Net's decoder (3D)",
        formula="Swin transformer of 48 features with strides 2 to 32, residual decoder; one output",
        paper=cited("hatamizadeh2022swin"),
        use_when="with pretrained weights or many volumes, or as a second kind of network for an ensemble",
        avoid_when="with small patches or little memory: its windows need room",
        dimensions=3,
        multiple=32,
        minimum=32,
        package=_MONAI,
    ),
    whole(
        "AttentionUNet",
        module="attention_unet",
        summary="Attention U-Net in place of the planned network (3D)",
        formula="U-Net of 32, 64, 128, 256 and 320 channels, skip connections times sigmoid gates; one output",
        paper=cited("oktay2018attention"),
        use_when="for small organs in large volumes, as its paper does",
        avoid_when="where deep supervision matters: it has one output",
        dimensions=3,
        multiple=16,
        minimum=16,
        package=_MONAI,
    ),
    whole(
        "VNet",
        module="vnet",
        summary="V-Net in place of the planned network; 1, 2, 4, 8 or 16 input channels (3D)",
        formula="residual stages of 16 to 256 channels with 5^3 convolutions, dropout of one half; one output",
        paper=cited("milletari2016vnet"),
        use_when="to redo a paper with V-Net",
        avoid_when="with three input channels, which it cannot take, or on thin volumes",
        dimensions=3,
        multiple=16,
        minimum=16,
        package=_MONAI,
    ),
    vit(
        "B",
        16,
        size=_BASE,
        use_when="to redo the trick paper's table 9, with pretrained weights",
        avoid_when="with fewer than thousands of pictures: the papers lose Dice with it",
        isic=-1.67,
        conic=-21.66,
    ),
    vit(
        "L",
        16,
        size=_LARGE,
        use_when="to redo the trick paper's table 9, with pretrained weights and a large GPU",
        avoid_when="with fewer than thousands of pictures: the papers lose Dice with it",
        isic=-1.85,
        conic=-21.52,
    ),
    vit(
        "B",
        32,
        size=_BASE,
        use_when="to redo the trick paper's table 9",
        avoid_when="for objects smaller than its tokens of 32 pixels",
        isic=-5.90,
        conic=-24.60,
    ),
    vit(
        "L",
        32,
        size=_LARGE,
        use_when="to redo the trick paper's table 9",
        avoid_when="for objects smaller than its tokens of 32 pixels",
        isic=-5.57,
        conic=-24.20,
    ),
    whole(
        "SINetV2",
        module="sinet",
        summary="SINetV2 in place of the planned network, for objects that hide in their surroundings (2D)",
        formula="texture enhancement of Res2Net-50 features at 1/8, 1/16, 1/32; coarse logits by the neighbour "
        "connection decoder; corrected by group-reversal attention; four outputs with equal weights",
        paper=cited("fan2022concealed"),
        use_when="for objects that look like their surroundings, such as polyps",
        avoid_when="for many classes: its coarse maps were made for one object",
        dimensions=2,
        multiple=1,
        minimum=33,
    ),
    whole(
        "GenesisUNet3D",
        module="genesis_unet",
        summary="the U-Net of Model Genesis and of the trick paper in 3D, in place of the planned network (3D)",
        formula="levels of 64, 128, 256, 512 channels; two convolutions each with batch norm and ReLU; maximum pooling",
        paper=cited("zhou2021models"),
        use_when="with the weights of Models Genesis, or to redo the trick paper's 3D baseline",
        avoid_when="from scratch in place of nnU-Net's planned network: it has no deep supervision",
        dimensions=3,
        multiple=8,
        minimum=16,
    ),
)
