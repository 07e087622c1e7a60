"""What a keeper notes of its command while that runs, so that nothing has to be guessed from clocks afterwards."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nnunet_tricks.experiment.record import KEPT, Record
from nnunet_tricks.experiment.split import Split
from nnunet_tricks.nnunet.folders import read_json

PACKAGES = ("nnunetv2", "batchgeneratorsv2", "dynamic_network_architectures", "torch", "nnunet_tricks")
"""Whose versions can change what a training does."""

GOES_ON = re.compile(r" --(c|val)\b")


@dataclass(frozen=True, kw_only=True)
class Observer:
    """What to look at.

    Attributes:
        model: Folder in which a training writes nnU-Net's logs; empty for other commands.
        splits: The data set's split file, which nnU-Net makes if it is not there; empty if nothing more is learned.
        fold: As nnU-Net's command takes it.
        kept: Where splits are kept.
        continues: Whether the training goes on from a checkpoint, so that what it has learned from before counts.
        inputs: What the command reads, in one word.
    """

    model: str = ""
    splits: str = ""
    fold: str = ""
    kept: str = ""
    continues: bool = False
    inputs: str = ""

    @classmethod
    def of_json(cls, text: str) -> Observer:
        """Read what ``as_json`` has written."""
        return cls(**json.loads(text))

    def as_json(self) -> str:
        """As one line."""
        return json.dumps(asdict(self))

    def begin(self, record: Record) -> Record:
        """The record before an attempt: logs that are there by now are settled, whoever wrote them."""
        known = dict.fromkeys(logs_in(Path(self.model)), None) if self.model else {}
        logs = {**known, **ours(record, known)}
        return replace(record, logs=logs, inputs=self.inputs, split=record.split if self.continues else "")

    def look(self, record: Record) -> Record:
        """The record of an attempt that runs, with what can be seen now."""
        if not self.model or not record.attempts:
            return record
        new = logs_in(Path(self.model)) - (record.logs or {}).keys()
        if new:
            record = replace(record, logs={**(record.logs or {}), **dict.fromkeys(new, record.attempts[-1].began)})
        if self.splits and not record.split:
            with suppress(OSError, ValueError, KeyError, TypeError):
                if split := Split.of(read_json(Path(self.splits)), self.fold):
                    split.keep(Path(self.kept))
                    record = replace(record, split=split.digest)
        return record


def logs_in(model: Path) -> set[str]:
    """Names of nnU-Net's logs in a fold's folder."""
    return {log.name for log in model.glob("training_log_*.txt")}


def ours(record: Record, logs: set[str] | dict[str, None]) -> dict[str, float | None]:
    """Logs that a cell's attempts have written, with when each attempt began; None for those that somebody else wrote.

    Args:
        record: What is noted of the cell. Before logs were noted, as many as attempts were its own, or nobody knows.
        logs: Names of the logs that are there.
    """
    if record.logs is not None:
        return dict(record.logs)
    count = len(record.attempts)  # of many the first ones are forgotten
    if not 0 < count < KEPT or len(logs) > count or GOES_ON.search(record.attempts[0].command):
        return {}
    return dict.fromkeys(logs, record.attempts[0].began)


def versions() -> dict[str, str]:
    """Of the packages in this environment."""
    installed = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            installed[package] = version(package)
    return installed
