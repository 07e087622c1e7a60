"""Losses on the shape of objects: their border, their skeleton."""

from __future__ import annotations

from nnunet_tricks.catalogue.shared import MODEL
from nnunet_tricks.papers import cited
from nnunet_tricks.trick_info import Parameter, TrickInfo

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="Boundary",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.loss.boundary",
        summary="generalized Dice and, more and more, the distance of what is predicted from the true border",
        formula="(1 - w) generalized Dice + w mean(phi p), w from 0 to weight; phi is the signed distance",
        parameters=(
            Parameter(name="weight", default=0.99, high=1, help="of the boundary term at the end of the training"),
        ),
        paper=cited("kervadec2019boundary"),
        challenges=("class imbalance", "small objects", "blurred borders"),
    ),
    TrickInfo(
        name="ActiveContour",
        hooks=("loss",),
        phase=MODEL,
        module="nnunet_tricks.loss.active_contour",
        summary="a short border around a region that agrees with the truth",
        formula="length mean(|grad p|) + region mean(p (1 - g) + (1 - p) g), mean over the foreground classes",
        parameters=(
            Parameter(name="length", default=1.0, high=100, help="weight of the border's length"),
            Parameter(name="region", default=1.0, low=0.01, high=100, help="weight of the disagreement"),
        ),
        paper=cited("chen2019active"),
        challenges=("blurred borders",),
    ),
    TrickInfo(
        name="SkeletonRecall",
        hooks=("loss", "targets"),
        phase=MODEL,
        module="nnunet_tricks.loss.skeleton_recall",
        summary="thin objects are to be found along their whole length",
        formula="nnU-Net's loss + weight (1 - recall of the truth's widened skeleton)",
        parameters=(Parameter(name="weight", default=1.0, high=100, help="of the recall term"),),
        paper=cited("kirchhoff2024skeleton"),
        challenges=("thin objects",),
    ),
)
