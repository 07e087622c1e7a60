"""What a report needs beside the numbers of the cases: settings, costs, curves, traits, pictures. Kept as JSON."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nnunet_tricks.comparison.curves import Epoch
from nnunet_tricks.comparison.report.pictures import Picture

FORMAT = 1
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
PNG = b"\x89PNG\r\n\x1a\n"
MOST = 1_000_000
"""No slice, width or run has such a number."""

PACKAGES = ("nnunet_tricks", "nnunetv2", "numpy", "scipy", "matplotlib")
"""Whose versions can change a byte of a report."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How one training went.

    Attributes:
        fold: As nnU-Net's command takes it.
        run: Number of the repetition.
        epochs: Of its logs.
    """

    fold: str
    run: int
    epochs: tuple[Epoch, ...]


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to train.

    Attributes:
        name: As the tables call it.
        trainer: Class name of the first run.
        plans: Stem of the plans file.
        configuration: One of the plans'.
        runs: The repetitions.
        collapsed: Classes, with folds, of which nothing was predicted.
        seconds: Median of an epoch; None if no log says.
        memory: Highest peak of a training's processes in bytes.
        device_memory: Highest peak on a GPU in bytes.
        trainings: Of each fold and run.
    """

    name: str
    trainer: str
    plans: str
    configuration: str
    runs: tuple[int, ...]
    collapsed: tuple[str, ...] = ()
    seconds: float | None = None
    memory: int | None = None
    device_memory: int | None = None
    trainings: tuple[Training, ...] = ()

    @property
    def folder(self) -> str:
        """As nnU-Net names it."""
        return f"{self.trainer}__{self.plans}__{self.configuration}"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A case in the gallery.

    Attributes:
        trick: Name of the way to train.
        case: Identifier.
        runs: Which run of baseline and trick is shown: the one nearest to the mean over runs.
        picture: A slice of it.
    """

    trick: str
    case: str
    runs: tuple[int, int]
    picture: Picture


@dataclass(frozen=True, kw_only=True)
class Section:
    """One data set, part and configuration.

    Attributes:
        name: Of the comparison; empty for the only one.
        dataset: Full name.
        part: ``validation``, ``test`` or the like.
        folds: Those that were compared.
        classes: What was segmented, in the order of the colours.
        metrics: In the order of the tables; verdicts are on the first.
        ways: The baseline first.
        notes: What the checks found.
        folds_there: Number of folds in the split file.
        column: Of ``cases.csv``, after which cases were sorted into subgroups; empty if they were not.
        subgroups: Of each case.
        grouped_by: Column that says which cases belong together; empty if each stands for itself.
        groups: Of each case.
        traits: Of each case and class.
        shown: The gallery.
    """

    name: str
    dataset: str
    part: str
    folds: tuple[str, ...]
    classes: tuple[str, ...]
    metrics: tuple[str, ...]
    ways: tuple[Way, ...]
    notes: tuple[str, ...] = ()
    folds_there: int = 5
    column: str = ""
    subgroups: Mapping[str, str] = field(default_factory=dict)
    grouped_by: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    traits: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    shown: tuple[Shown, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Question:
    """What was asked.

    Attributes:
        name: Of the experiment, or of the data set.
        description: In the author's words.
        spec: The experiment file; empty if folders were compared.
        locked: Whether the question was fixed before any answer.
        lock: What is known of the lock, a sentence.
    """

    name: str
    description: str = ""
    spec: str = ""
    locked: bool = False
    lock: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All of it.

    Attributes:
        question: What was asked.
        sections: One for each table.
        draws: Of the bootstrap.
        seed: Of all that is drawn.
        versions: Of the packages that made the report.
    """

    question: Question
    sections: tuple[Section, ...]
    draws: int
    seed: int
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    def as_json(self) -> str:
        """As text; NaN becomes null."""
        content = {"format": FORMAT, **_plain(asdict(self))}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def of_json(cls, text: str) -> Facts:
        """Read what ``as_json`` has written.

        Raises:
            ValueError: If it is something else.
        """
        try:
            content = json.loads(text)
            if content.pop("format") != FORMAT:
                raise ValueError("the format is another one")
            sections = tuple(map(_section, content.pop("sections")))
            question = Question(**content.pop("question"))
            return cls(question=question, sections=sections, **content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"facts.json was not written by 'compare --report' of this version: {error}") from None


def versions() -> dict[str, str]:
    """Of the packages that can change a report's bytes."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found


def _section(data: dict[str, Any]) -> Section:
    ways, shown = tuple(map(_way, data.pop("ways"))), tuple(map(_shown, data.pop("shown")))
    traits = {
        case: {label: {name: _number(value) for name, value in of_label.items()} for label, of_label in of_case.items()}
        for case, of_case in data.pop("traits").items()
    }
    return Section(**_with_tuples(data), ways=ways, shown=shown, traits=traits)


def _way(data: dict[str, Any]) -> Way:
    trainings = tuple(
        Training(
            fold=one["fold"],
            run=one["run"],
            epochs=tuple(
                Epoch(epoch["number"], *(_number(epoch[key]) for key in ("train", "validation", "dice")))
                for epoch in one["epochs"]
            ),
        )
        for one in data.pop("trainings")
    )
    return Way(**_with_tuples(data), trainings=trainings)


def _shown(data: dict[str, Any]) -> Shown:
    picture = Picture(**data.pop("picture"))
    # They stand in the page as they are.
    whole = (picture.axis, picture.slice, picture.width, picture.height, *data["runs"])
    if not all(isinstance(number, int) and 0 <= number < MOST for number in whole):
        raise ValueError(f"the picture of {data.get('case')} has sizes and places that are no whole numbers")
    for content in (picture.image, *picture.layers.values()):
        if not BASE64.fullmatch(content) or not base64.b64decode(content).startswith(PNG):
            raise ValueError(f"the picture of {data.get('case')} is no PNG in base64")
    return Shown(**_with_tuples(data), picture=picture)


def _with_tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _plain(value: Any) -> Any:
    """What JSON can hold, with the same order of keys."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
