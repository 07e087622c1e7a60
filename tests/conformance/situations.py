"""Which situations the tests take each trick of the catalogue through; the site shows them. Standard library only."""

from __future__ import annotations

from itertools import product

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.conformance.grid import DEEP_SUPERVISION, DIMENSIONS, LABEL_MODES, Situation

STEP = {"optimizer", "schedule", "stopping"}
"""Hooks whose tricks begin where the gradients are, so that nothing of labels and patches is theirs."""

MIXED = "augmentation.mixing"
"""The exception: patches are mixed where the loss is."""

NETWORK = {"network"}
"""Hooks whose tricks are between image and logits, where labels are only the number of channels of the last layer."""

FLAT, SOLID, CASCADE = (
    Situation("regions", "2d", True),
    Situation("labels", "3d", True),
    Situation("labels+ignore", "cascade", False),
)

WITH_WEIGHTS = {
    "Pretrained": CASCADE,
    "GenesisUNet3D_Freeze_allbuthead_ModelsGenesis": SOLID,
    "Freeze_first1_Pretrained": FLAT,
    "EncoderLR_Pretrained": SOLID,
    "EfficientNetLite0UNet_LayerDecay_PretrainedImageNet1k_VanillaAdam": FLAT,
    "ViTB16_PretrainedMAE": Situation("labels+ignore", "2d", False),
    "GenesisUNet3D_ModelsGenesis": Situation("regions+ignore", "3d", False),
    "Genesis": SOLID,
    "Freeze_first1_Masked_noskips": FLAT,
    "Contrastive_EncoderLR": Situation("labels+ignore", "2d", True),
    "DeepStem_ResNet50UNet": FLAT,
}
"""Trainers, each in one situation; the loss is nnU-Net's own, and so is what it makes of labels."""

WITHOUT_LABELS = {
    "PretextGenesis": (Situation("regions+ignore", "2d", False), Situation("labels", "3d", False)),
    "PretextMasked": (Situation("labels+ignore", "3d", False),),
    "PretextContrastive": (Situation("regions", "2d", False),),
}
"""Tricks that learn without labels, each in its situations; whatever labels there are, they must not matter."""

SHAPES = tuple(product(DIMENSIONS, DEEP_SUPERVISION))
"""Every dimension with deep supervision on and off: what a trick that touches patches meets."""

FEWER_SHAPES = (
    (("2d", True), ("2d", False), ("3d", True), ("cascade", False)),
    (("2d", True), ("2d", False), ("3d", False), ("cascade", True)),
)
"""What a trick of the loss or the network meets, by turns. To both of them a patch of a cascade is one of a volume: a
loss sees no images, and a network sees one channel more."""

NETWORKS = {
    (2, True): (("2d", True), ("2d", False)),
    (2, False): (("2d", False), ("2d", False)),
    (3, False): (("3d", False), ("cascade", False)),
}
"""What a network meets that takes images with so many axes, with outputs of several sizes or with one."""

HEAVY = ("SwinUNETR", "VNet")
"""Networks that need minutes for what takes others seconds, as their patches are padded to 32 voxels or more: they are
neither compiled here nor predicted with. The slow tests do both."""


def is_network(info: TrickInfo) -> bool:
    """Whether it is a network of another kind, or takes images with so many axes only as these do."""
    return "network.backbone" in info.hooks or bool(info.dimensions and not info.base)


def is_part_of_network(info: TrickInfo) -> bool:
    """Whether it is a part of the planned network. There are many, each is costly, and labels are nothing to them: they
    meet images and volumes, and all of them together meet every kind of labels and shape.
    """
    return claims_only(info, NETWORK) and not is_network(info)


def needs_others(info: TrickInfo) -> bool:
    """Whether it is trained beside other tricks only."""
    return info.place == "weights" or bool(info.beside)


def situations_of(info: TrickInfo) -> tuple[Situation, ...]:
    """Each kind of labels occurs, flat and in a volume, with deep supervision on and off.

    Which labels meet which shape is another choice for each trick, so that the catalogue has the whole grid. What
    nnU-Net does anyway is compared with it bit for bit in ``test_catalogue.py``.
    """
    turn = CATALOGUE.index(info)
    within = any(claims_only(info, hooks) for hooks in ({"loss"}, {"semisupervised"}, NETWORK))
    shapes = FEWER_SHAPES[turn // len(LABEL_MODES) % len(FEWER_SHAPES)] if within else SHAPES
    if is_network(info):
        shapes = NETWORKS[info.dimensions, "supervision" not in info.hooks]
        # The classes of a first stage are channels too, and V-Net does not take every number of them.
        shapes = shapes[:1] if info.name in HEAVY else shapes
    chosen = tuple(
        Situation(LABEL_MODES[(turn + place) % len(LABEL_MODES)], *shape) for place, shape in enumerate(shapes)
    )
    if is_part_of_network(info):
        return chosen[(turn + turn // len(LABEL_MODES)) % 2 :: 2]
    return (chosen[0], chosen[-1]) if info.own or claims_only(info, STEP) else chosen


def claims_within(info: TrickInfo, hooks: set[str]) -> bool:
    return {hook.partition(".")[0] for hook in info.hooks} <= hooks


def claims_only(info: TrickInfo, hooks: set[str]) -> bool:
    return claims_within(info, hooks) and MIXED not in info.hooks


def met(info: TrickInfo) -> dict[str, tuple[Situation, ...]]:
    """Situations in which the tests train a trick, by the trainers that have it.

    Examples:
        >>> tricks = {info.name: info for info in CATALOGUE}
        >>> {name: list(map(str, situations)) for name, situations in met(tricks["VNet"]).items()}
        {'nnUNetTrainerVNet': ['3d labels no-ds']}
        >>> list(met(tricks["Freeze"]))
        ['nnUNetTrainerGenesisUNet3D_Freeze_allbuthead_ModelsGenesis', 'nnUNetTrainerFreeze_first1_Pretrained']
    """
    if needs_others(info):
        return {f"nnUNetTrainer{n}": (place,) for n, place in WITH_WEIGHTS.items() if info.name in n.split("_")}
    return {info.trainer: WITHOUT_LABELS.get(info.name) or situations_of(info)}
