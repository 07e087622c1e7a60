"""What is done to training patches.

The sets and the single ones take the place of nnU-Net's own augmentation, mirroring included; single ones can stand
together in a name. Each claims its own part of the hook, so that it excludes those that it would double.
"""

from __future__ import annotations

from nnunet_tricks.catalogue.shared import AUGMENTATION, mediseg, tables_5_and_6
from nnunet_tricks.papers import cited
from nnunet_tricks.trick_info import TrickInfo

_WHOLE = ("augmentation.spatial", "augmentation.intensity", "mirroring")
_PAPER = cited("zhang2022tricks")

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="GTAugA",
        hooks=_WHOLE,
        phase=AUGMENTATION,
        module="nnunet_tricks.augmentation.gt_aug_a",
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
        module="nnunet_tricks.augmentation.gt_aug_b",
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
        module="nnunet_tricks.augmentation.gt_aug_ab",
        summary="GTAugA and GTAugB together",
        formula="GTAugB, then GTAugA",
        parameters=(mediseg("as for GTAugA and GTAugB"),),
        paper=_PAPER,
        challenges=("small data sets", "domain shift"),
    ),
)
