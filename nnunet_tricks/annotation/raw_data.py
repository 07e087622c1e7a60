"""A raw data set of nnU-Net that is made from another one: images and labels are linked or written."""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from dataset_conversion.destination import checked_name, data_set_name
from dataset_conversion.final_check import give_name
from dataset_conversion.lock import NumberLock
from dataset_conversion.staging import link_file
from nnunet_tricks.annotation import moved_plans
from nnunet_tricks.annotation.axes import Axial
from nnunet_tricks.annotation.formats import DETACHED, ending_of, is_volume
from nnunet_tricks.annotation.moved_plans import Preprocessed
from nnunet_tricks.annotation.scans import VolumeFile, converted, written
from nnunet_tricks.nnunet.folders import Case, Folders, read_json
from nnunet_tricks.utilities.files import write_atomically

MANIFEST = "sparse_manifest.json"
FORMAT = 1
_PARTIAL = ".annotate.partial"


def target_name(folders: Folders, number: int, name: str, *, replaced: bool = False) -> str:
    """Full name of a new data set.

    Args:
        folders: nnU-Net's folders.
        number: Its number.
        name: Its name without the number.
        replaced: Whether it takes the place of one with that number and name.

    Raises:
        ValueError: If the number is taken, or nnU-Net does not accept the name.
    """
    full = (checked_name if replaced else partial(data_set_name, folders.raw))(number, name)
    remains = folders.preprocessed / full
    if remains.exists():
        raise ValueError(
            f"{remains} exists, left by a data set of that name: its split and plans would be used for the new one. "
            "Remove it, or choose another number"
        )
    return full


@dataclass(frozen=True)
class SparseLabel:
    """The label map of a case of which some slices are annotated.

    Attributes:
        slices: Label values, slices first, from inferior to superior; only annotated slices are written.
        annotated: Indices of the annotated slices.
        axial: Places of the stored slices.
        like: Image whose grid the label map has.
        ignore: Value that all other slices get.
    """

    slices: NDArray[np.integer]
    annotated: Sequence[int]
    axial: Axial
    like: SimpleITK.Image
    ignore: int

    @property
    def shows_object(self) -> bool:
        """Whether an annotated slice shows a class."""
        known = self.slices[list(self.annotated)]
        return bool(((known > 0) & (known < self.ignore)).any())

    def array(self) -> NDArray[np.uint8]:
        """The label map as it is stored, indexed (k, j, i)."""
        array = np.full(SimpleITK.GetArrayViewFromImage(self.like).shape, self.ignore, np.uint8)
        self.axial.slices_first(array)[list(self.annotated)] = self.slices[list(self.annotated)]
        return array


class RawData:
    """A raw data set while it is written, in a ``with`` block. It gets its name when it is complete.

    Only one process at a time makes the data set of a number. Whatever is unfinished at the end of the block is
    removed.

    Args:
        folders: nnU-Net's folders.
        name: Full name of the data set.
        ending: Ending of its files, such as ``.nii.gz``.
        replaced: Whether it takes the place of a data set of that name.

    Attributes:
        entries: Entry of each training case in the manifest.

    Raises:
        ValueError: On entering, if another process makes a data set of that number, or has made one.
    """

    def __init__(self, folders: Folders, name: str, ending: str, replaced: bool = False) -> None:
        """Name the folders; they are made on entering."""
        self._folders, self.name, self._ending, self._replaced = folders, name, ending, replaced
        self._old = folders.raw / f".{name}.replaced{_PARTIAL}"
        self._place = folders.raw / f".{name}{_PARTIAL}"
        self._preprocessed = folders.preprocessed / f".{name}{_PARTIAL}"
        self._outputs: dict[str, int] = {}
        self._lock: NumberLock | None = None
        self.entries: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> RawData:
        """Lock the number, and make the folder."""
        number, _, suffix = self.name.removeprefix("Dataset").partition("_")
        self._lock = NumberLock(self._folders.raw, int(number), self.name)
        try:
            # An earlier holder of the lock may have taken the number.
            target_name(self._folders, int(number), suffix, replaced=self._replaced)
            for folder in (self._folders.raw, self._folders.preprocessed):
                for remains in folder.glob(f".Dataset{int(number):03d}_*{_PARTIAL}"):
                    shutil.rmtree(remains)  # left by a process that was killed
            self._place.mkdir()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove what is unfinished, and release the number."""
        try:
            self._discard()
        finally:
            if self._lock:
                self._lock.release()

    def link_images(self, case: str, files: Iterable[Path], part: str = "Tr") -> list[str]:
        """Link the channels of a case, and return their hashes.

        Headers whose voxels lie in a second file are written as one file of the same format.
        """
        hashes = []
        for channel, file in enumerate(files):
            target = self._target(f"images{part}", f"{case}_{channel:04d}")
            if file.name.lower().endswith(tuple(DETACHED)):
                converted(file, target)
            else:
                link_file(file, target, "symbolic")
            hashes.append(self._noted(target))
        return hashes

    def image_by(self, case: str, channel: int, write: Callable[[Path], None]) -> str:
        """Let somebody else write a channel of a training case, and return its hash.

        Args:
            case: Name of the case.
            channel: Number of the channel.
            write: Writes the file that it is given, whole and checked.
        """
        target = self._target("imagesTr", f"{case}_{channel:04d}")
        write(target)
        return self._noted(target)

    def link_label(self, case: str, file: Path, part: str = "Tr") -> str:
        """Link a label map as it is, and return its hash."""
        target = self._target(f"labels{part}", case)
        link_file(file, target, "symbolic")
        return self._noted(target)

    def write_label(self, case: str, array: NDArray[np.uint8], like: SimpleITK.Image) -> str:
        """Write a label map, indexed (k, j, i), on the grid of an image; read it back, and return its hash."""
        target = self._target("labelsTr", case)
        written(array, like, target)
        return self._noted(target)

    def label_by(self, case: str, write: Callable[[Path], None]) -> str:
        """Let somebody else write a label map, and return its hash.

        Args:
            case: Name of the case.
            write: Writes the file that it is given, whole and checked.
        """
        target = self._target("labelsTr", case)
        write(target)
        return self._noted(target)

    def add_dense(self, case: str, images: Iterable[Path], label: Path) -> None:
        """Link a training case with all its labels."""
        self.entries[case] = {
            "annotation": "dense",
            "images_sha256": self.link_images(case, images),
            "label_sha256": self.link_label(case, label),
        }

    def add_sparse(self, case: str, images: Iterable[Path], label: SparseLabel, origin: Mapping[str, Any]) -> None:
        """Link the images of a training case, and write the labels of its annotated slices.

        Args:
            case: Name of the case.
            images: One file for each channel.
            label: Its labels.
            origin: Entries of the manifest that say what the labels were made from.
        """
        self.entries[case] = {
            "annotation": "sparse",
            "slices": label.axial.slices,
            "chosen": list(label.annotated),
            "axis": "ijk"[label.axial.axis],
            "descending": label.axial.descending,
            "spacing_mm": label.axial.spacing,
            "shows_object": label.shows_object,
            "images_sha256": self.link_images(case, images),
            **origin,
            "label_sha256": self.write_label(case, label.array(), label.like),
        }

    def link_test(self, cases: Mapping[str, Case]) -> None:
        """Link test cases, with labels where they have some."""
        for case, files in cases.items():
            self.link_images(case, files.images, "Ts")
            if files.label:
                self.link_label(case, files.label, "Ts")

    def finish(
        self,
        description: Mapping[str, Any],
        settings: Mapping[str, Any],
        splits: list[dict[str, list[str]]] | None = None,
        preprocessed: Preprocessed | None = None,
        *,
        manifest: str = MANIFEST,
        beside: Mapping[str, Any] | None = None,
    ) -> Path:
        """Add the JSON files, and give the folders their names, both or neither.

        Args:
            description: Content of ``dataset.json``; the number of cases is counted.
            settings: Entries of the manifest beside those of the cases.
            splits: Folds, if any are known.
            preprocessed: First files of nnU-Net's folder of preprocessed data, if there are any.
            manifest: Name of the manifest.
            beside: Content of other JSON files, by name.

        Returns:
            The folder of the raw data.

        Raises:
            ValueError: If files are missing, or the number was taken meanwhile.
        """
        # Files now lie in nnU-Net's own folders, even where the source's dataset.json names other places.
        kept = {key: value for key, value in description.items() if key != "dataset"}
        kept["numTraining"] = len(self.entries)
        contents: dict[str, Any] = {"dataset.json": kept, **(beside or {})}
        contents[manifest] = {"format": FORMAT, **settings, "cases": self.entries}
        if splits:
            contents["splits_final.json"] = splits
        for name, content in contents.items():
            write_atomically(self._place / name, json.dumps(content, indent=2) + "\n")
        final, folder = self._folders.raw / self.name, self._folders.preprocessed / self.name
        if preprocessed is None:
            self._give_name(final)
            return final
        moved_plans.write(self._preprocessed, preprocessed.plans, kept, preprocessed.fingerprint, splits)
        # A kill in between leaves plans without raw data, which nnU-Net and the next attempt refuse by name.
        self._preprocessed.rename(folder)
        try:
            self._give_name(final)
        except BaseException:
            shutil.rmtree(folder)
            raise
        return final

    def _give_name(self, final: Path) -> None:
        """Give the data set its name; one that it replaces goes only then."""
        if self._replaced and final.is_dir():
            os.replace(final, self._old)
        try:
            give_name(self._place, final, self._outputs)
        except BaseException:
            if self._old.is_dir():
                os.replace(self._old, final)
            raise

    def _discard(self) -> None:
        for place in (self._place, self._preprocessed, self._old):
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
    """Manifest of a data set of sparse annotation.

    Raises:
        ValueError: If there is none, or it has another format.
    """
    file = folders.raw / dataset / MANIFEST
    if not file.is_file():
        raise ValueError(
            f"{dataset} has no {MANIFEST}: it was not made by 'annotate sparsify' or 'annotate import', so nobody "
            "knows which slices are annotated"
        )
    manifest = read_json(file)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not isinstance(manifest["cases"], dict):
        raise ValueError(f"{file} is not a manifest of format {FORMAT}")
    return manifest


def sha256(file: Path) -> str:
    """Hash of a file; where its voxels lie in a second file, the hash covers these, too."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    if is_volume(file) and ending_of(file) in DETACHED:
        digest.update(np.asarray(SimpleITK.GetArrayFromImage(VolumeFile(file).image())).tobytes())
    return digest.hexdigest()
