"""How the loss looks at the decoder's levels."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import MODEL, tables_7_and_8
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="NoDeepSupervision",
        hooks=("supervision",),
        phase=MODEL,
        module="nnunetv2.training.nnUNetTrainer.variants.network_architecture.nnUNetTrainerNoDeepSupervision",
        summary="the loss at full resolution only (nnU-Net's own)",
        formula="loss(output, truth) in place of its weighted sum over the decoder's levels",
        paper=cited("lee2015deeply"),
        challenges=("baseline of the trick paper",),
        use_when="for the papers' baselines, or to save memory of the lower outputs",
        avoid_when="otherwise: deep supervision is nnU-Net's default and helps small networks",
    ),
    TrickInfo(
        name="FullSizeDeepSupervision",
        hooks=("supervision",),
        phase=MODEL,
        module="nnunet_tricks.tricks.supervision.full_size",
        summary="the outputs of the decoder's last levels, enlarged to full size, against the full-size truth",
        formula="mean of loss(enlarged output of level l, truth) over the last levels l",
        parameters=(Parameter(name="levels", default=3, low=1, high=8, help="how many of the decoder's last levels"),),
        paper=cited("lee2015deeply"),
        challenges=("vanishing gradients", "small objects"),
        use_when="where small objects vanish when the truth is shrunk",
        avoid_when="where memory is short: all outputs are enlarged to full size",
        measured=tables_7_and_8("DeepS", isic=0.53, conic=-0.10, kidney=-0.62, tumour=-0.36, lits=0.49),
    ),
    TrickInfo(
        name="UniformDeepSupervision",
        hooks=("supervision",),
        phase=MODEL,
        module="nnunet_tricks.tricks.supervision.uniform",
        summary="the outputs of the decoder's last levels have equal weights",
        formula="mean of loss(output of level l, truth at its size) over the last levels l",
        parameters=(Parameter(name="levels", default=4, low=1, high=8, help="how many of the decoder's last levels"),),
        paper=cited("lee2015deeply"),
        challenges=("vanishing gradients",),
        use_when="where deep layers learn slowly",
        avoid_when="with small objects: lower levels, in which they are lost, weigh as much as full size",
    ),
)
