"""What a report needs beside the numbers of the cases, stored as JSON: settings, costs, curves, traits, pictures."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nnunet_tricks.catalogue.naming import model_folder
from nnunet_tricks.comparison.comparison_table import Collapse
from nnunet_tricks.comparison.curves import EpochLog
from nnunet_tricks.comparison.report.pictures import SlicePicture

FORMAT = 1
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
COLLAPSE = re.compile(r"(.*) in fold (\w+?)(?: of run (\d+))?", re.DOTALL)
"""How the file writes a collapse."""

PNG = b"\x89PNG\r\n\x1a\n"
MOST = 1_000_000
"""Limit that no slice, width or run reaches."""

PACKAGES = ("nnunet_tricks", "nnunetv2", "numpy", "scipy", "matplotlib")
"""Packages whose versions can change a byte of a report."""


@dataclass(frozen=True, kw_only=True)
class TrainingLog:
    """How one training went.

    Attributes:
        fold: Fold, as nnU-Net's command takes it.
        run: Number of the repetition.
        epochs: Epochs that its logs tell of.
    """

    fold: str
    run: int
    epochs: tuple[EpochLog, ...]


@dataclass(frozen=True, kw_only=True)
class ReportMethod:
    """One way to train.

    Attributes:
        name: Name in the tables.
        trainer: Class name of the first run's trainer.
        plans: Stem of the plans file.
        configuration: Name of nnU-Net's configuration.
        runs: Numbers of the repetitions.
        collapsed: Trainings that predict nothing of a class; stored as words, as ``tumor in fold 1 of run 2``.
        seconds: Median seconds of an epoch; None if no log says.
        memory: Highest peak of a training's processes in bytes.
        device_memory: Highest peak on a GPU in bytes.
        seconds_per_case: Mean seconds of the commands that predict a case; None if they are not recorded.
        seconds_of_training: Mean seconds of a training, where the time of an epoch does not tell it; else None.
        trainings: Logs of each fold and run.
    """

    name: str
    trainer: str
    plans: str
    configuration: str
    runs: tuple[int, ...]
    collapsed: tuple[Collapse, ...] = ()
    seconds: float | None = None
    memory: int | None = None
    device_memory: int | None = None
    seconds_per_case: float | None = None
    seconds_of_training: float | None = None
    trainings: tuple[TrainingLog, ...] = ()

    @property
    def folder(self) -> str:
        """Name of the folder in which nnU-Net puts the first run."""
        return model_folder(self.trainer, self.plans, self.configuration)


@dataclass(frozen=True, kw_only=True)
class GalleryCase:
    """A case in the gallery.

    Attributes:
        trick: Name of the method.
        case: Identifier of the case.
        runs: Runs of baseline and trick that are shown: those nearest to the mean over runs.
        picture: Slice that is shown.
    """

    trick: str
    case: str
    runs: tuple[int, int]
    picture: SlicePicture


@dataclass(frozen=True, kw_only=True)
class ReportSection:
    """One data set, part and configuration.

    Attributes:
        name: Name of the comparison; empty for the only one.
        dataset: Full name of the data set.
        part: Part of the data: ``validation``, ``test`` or the like.
        folds: Folds that were compared.
        classes: Names of the classes, in the order of the colours.
        metrics: Names of the metrics, in the order of the tables; verdicts are on the first.
        ways: Methods, the baseline first.
        notes: Sentences that a reader has to know, those of the statistics included.
        folds_there: Number of folds in the split file.
        column: Column of ``cases.csv`` that sorts cases into subgroups; empty if there are none.
        subgroups: Value of that column for each case.
        grouped_by: Column that says which cases belong together; empty if each stands for itself.
        groups: Group of each case.
        traits: Traits of each case and class.
        shown: Cases of the gallery.
    """

    name: str
    dataset: str
    part: str
    folds: tuple[str, ...]
    classes: tuple[str, ...]
    metrics: tuple[str, ...]
    ways: tuple[ReportMethod, ...]
    notes: tuple[str, ...] = ()
    folds_there: int = 5
    column: str = ""
    subgroups: Mapping[str, str] = field(default_factory=dict)
    grouped_by: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    traits: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    shown: tuple[GalleryCase, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReportQuestion:
    """The question that a report answers.

    Attributes:
        name: Name of the experiment, or of the data set.
        description: Description in the author's words.
        spec: Content of the experiment file; empty if folders were compared.
        locked: Whether the question was fixed before any answer.
        lock: Sentence that says what is known of the lock.
        left_out: Sentence that names what should have been compared but is not finished; empty if nothing.
    """

    name: str
    description: str = ""
    spec: str = ""
    locked: bool = False
    lock: str = ""
    left_out: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a report needs beside the numbers of the cases.

    Attributes:
        question: Question that was asked.
        sections: Data sets, parts and configurations, one section each.
        draws: Number of draws of the bootstrap.
        seed: Seed of all random draws.
        versions: Versions of the packages that made the report.
    """

    question: ReportQuestion
    sections: tuple[ReportSection, ...]
    draws: int
    seed: int
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    def as_json(self) -> str:
        """The facts as JSON; NaN becomes null."""
        content = {"format": FORMAT, **_plain(asdict(self))}
        for section, data in zip(self.sections, content["sections"], strict=True):
            for method, of_method in zip(section.ways, data["ways"], strict=True):
                of_method["collapsed"] = [str(collapse) for collapse in method.collapsed]
                for newer in ("seconds_per_case", "seconds_of_training"):
                    # The keys are newer than the format, too.
                    if of_method[newer] is None:
                        del of_method[newer]
        if not self.question.left_out:
            # The key is newer than the format: earlier versions read what has nothing to say here.
            del content["question"]["left_out"]
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def of_json(cls, text: str) -> Facts:
        """Read what ``as_json`` has written.

        Raises:
            ValueError: If the text is something else.
        """
        try:
            content = json.loads(text)
            if content.pop("format") != FORMAT:
                raise ValueError("the format is another one")
            sections = tuple(map(_section, content.pop("sections")))
            question = ReportQuestion(**content.pop("question"))
            return cls(question=question, sections=sections, **content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"facts.json was not written by 'compare --report' of this version: {error}") from None


def versions() -> dict[str, str]:
    """Versions of the packages that can change a report's bytes; empty for those that are not installed."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = ""
    return installed


def _section(data: dict[str, Any]) -> ReportSection:
    ways, shown = tuple(map(_method, data.pop("ways"))), tuple(map(_gallery_case, data.pop("shown")))
    traits = {
        case: {label: {name: _number(value) for name, value in of_label.items()} for label, of_label in of_case.items()}
        for case, of_case in data.pop("traits").items()
    }
    return ReportSection(**_with_tuples(data), ways=ways, shown=shown, traits=traits)


def _method(data: dict[str, Any]) -> ReportMethod:
    trainings = tuple(
        TrainingLog(
            fold=training["fold"],
            run=training["run"],
            epochs=tuple(
                EpochLog(epoch["number"], *(_number(epoch[key]) for key in ("train", "validation", "dice")))
                for epoch in training["epochs"]
            ),
        )
        for training in data.pop("trainings")
    )
    collapsed = tuple(map(_collapse, data.pop("collapsed")))
    return ReportMethod(**_with_tuples(data), collapsed=collapsed, trainings=trainings)


def _collapse(words: str) -> Collapse:
    """What the words of a stored collapse say: only the file has words, everything else works with the fields."""
    match = COLLAPSE.fullmatch(words)
    if match is None:
        raise ValueError(f"'{words}' names no class and fold")
    label, fold, run = match.groups()
    return Collapse(label, fold, int(run) if run else None)


def _gallery_case(data: dict[str, Any]) -> GalleryCase:
    picture = SlicePicture(**data.pop("picture"))
    # The page holds these numbers and pictures as they are.
    whole = (picture.axis, picture.slice, picture.width, picture.height, *data["runs"])
    if not all(isinstance(number, int) and 0 <= number < MOST for number in whole):
        raise ValueError(f"the picture of {data.get('case')} has sizes and places that are no whole numbers")
    for content in (picture.image, *picture.layers.values()):
        if not BASE64.fullmatch(content) or not base64.b64decode(content).startswith(PNG):
            raise ValueError(f"the picture of {data.get('case')} is no PNG in base64")
    return GalleryCase(**_with_tuples(data), picture=picture)


def _with_tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _plain(value: Any) -> Any:
    """The same for JSON: None for what is not finite; keys keep their order."""
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
