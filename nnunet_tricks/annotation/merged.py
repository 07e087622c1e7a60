"""One raw data set of several that were annotated for different classes, with one list of labels.

Cases get the number of their data set in front of their names. Images are linked. Label maps are linked, or written
with the new labels where those differ. ``annotated.json`` says which classes each case is annotated for, and
``cases.csv`` which data set it comes from.
"""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.final_check import give_name
from dataset_conversion.lock import NumberLock
from dataset_conversion.staging import link_file
from nnunet_tricks.annotation.raw_data import target_name
from nnunet_tricks.comparison import images
from nnunet_tricks.nnunet import annotated_classes
from nnunet_tricks.nnunet.annotated_classes import AnnotatedClasses
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import Case, Folders
from nnunet_tricks.utilities.files import write_atomically
from nnunet_tricks.utilities.progress import shown
from nnunet_tricks.utilities.wording import some

MAPS = ("instancesTr", "weightsTr")
"""Folders of maps beside label maps that trainings read."""
SOURCE = "dataset"
"""Column of ``cases.csv`` with the data set that a case comes from."""
_PARTIAL = ".merge.partial"
_KEPT = ("channel_names", "file_ending", "overwrite_image_reader_writer")
"""Entries of ``dataset.json`` that must be the same in all data sets."""


@dataclass(frozen=True)
class MergedSource:
    """A data set that becomes a part.

    Attributes:
        name: Full name.
        description: Content of ``dataset.json``.
        classes: Classes that it has.
        table: Classes that each of its cases is annotated for; None if all are annotated for all.
        cases: Cases by part, ``Tr`` and ``Ts``.
    """

    name: str
    description: Mapping[str, Any]
    classes: Classes
    table: AnnotatedClasses | None
    cases: Mapping[str, Mapping[str, Case]]

    @classmethod
    def read(cls, folders: Folders, dataset: str) -> MergedSource:
        """Read a data set.

        Raises:
            ValueError: If it is not there, has regions, or training cases without a label map.
        """
        name = folders.dataset(dataset)
        if not (folders.raw / name).is_dir():
            raise ValueError(f"{name} is not in {folders.raw}, and only raw data sets can be merged")
        description = folders.description(name)
        classes = Classes.of(description)
        if classes.listed:
            raise ValueError(
                f"{name} has regions ({some(sorted(classes.listed))}), and label maps of regions cannot be merged into "
                "one list of labels: give each voxel one class first"
            )
        cases = {part: folders.cases(name, part) for part in ("Tr", "Ts")}
        without = [case for case, files in cases["Tr"].items() if files.label is None]
        if without or not cases["Tr"]:
            raise ValueError(f"{name} has no label map of {some(without) or 'any case'}")
        return cls(name, description, classes, annotated_classes.find(folders.raw / name, Path(), description), cases)

    @property
    def prefix(self) -> str:
        """Number of the data set, in front of the names of its cases."""
        return self.name.removeprefix("Dataset").partition("_")[0]

    def new_name(self, case: str) -> str:
        """Name of a case in the merged data set."""
        return f"{self.prefix}_{case}"

    def annotated(self, case: str) -> list[str]:
        """Classes that a case is annotated for."""
        known = self.table.annotated(case) if self.table else self.classes.values
        return [name for name in self.classes.values if name in known]


@dataclass
class MergedDataSet:
    """What is made, or would be.

    Attributes:
        name: Full name.
        labels: Its list of labels.
        sources: Full names of its parts.
        cases: Number of training cases.
        annotated: Number of training cases that are annotated for each class.
        never_together: Pairs of classes that no training case is annotated for both of.
        notes: Other notes for the user.
    """

    name: str
    labels: dict[str, int]
    sources: list[str]
    cases: int
    annotated: dict[str, int]
    never_together: list[tuple[str, str]]
    notes: list[str] = field(default_factory=list)


def merge(
    folders: Folders, datasets: Sequence[str], number: int, name: str = "", *, dry_run: bool = False
) -> MergedDataSet:
    """Write the raw data set.

    Args:
        folders: nnU-Net's folders.
        datasets: Numbers or full names of at least two data sets.
        number: Number of the new one.
        name: Name behind the number; empty to make one of the others' names.
        dry_run: Write nothing.

    Raises:
        ValueError: If data sets do not fit together, label maps have other labels than ``dataset.json``, or the number
            is taken.
    """
    sources = [MergedSource.read(folders, dataset) for dataset in datasets]
    names = [source.name for source in sources]
    if len(set(names)) < max(len(names), 2):
        raise ValueError(f"at least two different data sets can be merged, got {some(names)}")
    _check_alike(sources)
    labels = merged_labels(sources)
    full = target_name(folders, number, name or "_".join(part.partition("_")[2] for part in names))
    table = _table(sources, labels)
    listed = {
        source.new_name(case): frozenset(source.annotated(case)) for source in sources for case in source.cases["Tr"]
    }
    classes = Classes.of({"labels": labels})
    known = AnnotatedClasses(Path(annotated_classes.FILE), classes, listed)
    result = MergedDataSet(
        name=full,
        labels=labels,
        sources=names,
        cases=len(listed),
        annotated={label: sum(label in names for names in listed.values()) for label in classes.values},
        never_together=known.never_together(listed),
    )
    if not dry_run:
        _write(folders, full, sources, labels, table, result)
    return result


def merged_labels(sources: Sequence[MergedSource]) -> dict[str, int]:
    """One list of labels: names in the order in which data sets bring them, the ignore label last.

    Raises:
        ValueError: If two names differ in capitals only.
    """
    found = list(dict.fromkeys(name for source in sources for name in source.classes.values))
    by_folded: dict[str, str] = {}
    for name in found:
        other = by_folded.setdefault(name.casefold().strip(), name)
        if other != name:
            raise ValueError(
                f"the data sets have labels '{other}' and '{name}': write them alike in dataset.json if they are one "
                "class, or give one of them another name"
            )
    labels = {"background": 0} | {name: number for number, name in enumerate(found, 1)}
    if any(source.classes.ignore is not None for source in sources):
        labels["ignore"] = len(labels)
    return labels


def relabelled(values: NDArray[Any], source: Classes, labels: Mapping[str, int]) -> NDArray[Any]:
    """A label map with the labels of the merged data set.

    Args:
        values: Whole numbers.
        source: Classes of its data set.
        labels: Merged list of labels.

    Raises:
        ValueError: If it has a value that its data set does not have.

    Examples:
        >>> kits = Classes.of({"labels": {"background": 0, "tumour": 1, "kidney": 2}})
        >>> relabelled(np.array([0, 1, 2]), kits, {"background": 0, "kidney": 1, "tumour": 2})
        array([0, 2, 1], dtype=uint8)
    """
    new = {0: 0} | {values_of[0]: labels[name] for name, values_of in source.values.items()}
    if source.ignore is not None:
        new[source.ignore] = labels["ignore"]
    stray = sorted(set(np.unique(values).tolist()) - set(new))
    if stray:
        raise ValueError(f"it holds {some([str(value) for value in stray])}, which its dataset.json does not")
    table = np.zeros(max(new) + 1, np.uint8 if max(labels.values()) < 256 else np.uint16)
    for old, value in new.items():
        table[old] = value
    return table[values.astype(np.intp)]


def _check_alike(sources: Sequence[MergedSource]) -> None:
    first = sources[0]
    for source in sources[1:]:
        for key in _KEPT:
            mine, theirs = first.description.get(key), source.description.get(key)
            if mine != theirs:
                raise ValueError(
                    f"{first.name} and {source.name} differ in {key} of dataset.json, {json.dumps(mine)} and "
                    f"{json.dumps(theirs)}: a network needs one kind of images"
                )


def _table(sources: Sequence[MergedSource], labels: Mapping[str, int]) -> dict[str, list[str]]:
    """The content of ``annotated.json``: cases that lack a class."""
    whole = set(labels) - {"background", "ignore"}
    return {
        source.new_name(case): source.annotated(case)
        for source in sources
        for part in source.cases.values()
        for case, files in part.items()
        if files.label and set(source.annotated(case)) != whole
    }


def _write(
    folders: Folders,
    full: str,
    sources: Sequence[MergedSource],
    labels: Mapping[str, int],
    table: Mapping[str, list[str]],
    result: MergedDataSet,
) -> None:
    place = folders.raw / f".{full}{_PARTIAL}"
    number, _, suffix = full.removeprefix("Dataset").partition("_")
    lock = NumberLock(folders.raw, int(number), full)
    try:
        target_name(folders, int(number), suffix)  # an earlier holder of the lock may have taken the number
        for remains in folders.raw.glob(f".Dataset{int(number):03d}_*{_PARTIAL}"):
            shutil.rmtree(remains)  # left by a process that was killed
        place.mkdir()
        for source in sources:
            _add(place, source, labels)
        result.notes += _add_maps(folders, place, sources)
        result.notes += [
            f"columns of cases.csv of {source.name} are not taken over: add those that you need, such as patients"
            for source in sources
            if (folders.raw / source.name / "cases.csv").is_file()
        ]
        description = {key: sources[0].description[key] for key in _KEPT if key in sources[0].description}
        description |= {"labels": labels, "numTraining": result.cases, "merged_from": result.sources}
        write_atomically(place / "dataset.json", json.dumps(description, indent=2) + "\n")
        if table:
            write_atomically(place / annotated_classes.FILE, json.dumps(table, indent=1) + "\n")
        write_atomically(place / "cases.csv", _cases_csv(sources))
        sizes = {file.relative_to(place).as_posix(): file.stat().st_size for file in place.rglob("*") if file.is_file()}
        give_name(place, folders.raw / full, sizes)
    finally:
        if place.exists():
            shutil.rmtree(place)
        lock.release()


def _add(place: Path, source: MergedSource, labels: Mapping[str, int]) -> None:
    ending = str(source.description["file_ending"])
    same = all(labels[name] == values[0] for name, values in source.classes.values.items())
    same = same and source.classes.ignore in (None, labels.get("ignore"))
    for part, cases in source.cases.items():
        for case, files in shown(cases.items(), f"{source.name}, {part}", len(cases)):
            name = source.new_name(case)
            for channel, file in enumerate(files.images):
                link_file(file, _folder(place, f"images{part}") / f"{name}_{channel:04d}{ending}", "symbolic")
            if files.label is None:
                continue
            target = _folder(place, f"labels{part}") / f"{name}{ending}"
            try:
                read = images.read(files.label)
                _refuse_stray(source, case, read.values)
                new = relabelled(read.values, source.classes, labels)
            except ValueError as error:
                raise ValueError(f"{files.label} cannot be merged: {error}") from None
            if same:
                link_file(files.label, target, "symbolic")
            else:
                _save(new, files.label, target)
            beside = files.label.with_suffix(".json")
            if ending in images.TIFF and beside.is_file():
                link_file(beside, target.with_suffix(".json"), "symbolic")


def _refuse_stray(source: MergedSource, case: str, values: NDArray[Any]) -> None:
    """Refuse voxels of a class that the table of their data set says nobody annotated there."""
    stray = source.table.stray(case, map(int, np.unique(values))) if source.table else []
    if stray:
        raise ValueError(
            f"it has voxels of label {stray[0]}, and {annotated_classes.FILE} does not list their class for this case: "
            "correct the table or the label map"
        )


def _add_maps(folders: Folders, place: Path, sources: Sequence[MergedSource]) -> list[str]:
    """Link maps of instances and weights; return notes on those that not all data sets have."""
    notes = []
    for folder in MAPS:
        having = [source for source in sources if (folders.raw / source.name / folder).is_dir()]
        # A case without a weight map weighs 1, one without instances is refused.
        if folder == "instancesTr" and 0 < len(having) < len(sources):
            notes.append(f"{folder} is left out: not all of the data sets have it")
            continue
        for source in having:
            for case in source.cases["Tr"]:
                for file in (folders.raw / source.name / folder).glob(f"{case}.*"):
                    ending = file.name[len(case) :]
                    link_file(file, _folder(place, folder) / f"{source.new_name(case)}{ending}", "symbolic")
    return notes


def _folder(place: Path, name: str) -> Path:
    (place / name).mkdir(exist_ok=True)
    return place / name


def _save(values: NDArray[Any], like: Path, target: Path) -> None:
    """Write label values in the format of another label map, on its grid."""
    if target.name.lower().endswith(images.ITK):
        import SimpleITK as sitk  # noqa: N813, its usual name

        image = sitk.GetImageFromArray(values)
        image.CopyInformation(sitk.ReadImage(str(like)))
        sitk.WriteImage(image, str(target), True)
    elif target.name.lower().endswith(images.TIFF):
        import tifffile

        tifffile.imwrite(target, values, compression="zlib")
    else:
        from skimage import io as skimage_io

        skimage_io.imsave(target, values, check_contrast=False)


def _cases_csv(sources: Sequence[MergedSource]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", SOURCE])
    writer.writerows(
        [source.new_name(case), source.name] for source in sources for part in source.cases.values() for case in part
    )
    return text.getvalue()
