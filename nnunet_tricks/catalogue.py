"""The catalogue: one entry per trick. Standard library only: listing tricks imports neither torch nor nnU-Net."""

from __future__ import annotations

from nnunet_tricks import papers
from nnunet_tricks.trick_info import Measurement, Parameter, TrickInfo

MODEL = "model implementation"
TABLE_7 = "Zhang D. et al., table 7"
BASELINES = {"ISIC 2018": 86.89, "CoNIC": 77.23, "KiTS19 kidney": 92.50, "KiTS19 tumour": 29.63}


def _table_7(row: str, **deltas: float) -> tuple[Measurement, ...]:
    """Printed changes of Dice in a row of the trick paper's table 7, for the data sets of ``BASELINES``."""
    return tuple(
        Measurement(source=TABLE_7, row=row, dataset=dataset, baseline=baseline, delta=delta)
        for (dataset, baseline), delta in zip(BASELINES.items(), deltas.values(), strict=True)
    )


def _mediseg(what: str, *, excludes: tuple[str, ...] = ()) -> Parameter:
    return Parameter(
        name="mediseg",
        default=False,
        help=f"compute it as the trick paper's published code does: {what}",
        excludes=excludes,
    )


def _class_balance(default: float = 0.0) -> Parameter:
    return Parameter(
        name="cb",
        default=default,
        high=1,
        help="classes weigh (1 - cb) / (1 - cb^n), n voxels in the training fold: 0 all alike, 1 inverse frequency",
    )


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
_CB = _class_balance()
_FOCAL_ALPHA = Parameter(
    name="alpha", default=0.25, high=1, help="weight of foreground, that of background is 1 - alpha"
)
_FOCAL_GAMMA = Parameter(name="gamma", default=2.0, high=10, help="how fast a voxel loses weight as it gets right")
_EXPONENT = Parameter(
    name="gamma",
    default=0.75,
    low=0.1,
    high=3,
    help="power of 1 - Tversky index; 1 is Tversky, the paper writes 1/gamma",
)
_WEIGHTS = Parameter(
    name="weights",
    default=(),
    help="fixed, background first (regions: what is inside, outside is 1)",
    excludes=("cb",),
)
_PLAIN = Parameter(name="plain", default=False, help="divide by the number of voxels, not by the sum of their weights")

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
            _CB,
            _mediseg("image by image, with the background class, 1e-8 to smooth", excludes=("cb",)),
        ),
        paper=papers.VNET,
        challenges=("class imbalance",),
        measured=_table_7("CBL Dice", isic=0.82, conic=1.13, kidney=-1.33, tumour=7.52),
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
            _CB,
            _mediseg("alpha and beta swapped, with background, summed over the batch", excludes=("cb",)),
        ),
        paper=papers.TVERSKY,
        challenges=("class imbalance", "small objects"),
        measured=_table_7("CBL Tvers", isic=0.98, conic=1.00, kidney=-2.51, tumour=3.86),
    ),
    TrickInfo(
        name="Focal",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.focal",
        summary="cross-entropy that hardly counts voxels that are right already",
        formula="-alpha_t (1 - p_t)^gamma log p_t, mean over the annotated voxels; t is the true class",
        parameters=(
            _FOCAL_ALPHA,
            _FOCAL_GAMMA,
            _CB,
            _mediseg(
                "0.25 for background, 0.75 for the rest, probabilities kept off 0 and 1", excludes=("alpha", "cb")
            ),
        ),
        paper=papers.FOCAL,
        challenges=("class imbalance", "hard examples"),
        measured=_table_7("CBL Focal", isic=-1.48, conic=-0.11, kidney=-11.21, tumour=-16.65),
    ),
    TrickInfo(
        name="FocalTversky",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.focal_tversky",
        summary="Tversky that weighs classes by how badly they do",
        formula="(1 - TP / (TP + alpha FP + beta FN))^gamma on soft counts, mean over the foreground classes",
        parameters=(_ALPHA, _BETA, _EXPONENT, _CB),
        paper=papers.FOCAL_TVERSKY,
        challenges=("class imbalance", "small objects"),
    ),
    TrickInfo(
        name="WCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.weighted_cross_entropy",
        summary="cross-entropy in which rare classes count more",
        formula="-sum w_t log p_t / sum w_t over the annotated voxels; w from the training fold, or fixed",
        parameters=(
            _WEIGHTS,
            _class_balance(1.0),
            _PLAIN,
            _mediseg("0.2 for background, 0.8 for the rest", excludes=("weights", "cb", "plain")),
        ),
        paper=papers.UNET,
        challenges=("class imbalance",),
        measured=_table_7("CBL WCE", isic=-0.17, conic=0.31, kidney=-3.01, tumour=0.22),
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
        measured=_table_7("OHEM", isic=-0.04, conic=-0.17, kidney=-0.33, tumour=0.95),
    ),
    TrickInfo(
        name="TverskyCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.tversky",
        summary="Tversky in place of the Dice term, cross-entropy stays",
        formula="Tversky + nnU-Net's cross-entropy",
        parameters=(_ALPHA, _BETA, _CB),
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
        name="DiceFocal",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.focal",
        summary="focal loss in place of the cross-entropy, Dice stays",
        formula="nnU-Net's Dice term + focal loss",
        parameters=(_FOCAL_ALPHA, _FOCAL_GAMMA, _CB),
        paper=papers.FOCAL,
        challenges=("class imbalance", "hard examples"),
    ),
    TrickInfo(
        name="DiceWCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.weighted_cross_entropy",
        summary="weighted cross-entropy in place of the plain one, Dice stays",
        formula="nnU-Net's Dice term + weighted cross-entropy",
        parameters=(_WEIGHTS, _class_balance(1.0), _PLAIN),
        paper=papers.UNET,
        challenges=("class imbalance",),
    ),
    TrickInfo(
        name="FocalTverskyCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.focal_tversky",
        summary="focal Tversky in place of the Dice term, cross-entropy stays",
        formula="focal Tversky + nnU-Net's cross-entropy",
        parameters=(_ALPHA, _BETA, _EXPONENT, _CB),
        paper=papers.FOCAL_TVERSKY,
        challenges=("class imbalance", "small objects"),
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
    TrickInfo(
        name="FullSizeDeepSupervision",
        hooks=("supervision",),
        phase=MODEL,
        module="nnunet_tricks.supervision.full_size",
        summary="the outputs of the decoder's last levels, enlarged to full size, against the full-size truth",
        formula="mean of loss(enlarged output of level l, truth) over the last levels l",
        parameters=(Parameter(name="levels", default=3, low=1, high=8, help="how many of the decoder's last levels"),),
        paper=papers.DEEP_SUPERVISION,
        challenges=("vanishing gradients", "small objects"),
        measured=_table_7("DeepS", isic=0.53, conic=-0.10, kidney=-0.62, tumour=-0.36),
    ),
    TrickInfo(
        name="UniformDeepSupervision",
        hooks=("supervision",),
        phase=MODEL,
        module="nnunet_tricks.supervision.uniform",
        summary="the outputs of the decoder's last levels weigh alike",
        formula="mean of loss(output of level l, truth at its size) over the last levels l",
        parameters=(Parameter(name="levels", default=4, low=1, high=8, help="how many of the decoder's last levels"),),
        paper=papers.DEEP_SUPERVISION,
        challenges=("vanishing gradients",),
    ),
)
