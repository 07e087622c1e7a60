"""The words of a conversion: task, case, plan, settings, record. Standard library only."""

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
    """What is to be segmented: which source labels become which written ones.

    Examples:
        >>> kidney = LabelTask(name="kidney", summary="...", labels={"kidney": 1}, mapping={1: 1, 2: 1})
        >>> kidney.dataset_labels()
        {'background': 0, 'kidney': 1}
    """

    name: str
    summary: str
    labels: Mapping[str, int | tuple[int, ...]]
    """Names as in ``dataset.json``, without the background. A tuple makes nnU-Net train on regions."""
    mapping: Mapping[int, int]
    """Source label to written label. What is not here, and not 0, is not allowed in a source file."""
    values: Mapping[int, str] = field(default_factory=dict)
    """Names of the written values where ``labels`` holds regions."""
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
    """One image, with or without a label, before anything of it was read."""

    id: str
    image: Path
    label: Path | None = None
    part: str = TRAIN
    """``train`` goes to ``imagesTr``, ``test`` to ``imagesTs``."""
    fold_part: str = ""
    """The data set's own part of the case, for splits that follow it: ``train``, ``val``, ``1``, ``2``..."""
    group: str = ""
    """Cases of one group never stand on both sides of a split."""
    modality: str = ""
    structure: str = ""
    site: str = ""
    index: int = 0
    """Row or slice within ``image`` where one file holds many cases."""
    values: tuple[int, ...] = ()
    """Label values that are the object, where a file holds several."""


@dataclass(frozen=True, kw_only=True)
class Unused:
    """A file or case that is not converted, and why."""

    id: str
    path: str
    status: str
    """``orphan``, ``excluded``, ``refused``, ``ignored``, or ``known`` for tables and the like."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class ConversionPlan:
    """What a data set's module found in the source folders."""

    cases: Sequence[PlannedCase]
    unused: Sequence[Unused] = ()
    warnings: Sequence[str] = ()
    known: Mapping[Path, str] = field(default_factory=dict)
    """Files that are neither a case's nor unused, and what they are: tables, lists, the partners of unused files."""
    file_ending: str = ".nii.gz"
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More keys for ``dataset.json``."""


@dataclass(frozen=True, kw_only=True)
class ConversionSettings:
    """The user's choices that change what is written. Workers get a copy."""

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
    """What happened to one case; one line of the journal, one entry of the report."""

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
    """Hash of the written pixels, where the source file tells nothing of them; empty elsewhere."""
    fingerprint: str = ""
    """Thumbnail for the search for near-identical pictures, base64; empty where the group is known."""
    outputs: dict[str, int] = field(default_factory=dict)
    """Written file, relative to the data set's folder, to its size in bytes."""


class DataSet(ABC):
    """One data set: what its module has to say. Everything else is shared."""

    name: ClassVar[str]
    """As on the command line."""
    title: ClassVar[str]
    number: ClassVar[int]
    folder_name: ClassVar[str]
    """What follows ``DatasetXXX_``."""
    tasks: ClassVar[tuple[LabelTask, ...]]
    splits: ClassVar[Mapping[str, str]]
    """Name of each split scheme and what it does; the first is the default."""
    channel_names: ClassVar[Mapping[str, str]]
    reader: ClassVar[str]
    reference: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    exclusions: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """Preset name -> case id -> reason."""
    file_endings: ClassVar[tuple[str, ...]] = ()
    """Formats on offer; empty where the source decides."""
    megabytes_per_second: ClassVar[float] = 100.0
    """Source bytes that one process converts in a second, for the estimate; see ``benchmarks/conversion.py``."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the data set's own options; their values arrive in ``Settings.options``."""
        # Most have none.
        return

    @abstractmethod
    def plan(self, sources: Sequence[Path], settings: ConversionSettings) -> ConversionPlan:
        """Find and pair the files; read nothing but names, lists and headers."""

    @abstractmethod
    def convert(self, case: PlannedCase, record: CaseRecord, work: Workplace) -> None:
        """Check, convert and write one case into ``work``, and note it; or raise `Refused`.

        Runs in worker processes.
        """

    def output_bytes(self, plan: ConversionPlan, settings: ConversionSettings) -> int:
        """How much the conversion will write at most, roughly."""
        return sum(size_of(case.label) for case in plan.cases if case.label is not None)

    def task(self, name: str | None) -> LabelTask:
        """The task of that name, the default one for None."""
        for task in self.tasks:
            if name in (None, task.name):
                return task
        raise KeyError(name)
