"""What is done to training patches.

The sets and the single ones take the place of nnU-Net's own augmentation, mirroring included; single ones can stand
together in a name. Each claims its own part of the hook, so that it excludes those that it would double.
"""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import AUGMENTATION, mediseg, tables_5_and_6
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import Paper, cited

_WHOLE = ("augmentation.spatial", "augmentation.intensity", "mirroring")
_PAPER = cited("zhang2022tricks")

_NNUNET = cited("isensee2021nnunet")
_ALBUMENTATIONS = cited("buslaev2020albumentations")
_P = Parameter(name="p", default=0.5, high=1, help="the part of the patches")


def _single(
    name: str,
    part: str,
    summary: str,
    formula: str,
    *parameters: Parameter,
    paper: Paper = _PAPER,
    challenges: tuple[str, ...] = ("small data sets",),
) -> TrickInfo:
    """An entry of one augmentation that replaces nnU-Net's, and can stand beside others of the kind."""
    file = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    return TrickInfo(
        name=name,
        hooks=(f"augmentation.{part}.{file}", f"mirroring.{file}"),
        phase=AUGMENTATION,
        module=f"nnunet_tricks.tricks.augmentation.{file}",
        summary=f"{summary}, in place of nnU-Net's augmentation",
        formula=formula,
        parameters=parameters,
        paper=paper,
        challenges=challenges,
    )


ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="GTAugA",
        hooks=_WHOLE,
        phase=AUGMENTATION,
        module="nnunet_tricks.tricks.augmentation.gt_aug_a",
        summary="the trick paper's changes of grey values, in place of nnU-Net's augmentation",
        formula="2D: brightness and contrast 20 %, gamma 0.8-1.2, CLAHE, each p 0.5. 3D: noise of 10 % of the range, "
        "gamma 0.5-2, each p 0.5",
        parameters=(mediseg("in 3D every patch gets noise and gamma"),),
        paper=_PAPER,
        challenges=("domain shift",),
        measured=tables_5_and_6("A", isic=-0.02, conic=0.64, kidney=-0.85, tumour=-3.95, lits=0.51),
    ),
    TrickInfo(
        name="GTAugB",
        hooks=_WHOLE,
        phase=AUGMENTATION,
        module="nnunet_tricks.tricks.augmentation.gt_aug_b",
        summary="the trick paper's shifts, scales, turns and flips, in place of nnU-Net's augmentation",
        formula="2D: shift 10 %, scale 0.9-1.1 and turn 45 degrees at once, p 0.5. 3D: scale 0.85-1.25, p 0.5; turn "
        "90, 180 or 270 degrees, p 0.5. Mirror each axis, p 0.5",
        parameters=(mediseg("in 3D every patch is scaled, and turned about one axis by 0 to 270 degrees"),),
        paper=_PAPER,
        challenges=("small data sets",),
        measured=tables_5_and_6("B", isic=1.18, conic=3.10, kidney=-4.50, tumour=-13.99, lits=-3.66),
    ),
    TrickInfo(
        name="GTAugAB",
        hooks=_WHOLE,
        phase=AUGMENTATION,
        module="nnunet_tricks.tricks.augmentation.gt_aug_ab",
        summary="GTAugA and GTAugB together",
        formula="GTAugB, then GTAugA",
        parameters=(mediseg("as for GTAugA and GTAugB"),),
        paper=_PAPER,
        challenges=("small data sets", "domain shift"),
    ),
    _single("Flip", "spatial", "mirrored patches", "each axis, p 0.5"),
    _single("Rotate90", "spatial", "patches turned by multiples of 90 degrees", "90, 180 or 270 degrees", _P),
    _single(
        "Scale",
        "spatial",
        "larger and smaller objects",
        "factor uniform from low to high",
        _P,
        Parameter(name="low", default=0.85, low=0.1, high=1, help="smallest factor"),
        Parameter(name="high", default=1.25, low=1, high=10, help="largest factor"),
    ),
    _single(
        "Translate",
        "spatial",
        "moved patches",
        "uniform up to shift x side, either way",
        _P,
        Parameter(name="shift", default=0.1, high=1, help="largest move, as a part of the patch's side"),
        paper=_ALBUMENTATIONS,
    ),
    _single(
        "Elastic",
        "spatial",
        "patches bent by smooth random displacements",
        "largest displacement uniform up to shift x side; smoothed by 5-10 % of the side",
        _P,
        Parameter(name="shift", default=0.05, high=0.2, help="largest displacement, as a part of the patch's side"),
        paper=cited("ronneberger2015unet"),
    ),
    _single(
        "ColorJitter",
        "intensity",
        "other brightness and contrast, and other saturation of colour images",
        "factors 1 - most to 1 + most, summand up to most x range",
        _P,
        Parameter(name="most", default=0.2, high=1, help="largest change"),
        paper=_ALBUMENTATIONS,
        challenges=("domain shift",),
    ),
    _single(
        "LowRes",
        "intensity",
        "images of lower resolution",
        "shrunk to low x size or more, and enlarged again",
        _P,
        Parameter(name="low", default=0.5, low=0.1, high=1, help="smallest part of the size"),
        paper=_NNUNET,
        challenges=("domain shift",),
    ),
    _single(
        "Noise",
        "intensity",
        "noise",
        "normal, of sigma x range, cut off at 2 sigma",
        _P,
        Parameter(name="sigma", default=0.1, high=1, help="standard deviation, as a part of the range"),
        challenges=("domain shift",),
    ),
    _single(
        "Blur",
        "intensity",
        "blurred images",
        "Gaussian of sigma / 2 to sigma voxels",
        _P,
        Parameter(name="sigma", default=1.0, low=0.1, high=1.5, help="largest standard deviation in voxels"),
        paper=_NNUNET,
        challenges=("domain shift",),
    ),
    TrickInfo(
        name="NoDA",
        hooks=_WHOLE,
        phase=AUGMENTATION,
        module="nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoDA",
        summary="no augmentation, and no mirroring at inference (nnU-Net's own)",
        formula="patches as they are drawn",
        paper=_NNUNET,
        challenges=("baseline of the trick paper",),
    ),
    TrickInfo(
        name="DA5",
        hooks=_WHOLE,
        phase=AUGMENTATION,
        module="nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerDA5",
        summary="more and stronger augmentation (nnU-Net's own)",
        formula="quarter turns, transposed axes, median filters, sharpening, blank boxes, gradients of brightness and "
        "local gamma, beside what nnU-Net does",
        paper=_NNUNET,
        challenges=("small data sets", "domain shift"),
    ),
    TrickInfo(
        name="NoMirroring",
        hooks=("mirroring",),
        phase=AUGMENTATION,
        module="nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring",
        summary="no mirroring, in training and at inference (nnU-Net's own)",
        formula="nnU-Net's augmentation without flips",
        paper=_NNUNET,
        challenges=("left and right",),
    ),
    TrickInfo(
        name="FastDA",
        hooks=("augmentation.time",),
        phase=AUGMENTATION,
        module="nnunet_tricks.tricks.augmentation.fast_da",
        summary="nnU-Net's augmentation in less time, patches differ by rounding only",
        formula="blur as a sum of moved images, gamma with fewer passes; the same random numbers",
        paper=_NNUNET,
        challenges=("slow data loading",),
    ),
    TrickInfo(
        name="RandomErasing",
        hooks=("augmentation.erasing",),
        phase=AUGMENTATION,
        module="nnunet_tricks.tricks.augmentation.random_erasing",
        summary="a box of the image replaced by random values, after other augmentation",
        formula="a part of the voxels from low to high, the same box in all channels",
        parameters=(
            _P,
            Parameter(name="low", default=0.02, high=1, help="smallest part of the voxels"),
            Parameter(name="high", default=0.4, high=1, help="largest part of the voxels"),
        ),
        paper=cited("zhong2020erasing"),
        challenges=("small data sets",),
    ),
    TrickInfo(
        name="MixUp",
        hooks=("augmentation.mixing",),
        phase=AUGMENTATION,
        module="nnunet_tricks.tricks.augmentation.mix_up",
        summary="patches of a batch blended with each other, after other augmentation",
        formula="x = s x_i + (1 - s) x_j, loss s L(x, y_i) + (1 - s) L(x, y_j), s from Beta(alpha, alpha)",
        parameters=(
            Parameter(name="alpha", default=0.2, low=0.001, high=1000, help="small for hardly, 1 for any blend"),
            Parameter(name="p", default=1.0, high=1, help="the part of the batches"),
        ),
        paper=cited("zhang2018mixup"),
        challenges=("small data sets",),
    ),
    TrickInfo(
        name="CutMix",
        hooks=("targets", "augmentation.mixing"),
        phase=AUGMENTATION,
        module="nnunet_tricks.tricks.augmentation.cut_mix",
        summary="a box of each patch is another patch's, with its labels, after other augmentation",
        formula="1 - s of the voxels of image and truth are another patch's, s from Beta(alpha, alpha)",
        parameters=(
            Parameter(name="alpha", default=1.0, low=0.001, high=1000, help="1 for boxes of any size alike"),
            Parameter(name="p", default=1.0, high=1, help="the part of the batches"),
        ),
        paper=cited("yun2019cutmix"),
        challenges=("small data sets",),
    ),
)
