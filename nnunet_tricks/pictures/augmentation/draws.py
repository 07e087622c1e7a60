"""One patch of a data set, read as a training reads it, and augmented several times."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from nnunet_tricks.door.lookup import find_trainer
from nnunet_tricks.nnunet import plans_file
from nnunet_tricks.nnunet.sandbox import sandbox, seed_everything
from nnunet_tricks.training import preconditions
from nnunet_tricks.tricks.augmentation.mixing import MixingTrainer


@dataclass(frozen=True)
class Draw:
    """A patch with the places of its classes.

    Attributes:
        image: (channels, *spatial).
        masks: (classes or regions, *spatial), without background and ignore label.
    """

    image: Tensor
    masks: Tensor


@dataclass(frozen=True)
class Preview:
    """A patch, and the results of augmenting it.

    Attributes:
        case: Case that the patch is from.
        read: Patch as it is read, larger than the network's patches where augmentation cuts something off.
        draws: Patch after each augmentation.
        axes: Axes along which nnU-Net will mirror at inference.
        mixing: Trick that mixes the patches of a batch afterwards, which is not shown; empty if there is none.
    """

    case: str
    read: Draw
    draws: tuple[Draw, ...]
    axes: tuple[int, ...]
    mixing: str = ""


def preview(file: Path, trainer: str, configuration: str, fold: int | str, *, draws: int, seed: int) -> Preview:
    """Draw from the augmentation of a trainer; nothing is written to nnU-Net's folders.

    Args:
        file: Plans file of a preprocessed data set.
        trainer: Name of any trainer that nnU-Net finds.
        configuration: Configuration of the plans.
        fold: Fold of the split, or ``"all"``; all cases where there is no split yet.
        draws: Number of times that the patch is augmented.
        seed: Seed of all random draws.

    Raises:
        ValueError: If there is no such trainer, configuration or fold, or the configuration is the second stage of a
            cascade.
    """
    with (
        tempfile.TemporaryDirectory() as nowhere,
        training_loader(file, trainer, configuration, fold, Path(nowhere)) as (built, loader),
    ):
        seed_everything(seed)
        transforms, loader.transforms = loader.transforms, None
        # All patches on foreground, so that there is something to see.
        loader.get_do_oversample = lambda number: True
        batch = loader.generate_train_batch()
        image, segmentation = batch["data"][0], batch["target"][0]
        after = []
        for _ in range(draws):
            done = transforms(image=image.clone(), segmentation=segmentation.clone())
            truth = done["segmentation"]
            after.append(_draw(built, done["image"], truth[0] if isinstance(truth, list) else truth, done=True))
        return Preview(
            case=str(batch["keys"][0]),
            read=_draw(built, image, segmentation, done=False),
            draws=tuple(after),
            axes=tuple(built.inference_allowed_mirroring_axes or ()),
            mixing=built.mixing_trick if isinstance(built, MixingTrainer) else "",
        )


@contextmanager
def training_loader(
    file: Path, trainer: str, configuration: str, fold: int | str, results: Path
) -> Iterator[tuple[nnUNetTrainer, Any]]:
    """A trainer without a network, and its loader of training patches, as long as the block lasts.

    Args:
        file: Plans file of a preprocessed data set.
        trainer: Name of any trainer that nnU-Net finds.
        configuration: Configuration of the plans.
        fold: Fold of the split, or ``"all"``.
        results: Folder that takes the place of ``nnUNet_results``.

    Yields:
        The trainer, and its ``nnUNetDataLoader``.
    """
    plans = plans_file.read(file)
    if plans_file.resolve(plans, configuration).get("previous_stage"):
        raise ValueError(f"{configuration} is the second stage of a cascade; its images are augmented as 3d_fullres's")
    trainer_class = find_trainer(trainer)
    with sandbox(raw=results, preprocessed=file.parent.parent, results=results):
        preconditions.check(trainer, plans, configuration, fold)
        if not file.with_name("splits_final.json").is_file():
            # nnU-Net would draw a split, fail with fewer than five cases, and write it.
            fold = "all"
        dataset = json.loads(file.with_name("dataset.json").read_text(encoding="utf-8"))
        settings = {**plans, "continue_training": False}
        built = trainer_class(settings, configuration, fold, dataset, torch.device("cpu"))
        # As initialize does, but without a network.
        built._set_batch_size_and_oversample()
        training, _ = built.get_dataloaders()
        yield built, training.data_loader


def _draw(trainer: nnUNetTrainer, image: Tensor, truth: Tensor, *, done: bool) -> Draw:
    """An image and the masks of its truth. When all is ``done``, nnU-Net has made a channel for each region."""
    labels = trainer.label_manager
    if not labels.has_regions:
        return Draw(image, torch.stack([truth[0] == label for label in labels.foreground_labels]))
    regions = labels.foreground_regions
    if done:
        return Draw(image, truth[: len(regions)].bool())
    return Draw(image, torch.stack([torch.isin(truth[0], torch.tensor(region)) for region in regions]))
