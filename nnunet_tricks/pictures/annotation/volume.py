"""The picture of one volume of a plan: its selected slices, and the paint on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnunet_tricks.annotation.features import shades
from nnunet_tricks.annotation.scans import VolumeFile
from nnunet_tricks.pictures.annotation.display import view_of
from nnunet_tricks.pictures.annotation.outlines import Outlines
from nnunet_tricks.pictures.annotation.picture import Tile, drawn
from nnunet_tricks.utilities.wording import some


def picture_of(
    case: str,
    image: VolumeFile,
    entry: Mapping[str, Any],
    outlined: Outlines | None,
    window: Sequence[float] | None = None,
    numbered: dict[str, int] | None = None,
) -> tuple[bytes, list[str]]:
    """Draw one volume.

    Args:
        case: Name of the case.
        image: Its image.
        entry: Its entry in the plan.
        outlined: What is drawn on it.
        window: Intensities that are black and white.
        numbered: Names of outlines in earlier pictures. New ones are added, so that a name has one colour in all.

    Returns:
        A PNG file, and what a person who looks at it should know.

    Raises:
        ValueError: If the image has another number of slices than when slices were selected.
    """
    volume, chosen = image.axial, entry["chosen"]
    if entry["slices"] != volume.slices:
        raise ValueError(f"{image.file} has {volume.slices} slices, and had {entry['slices']} when they were selected")
    masks = outlined.masks if outlined else {}
    tiles = [
        Tile(
            title=f"slice {index}, ITK-SNAP {volume.itksnap(index)}, {volume.superior(index):.1f} mm",
            pixels=pixels,
            masks={name: mask[index] for name, mask in masks.items()},
        )
        for index, pixels in zip(chosen, shades(image.numbers(), chosen, window), strict=True)
    ]
    remarks = []
    title = f"{case}: {len(chosen)} of {volume.slices} slices, counted from 0 (inferior)\n{image.file.name}"
    if outlined:
        beyond = [str(volume.itksnap(index)) for index in outlined.annotated if index not in chosen]
        if beyond:
            remarks.append(f"{case}: paint is also on slices that were not selected, ITK-SNAP {some(beyond)}")
            title += f"; paint also on slices that were not selected, ITK-SNAP {some(beyond)}"
    numbered = {} if numbered is None else numbered
    names = {name: numbered.setdefault(name, len(numbered)) for name in masks}
    return drawn(tiles, view_of(volume), title, names), remarks
