"""Which classes each case of a data set is annotated for: the table ``annotated.json`` beside ``dataset.json``.

    {"case_001": ["liver"], "case_002": ["liver", "kidney"]}

A case that the table does not name is annotated for all classes. Where a case is not annotated for a class, its voxels
may be of that class, although its label map says background.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.utilities.wording import some

FILE = "annotated.json"


@dataclass(frozen=True)
class AnnotatedClasses:
    """The table of a data set.

    Attributes:
        file: File that it was read from.
        classes: Classes or regions of the data set.
        listed: Classes that a case is annotated for; cases that are not here are annotated for all.
    """

    file: Path
    classes: Classes
    listed: Mapping[str, frozenset[str]]

    @property
    def sha256(self) -> str:
        """Hash of what the table says, however it is written."""
        content = {case: sorted(names) for case, names in sorted(self.listed.items())}
        return sha256(json.dumps(content).encode()).hexdigest()

    def annotated(self, case: str) -> frozenset[str]:
        """Names of the classes that a case is annotated for."""
        return self.listed.get(case, frozenset(self.classes.values))

    def lacking(self, case: str) -> frozenset[str]:
        """Names of the classes that a case is not annotated for."""
        return frozenset(self.classes.values) - self.annotated(case)

    def knows(self, case: str, values: Collection[int]) -> bool:
        """Whether the label map of a case shows a union of labels as it is.

        Args:
            case: Name of the case.
            values: Label values of a class, a region or any other union, without 0.

        Returns:
            True if the classes that the case is annotated for tell these labels from all others.

        Examples:
            >>> classes = Classes.of({"labels": {"background": 0, "kidney": 1, "tumour": 2}})
            >>> table = AnnotatedClasses(Path("annotated.json"), classes, {"a": frozenset(["kidney"])})
            >>> table.knows("a", [1]), table.knows("a", [2]), table.knows("a", [1, 2]), table.knows("b", [2])
            (True, False, False, True)
        """
        if not self.lacking(case):
            return True
        groups = [set(self.classes.values[name]) for name in self.annotated(case)]
        others = self.classes.known - set(values) - {self.classes.ignore}
        return all(any((mine in group) != (other in group) for group in groups) for mine in values for other in others)

    def stray(self, case: str, labels: Iterable[int]) -> list[int]:
        """Labels in a case's label map that say something of a class that the case is not annotated for.

        A region may lie within another one: a label then belongs to both. It is no stray if no other label says the
        same about the annotated regions, and less about the rest.

        Args:
            case: Name of the case.
            labels: Labels of its voxels.
        """
        annotated = self.annotated(case)

        def names(label: int) -> tuple[set[str], set[str]]:
            groups = {name for name, values in self.classes.values.items() if label in values}
            return groups & annotated, groups - annotated

        known = self.classes.known - {self.classes.ignore}
        found = []
        for label in sorted(set(labels) & known):
            says, besides = names(label)
            if besides and any(names(other)[0] == says and len(names(other)[1]) < len(besides) for other in known):
                found.append(label)
        return found

    def never_together(self, cases: Collection[str]) -> list[tuple[str, str]]:
        """Pairs of classes that none of some cases is annotated for both of."""
        sets = {self.annotated(case) for case in cases}
        return [
            pair for pair in combinations(self.classes.values, 2) if not any(known.issuperset(pair) for known in sets)
        ]


def find(raw: Path | None, preprocessed: Path, dataset_json: Mapping[str, Any]) -> AnnotatedClasses | None:
    """The table of a data set; ``None`` where it has none, so that all its cases are annotated for all classes.

    Args:
        raw: Folder of the raw data set, which decides if it is there.
        preprocessed: Folder of the preprocessed data set, where a training leaves a copy.
        dataset_json: Content of ``dataset.json``.

    Raises:
        ValueError: If the table is not as ``read`` needs it.
    """
    folder = raw if raw is not None and raw.is_dir() else preprocessed
    return beside(folder, dataset_json) if (folder / FILE).is_file() else None


def beside(folder: Path, dataset_json: Mapping[str, Any]) -> AnnotatedClasses:
    """The table in a raw or preprocessed data set.

    Args:
        folder: Folder of the data set.
        dataset_json: Content of ``dataset.json``.

    Raises:
        ValueError: If the table is not as ``read`` needs it.
    """
    ending = str(dataset_json["file_ending"])
    training = list(dataset_json.get("dataset") or ())
    for part in ("labelsTr", "gt_segmentations"):
        training = training or _cases_in(folder / part, ending)
    return read(folder / FILE, dataset_json, training, _cases_in(folder / "labelsTs", ending))


def read(
    file: Path, dataset_json: Mapping[str, Any], training: Sequence[str], others: Sequence[str] = ()
) -> AnnotatedClasses:
    """Read a table.

    Args:
        file: File ``annotated.json``.
        dataset_json: Content of ``dataset.json``.
        training: Names of the training cases.
        others: Names of other cases that it may have, such as those for tests; empty to take any if there are no
            training cases either.

    Raises:
        ValueError: If it is no JSON object of lists, names a case twice, or a case or class that the data set does not
            have, or if no training case is annotated for a class.
    """
    classes = Classes.of(dataset_json)
    content = _object(file)
    known = {*training, *others}
    unknown = [case for case in content if known and case not in known]
    if unknown:
        raise ValueError(f"{file} names {some(unknown)}, and the data set has no label map of that name")
    for case, names in content.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{file} must give a list of names of classes for case '{case}', got {names!r}")
        strange = [name for name in names if name not in classes.values]
        if strange:
            raise ValueError(
                f"{file} says that case '{case}' is annotated for {some(strange)}; the classes of dataset.json are "
                f"{', '.join(classes.values)}"
            )
    table = AnnotatedClasses(file, classes, {case: frozenset(names) for case, names in content.items()})
    nowhere = [name for name in classes.values if training and not any(name in table.annotated(c) for c in training)]
    if nowhere:
        raise ValueError(
            f"{file} leaves no training case that is annotated for {some(nowhere)}: nothing could be learned about it; "
            "take it out of dataset.json and the label maps, or correct the table"
        )
    return table


def _object(file: Path) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise ValueError(f"{file} names {some(twice)} more than once")
        return dict(pairs)

    try:
        content = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is not valid JSON ({error}): correct it") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} must hold a JSON object, from each case to the list of its annotated classes")
    return content


def _cases_in(folder: Path, ending: str) -> list[str]:
    return sorted(_names(folder, ending))


def _names(folder: Path, ending: str) -> Iterator[str]:
    for file in folder.glob(f"*{ending}") if folder.is_dir() else ():
        if not file.name.startswith("."):
            yield file.name[: -len(ending)]
