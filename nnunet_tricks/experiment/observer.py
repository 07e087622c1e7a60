"""What a keeper records while its command runs, so that nothing has to be guessed from clocks afterwards."""

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
"""Packages whose versions can change what a training does."""

GOES_ON = re.compile(r" --(c|val)\b")


@dataclass(frozen=True, kw_only=True)
class Observer:
    """Knows what to look at while a command runs.

    Attributes:
        model: Folder of nnU-Net's logs of a training; empty for other commands.
        splits: Split file of the data set, which nnU-Net may still make; empty if nothing is learned any more.
        fold: Fold as nnU-Net's command takes it.
        kept: Folder of stored splits.
        continues: Whether the training continues from a checkpoint, so that its earlier split counts.
        inputs: Checksum of what the command reads; empty if it is not needed.
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
        """Write it as one line."""
        return json.dumps(asdict(self))

    def begin(self, record: Record) -> Record:
        """The record before an attempt, with all present logs and who wrote them."""
        known = dict.fromkeys(logs_in(Path(self.model)), None) if self.model else {}
        logs = {**known, **ours(record, known)}
        return replace(record, logs=logs, inputs=self.inputs, split=record.split if self.continues else "")

    def look(self, record: Record) -> Record:
        """The record of a running attempt, with what can be seen now."""
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
    """Logs by name, each with the start of the attempt that wrote it; None if no attempt of the cell did.

    Args:
        record: Record of the cell. If it lists no logs, they count as its own if there are no more than attempts.
        logs: Names of the present logs.
    """
    if record.logs is not None:
        return dict(record.logs)
    count = len(record.attempts)  # a record forgets the first of many
    if not 0 < count < KEPT or len(logs) > count or GOES_ON.search(record.attempts[0].command):
        return {}
    return dict.fromkeys(logs, record.attempts[0].began)


def versions() -> dict[str, str]:
    """Versions of the packages in this environment, by name."""
    installed = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            installed[package] = version(package)
    return installed
