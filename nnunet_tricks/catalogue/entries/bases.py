"""The settings in which the papers trained, under nnU-Net's plans: what their tables add one trick to."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries import augmentation, norm, optimizer, sampling, supervision, voxel
from nnunet_tricks.catalogue.entries.shared import MODEL
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.catalogue.papers import Paper, cited

_TRICKS = {
    info.name: info
    for module in (voxel, supervision, augmentation, sampling, norm, optimizer)
    for info in module.ENTRIES
}
_BARE = ("CE", "NoDeepSupervision", "NoDA", "Oversample_fraction0", "BN")
"""What the papers' trainings have in common."""


def _base(name: str, dimensions: int, summary: str, paper: Paper, *own: str, use_when: str) -> TrickInfo:
    parts = (*_BARE, *own)
    return TrickInfo(
        name=name,
        hooks=tuple(hook for part in parts for hook in _TRICKS[part.partition("_")[0]].hooks),
        phase=MODEL,
        summary=summary,
        formula=", ".join(parts),
        paper=paper,
        challenges=("redoing a paper's table",),
        use_when=use_when,
        avoid_when="for models that will be used: it is bare on purpose",
        base=True,
        dimensions=dimensions,
        parts=parts,
    )


ENTRIES: tuple[TrickInfo, ...] = (
    _base(
        "MedISeg2D",
        2,
        "the trick paper's bare baseline in 2D",
        cited("zhang2022tricks"),
        "VanillaAdam_lr3em4_decay5em4",
        "ConstantLR",
        use_when="to redo the trick paper's tables in 2D, with a trick after it",
    ),
    _base(
        "MedISeg3D",
        3,
        "the trick paper's bare baseline in 3D",
        cited("zhang2022tricks"),
        "SGD",
        "ConstantLR",
        use_when="to redo the trick paper's tables in 3D, with a trick after it",
    ),
    _base(
        "IFE2D",
        2,
        "the IFE paper's training of its U-Net",
        cited("liu2023instructive"),
        "VanillaAdam_lr1em4_decay0",
        "StepLR_parts2",
        use_when="to redo the IFE paper's table, with an IFE trick after it",
    ),
)
