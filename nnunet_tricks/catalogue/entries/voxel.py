"""Losses on single voxels: cross-entropy and its kin."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import CB, MODEL, class_balance, mediseg, tables_7_and_8
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

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
_FOCAL_ALPHA = Parameter(
    name="alpha", default=0.25, high=1, help="weight of foreground, that of background is 1 - alpha"
)
_FOCAL_GAMMA = Parameter(name="gamma", default=2.0, high=10, help="how fast a voxel loses weight as it gets right")
_WEIGHTS = Parameter(
    name="weights",
    default=(),
    help="fixed, background first (regions: what is inside, outside is 1)",
    excludes=("cb",),
)
_PLAIN = Parameter(name="plain", default=False, help="divide by the number of voxels, not by the sum of their weights")

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="CE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.cross_entropy",
        summary="cross-entropy alone, without the Dice term",
        formula="-log p_t, mean over the annotated voxels; t is the true class",
        parameters=(
            Parameter(
                name="smooth",
                default=0.0,
                high=0.9,
                help="label smoothing: share of the truth that goes to all classes",
                paper=cited("szegedy2016rethinking"),
            ),
            mediseg("the same mean, so this changes nothing", excludes=("smooth",)),
        ),
        paper=cited("ronneberger2015unet"),
        challenges=("baseline of the trick paper",),
        use_when="as a reference, or with smooth where labels are doubtful; it never loses its gradient on what the "
        "network misses",
        avoid_when="with small objects: the many easy background voxels outweigh them, since there is no overlap term",
    ),
    TrickInfo(
        name="Focal",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.focal",
        summary="cross-entropy in which voxels that are already right hardly count",
        formula="-alpha_t (1 - p_t)^gamma log p_t, mean over the annotated voxels; t is the true class",
        parameters=(
            _FOCAL_ALPHA,
            _FOCAL_GAMMA,
            CB,
            mediseg("0.25 for background, 0.75 for the rest, probabilities kept off 0 and 1", excludes=("alpha", "cb")),
        ),
        paper=cited("lin2017focal"),
        challenges=("class imbalance", "hard examples"),
        use_when="where nearly all voxels are easy and the network should work on the rest",
        avoid_when="with noisy labels: what is wrong in the truth is hard for ever and gets the most weight; in the "
        "trick paper's tables it lost on all sets",
        measured=tables_7_and_8("CBL Focal", isic=-1.48, conic=-0.11, kidney=-11.21, tumour=-16.65, lits=-1.95),
    ),
    TrickInfo(
        name="WCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.weighted_cross_entropy",
        summary="cross-entropy in which rare classes count more",
        formula="-sum w_t log p_t / sum w_t over the annotated voxels; w from the training fold, or fixed",
        parameters=(
            _WEIGHTS,
            class_balance(1.0),
            _PLAIN,
            mediseg("0.2 for background, 0.8 for the rest", excludes=("weights", "cb", "plain")),
        ),
        paper=cited("ronneberger2015unet"),
        challenges=("class imbalance",),
        use_when="where a class is rare and misses cost more than false alarms",
        avoid_when="where precision counts: recall rises and precision falls, and without an overlap term a rare "
        "class is easily over-segmented",
        measured=tables_7_and_8("CBL WCE", isic=-0.17, conic=0.31, kidney=-3.01, tumour=0.22, lits=-1.19),
    ),
    TrickInfo(
        name="OHEM",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.ohem",
        summary="cross-entropy of the hardest voxels only",
        formula="mean of the k largest -log p_t, k = floor(fraction * annotated voxels of the batch)",
        parameters=(_FRACTION, _THRESHOLD, _KEEP, mediseg("the same mean, so this changes nothing")),
        paper=cited("shrivastava2016ohem"),
        challenges=("class imbalance", "hard examples"),
        use_when="where a few hard regions decide and the rest is learned quickly",
        avoid_when="with noisy labels, which are always among the hardest voxels",
        measured=tables_7_and_8("OHEM", isic=-0.04, conic=-0.17, kidney=-0.33, tumour=0.95, lits=1.24),
    ),
    TrickInfo(
        name="BalancedCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.balanced_cross_entropy",
        summary="cross-entropy in which a class is weighted by the share of all other voxels",
        formula="-w_t log p_t, mean over the annotated voxels; w is 1 less the share of the class in the training fold",
        parameters=(
            Parameter(
                name="beta",
                default=0.0,
                high=1,
                help="fixed weight of foreground, that of background is 1 - beta; 0 counts the fold",
            ),
        ),
        paper=cited("xie2015hed"),
        challenges=("class imbalance",),
        use_when="where a class is rare and you want weights that come from the training data by themselves",
        avoid_when="where classes differ little in size: the weights are then all alike",
    ),
    TrickInfo(
        name="Combo",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.combo",
        summary="cross-entropy that leans towards misses or false alarms, with Dice",
        formula="-alpha mean(beta g log p + (1 - beta) (1 - g) log(1 - p)) - (1 - alpha) Dice",
        parameters=(
            Parameter(name="alpha", default=0.5, high=1, help="share of the cross-entropy, the rest is Dice"),
            Parameter(
                name="beta", default=0.5, high=1, help="weight of misses in it, that of false alarms is 1 - beta"
            ),
        ),
        paper=cited("taghanaki2019combo"),
        challenges=("class imbalance",),
        use_when="where you want to choose between misses and false alarms with one number and keep Dice",
        avoid_when="where beta has not been chosen for your data: the default is the paper's and changes little",
    ),
    TrickInfo(
        name="DiceFocal",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.focal",
        summary="focal loss in place of the cross-entropy, Dice stays",
        formula="nnU-Net's Dice term + focal loss",
        parameters=(_FOCAL_ALPHA, _FOCAL_GAMMA, CB),
        paper=cited("lin2017focal"),
        challenges=("class imbalance", "hard examples"),
        use_when="where easy background dominates; safer than the focal loss alone, since Dice stays",
        avoid_when="with noisy labels",
    ),
    TrickInfo(
        name="DiceWCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.weighted_cross_entropy",
        summary="weighted cross-entropy in place of the plain one, Dice stays",
        formula="nnU-Net's Dice term + weighted cross-entropy",
        parameters=(_WEIGHTS, class_balance(1.0), _PLAIN),
        paper=cited("ronneberger2015unet"),
        challenges=("class imbalance",),
        use_when="where a class is rare and objects are missed; safer than weighted cross-entropy alone, since Dice "
        "stays",
        avoid_when="where precision counts: recall rises and precision falls",
    ),
    TrickInfo(
        name="DiceOHEM",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.ohem",
        summary="cross-entropy of the hardest voxels in place of that of all, Dice stays",
        formula="nnU-Net's Dice term + OHEM",
        parameters=(_FRACTION, _THRESHOLD, _KEEP),
        paper=cited("shrivastava2016ohem"),
        challenges=("class imbalance", "hard examples"),
        use_when="where a few hard regions decide; safer than OHEM alone, since Dice stays",
        avoid_when="with noisy labels, or small networks: sorting voxels takes time",
    ),
)
