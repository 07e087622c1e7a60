"""What the encoder starts from, and how pretrained weights are trained further."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import PRETRAINING, table_1_pictures, tables_1_and_2_volumes
from nnunet_tricks.catalogue.info import Measurement, Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import Paper, cited

_FOLDER = "nnunet_tricks.tricks.pretraining"
_FEW = ("few images", "pretrained encoders")
_FINE_TUNING = ("fine-tuning",)


def _weights(
    name: str,
    *,
    module: str,
    summary: str,
    paper: Paper,
    use_when: str,
    avoid_when: str,
    beside: tuple[str, ...] = ("ResNet50UNet",),
    formula: str = "weights and running statistics of the encoder are those of the store; everything else is random",
    licence: str = "",
    parameters: tuple[Parameter, ...] = (),
    measured: tuple[Measurement, ...] = (),
    dimensions: int = 0,
) -> TrickInfo:
    return TrickInfo(
        name=name,
        hooks=("weights.start",),
        phase=PRETRAINING,
        module=f"{_FOLDER}.weights.{module}",
        summary=summary,
        formula=formula,
        parameters=parameters,
        paper=paper,
        challenges=_FEW,
        use_when=use_when,
        avoid_when=avoid_when,
        measured=measured,
        beside=beside,
        licence=licence,
        dimensions=dimensions,
    )


_NC = "the weights of {} are under CC-BY-NC-4.0, which allows no commercial use"

ENTRIES: tuple[TrickInfo, ...] = (
    _weights(
        "PretrainedPyTorch",
        module="pytorch",
        summary="an encoder that starts from torchvision's first weights (ImageNet-1k)",
        paper=cited("russakovsky2015imagenet"),
        use_when="with few 2D pictures in colour, beside ResNet50UNet",
        avoid_when="on volumes, or where plans normalise otherwise than ImageNet: the log warns",
        measured=table_1_pictures("PyTorch", isic=1.20, conic=0.85),
    ),
    _weights(
        "PretrainedImageNet1k",
        module="imagenet1k",
        summary="an encoder that starts from ImageNet-1k; a ResNet-50 from a billion tagged pictures before",
        paper=cited("yalniz2019billion"),
        use_when="with few 2D pictures, beside any network with an ImageNet encoder",
        avoid_when="on volumes; and read the licence first if the encoder is a ResNet-50",
        licence=_NC.format("ResNet-50 (SWSL)"),
        measured=table_1_pictures("Imag-1k", isic=1.10, conic=1.47),
    ),
    _weights(
        "PretrainedImageNet21k",
        module="imagenet21k",
        summary="an encoder that starts from the whole of ImageNet, 21 thousand classes",
        paper=cited("ridnik2021imagenet"),
        use_when="with few 2D pictures, where more classes of pictures may help",
        avoid_when="on volumes, or where a smaller file is enough",
        measured=table_1_pictures("Imag-21k", isic=2.49, conic=1.52),
    ),
    _weights(
        "PretrainedSimCLR",
        module="simclr",
        summary="an encoder that starts from SimCLR: pictures without labels",
        paper=cited("chen2020simple"),
        use_when="to compare weights that were learned without labels",
        avoid_when="in the hope of more than ImageNet's labels give: the papers find no gain",
        measured=table_1_pictures("SimCLR", isic=0.06, conic=-0.06),
    ),
    _weights(
        "PretrainedMoCo",
        module="moco",
        summary="an encoder that starts from MoCo: pictures without labels",
        paper=cited("he2020momentum"),
        use_when="to compare weights that were learned without labels",
        avoid_when="in commercial use, or in the hope of more than ImageNet's labels give",
        licence=_NC.format("MoCo"),
        measured=table_1_pictures("MOCO", isic=-0.01, conic=0.12),
    ),
    _weights(
        "PretrainedMoCoV3",
        module="moco_v3",
        summary="an encoder that starts from MoCo v3: pictures without labels, also for transformers",
        paper=cited("chen2021empirical"),
        use_when="with transformers or a ResNet-50, to compare weights that were learned without labels",
        avoid_when="in commercial use: see the licence",
        licence=_NC.format("MoCo v3"),
    ),
    _weights(
        "PretrainedMAE",
        module="mae",
        summary="a transformer that starts from a masked autoencoder: pictures without labels",
        paper=cited("he2022masked"),
        use_when="beside a vision transformer, which hardly learns from few pictures alone",
        avoid_when="in commercial use: see the licence",
        beside=("ViTB16",),
        licence=_NC.format("MAE"),
    ),
    _weights(
        "ModelsGenesis",
        module="genesis",
        summary="the 3D U-Net of Models Genesis, that starts from chest CTs without labels",
        paper=cited("zhou2021models"),
        use_when="with few CT volumes, beside GenesisUNet3D",
        avoid_when="on other modalities, or with plans that do not clip and scale as Models Genesis did",
        beside=("GenesisUNet3D",),
        measured=tables_1_and_2_volumes("ModelGe", kidney=-0.21, tumour=0.32, lits=0.88),
    ),
    _weights(
        "Pretrained",
        module="of_store",
        summary="an encoder that starts from weights of your own, or from a checkpoint of nnU-Net or nnssl",
        paper=cited("yosinski2014transferable"),
        use_when="with weights of your own: another data set's model, or a self-supervised encoder",
        avoid_when="if the weights saw your validation cases: the comparison is then worth nothing",
        beside=(),
        parameters=(
            Parameter(
                name="entry",
                default="mine",
                word=True,
                help="entry of the store: the word of 'nnunet-tricks weights add FILE --as WORD'",
            ),
        ),
    ),
    TrickInfo(
        name="Freeze",
        hooks=("weights.frozen",),
        phase=PRETRAINING,
        module=f"{_FOLDER}.finetuning.freeze",
        summary="pretrained weights that stay as they are, for some epochs or throughout",
        formula="w stays as it was loaded; frozen batch norm keeps its running statistics",
        parameters=(
            Parameter(
                name="part",
                default="encoder",
                choices=("encoder", "allbuthead"),
                help="what is frozen: the encoder, or everything but the output layers",
            ),
            Parameter(name="first", default=0, help="epochs for which it is frozen, the first ones; 0 for all"),
        ),
        paper=cited("yosinski2014transferable"),
        use_when="with very few images, or for the first epochs, until the decoder has learned",
        avoid_when="for images unlike those of the weights: frozen features then stay wrong",
        challenges=_FINE_TUNING,
        beside=("Pretrained",),
    ),
    TrickInfo(
        name="EncoderLR",
        hooks=("weights.rates",),
        phase=PRETRAINING,
        module=f"{_FOLDER}.finetuning.encoder_lr",
        summary="a lower learning rate for the pretrained encoder",
        formula="lr factor in the encoder, lr elsewhere, in each epoch of any schedule",
        parameters=(Parameter(name="factor", default=0.1, high=1, help="what the encoder has of the rate"),),
        paper=cited("howard2018universal"),
        use_when="with pretrained weights and nnU-Net's high learning rate",
        avoid_when="from scratch: the encoder then learns ten times more slowly",
        challenges=_FINE_TUNING,
        beside=("Pretrained",),
    ),
    TrickInfo(
        name="LayerDecay",
        hooks=("weights.rates",),
        phase=PRETRAINING,
        module=f"{_FOLDER}.finetuning.layer_decay",
        summary="learning rates that fall from the decoder to the image",
        formula="lr factor^(L - l + 1) in stage l of an encoder of L stages, lr elsewhere",
        parameters=(
            Parameter(name="factor", default=0.75, high=1, help="what each stage has of the rate of the next deeper"),
        ),
        paper=cited("bao2022beit"),
        use_when="with pretrained transformers, whose early layers should change little",
        avoid_when="from scratch",
        challenges=_FINE_TUNING,
        beside=("Pretrained",),
    ),
    TrickInfo(
        name="KeepHeads",
        hooks=("weights.heads",),
        phase=PRETRAINING,
        module=f"{_FOLDER}.finetuning.keep_heads",
        summary="output layers that keep what a checkpoint knows of labels with the same name",
        formula="channel c of the output begins as the checkpoint's channel of the same label",
        paper=cited("yosinski2014transferable"),
        use_when="when a model of the same labels is trained further",
        avoid_when="where labels of the same name mean other things",
        challenges=_FINE_TUNING,
    ),
)
