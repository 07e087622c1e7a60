"""Whether the files of a data set still have the hashes in its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nnunet_tricks.annotation.raw_data import MANIFEST, read_manifest, sha256
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.utilities.wording import some


def changes(folders: Folders, dataset: str, *, images: bool = True) -> list[str]:
    """Name the files that differ from the manifest, a sentence each; none for a data set without a manifest.

    The labels of the data set are compared. So are the files that they were made from, if these still exist: painted
    files and dense labels.

    Args:
        folders: nnU-Net's folders.
        dataset: Full name of a data set.
        images: Whether images are compared, too, which takes as long as reading them.
    """
    folder = folders.raw / dataset
    if not (folder / MANIFEST).is_file():
        return []
    manifest = read_manifest(folders, dataset)
    ending = str(folders.description(dataset)["file_ending"])
    return [*_made(folder, manifest, ending, images), *_sources(folders, manifest)]


def refuse_changed_labels(folders: Folders, dataset: str, *, option: bool = True) -> None:
    """Check the labels of a data set, and the files that they were made from.

    Args:
        folders: nnU-Net's folders.
        dataset: Full name of the data set.
        option: Whether the caller has an option to accept changed files.

    Raises:
        ValueError: If a file has changed.
    """
    sentences = changes(folders, dataset, images=False)
    if sentences:
        choice = ", or say --accept-changed if these files are right" if option else ""
        raise ValueError(f"{some(sentences, '; ')}. Make {dataset} again{choice}")


def lines_for_training(dataset: str) -> list[str]:
    """Warnings for the log of a training, whose labels may have been preprocessed before a change, or after it.

    Args:
        dataset: Full name of the data set.
    """
    try:
        folders = Folders.of_environment()
    except ValueError:
        return []  # preprocessed data are often taken to another machine without the raw ones
    try:
        sentences = changes(folders, dataset, images=False)
    except (OSError, ValueError) as error:
        return [f"WARNING: labels were not compared with their hashes: {error}"]
    if not sentences:
        return []
    return [
        f"WARNING: {len(sentences)} files are not those that {dataset} was made from: {some(sentences, '; ')}. "
        "Preprocess again if they were corrected, or make the data set again"
    ]


def _made(folder: Path, manifest: Mapping[str, Any], ending: str, images: bool) -> Iterator[str]:
    for case, entry in manifest["cases"].items():
        files = {folder / "labelsTr" / f"{case}{ending}": entry.get("label_sha256")}
        if images:
            for channel, recorded in enumerate(entry.get("images_sha256", ())):
                files[folder / "imagesTr" / f"{case}_{channel:04d}{ending}"] = recorded
        for file, recorded in files.items():
            if not file.is_file():
                yield f"{file} is gone"
            elif recorded and sha256(file) != recorded:
                yield f"{file} has changed since it was recorded"


def _sources(folders: Folders, manifest: Mapping[str, Any]) -> Iterator[str]:
    painted, source = manifest.get("painted_folder"), manifest.get("source")
    dense = folders.raw / str(source) / "labelsTr" if source else None
    for entry in manifest["cases"].values():
        for place, name, hash_of in (
            (Path(painted) if painted else None, entry.get("painted_file"), entry.get("painted_sha256")),
            (dense, entry.get("dense_label_file"), entry.get("dense_label_sha256")),
        ):
            file = place / name if place and name else None
            if file and hash_of and file.is_file() and sha256(file) != hash_of:
                yield f"{file} has changed since the label was made from it"
