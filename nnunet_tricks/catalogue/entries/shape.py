"""Losses on the shape of objects: their border, their skeleton, each of them alone."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import MODEL, class_balance
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

_CL_DICE = (
    Parameter(name="alpha", default=0.5, high=1, help="share of centre-line Dice, the rest is Dice"),
    Parameter(
        name="iterations", default=3, low=0, high=50, help="erosions of the soft skeleton: radius of the widest tube"
    ),
)

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="Boundary",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.boundary",
        summary="generalized Dice and, with rising weight, the distance of predicted voxels from the true border",
        formula="(1 - w) generalized Dice + w mean(phi p), w from 0 to weight; phi is the signed distance",
        parameters=(
            Parameter(name="weight", default=0.99, high=1, help="of the boundary term at the end of the training"),
        ),
        paper=cited("kervadec2019boundary"),
        challenges=("class imbalance", "small objects", "blurred borders"),
        use_when="where borders are off and Dice is good already",
        avoid_when="in short trainings, or from scratch with small weights of the overlap: it collapsed in some of "
        "our runs of five epochs",
    ),
    TrickInfo(
        name="ActiveContour",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.active_contour",
        summary="a region that agrees with the truth, with a short border",
        formula="length mean(|grad p|) + region mean(p (1 - g) + (1 - p) g), mean over the foreground classes",
        parameters=(
            Parameter(name="length", default=1.0, high=100, help="weight of the border's length"),
            Parameter(name="region", default=1.0, low=0.01, high=100, help="weight of the disagreement"),
        ),
        paper=cited("chen2019active"),
        challenges=("blurred borders",),
        use_when="where borders are ragged and objects are smooth",
        avoid_when="with thin or branched objects: a short border is wrong there",
    ),
    TrickInfo(
        name="SkeletonRecall",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.skeleton_recall",
        summary="nnU-Net's loss, and the recall of the truth's centre lines",
        formula="nnU-Net's loss + weight (1 - recall of the truth's widened skeleton)",
        parameters=(Parameter(name="weight", default=1.0, high=100, help="of the recall term"),),
        paper=cited("kirchhoff2024skeleton"),
        challenges=("thin objects",),
        use_when="first, where vessels, airways or nerves break: it is cheap and only asks for recall of centre lines",
        avoid_when="with compact objects: their centre lines mean little",
    ),
    TrickInfo(
        name="DistanceCE",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.distance_cross_entropy",
        summary="cross-entropy that counts most where two objects nearly touch, U-Net's own",
        formula="-(w_t + border exp(-(d1 + d2)^2 / (2 sigma^2))) log p_t, mean; d1, d2 to the nearest two objects",
        parameters=(
            Parameter(name="border", default=10.0, high=1000, help="weight where two objects meet, w0"),
            Parameter(name="sigma", default=5.0, low=0.1, high=100, help="how far it reaches, in voxels"),
            class_balance(1.0),
        ),
        paper=cited("ronneberger2015unet"),
        challenges=("touching objects", "class imbalance"),
        use_when="where objects of one class nearly touch and are merged",
        avoid_when="with single objects: there are no gaps to widen; and where instancesTr is missing and objects "
        "touch",
    ),
    TrickInfo(
        name="DistancePenaltyCE",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.distance_penalty",
        summary="cross-entropy that counts up to twice as much next to a border",
        formula="-(1 + phi) log p_t, mean; phi is 1 on the border and 0 where it is farthest",
        paper=cited("caliva2019distance"),
        challenges=("blurred borders",),
        use_when="where errors lie next to borders and cross-entropy alone is wanted",
        avoid_when="with small objects: it has no overlap term; DiceDistancePenaltyCE is safer",
    ),
    TrickInfo(
        name="DiceDistancePenaltyCE",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.distance_penalty",
        summary="cross-entropy under the distance penalty in place of the plain one, Dice stays",
        formula="nnU-Net's Dice term + DistancePenaltyCE",
        paper=cited("caliva2019distance"),
        challenges=("blurred borders",),
        use_when="where errors lie next to borders",
        avoid_when="where labels are uncertain at borders: there it counts most",
    ),
    TrickInfo(
        name="Hausdorff",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.hausdorff",
        summary="Dice, and for each wrong voxel its squared distance from the border",
        formula="Dice + weight r mean((p - g)^2 d^alpha); r makes both terms the same size",
        parameters=(
            Parameter(name="alpha", default=2.0, low=0.5, high=4, help="what distances are raised to"),
            Parameter(name="weight", default=1.0, high=100, help="of the Hausdorff term, once both are the same size"),
            Parameter(
                name="both", default=False, help="distances of the prediction count, too; made anew in each step, slow"
            ),
        ),
        paper=cited("karimi2020hausdorff"),
        challenges=("blurred borders", "far false alarms"),
        use_when="where single voxels far from the object ruin HD95",
        avoid_when="where objects are missed or absent from patches: the term then says nothing or is dominated by "
        "far false alarms",
    ),
    TrickInfo(
        name="ClDice",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.cldice",
        summary="Dice, and the skeletons of truth and prediction within each other",
        formula="1 - (1 - alpha) Dice - alpha clDice; clDice is the harmonic mean of the skeletons' overlaps",
        parameters=_CL_DICE,
        paper=cited("shit2021cldice"),
        challenges=("thin objects",),
        use_when="where prediction and truth should have the same topology of thin structures",
        avoid_when="where time counts: it takes many times as long as other losses; SkeletonRecall is cheap",
    ),
    TrickInfo(
        name="ClDiceCE",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.cldice",
        summary="Dice and centre-line Dice in place of the Dice term, cross-entropy stays",
        formula="ClDice + nnU-Net's cross-entropy",
        parameters=_CL_DICE,
        paper=cited("shit2021cldice"),
        challenges=("thin objects",),
        use_when="where thin structures break or false branches appear",
        avoid_when="where time counts, and with objects thicker than iterations voxels",
    ),
    TrickInfo(
        name="WeightMap",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.weight_map",
        summary="nnU-Net's loss, in which each voxel counts as much as the data set's weight maps say",
        formula="sum(w CE) / sum(w) - weighted soft Dice; w from weightsTr, 1 for cases without a map",
        parameters=(
            Parameter(
                name="binary", default=False, help="weights above 0.5 count as 1 and others as 0, after augmentation"
            ),
        ),
        paper=cited("ronneberger2015unet"),
        challenges=("touching objects", "few labels"),
        use_when="where some voxels are known to be more important or more certain than others, and maps say which",
        avoid_when="to leave voxels out: the ignore label does that with every loss; and without weightsTr, where it "
        "is nnU-Net's loss",
    ),
    TrickInfo(
        name="Blob",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.blob",
        summary="nnU-Net's loss on the whole image, and on each object alone",
        formula="alpha L + beta mean of L on each object and the background, others cut out; L is Dice + CE",
        parameters=(
            Parameter(name="alpha", default=2.0, high=100, help="weight of the whole"),
            Parameter(name="beta", default=1.0, high=100, help="weight of the objects"),
        ),
        paper=cited("kofler2023blob"),
        challenges=("small objects", "touching objects"),
        use_when="where some of many objects of one class are missed, because larger ones dominate Dice",
        avoid_when="with one object per image: it is then nnU-Net's loss counted twice; with very many objects it "
        "takes time",
    ),
    TrickInfo(
        name="CCDice",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.cc_dice",
        summary="nnU-Net's loss on the whole image, and on the part of it that is nearest to each object",
        formula="alpha L + beta mean of L on the cell of each object; L is CE - Dice, not smoothed",
        parameters=(
            Parameter(name="alpha", default=1.0, high=100, help="weight of the whole"),
            Parameter(name="beta", default=1.0, high=100, help="weight of the cells"),
            Parameter(
                name="distance",
                default="voxels",
                choices=("voxels", "mm"),
                help="what nearest means: voxels as in the published code, or mm",
            ),
        ),
        paper=cited("bouteille2026ccdice"),
        challenges=("small objects", "class imbalance"),
        use_when="where small objects are missed beside large ones: each object counts alike, and a false positive "
        "counts once",
        avoid_when="where false alarms are expensive: in the paper recall rose, and precision fell on some data sets",
    ),
    TrickInfo(
        name="BiCC",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.tricks.loss.bicc",
        summary="CCDice, and the same on the part of the image that is nearest to each predicted object",
        formula="L + (1 - alpha) mean of L on cells of true objects + alpha mean of L on cells of predicted ones",
        parameters=(
            Parameter(name="alpha", default=0.5, high=1, help="share of predicted objects; 0 is CCDice"),
            Parameter(
                name="distance",
                default="mm",
                choices=("mm", "voxels"),
                help="what nearest means: mm as in the published code, or voxels",
            ),
        ),
        paper=cited("tioikim2026bicc"),
        challenges=("small objects", "class imbalance"),
        use_when="where CCDice finds small objects at the price of false alarms: a false object costs on its own scale",
        avoid_when="where time counts: cells of predicted objects are cut in every step, on the CPU",
    ),
)
