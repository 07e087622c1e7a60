"""The last check of a raw data set before it gets its name. Standard library only."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from dataset_conversion.destination import holders
from dataset_conversion.errors import ConversionError


def give_name(folder: Path, final: Path, outputs: Mapping[str, int]) -> None:
    """Rename a complete data set to what nnU-Net will see; the caller holds the `lock.NumberLock` of its number.

    Args:
        folder: Folder in which it was written, on the same file system.
        final: Its final place, ``nnUNet_raw/DatasetXXX_Name``.
        outputs: Size in bytes of each file that was written, by its path below the folder.

    Raises:
        ConversionError: If files are missing, images and labels do not belong together, or the number was taken
            meanwhile. The folder then stays where it is.
    """
    check_outputs(folder, outputs)
    check_pairs(folder)
    check_number(final)
    os.replace(folder, final)


def check_outputs(folder: Path, outputs: Mapping[str, int]) -> None:
    """Refuse a data set whose files are gone, or have another size than when they were written."""
    for relative, size in outputs.items():
        path = folder / relative
        if not path.is_file() or path.stat().st_size != size:
            raise ConversionError(
                f"{path} was written and is now {'of another size' if path.is_file() else 'missing'}: another program "
                f"has changed the folder; begin again"
            )


def check_pairs(folder: Path) -> None:
    """Refuse a data set whose training images, labels and ``numTraining`` do not belong together."""
    described = json.loads((folder / "dataset.json").read_text())
    ending = str(described["file_ending"])
    labels = {name.removesuffix(ending) for name in os.listdir(folder / "labelsTr") if name.endswith(ending)}
    images = {
        re.sub(r"_\d{4}$", "", name.removesuffix(ending))
        for name in os.listdir(folder / "imagesTr")
        if name.endswith(ending)
    }
    alone = sorted(labels ^ images)
    if alone:
        raise ConversionError(
            f"{folder} holds {len(images)} training images and {len(labels)} labels; {alone[0]} has only one of them: "
            f"another program has changed the folder; begin again"
        )
    if described["numTraining"] != len(labels):
        raise ConversionError(
            f"{folder} holds {len(labels)} labels, its dataset.json says {described['numTraining']}: "
            f"another program has changed the folder; begin again"
        )


def check_number(final: Path) -> None:
    """Refuse a number that another data set got meanwhile, made by something that takes no lock."""
    number = int(final.name.removeprefix("Dataset").partition("_")[0])
    for folder in holders(final.parent).get(number, []):
        if folder.name != final.name or folder.parent == final.parent:
            raise ConversionError(
                f"number {number} was taken by {folder} meanwhile; what was written is in {final.parent} and gets its "
                f"name if you move that folder away and give the command again"
            )
