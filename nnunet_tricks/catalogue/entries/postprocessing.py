"""What is done to finished segmentations. No trainer's name holds these: ``nnunet-tricks postprocess`` takes them."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.tables_10_to_13 import POSTPROCESSING, tables_12_and_13
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

PRESETS = {"kits19kidney": 5000, "kits19tumor": 80, "isic2018": 120, "conic": 10, "lits": 10}
"""Voxels of the smallest component that the trick paper keeps, by data set (its section 4.6)."""

_CONNECTIVITY = Parameter(
    name="connectivity",
    default="corner",
    choices=("corner", "edge", "face"),
    help="what two voxels of one component share; nnU-Net's own is corner, the paper's code has face",
)
_INTO = Parameter(name="into", default=0, help="label of removed voxels, such as the organ around a tumor")

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="KeepLargest",
        hooks=("postprocessing",),
        phase=POSTPROCESSING,
        module="nnunet_tricks.tricks.postprocessing.steps",
        command="postprocess --steps KeepLargest",
        summary="only the largest component of each class stays, or the largest few for organs in pairs",
        formula="components with |C| >= the count-th largest size stay",
        parameters=(
            Parameter(name="count", default=1, low=1, high=1000, help="components that stay: 2 for both kidneys"),
            _CONNECTIVITY,
            _INTO,
        ),
        paper=cited("zhang2022tricks"),
        challenges=("false positives",),
        use_when="where an organ is one piece, or two with count2",
        avoid_when="with lesions, vessels or anything that comes in several pieces",
        measured=tables_12_and_13("ABL-CS", isic=0.10, kidney=-0.36, tumour=-1.40, lits=1.68),
    ),
    TrickInfo(
        name="RemoveSmall",
        hooks=("postprocessing",),
        phase=POSTPROCESSING,
        module="nnunet_tricks.tricks.postprocessing.steps",
        command="postprocess --steps RemoveSmall",
        summary="components below a size in voxels or mm^3 are removed",
        formula="components with |C| < voxels, or |C| v < volume for voxels of v mm^3, are removed",
        parameters=(
            Parameter(name="voxels", default=10, low=1, help="size of the smallest component that stays"),
            Parameter(
                name="volume",
                default=0.0,
                help="the same in mm^3, in each image's own spacing",
                excludes=("voxels", "preset"),
            ),
            Parameter(
                name="preset",
                default="none",
                choices=("none", *PRESETS),
                help="the paper's sizes: " + ", ".join(f"{name} {size}" for name, size in PRESETS.items()),
                excludes=("voxels",),
            ),
            _CONNECTIVITY,
            _INTO,
        ),
        paper=cited("zhang2022tricks"),
        challenges=("false positives",),
        use_when="where small false alarms are common and real objects are larger",
        avoid_when="where small objects are what you look for; tune says what survives on other folds",
        measured=tables_12_and_13("RSA", isic=0.02, conic=0.0, kidney=-0.09, tumour=-0.43, lits=0.08),
    ),
    TrickInfo(
        name="FillHoles",
        hooks=("postprocessing",),
        phase=POSTPROCESSING,
        module="nnunet_tricks.tricks.postprocessing.steps",
        command="postprocess --steps FillHoles",
        summary="background that a class encloses becomes that class",
        formula="background from which no path over voxel faces leads to the border gets the label around it",
        parameters=(Parameter(name="slices", default=False, help="holes are those of each slice, not of the volume"),),
        paper=cited("soille2004morphological"),
        challenges=("missed voxels",),
        use_when="where objects are solid",
        avoid_when="with rings, ventricles and other true holes",
    ),
)
