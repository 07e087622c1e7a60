"""The catalogue: one entry per trick. Standard library only: listing tricks imports neither torch nor nnU-Net."""

from __future__ import annotations

from nnunet_tricks import papers
from nnunet_tricks.trick_info import Measurement, Parameter, TrickInfo

MODEL = "model implementation"
TABLE_7 = "Zhang D. et al., table 7"
BASELINES = {"ISIC 2018": 86.89, "CoNIC": 77.23, "KiTS19 kidney": 92.50, "KiTS19 tumour": 29.63}


def _table_7(**deltas: float) -> tuple[Measurement, ...]:
    """Printed changes of Dice in the trick paper's table 7, for ISIC 2018, CoNIC, KiTS19 kidney and KiTS19 tumour."""
    return tuple(
        Measurement(source=TABLE_7, dataset=dataset, baseline=baseline, delta=delta)
        for (dataset, baseline), delta in zip(BASELINES.items(), deltas.values(), strict=True)
    )


def _mediseg(what: str) -> Parameter:
    return Parameter(name="mediseg", default=False, help=f"compute it as the trick paper's published code does: {what}")


_FRACTION = Parameter(
    name="fraction", default=0.7, low=0.01, high=1, help="share of the annotated voxels that counts, hardest first"
)
_THRESHOLD = Parameter(
    name="threshold",
    default=1.0,
    low=0.01,
    high=1,
    help="of those, only voxels whose true class has a lower probability than this",
)
_KEEP = Parameter(name="keep", default=1, low=1, help="never fewer voxels than this, if so many are annotated")
_ALPHA = Parameter(name="alpha", default=0.3, high=1, help="weight of false positives")
_BETA = Parameter(name="beta", default=0.7, high=1, help="weight of false negatives")

CATALOGUE: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="CE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.cross_entropy",
        summary="cross-entropy alone, without the Dice term",
        formula="-log p_t, mean over the annotated voxels; t is the true class",
        parameters=(_mediseg("the same mean, so this changes nothing"),),
        paper=papers.UNET,
        challenges=("baseline of the trick paper",),
    ),
    TrickInfo(
        name="Dice",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.dice",
        summary="soft Dice alone, without the cross-entropy term",
        formula="1 - 2 TP / (2 TP + FP + FN) on soft counts, mean over the foreground classes",
        parameters=(
            Parameter(name="squared", default=False, help="V-Net's denominator: sum p^2 + sum g^2"),
            _mediseg("image by image, with the background class, 1e-8 to smooth"),
        ),
        paper=papers.VNET,
        challenges=("class imbalance",),
        measured=_table_7(isic=0.82, conic=1.13, kidney=-1.33, tumour=7.52),
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
            _mediseg("alpha and beta swapped, with background, summed over the batch"),
        ),
        paper=papers.TVERSKY,
        challenges=("class imbalance", "small objects"),
        measured=_table_7(isic=0.98, conic=1.00, kidney=-2.51, tumour=3.86),
    ),
    TrickInfo(
        name="OHEM",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.ohem",
        summary="cross-entropy of the hardest voxels only",
        formula="mean of the k largest -log p_t, k = floor(fraction * annotated voxels of the batch)",
        parameters=(_FRACTION, _THRESHOLD, _KEEP, _mediseg("the same mean, so this changes nothing")),
        paper=papers.OHEM,
        challenges=("class imbalance", "hard examples"),
        measured=_table_7(isic=-0.04, conic=-0.17, kidney=-0.33, tumour=0.95),
    ),
    TrickInfo(
        name="TverskyCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.tversky",
        summary="Tversky in place of the Dice term, cross-entropy stays",
        formula="Tversky + nnU-Net's cross-entropy",
        parameters=(_ALPHA, _BETA),
        paper=papers.TVERSKY,
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="DiceOHEM",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.ohem",
        summary="cross-entropy of the hardest voxels in place of that of all, Dice stays",
        formula="nnU-Net's Dice term + OHEM",
        parameters=(_FRACTION, _THRESHOLD, _KEEP),
        paper=papers.OHEM,
        challenges=("class imbalance", "hard examples"),
    ),
    TrickInfo(
        name="NoDeepSupervision",
        hooks=("supervision",),
        phase=MODEL,
        module="nnunetv2.training.nnUNetTrainer.variants.network_architecture.nnUNetTrainerNoDeepSupervision",
        summary="the loss at full resolution only (nnU-Net's own)",
        formula="loss(output, truth) in place of its weighted sum over the decoder's levels",
        paper=papers.DEEP_SUPERVISION,
        challenges=("baseline of the trick paper",),
    ),
)
