"""Profiles: descriptions of clusters, as small YAML files that users edit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_tricks.experiment.entry import Entry, SpecError, read
from nnunet_tricks.utilities.durations import seconds_in

FOLDER = Path(__file__).parent / "profiles"
SCHEDULERS = ("slurm", "lsf", "kubernetes", "local")
"""Schedulers, each with a profile of its name that is shipped."""

LOCAL = "local"
UNITS = {"MB": 1, "GB": 1000, "TB": 1000_000}
KEYS = ("scheduler", "jobs", "retries", "longest", "setup", "training", "preparation", "snakemake")
SECTION = ("time", "memory", "cpus", "resources")
OURS = ("executor", "directory", "snakefile", "config", "jobs", "retries", "keep-going", "dry-run", "profile")
"""Options of Snakemake that are set by ``run``."""


@dataclass(frozen=True)
class JobResources:
    """What jobs of one kind ask for.

    Attributes:
        seconds: Time limit of a cell as long as nothing like it has been measured.
        megabytes: Memory of a cell as long as nothing like it has been measured.
        cpus: Number of cores.
        gpu: Resources of Snakemake that ask for a GPU.
        resources: Other resources of Snakemake.
    """

    seconds: float = 86400.0
    megabytes: int = 32000
    cpus: int = 1
    gpu: Mapping[str, str | int] = field(default_factory=dict)
    resources: Mapping[str, str | int] = field(default_factory=dict)

    def requested(self, device: str) -> dict[str, str | int]:
        """The resources of a job; the GPU only if nnU-Net trains on one."""
        return {**self.resources, **(self.gpu if device == "cuda" else {})}


@dataclass(frozen=True)
class Profile:
    """A cluster.

    Attributes:
        name: Name of the file without folder and ending; times are stored under it.
        file: Path of the file.
        scheduler: One of ``SCHEDULERS``, and Snakemake's name of the executor.
        jobs: Most jobs at a time.
        retries: Number of times that a failed cell is tried again.
        longest: Longest time limit of a job in seconds.
        setup: Lines of bash before each cell.
        training: Resources of cells on a GPU.
        preparation: Resources of all other cells.
        options: Options of Snakemake.
    """

    name: str
    file: Path
    scheduler: str
    jobs: int = 100
    retries: int = 2
    longest: float = 30 * 86400.0
    setup: Sequence[str] = ()
    training: JobResources = field(default_factory=JobResources)
    preparation: JobResources = field(default_factory=JobResources)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether cells run on this machine, where no scheduler assigns GPUs."""
        return self.scheduler == LOCAL


def read_profile(name: str) -> Profile:
    """Read a profile.

    Args:
        name: Name of a shipped profile, or a file.

    Raises:
        ValueError: If there is no such profile.
        SpecError: If something in it is wrong.
    """
    file = FOLDER / f"{name}.yaml" if name in SCHEDULERS else Path(name)
    if not file.is_file():
        raise ValueError(f"--profile {name} is neither a file nor one of {', '.join(SCHEDULERS)}")
    fields = read(file).fields(KEYS)
    if "scheduler" not in fields:
        raise SpecError(f"{file}, line 1: the file needs 'scheduler': one of {', '.join(SCHEDULERS)}")
    known: dict[str, Any] = {}
    if "jobs" in fields:
        known["jobs"] = fields["jobs"].whole(least=1)
    if "retries" in fields:
        known["retries"] = fields["retries"].whole(least=0)
    if "longest" in fields:
        known["longest"] = _seconds(fields["longest"])
    if "setup" in fields and fields["setup"].value:
        known["setup"] = tuple(line.text() for line in fields["setup"].items())
    for name_of, extra in (("training", ("gpu",)), ("preparation", ())):
        if name_of in fields:
            known[name_of] = _section(fields[name_of], (*SECTION, *extra))
    if "snakemake" in fields:
        known["options"] = _options(fields["snakemake"])
    return Profile(file.stem, file, fields["scheduler"].choice(SCHEDULERS), **known)


def megabytes_in(words: str) -> int:
    """The megabytes of a size such as ``32 GB`` or ``1.5GB``.

    Raises:
        ValueError: If it is not a size.

    Examples:
        ("32 GB"), megabytes_in("500MB")
        (32000, 500)
    """
    read_ = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Z]B)\s*", words.upper())
    if not read_ or read_[2] not in UNITS or not float(read_[1]):
        raise ValueError(f"'{words}' is not a size: write it like 32 GB or 500 MB")
    return math.ceil(float(read_[1]) * UNITS[read_[2]])


def _section(entry: Entry, keys: Sequence[str]) -> JobResources:
    fields = entry.fields(keys)
    known: dict[str, Any] = {}
    if "time" in fields:
        known["seconds"] = _seconds(fields["time"])
    if "memory" in fields:
        try:
            known["megabytes"] = megabytes_in(fields["memory"].text())
        except SpecError:
            raise
        except ValueError as error:
            raise fields["memory"].error(str(error)) from error
    if "cpus" in fields:
        known["cpus"] = fields["cpus"].whole(least=1)
    for key in ("gpu", "resources"):
        if key in fields:
            known[key] = _resources(fields[key])
    twice = sorted(set(known.get("gpu", {})) & set(known.get("resources", {})))
    if twice:
        raise fields["resources"].error(f"'{twice[0]}' is under 'gpu' and under 'resources': write it in one place")
    return JobResources(**known)


def _seconds(entry: Entry) -> float:
    try:
        return seconds_in(entry.text())
    except SpecError:
        raise
    except ValueError as error:
        raise entry.error(str(error)) from error


def _resources(entry: Entry) -> dict[str, str | int]:
    resources: dict[str, str | int] = {}
    for key, value in entry.fields().items():
        if key in ("runtime", "mem_mb", "mem"):
            raise value.error(f"'{key}' is set from measurements: write 'time' and 'memory' for what is not measured")
        # A partition may be called 'no' or 'on', which YAML reads as false and true.
        is_number = isinstance(value.value, int) and not isinstance(value.value, bool)
        resources[key] = value.value if is_number else value.text()
    return resources


def _options(entry: Entry) -> dict[str, Any]:
    options = {}
    for key, value in entry.fields().items():
        if key in OURS:
            raise value.error(f"Snakemake's option '{key}' is set by 'nnunet-tricks run'")
        options[key] = _plain(value)
    return options


def _plain(entry: Entry) -> Any:
    if isinstance(entry.value, list):
        return [_plain(item) for item in entry.value]
    if isinstance(entry.value, dict):
        return {key: _plain(value) for key, value in entry.value.items()}
    return entry.value
