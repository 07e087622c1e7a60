"""Losses on the overlap of prediction and truth."""

from __future__ import annotations

from nnunet_tricks import papers
from nnunet_tricks.catalogue.shared import CB, MODEL, mediseg, table_7
from nnunet_tricks.trick_info import Parameter, TrickInfo

_ALPHA = Parameter(name="alpha", default=0.3, high=1, help="weight of false positives")
_BETA = Parameter(name="beta", default=0.7, high=1, help="weight of false negatives")
_EXPONENT = Parameter(
    name="gamma",
    default=0.75,
    low=0.1,
    high=3,
    help="power of 1 - Tversky index; 1 is Tversky, the paper writes 1/gamma",
)

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="Dice",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.dice",
        summary="soft Dice alone, without the cross-entropy term",
        formula="1 - 2 TP / (2 TP + FP + FN) on soft counts, mean over the foreground classes",
        parameters=(
            Parameter(name="squared", default=False, help="V-Net's denominator: sum p^2 + sum g^2"),
            CB,
            mediseg("image by image, with the background class, 1e-8 to smooth", excludes=("cb",)),
        ),
        paper=papers.VNET,
        challenges=("class imbalance",),
        measured=table_7("CBL Dice", isic=0.82, conic=1.13, kidney=-1.33, tumour=7.52),
    ),
    TrickInfo(
        name="Tversky",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.tversky",
        summary="missed voxels and false alarms weighed apart",
        formula="1 - TP / (TP + alpha FP + beta FN) on soft counts, mean over the foreground classes",
        parameters=(
            _ALPHA,
            _BETA,
            CB,
            mediseg("alpha and beta swapped, with background, summed over the batch", excludes=("cb",)),
        ),
        paper=papers.TVERSKY,
        challenges=("class imbalance", "small objects"),
        measured=table_7("CBL Tvers", isic=0.98, conic=1.00, kidney=-2.51, tumour=3.86),
    ),
    TrickInfo(
        name="FocalTversky",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.focal_tversky",
        summary="Tversky that weighs classes by how badly they do",
        formula="(1 - TP / (TP + alpha FP + beta FN))^gamma on soft counts, mean over the foreground classes",
        parameters=(_ALPHA, _BETA, _EXPONENT, CB),
        paper=papers.FOCAL_TVERSKY,
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="TverskyCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.tversky",
        summary="Tversky in place of the Dice term, cross-entropy stays",
        formula="Tversky + nnU-Net's cross-entropy",
        parameters=(_ALPHA, _BETA, CB),
        paper=papers.TVERSKY,
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="FocalTverskyCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.focal_tversky",
        summary="focal Tversky in place of the Dice term, cross-entropy stays",
        formula="focal Tversky + nnU-Net's cross-entropy",
        parameters=(_ALPHA, _BETA, _EXPONENT, CB),
        paper=papers.FOCAL_TVERSKY,
        challenges=("class imbalance", "small objects"),
    ),
)
