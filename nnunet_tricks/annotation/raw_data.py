"""A raw data set of nnU-Net that is made of another: images are linked, labels written or linked."""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from dataset_conversion.destination import data_set_name
from dataset_conversion.final_check import give_name
from dataset_conversion.lock import NumberLock
from dataset_conversion.staging import link_file
from nnunet_tricks.annotation import moved_plans
from nnunet_tricks.annotation.formats import DETACHED, ending_of, is_volume
from nnunet_tricks.annotation.moved_plans import Preprocessed
from nnunet_tricks.annotation.scans import Scan, converted, written
from nnunet_tricks.nnunet.folders import Case, Folders, read_json
from nnunet_tricks.utilities.files import write_atomically

MANIFEST = "sparse_manifest.json"
FORMAT = 1
_PARTIAL = ".annotate.partial"


def target_name(folders: Folders, number: int, name: str) -> str:
    """Full name of a new data set.

    Raises:
        ValueError: If the number is taken, or the name not one for nnU-Net.
    """
    full = data_set_name(folders.raw, number, name)
    left = folders.preprocessed / full
    if left.exists():
        raise ValueError(
            f"{left} is there, left by a data set of that name: its split and plans would be used for the new one. "
            "Remove it, or choose another number"
        )
    return full


class RawData:
    """A raw data set while it is written, in a ``with`` block; it has its name when it is whole.

    Only one process at a time makes the data set of a number. What is not finished at the end of the block is removed.

    Args:
        folders: nnU-Net's.
        name: Full name of the data set.
        ending: Of its files, such as ``.nii.gz``.

    Raises:
        ValueError: On entering, if another process makes a data set of that number, or has made one.
    """

    def __init__(self, folders: Folders, name: str, ending: str) -> None:
        """See the class."""
        self._folders, self.name, self._ending = folders, name, ending
        self._place = folders.raw / f".{name}{_PARTIAL}"
        self._preprocessed = folders.preprocessed / f".{name}{_PARTIAL}"
        self._outputs: dict[str, int] = {}
        self._lock: NumberLock | None = None

    def __enter__(self) -> RawData:
        """Lock the number, and begin."""
        number, _, suffix = self.name.removeprefix("Dataset").partition("_")
        self._lock = NumberLock(self._folders.raw, int(number), self.name)
        try:
            target_name(self._folders, int(number), suffix)  # who had the lock before may have taken the number
            for folder in (self._folders.raw, self._folders.preprocessed):
                for left in folder.glob(f".Dataset{int(number):03d}_*{_PARTIAL}"):
                    shutil.rmtree(left)  # of a process that was killed
            self._place.mkdir()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove what was not finished, and let go of the number."""
        try:
            self._discard()
        finally:
            if self._lock:
                self._lock.release()

    def link_images(self, case: str, files: Iterable[Path], part: str = "Tr") -> list[str]:
        """Link the channels of a case; returns their hashes.

        Headers whose voxels lie in a second file are written as one file of the same format.
        """
        hashes = []
        for channel, file in enumerate(files):
            target = self._target(f"images{part}", f"{case}_{channel:04d}")
            if ending_of(file) in DETACHED:
                converted(file, target)
            else:
                link_file(file, target, "symbolic")
            hashes.append(self._noted(target))
        return hashes

    def link_label(self, case: str, file: Path, part: str = "Tr") -> str:
        """Link a label map as it is; returns its hash."""
        target = self._target(f"labels{part}", case)
        link_file(file, target, "symbolic")
        return self._noted(target)

    def write_label(self, case: str, array: NDArray[np.uint8], like: SimpleITK.Image) -> str:
        """Write a label map, indexed (k, j, i), on the grid of an image, and read it back; returns its hash."""
        target = self._target("labelsTr", case)
        written(array, like, target)
        return self._noted(target)

    def link_test(self, cases: Mapping[str, Case]) -> None:
        """Link test cases, with labels where they have some."""
        for case, files in cases.items():
            self.link_images(case, files.images, "Ts")
            if files.label:
                self.link_label(case, files.label, "Ts")

    def finish(
        self,
        description: Mapping[str, Any],
        manifest: Mapping[str, Any],
        splits: list[dict[str, list[str]]] | None,
        preprocessed: Preprocessed | None = None,
    ) -> Path:
        """Add the JSON files, and give the folders their names, both or none.

        Args:
            description: Content of ``dataset.json``; the number of cases is counted.
            manifest: What was done, with an entry for each training case.
            splits: Folds, if any are known.
            preprocessed: What nnU-Net's folder of preprocessed data begins with, if anything.

        Returns:
            The folder of the raw data.

        Raises:
            ValueError: If files are missing, or the number was taken meanwhile.
        """
        # Files stand in nnU-Net's own folders now, whatever the source's dataset.json said of other places.
        kept = {key: value for key, value in description.items() if key != "dataset"}
        kept["numTraining"] = len(manifest["cases"])
        contents: dict[str, Any] = {"dataset.json": kept, MANIFEST: {"format": FORMAT, **manifest}}
        if splits:
            contents["splits_final.json"] = splits
        for name, content in contents.items():
            write_atomically(self._place / name, json.dumps(content, indent=2) + "\n")
        final, beside = self._folders.raw / self.name, self._folders.preprocessed / self.name
        if preprocessed is None:
            give_name(self._place, final, self._outputs)
            return final
        moved_plans.write(self._preprocessed, preprocessed.plans, kept, preprocessed.fingerprint, splits)
        # A kill in between leaves plans without raw data, which nnU-Net and the next try refuse by name.
        self._preprocessed.rename(beside)
        try:
            give_name(self._place, final, self._outputs)
        except BaseException:
            shutil.rmtree(beside)
            raise
        return final

    def _discard(self) -> None:
        for place in (self._place, self._preprocessed):
            if place.exists():
                shutil.rmtree(place)

    def _target(self, folder: str, stem: str) -> Path:
        place = self._place / folder
        place.mkdir(exist_ok=True)
        return place / f"{stem}{self._ending}"

    def _noted(self, file: Path) -> str:
        self._outputs[file.relative_to(self._place).as_posix()] = file.stat().st_size
        return sha256(file)


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
    """Hash of what a file holds; of a header whose voxels lie in a second file, of both."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    if is_volume(file) and ending_of(file) in DETACHED:
        digest.update(np.asarray(SimpleITK.GetArrayFromImage(Scan(file).image())).tobytes())
    return digest.hexdigest()
