"""A raw data set of nnU-Net that is made of another: images are linked, labels written or linked."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from dataset_conversion.destination import data_set_name
from dataset_conversion.staging import link_file
from nnunet_tricks.annotation.scans import written
from nnunet_tricks.experiment.folders import Case, Folders, read_json

MANIFEST = "sparse_manifest.json"
FORMAT = 1


def target_name(folders: Folders, number: int, name: str) -> str:
    """Full name of a new data set.

    Raises:
        ValueError: If the number is taken, or the name not one for nnU-Net.
    """
    return data_set_name(folders.raw, number, name)


class RawData:
    """A raw data set while it is written; it has its name when it is whole.

    Args:
        folders: nnU-Net's.
        name: Full name of the data set.
        ending: Of its files, such as ``.nii.gz``.
    """

    def __init__(self, folders: Folders, name: str, ending: str) -> None:
        """See the class."""
        self._folders, self.name, self._ending = folders, name, ending
        self._place = folders.raw / f".{name}.partial"
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir(parents=True)

    def link_images(self, case: str, files: Iterable[Path], part: str = "Tr") -> list[str]:
        """Link the channels of a case; returns their hashes."""
        folder = self._folder(f"images{part}")
        hashes = []
        for channel, file in enumerate(files):
            link_file(file, folder / f"{case}_{channel:04d}{self._ending}", "symbolic")
            hashes.append(sha256(file))
        return hashes

    def link_label(self, case: str, file: Path, part: str = "Tr") -> str:
        """Link a label map as it is; returns its hash."""
        link_file(file, self._folder(f"labels{part}") / f"{case}{self._ending}", "symbolic")
        return sha256(file)

    def write_label(self, case: str, array: NDArray[np.uint8], like: SimpleITK.Image) -> str:
        """Write a label map, indexed (k, j, i), on the grid of an image; returns its hash."""
        file = self._folder("labelsTr") / f"{case}{self._ending}"
        written(array, like, file)
        return sha256(file)

    def link_test(self, cases: Mapping[str, Case]) -> None:
        """Link test cases, with labels where they have some."""
        for case, files in cases.items():
            self.link_images(case, files.images, "Ts")
            if files.label:
                self.link_label(case, files.label, "Ts")

    def finish(
        self, description: Mapping[str, Any], manifest: Mapping[str, Any], splits: list[dict[str, list[str]]] | None
    ) -> Path:
        """Add the JSON files, and give the folder its name.

        Args:
            description: Content of ``dataset.json``; the number of cases is counted.
            manifest: What was done.
            splits: Folds, if any are known.

        Returns:
            The folder.
        """
        # Files stand in nnU-Net's own folders now, whatever the source's dataset.json said of other places.
        kept = {key: value for key, value in description.items() if key != "dataset"}
        kept["numTraining"] = len([*(self._place / "labelsTr").iterdir()])
        contents: dict[str, Any] = {"dataset.json": kept, MANIFEST: {"format": FORMAT, **manifest}}
        if splits:
            contents["splits_final.json"] = splits
        for name, content in contents.items():
            (self._place / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        final = self._folders.raw / self.name
        self._place.rename(final)
        return final

    def discard(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self._place, ignore_errors=True)

    def _folder(self, name: str) -> Path:
        folder = self._place / name
        folder.mkdir(exist_ok=True)
        return folder


def read_manifest(folders: Folders, dataset: str) -> dict[str, Any]:
    """What a data set of sparse annotation says of itself.

    Raises:
        ValueError: If it says nothing.
    """
    file = folders.raw / dataset / MANIFEST
    if not file.is_file():
        raise ValueError(
            f"{dataset} has no {MANIFEST}: it was not made by 'annotate sparsify' or 'annotate import', so which "
            "slices are annotated is not known"
        )
    manifest = read_json(file)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not isinstance(manifest["cases"], dict):
        raise ValueError(f"{file} is not a manifest of format {FORMAT}")
    return manifest


def sha256(file: Path) -> str:
    """Hash of what a file holds."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
