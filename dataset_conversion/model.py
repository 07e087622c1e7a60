"""The terms of a conversion: task, case, plan, settings, record. Standard library only."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from dataset_conversion.files_on_disk import size_of

if TYPE_CHECKING:
    from dataset_conversion.staging import Workplace

TRAIN = "train"
TEST = "test"


@dataclass(frozen=True, kw_only=True)
class LabelTask:
    """What is segmented: which source labels become which written labels.

    Examples:
        >>> kidney = LabelTask(name="kidney", summary="...", labels={"kidney": 1}, mapping={1: 1, 2: 1})
        >>> kidney.dataset_labels()
        {'background': 0, 'kidney': 1}
    """

    name: str
    summary: str
    labels: Mapping[str, int | tuple[int, ...]]
    """Value of each name in ``dataset.json``, without the background. A tuple makes nnU-Net train on regions."""
    mapping: Mapping[int, int]
    """Written label of each source label. Other labels but 0 are not allowed in a source file."""
    values: Mapping[int, str] = field(default_factory=dict)
    """Names of the written values if ``labels`` holds regions."""
    regions_class_order: tuple[int, ...] | None = None

    def dataset_labels(self) -> dict[str, int | list[int]]:
        """The ``labels`` entry of ``dataset.json``."""
        named = {name: list(value) if isinstance(value, tuple) else value for name, value in self.labels.items()}
        return {"background": 0, **named}

    def value_names(self) -> dict[int, str]:
        """The name of each written value but 0."""
        if self.values:
            return dict(self.values)
        return {value: name for name, value in self.labels.items() if isinstance(value, int)}


@dataclass(frozen=True, kw_only=True)
class PlannedCase:
    """One image, with or without a label, before it is read."""

    id: str
    image: Path
    label: Path | None = None
    part: str = TRAIN
    """``train`` goes to ``imagesTr``, ``test`` to ``imagesTs``."""
    fold_part: str = ""
    """The data set's own part of the case, for splits by these parts: ``train``, ``val``, ``1``, ``2``..."""
    group: str = ""
    """Group that is never on both sides of a split."""
    modality: str = ""
    structure: str = ""
    site: str = ""
    index: int = 0
    """Row or slice within ``image`` if one file holds many cases."""
    values: tuple[int, ...] = ()
    """Label values of the object if a file holds several objects."""


@dataclass(frozen=True, kw_only=True)
class Unused:
    """A file or case that is not converted, and why."""

    id: str
    path: str
    status: str
    """``orphan``, ``excluded``, ``refused``, ``ignored``, or ``known`` for tables and similar files."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class ConversionPlan:
    """The cases and other files that a data set's module found in the source folders."""

    cases: Sequence[PlannedCase]
    unused: Sequence[Unused] = ()
    warnings: Sequence[str] = ()
    known: Mapping[Path, str] = field(default_factory=dict)
    """Meaning of files that are neither a case's nor unused: tables, lists, partners of unused files."""
    file_ending: str = ".nii.gz"
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More keys for ``dataset.json``."""


@dataclass(frozen=True, kw_only=True)
class ConversionSettings:
    """The user's choices that decide what is written. Each worker gets a copy."""

    task: LabelTask
    split: str
    folds: int = 5
    seed: int = 12345
    link: str = "hard"
    file_ending: str = ".nii.gz"
    options: Mapping[str, Any] = field(default_factory=dict)
    """The data set's own options, by name."""


@dataclass(kw_only=True)
class FileRecord:
    """What happened to one source file."""

    role: str
    path: str
    sha256: str = ""
    bytes: int = 0
    action: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class CaseRecord:
    """What happened to one case: a line of the journal, and an entry of the report."""

    id: str
    status: str = "converted"
    reason: str = ""
    part: str = TRAIN
    fold_part: str = ""
    group: str = ""
    modality: str = ""
    structure: str = ""
    site: str = ""
    files: list[FileRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    spacing: list[float] = field(default_factory=list)
    voxels: dict[str, int] = field(default_factory=dict)
    means: dict[str, float] = field(default_factory=dict)
    pixels_sha256: str = ""
    """Hash of the written pixels if the source file's hash does not identify them; otherwise empty."""
    fingerprint: str = ""
    """Thumbnail for the search for near-identical pictures, in base64; empty if the group is known."""
    outputs: dict[str, int] = field(default_factory=dict)
    """Size in bytes of each written file, by its path below the data set's folder."""


class DataSet(ABC):
    """One data set: what only its module knows. Everything else is shared."""

    name: ClassVar[str]
    """Name on the command line."""
    title: ClassVar[str]
    number: ClassVar[int]
    folder_name: ClassVar[str]
    """Default name of the folder, after ``DatasetXXX_``."""
    tasks: ClassVar[tuple[LabelTask, ...]]
    splits: ClassVar[Mapping[str, str]]
    """Name of each split scheme and what it does; the first is the default."""
    channel_names: ClassVar[Mapping[str, str]]
    reader: ClassVar[str]
    reference: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    exclusions: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """Reason for each excluded case, by name of the preset and id of the case."""
    file_endings: ClassVar[tuple[str, ...]] = ()
    """Formats that can be chosen; empty if the source decides."""
    megabytes_per_second: ClassVar[float] = 100.0
    """Source megabytes that one process converts in a second, for the estimate; see ``benchmarks/conversion.py``."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the data set's own options; their values arrive in ``Settings.options``."""
        # Most have none.
        return

    @abstractmethod
    def plan(self, sources: Sequence[Path], settings: ConversionSettings) -> ConversionPlan:
        """Find and pair the files; read only names, lists and headers."""

    @abstractmethod
    def convert(self, case: PlannedCase, record: CaseRecord, work: Workplace) -> None:
        """Check, convert and write one case into ``work``, and note it; or raise `Refused`.

        Runs in worker processes.
        """

    def output_bytes(self, plan: ConversionPlan, settings: ConversionSettings) -> int:
        """Estimate the most bytes that the conversion will write."""
        return sum(size_of(case.label) for case in plan.cases if case.label is not None)

    def task(self, name: str | None) -> LabelTask:
        """The task of a name; the default task for None."""
        for task in self.tasks:
            if name in (None, task.name):
                return task
        raise KeyError(name)
