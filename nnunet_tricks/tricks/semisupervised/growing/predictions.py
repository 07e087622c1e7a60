"""Probabilities of each member, for the cases that it may label and no others."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from nnunet_tricks.tricks.inference.predict import PredictionSettings, PredictionWork, predict
from nnunet_tricks.tricks.semisupervised.growing.protocol import Labeller
from nnunet_tricks.tricks.semisupervised.growing.settings import GrowSettings
from nnunet_tricks.tricks.semisupervised.growing.source import GrowSource

PREDICTIONS = "grow_predictions"
"""Folder of probabilities beside the preprocessed data, until the new data set is complete."""


def checkpoint_of(member: Labeller, settings: GrowSettings) -> Path:
    """The file of a member's weights."""
    return member.model / f"fold_{member.fold}" / settings.checkpoint


def predicted(
    source: GrowSource,
    member: Labeller,
    folds: Sequence[str],
    place: Path,
    settings: GrowSettings,
    work: PredictionWork,
) -> Path:
    """Predict the targets of a member's folds, and no other case.

    Args:
        source: The data set.
        member: A trained network.
        folds: Folds that it labels for.
        place: Folder of all members' predictions.
        settings: What decides the labels.
        work: How images are predicted.

    Returns:
        The folder of its probabilities.
    """
    folder = place / f"{member.model.name}__fold_{member.fold}"
    images = folder / "images"
    if images.is_dir():
        shutil.rmtree(images)
    images.mkdir(parents=True)
    for case in dict.fromkeys(case for fold in folds for case in source.targets(fold)):
        for channel, file in enumerate(source.files(case).images):
            (images / f"{case}_{channel:04d}{source.ending}").symlink_to(file.resolve())
    wanted = PredictionSettings(
        model=member.model,
        folds=(str(member.fold),),
        checkpoint=settings.checkpoint,
        tta=settings.tta,
        probabilities=True,
    )
    predict(images, folder / "probabilities", wanted, work)
    return folder / "probabilities"
