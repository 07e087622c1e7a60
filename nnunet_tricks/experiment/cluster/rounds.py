"""One round of Snakemake over the open cells: a folder with everything that Snakemake and its jobs need."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_tricks import __version__
from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.cluster import cell_file
from nnunet_tricks.experiment.cluster.profile import JobResources, Profile
from nnunet_tricks.experiment.costs import group
from nnunet_tricks.experiment.nnunet_cells import Predict, Train
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.utilities.files import write_atomically
from nnunet_tricks.utilities.python import words_of_python

WORKFLOW = Path(__file__).parent / "workflow" / "Snakefile"
PLAN, SCRIPT, CURRENT = "plan.json", "job.sh", "current"
JOB = "nnunet_tricks.experiment.cluster.job"
"""The module that runs a cell on its node."""

TIMED = "timed"
TRAINING, PREPARATION, ELSEWHERE = "training", "preparation", "elsewhere"
MARGIN = 1.5
"""Factor from what was measured to what the first attempt asks for."""

START = 600.0
"""Extra seconds, for a node that is slow to start."""

SPARE = 2000
"""Extra megabytes."""

NAME = 90
"""Characters of a cell's key in the name of its job."""

WORKERS = 12
"""Default number of loading processes in nnU-Net."""

LATENCY = 60
"""Seconds after which this machine must see a node's file."""


@dataclass(frozen=True)
class Round:
    """The work of one start of Snakemake.

    Attributes:
        folder: New folder in which it works.
        cells: Cells that are not done, lowest rank first.
        profile: Profile of the cluster.
        device: nnU-Net's ``-device``.
        folders: nnU-Net's folders.
        variables: Environment variables of the commands.
        busy: Keys of cells at which somebody else works.
        devices: Devices of this machine, if cells run on it.
        seconds: Gives the duration of what is left of a cell; None if it is not known.
        megabytes: Gives the memory of a cell; None if it is not known.
        timing: Whether to time what is not known.
        options: Options of Snakemake in addition to the profile's.
    """

    folder: Path
    cells: Sequence[Cell]
    profile: Profile
    device: str
    folders: Folders
    variables: Mapping[str, str]
    busy: Collection[str] = ()
    devices: Sequence[str] = ()
    seconds: Callable[[Cell], float | None] = lambda _: None
    megabytes: Callable[[Cell], float | None] = lambda _: None
    timing: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Name the cells: Snakemake makes folders of the names."""
        for place, cell in enumerate(self.cells):
            self.names[cell.key] = f"{place:05d}_{_readable(cell.key)}"

    def write(self) -> None:
        """Fill the folder."""
        entries, timings = self._entries()
        for name in ("settled", "held", TIMED):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        cell_file.write(self.folder, {self.names[cell.key]: cell for cell in self.cells}, timings)
        write_folder(
            self.folder,
            self.profile,
            entries,
            wanted=list(self.names.values()),
            device=self.device,
            devices=self.devices,
            variables=exported(self.variables, self.folders, self.profile),
            module=JOB,
            options={**self.options, **({} if self.profile.is_local else {"local-cores": max(len(self.busy), 1)})},
        )

    def _entries(self) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
        """What Snakemake must know of each job, by name; and the cells that each timing is for."""
        entries: dict[str, dict[str, Any]] = {}
        timings: dict[str, list[str]] = {}
        for place, cell in enumerate(self.cells):
            name = self.names[cell.key]
            seconds, megabytes = self.seconds(cell), self.megabytes(cell)
            rule = ELSEWHERE if cell.key in self.busy else TRAINING if cell.on_device else PREPARATION
            measure = None
            if self.timing and rule != ELSEWHERE and seconds is None and isinstance(cell, Train | Predict):
                measure = f"timing_{_readable(group(cell))}"
                if measure not in timings and isinstance(cell, Train):
                    timings[measure] = []
                    entries[measure] = self._entry(place, TRAINING, cell.after)
                if measure in timings:
                    timings[measure].append(name)
                else:
                    measure = None  # nothing left to train: nothing to time
            after = () if rule == ELSEWHERE else cell.after
            known = {"seconds": seconds, "megabytes": megabytes, "measure": measure}
            entries[name] = {**self._entry(place, rule, after), **known}
        return entries, timings

    def _entry(self, place: int, rule: str, after: Iterable[str]) -> dict[str, Any]:
        return entry(place, rule, [self.names[key] for key in after if key in self.names])


def entry(place: int, rule: str, after: Sequence[str] = ()) -> dict[str, Any]:
    """The workflow's entry of a cell for which nothing was measured."""
    return {"place": place, "rule": rule, "after": after, "seconds": None, "megabytes": None, "measure": None}


def write_folder(
    folder: Path,
    profile: Profile,
    entries: Mapping[str, Mapping[str, Any]],
    *,
    wanted: Sequence[str],
    device: str,
    devices: Sequence[str],
    variables: Mapping[str, str],
    module: str,
    options: Mapping[str, Any],
) -> None:
    """Write what the workflow reads.

    Args:
        folder: Folder to fill.
        profile: Profile of the cluster.
        entries: Jobs by name.
        wanted: Names of the jobs to do.
        device: nnU-Net's ``-device``.
        devices: Devices of this machine, if cells run on it.
        variables: Environment variables of the jobs.
        module: Python module that a job runs.
        options: Options of Snakemake; the profile's override them.
    """
    plan = {
        "version": __version__,
        "scheduler": profile.scheduler,
        "machine": profile.name,
        "devices": list(devices),
        "cells": entries,
        "wanted": wanted,
        "training": _section(profile, profile.training, device, on_cpu=device == "cpu"),
        "preparation": _section(profile, profile.preparation, "cpu", on_cpu=device == "cpu"),
        "longest": profile.longest,
        "start": START,
        "margin": MARGIN,
        "spare": SPARE,
    }
    for name in ("done", "logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_atomically(folder / SCRIPT, script(profile, variables, module))
    write_atomically(folder / PLAN, json.dumps(plan))
    local = {"cores": len(devices) + 1, "resources": [f"lane={len(devices)}", "host=1"]}
    remote = {"jobs": profile.jobs, "latency-wait": LATENCY}
    own = {"executor": profile.scheduler, **(local if profile.is_local else remote), "retries": profile.retries}
    write_options(folder, {**own, **OPTIONS, **options, **profile.options})


OPTIONS: Mapping[str, Any] = {
    "keep-going": True,
    "scheduler": "greedy",  # the other one takes minutes for thousands of cells
    "rerun-triggers": ["mtime"],
    "drop-metadata": True,
    "force-use-threads": True,  # cells that wait here need no interpreter each
}
"""Options of Snakemake for all profiles."""


def _section(profile: Profile, section: JobResources, device: str, *, on_cpu: bool) -> dict[str, Any]:
    resources = section.requested(device)
    if profile.is_local:
        resources["lane" if section is profile.training or on_cpu else "host"] = 1
    return {
        "seconds": section.seconds,
        "megabytes": section.megabytes,
        "cpus": section.cpus,
        "resources": resources,
    }


def exported(variables: Mapping[str, str], folders: Folders, profile: Profile) -> dict[str, str]:
    """The environment variables that jobs need, as not every scheduler passes them on. Paths are made absolute.

    Args:
        variables: All environment variables.
        folders: nnU-Net's folders.
        profile: Profile of the cluster.
    """
    # By itself nnU-Net starts loading processes for the whole node.
    workers = {} if profile.is_local else {"nnUNet_n_proc_DA": str(min(profile.training.cpus, WORKERS))}
    prefixes = ("nnUNet_", "NNUNET_TRICKS_", "OMP_", "PYTHON")
    exports = {**workers, **{name: value for name, value in variables.items() if name.startswith(prefixes)}}
    for name in ("raw", "preprocessed", "results"):
        exports[f"nnUNet_{name}"] = str(getattr(folders, name))
    for name in ("PYTHONPATH", "nnUNet_extTrainer"):
        if name in exports:
            exports[name] = os.pathsep.join(os.path.abspath(path) for path in exports[name].split(os.pathsep))
    return exports


def write_options(folder: Path, options: Mapping[str, Any]) -> None:
    """Write options of Snakemake, which reads them with ``--profile``."""
    import yaml

    (folder / "profile").mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "profile" / "config.yaml", yaml.safe_dump(dict(options), sort_keys=False))


def script(profile: Profile, variables: Mapping[str, str], module: str) -> str:
    """The script of a job: ``bash job.sh CELL MARKER``.

    Args:
        profile: Profile whose ``setup`` comes first.
        variables: Environment variables that are set then.
        module: Module that Python runs last, with this folder and the script's arguments.
    """
    python = shlex.quote(sys.executable)
    words = shlex.join(words_of_python(module))
    unseen = shlex.quote(f"{sys.executable} does not exist: install into a folder that nodes see")
    lines = [
        "#!/bin/bash",
        "# One cell on its node: bash job.sh CELL MARKER",
        "set +eu",
        'folder=$(cd "$(dirname "$0")" && pwd)',
        'fail() { echo "nnunet-tricks: on $(hostname) $1" >&2; exit 3; }',
        *(f"{{ {line}\n}} || fail {shlex.quote(f'this line of setup fails: {line}')}" for line in profile.setup),
        *(f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())),
        f"test -x {python} || fail {unseen}",
        f'exec {words} "$folder" "$@"',
    ]
    return "\n".join(lines) + "\n"


def new_folder(base: Path) -> Path:
    """Make the folder of a new round and mark it as current: waiting jobs of earlier rounds then end at once."""
    folder = base / f"{time.strftime('%Y%m%dT%H%M%S')}_{os.getpid()}"
    while folder.exists():  # rounds that took less than a second
        folder = folder.with_name(f"{folder.name}_")
    folder.mkdir(parents=True)
    write_atomically(base / CURRENT, folder.name)
    return folder


def is_current(folder: Path) -> bool:
    """Whether no later round has started."""
    return (folder.parent / CURRENT).read_text(encoding="utf-8").strip() == folder.name


def _readable(key: str) -> str:
    words = re.sub(r"[^\w.=-]+", "_", key)
    return words if len(words) <= NAME else words[-NAME:]
