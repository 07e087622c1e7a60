"""Images without a label that are to get one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunet_tricks.annotation.raw_data import sha256
from nnunet_tricks.nnunet.folders import Case, Folders
from nnunet_tricks.tricks.inference.output_folder import cases_in


def images_without_labels(
    folders: Folders, name: str, description: Mapping[str, Any], cases: Mapping[str, Case], folder: Path | None
) -> dict[str, Case]:
    """Images without a label; none of them may be the image of a case, which could be one that is scored.

    Args:
        folders: nnU-Net's folders.
        name: Full name of the data set.
        description: Content of its ``dataset.json``.
        cases: Its training cases.
        folder: Folder of the images; None for no images.

    Returns:
        Their files by name.

    Raises:
        ValueError: If there is no such folder, or an image has the name or the content of a case.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: put images without labels there, or name another with --images")
    channels = len(description.get("channel_names", description.get("modality", {})))
    counts = (1, channels) if description["file_ending"] in (".png", ".bmp", ".tif") else (channels,)
    found = cases_in(folder, str(description["file_ending"]), counts)
    known = {**folders.cases(name, "Ts"), **cases}
    for case, files in found.items():
        if case in known:
            raise ValueError(f"{folder} has {case}, and so has {name}: give images another name than cases have")
        size = Path(files[0]).stat().st_size
        for other, its in known.items():
            same = its.images[0].stat().st_size == size and sha256(its.images[0]) == sha256(Path(files[0]))
            if same:
                raise ValueError(f"{files[0]} is the image of {other} in {name}, which may be scored on it: remove it")
    return {case: Case(tuple(map(Path, files)), None) for case, files in found.items()}
