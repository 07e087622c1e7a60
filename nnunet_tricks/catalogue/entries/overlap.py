"""Losses on the overlap of prediction and truth."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import CB, MODEL, mediseg, tables_7_and_8
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

_ALPHA = Parameter(name="alpha", default=0.3, high=1, help="weight of false positives")
_BETA = Parameter(name="beta", default=0.7, high=1, help="weight of false negatives")
_EXPONENT = Parameter(
    name="gamma",
    default=0.75,
    low=0.1,
    high=3,
    help="power of 1 - Tversky index; 1 is Tversky, above it bad classes count most; the paper writes 1/gamma",
)

_HINGE = Parameter(name="hinge", default=False, help="errors of margins, not of probabilities")

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="Dice",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.dice",
        summary="soft Dice alone, without the cross-entropy term",
        formula="1 - 2 TP / (2 TP + FP + FN) on soft counts, mean over the foreground classes",
        parameters=(
            Parameter(name="squared", default=False, help="V-Net's denominator: sum p^2 + sum g^2"),
            CB,
            mediseg("image by image, with the background class, 1e-8 to smooth", excludes=("cb",)),
        ),
        paper=cited("milletari2016vnet"),
        challenges=("class imbalance",),
        measured=tables_7_and_8("CBL Dice", isic=0.82, conic=1.13, kidney=-1.33, tumour=7.52, lits=-10.60),
    ),
    TrickInfo(
        name="Tversky",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.tversky",
        summary="overlap with separate weights for missed voxels and false alarms",
        formula="1 - TP / (TP + alpha FP + beta FN) on soft counts, mean over the foreground classes",
        parameters=(
            _ALPHA,
            _BETA,
            CB,
            mediseg("alpha and beta swapped, with background, summed over the batch", excludes=("cb",)),
        ),
        paper=cited("salehi2017tversky"),
        challenges=("class imbalance", "small objects"),
        measured=tables_7_and_8("CBL Tvers", isic=0.98, conic=1.00, kidney=-2.51, tumour=3.86, lits=-7.41),
    ),
    TrickInfo(
        name="FocalTversky",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.focal_tversky",
        summary="a power of Tversky, which weighs classes by how well they are segmented",
        formula="(1 - TP / (TP + alpha FP + beta FN))^gamma on soft counts, mean over the foreground classes",
        parameters=(_ALPHA, _BETA, _EXPONENT, CB),
        paper=cited("abraham2019focaltversky"),
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="AsymmetricTversky",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.asymmetric_tversky",
        summary="F-beta score: Tversky with one number to choose",
        formula="1 - (1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP) on soft counts, mean over foreground classes",
        parameters=(
            Parameter(
                name="beta",
                default=1.5,
                low=0.1,
                high=10,
                help="a miss weighs its square times as much as a false alarm",
            ),
            CB,
        ),
        paper=cited("hashemi2019asymmetric"),
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="Jaccard",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.jaccard",
        summary="intersection over union alone",
        formula="1 - TP / (TP + FP + FN) on soft counts, mean over the foreground classes",
        parameters=(CB,),
        paper=cited("rahman2016iou"),
        challenges=("class imbalance",),
    ),
    TrickInfo(
        name="Lovasz",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.lovasz",
        summary="the Jaccard index itself, made convex",
        formula="Lovasz extension of 1 - Jaccard at the voxels' errors, mean over the foreground classes",
        parameters=(
            _HINGE,
            CB,
        ),
        paper=cited("berman2018lovasz"),
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="LogCoshDice",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.log_cosh_dice",
        summary="log cosh of the Dice loss, whose gradient vanishes near the optimum",
        formula="log cosh (1 - Dice)",
        parameters=(CB,),
        paper=cited("jadon2020survey"),
        challenges=("class imbalance",),
    ),
    TrickInfo(
        name="GeneralizedDice",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.generalized_dice",
        summary="one overlap of all classes, in which small classes count as much as large ones",
        formula="1 - 2 sum w_c TP_c / sum w_c (P_c + G_c), w_c = 1 / G_c^2",
        parameters=(),
        paper=cited("sudre2017generalised"),
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="ExpLog",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.exp_log",
        summary="powers of the logarithms of Dice and of probabilities",
        formula="share E[(-ln Dice_c)^gamma] + (1 - share) E[w_t (-ln p_t)^gamma]",
        parameters=(
            Parameter(name="share", default=0.8, high=1, help="of the Dice part, the rest is cross-entropy"),
            Parameter(name="gamma", default=0.3, low=0.1, high=3, help="the power of both logarithms"),
        ),
        paper=cited("wong2018explog"),
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="UnifiedFocal",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.unified_focal",
        summary="focal for background and focal Tversky for foreground",
        formula=(
            "share mean(-delta log p_t on foreground, -(1 - delta) (1 - p_t)^gamma log p_t on background) "
            "+ (1 - share) mean((1 - Tversky)^(1 - gamma) of foreground, 1 - Tversky of background)"
        ),
        parameters=(
            Parameter(name="share", default=0.5, high=1, help="of the focal part"),
            Parameter(name="delta", default=0.6, high=1, help="weight of foreground, and of misses"),
            Parameter(
                name="gamma",
                default=0.5,
                high=0.9,
                help="how much easy background is suppressed and the overlap of foreground enhanced",
            ),
        ),
        paper=cited("yeung2022unified"),
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="TverskyCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.tversky",
        summary="Tversky in place of the Dice term, cross-entropy stays",
        formula="Tversky + nnU-Net's cross-entropy",
        parameters=(_ALPHA, _BETA, CB),
        paper=cited("salehi2017tversky"),
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="FocalTverskyCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.focal_tversky",
        summary="focal Tversky in place of the Dice term, cross-entropy stays",
        formula="focal Tversky + nnU-Net's cross-entropy",
        parameters=(_ALPHA, _BETA, _EXPONENT, CB),
        paper=cited("abraham2019focaltversky"),
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="GeneralizedDiceCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.generalized_dice",
        summary="generalized Dice in place of the Dice term, cross-entropy stays",
        formula="generalized Dice + nnU-Net's cross-entropy",
        parameters=(),
        paper=cited("sudre2017generalised"),
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="LovaszCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.lovasz",
        summary="Lovasz in place of the Dice term, cross-entropy stays",
        formula="Lovasz + nnU-Net's cross-entropy",
        parameters=(
            _HINGE,
            CB,
        ),
        paper=cited("berman2018lovasz"),
        challenges=("class imbalance", "small objects"),
    ),
)
