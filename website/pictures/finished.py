"""What tricks for trained models do: views of an image, and steps on a finished segmentation."""

from __future__ import annotations

import torch

from nnunet_tricks.tricks.inference.view_sets import PatchGeometry, view_set
from nnunet_tricks.tricks.postprocessing.planned import planned_steps
from website.pictures.drawing import PREDICTED, TRUTH, as_png, new_figure, outline, show_image
from website.pictures.laboratory import Laboratory
from website.pictures.scene import SIZE, make_scene

VIEWS = "mediseg"
SMALLEST = 60
"""Pixels of the smallest component that stays in the picture of ``RemoveSmall``."""


def views_picture(laboratory: Laboratory, trick: str) -> bytes:
    """The views of an image that are predicted, as a PNG file.

    Args:
        laboratory: Data sets of the pictures; not needed.
        trick: Name of the trick.
    """
    scene = torch.from_numpy(make_scene().image)[None, None]
    views = view_set(VIEWS, PatchGeometry((SIZE, SIZE), (1.0, 1.0), (0, 1))).views
    figure = new_figure(1.5 * len(views), 1.8)
    for axis, view in zip(figure.subplots(1, len(views)), views, strict=True):
        image = scene
        for change in view.changes:
            image = change.there(image)
        show_image(axis, image[0, 0].numpy(), view.name, window=(0, 1))
    return as_png(figure)


def steps_picture(laboratory: Laboratory, trick: str) -> bytes:
    """A prediction before and after a step of post-processing, as a PNG file.

    Args:
        laboratory: Data sets of the pictures; not needed.
        trick: Name of the trick.
    """
    scene = make_scene()
    before = scene.predicted.copy()
    # A hole, since the prediction of the scene has none.
    before[58:64, 42:50] = False
    word = f"{trick}_voxels{SMALLEST}" if trick == "RemoveSmall" else trick
    (step,) = planned_steps([word], {"labels": {"background": 0, "object": 1}})
    after = step(before.astype("uint8")) > 0
    figure = new_figure(8.4, 3.0)
    axes = figure.subplots(1, 3)
    for axis, mask, title, colour in zip(
        axes,
        (scene.truth, before, after),
        ("truth", "prediction", f"after {word}"),
        (TRUTH, PREDICTED, PREDICTED),
        strict=True,
    ):
        show_image(axis, scene.image, title, window=(0, 1))
        outline(axis, mask, colour, 1.4)
    return as_png(figure)
