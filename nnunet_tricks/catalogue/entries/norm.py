"""How the network normalises its features."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import MODEL, tables_7_and_8_volumes
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="BN",
        hooks=("network.norm",),
        phase=MODEL,
        module="nnunetv2.training.nnUNetTrainer.variants.network_architecture.nnUNetTrainerBN",
        stand_in="nnunet_tricks.tricks.network.norm.batch:BatchNormTrainer",
        aliases=("BatchNorm",),
        summary="batch norm in place of instance norm (nnU-Net's own)",
        formula="(x - mean) / sqrt(variance) over batch and voxels of each channel; running averages in prediction",
        paper=cited("ioffe2015batch"),
        challenges=("baseline of the trick paper",),
        use_when="for the papers' baselines, or large batches",
        avoid_when="with nnU-Net's usual batches of two: the statistics of a batch are then noisy",
    ),
    TrickInfo(
        name="InstanceNorm",
        hooks=("network.norm",),
        phase=MODEL,
        module="nnunet_tricks.tricks.network.norm.instance",
        summary="instance norm, nnU-Net's default",
        formula="(x - mean) / sqrt(variance) over the voxels of each channel and image",
        paper=cited("ulyanov2016instance"),
        challenges=("small batches", "domain shift"),
        use_when="beside a base with batch norm",
        avoid_when="alone: it is nnU-Net's default and changes nothing",
        measured=tables_7_and_8_volumes("IntNorm", kidney=-15.05, tumour=-11.18, lits=-5.17),
        own=True,
    ),
    TrickInfo(
        name="GroupNorm",
        hooks=("network.norm",),
        phase=MODEL,
        module="nnunet_tricks.tricks.network.norm.group",
        summary="group norm in place of instance norm",
        formula="(x - mean) / sqrt(variance) over the voxels of each group of channels, image by image",
        parameters=(Parameter(name="groups", default=32, low=2, high=1024, help="how many, of each layer's channels"),),
        paper=cited("wu2018group"),
        challenges=("small batches",),
        use_when="with small batches, where channels share statistics",
        avoid_when="with layers whose channels are no multiple of groups: they get other groups, and the log says so",
    ),
    TrickInfo(
        name="LayerNorm",
        hooks=("network.norm",),
        phase=MODEL,
        module="nnunet_tricks.tricks.network.norm.layer",
        summary="layer norm in place of instance norm",
        formula="(x - mean) / sqrt(variance) over all channels and voxels, image by image",
        paper=cited("ba2016layer"),
        challenges=("small batches",),
        use_when="with small batches and shallow networks",
        avoid_when="with many channels of different meaning: one mean and one variance serve all of them",
    ),
)
