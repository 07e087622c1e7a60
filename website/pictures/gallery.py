"""From a trick to its picture. Imports neither torch nor nnU-Net until a picture is made."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from nnunet_tricks.catalogue.info import TrickInfo

if TYPE_CHECKING:
    from website.pictures.laboratory import Laboratory

KINDS: Mapping[str, tuple[str, str]] = {
    "task": (
        "tasks:task_picture",
        "One patch, and nine draws of what the network gets. It gives the patch back, or finds which views belong "
        "together. [Images without labels](../unlabelled.md).",
    ),
    "network.backbone": ("", "There is no picture of a network. [Its size and speed](../networks.md#all-of-them)."),
    "weights": (
        "",
        "It changes the weights that a training starts from, or how they move: there is no picture of it. "
        "[Pretrained weights](../pretrained.md).",
    ),
    "labels.classes": ("", "It changes what the loss sees of cases that lack a class: there is no picture of it."),
    "labels": ("patches:slices_picture", "Which slices are annotated, and where the middles of patches fall."),
    "semisupervised": (
        "",
        "It changes what is learned from voxels that nobody annotated: there is no picture of it. "
        "[Self-training](../self_training.md).",
    ),
    "loss": (
        "losses:loss_picture",
        "Where this loss pushes on one and the same prediction: red wants more object, blue less, white is left alone. "
        "Each map has its own scale; [all losses side by side](losses_side_by_side.md).",
    ),
    "supervision": ("curves:supervision_picture", "What each output of the network is compared with, and its weight."),
    "augmentation.synthetic": (
        "",
        "Its images come from a GAN that is trained on a data set of yours: `ganaug train` writes a gallery of them. "
        "[Synthetic images](../synthetic_images.md).",
    ),
    "augmentation": ("patches:augmentation_picture", "One patch as it is read, and nine draws."),
    "mirroring": ("patches:augmentation_picture", "One patch as it is read, and nine draws."),
    "sampling.size": ("curves:patch_sizes_picture", "The voxels of a training patch over the epochs."),
    "sampling": ("patches:sampling_picture", "Middles of the patches that nnU-Net and this trick draw from one image."),
    "network.skips": (
        "channels:channels_picture",
        "Channels of each enhanced skip connection in the order of their scores, after a few steps of training. "
        "Those in a green frame are shown twice.",
    ),
    "network.gates": ("", "A gate's coefficients are those of a trained network: there is no picture of it."),
    "network.path": ("", "A path changes features of the network: there is no picture of it."),
    "network.bottleneck": ("", "It changes the deepest features of the network: there is no picture of it."),
    "network.norm": ("", "A norm layer rescales features of the network: there is no picture of it."),
    "network.block": ("", "A block is what a stage of the network computes: there is no picture of it."),
    "network.attention": (
        "",
        "Attention is what a trained network weights its features by: there is no picture of it without one.",
    ),
    "network": (
        "",
        "It changes what the network computes, and a picture would need a trained one: `nnunet-tricks show-attention` "
        "draws what a model of yours looks at. [Which block?](../blocks.md).",
    ),
    "optimizer": ("", "An optimiser changes how the weights move: there is no picture of it."),
    "schedule": ("curves:schedule_picture", "The learning rate over a training, beside nnU-Net's."),
    "stopping": ("", "It changes after how many epochs a training ends: there is no picture of it."),
    "inference.views": ("finished:views_picture", "The views of one image that are predicted and averaged."),
    "inference.ensemble": ("", "An ensemble combines predictions of several models: there is no picture of it."),
    "postprocessing": (
        "finished:steps_picture",
        "A prediction with errors, before and after. A step knows sizes and places, and nothing of the truth.",
    ),
}
"""How a trick of a hook is drawn, as a function in a module of this package, and what the picture shows; or an empty
word, and why none is drawn. The first hook in this order that a trick claims decides."""

NOT_DRAWN = {
    "WeightMap": "It does what the data set's weight maps say, and the images of these pictures have none.",
}
"""Tricks that would be drawn as others are, although the pictures' data do not have what they need."""

SHOWN_AS = {"SparseSlices": "SparseSlices_density0p25"}
"""Settings in which tricks are drawn that do nothing to these data at their defaults."""


def kind_of(info: TrickInfo) -> str:
    """The hook that decides how a trick is drawn.

    Raises:
        ValueError: If there is none.
    """
    for hook in KINDS:
        if any(claimed == hook or claimed.startswith(f"{hook}.") for claimed in info.hooks):
            return hook
    raise ValueError(
        f"no picture is known for {info.name}, which claims {', '.join(info.hooks)}: add the hook to KINDS in "
        "website/pictures/gallery.py, with a function that draws it, or without one and with the reason"
    )


def caption_of(info: TrickInfo) -> str:
    """What the picture of a trick shows, or why it has none."""
    return "" if info.base else NOT_DRAWN.get(info.name, KINDS[kind_of(info)][1])


def has_picture(info: TrickInfo) -> bool:
    """Whether a trick is drawn; bases are made of tricks that are."""
    return not info.base and info.name not in NOT_DRAWN and bool(KINDS[kind_of(info)][0])


def picture(laboratory: Laboratory, info: TrickInfo) -> bytes:
    """The picture of a trick as a PNG file; it must have one.

    Args:
        laboratory: Data sets of the pictures.
        info: The trick.
    """
    module, _, function = KINDS[kind_of(info)][0].partition(":")
    # Only now, since it takes seconds to import torch and nnU-Net.
    draw = getattr(import_module(f"website.pictures.{module}"), function)
    name = SHOWN_AS.get(info.name, info.name)
    png: bytes = draw(laboratory, name if info.command else f"nnUNetTrainer{name}")
    return png
