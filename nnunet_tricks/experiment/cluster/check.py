"""``nnunet-tricks cluster check``: submits one tiny cell of each kind, and reports what is wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunet_tricks.door.commands import with_our_trainers
from nnunet_tricks.experiment.cluster.environment import Environment
from nnunet_tricks.experiment.cluster.head import OUTPUT, interrupt, last_words, start_snakemake
from nnunet_tricks.experiment.cluster.probe import SAID, TRAINER
from nnunet_tricks.experiment.cluster.profile import Profile
from nnunet_tricks.experiment.cluster.rounds import PREPARATION, TRAINING, entry, exported, new_folder, write_folder
from nnunet_tricks.experiment.cluster.schedulers import check_scheduler, explained, needed_options, waits_for
from nnunet_tricks.nnunet.folders import Folders, is_json, read_json
from nnunet_tricks.utilities.durations import in_words

FOLDER = "check"


def check(profile: Profile, *, device: str, patience: float) -> int:
    """Submit one tiny cell of each kind, and print what works and what does not.

    Args:
        profile: Profile of the cluster.
        device: nnU-Net's ``-device``; ``cuda`` needs a GPU.
        patience: Seconds to wait for the cells.

    Returns:
        0 if everything works, else 1.

    Raises:
        ValueError: If nothing can be submitted from this machine.
    """
    environment = Environment.usual()
    environment.check(profile.scheduler)
    check_scheduler(profile)
    folders = Folders.of_environment()
    variables = with_our_trainers(os.environ)
    folder = new_folder(folders.state / FOLDER)
    (folder / SAID).mkdir()
    entries = {kind: {**entry(0, kind), "seconds": 0, "megabytes": 0} for kind in (PREPARATION, TRAINING)}
    write_folder(
        folder,
        profile,
        entries,
        wanted=list(entries),
        device=device,
        devices=["cpu"],
        variables=exported(variables, folders, profile),
        module="nnunet_tricks.experiment.cluster.probe",
        options={**needed_options(profile), **({} if profile.is_local else {"latency-wait": 5})},
    )
    print(f"Submitting one tiny cell of each kind with {profile.file}, in {folder}", flush=True)
    with (folder / OUTPUT).open("wb") as output:
        process = start_snakemake(environment, folder, variables, "--retries", "0", output=output)
        waiting = _wait(process, profile, folder, patience)
    problems = [problem for kind in entries for problem in _told(profile, folder, kind, device, waiting)]
    for kind in entries:
        print(_line(kind, folder))
    for problem in dict.fromkeys(problems):
        print(f"wrong: {problem}")
    if not problems:
        print("All is well.")
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if problems else 0


def _wait(process: subprocess.Popen[bytes], profile: Profile, folder: Path, patience: float) -> str:
    """Wait for Snakemake, and return what its jobs still wait for; empty if it has ended."""
    try:
        process.wait(patience)
        return ""
    except subprocess.TimeoutExpired:
        reason = explained(waits_for(profile, _output(folder)), profile)
        return f"the job has not ended after {in_words(patience)}{f': {reason}' if reason else ''}"
    finally:
        if process.poll() is None:
            interrupt(process)


def _output(folder: Path) -> str:
    return (folder / OUTPUT).read_text(encoding="utf-8", errors="replace")


def _findings(folder: Path, kind: str) -> Mapping[str, Any] | None:
    file = folder / SAID / f"{kind}.json"
    return dict(read_json(file)) if is_json(file) else None


def _line(kind: str, folder: Path) -> str:
    findings = _findings(folder, kind)
    if findings is None:
        return f"{kind}: did not run"
    gpu = f", GPU {findings['gpu']}" if findings["gpu"] else ""
    return f"{kind}: ran on {findings['node']}, nnU-Net {findings['nnunet'] or 'missing'}{gpu}"


def _told(profile: Profile, folder: Path, kind: str, device: str, waiting: str) -> list[str]:
    """Problems of one kind of cell."""
    findings = _findings(folder, kind)
    if findings is not None:
        return _wrong_there(kind, findings, device)
    text = _output(folder)
    if refused := re.search(r"The error message was '?(.*?)'?\.?\n", text, re.DOTALL):
        return [f"{kind}: the scheduler refuses the job: {explained(refused[1].strip(), profile)}"]
    left = last_words(folder, kind)
    if waiting:
        return [f"{kind}: {waiting}"]
    if "nnunet-tricks: on" in left:
        return [f"{kind}: {line.strip(' |')}" for line in left.splitlines() if "nnunet-tricks: on" in line]
    if left:
        return [f"{kind}: the job fails before nnunet-tricks starts; {explained(left, profile)}"]
    if "submitted" in text:
        return [
            f"{kind}: the job leaves no log, so its node does not see {folder}: nnUNet_results must be on a file "
            "system that all nodes share"
        ]
    return [f"{kind}: nothing was submitted; Snakemake says: {' / '.join(text.strip().splitlines()[-4:])}"]


def _wrong_there(kind: str, findings: Mapping[str, Any], device: str) -> list[str]:
    node, unseen = findings["node"], findings["unseen"]
    wrong = [f"{kind}: {node} does not see {folder}: it must be on a shared file system" for folder in unseen]
    wrong += [f"{kind}: {node} cannot write to {folder}" for folder in findings["unwritable"] if folder not in unseen]
    if kind == TRAINING and device == "cuda" and not findings["gpu"]:
        wrong.append(
            f"{kind}: PyTorch finds no GPU on {node}: check 'gpu' and 'resources' of the profile, and whether 'setup' "
            "must load a module; '--device cpu' needs no GPU"
        )
    if not findings["nnunet"]:
        wrong.append(f"{kind}: {node} has no nnU-Net in this environment")
    elif findings["trainer"] != TRAINER:
        wrong.append(f"{kind}: nnU-Net on {node} does not find our trainers: run 'nnunet-tricks link' once, here")
    return wrong
