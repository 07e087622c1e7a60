"""Facts about single schedulers."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from nnunet_tricks.experiment.cluster.profile import Profile

COMMANDS = {"slurm": "sbatch", "lsf": "bsub"}
"""Commands that exist on machines from which jobs are submitted."""

PATIENCE = 60.0


def check_scheduler(profile: Profile) -> None:
    """Require that jobs can be submitted from this machine.

    Raises:
        ValueError: If they cannot.
    """
    needed = COMMANDS.get(profile.scheduler)
    if needed and shutil.which(needed) is None:
        raise ValueError(
            f"profile {profile.name} is for {profile.scheduler}, but there is no '{needed}' here: log in to a machine "
            "from which jobs are submitted"
        )


def needed_options(profile: Profile) -> dict[str, Any]:
    """Options that Snakemake needs on this cluster."""
    # Without accounting Snakemake would ask for the states of jobs forever.
    if profile.scheduler == "slurm" and "slurm-status-command" not in profile.options and not _answers(["sacct", "-X"]):
        return {"slurm-status-command": "squeue"}
    return {}


REFUSALS = (
    (r"[Ii]nvalid partition|[Ii]nvalid qos|[Ii]nvalid queue|[Nn]o such queue|[Bb]ad queue", "partitions"),
    (r"[Ii]nvalid account|[Aa]ccount/partition combination|[Pp]roject", "account"),
    (r"[Ii]nvalid generic resource|gres|GRES", "gpu"),
    (r"node configuration is not available|[Rr]equested.*exceed|[Mm]emory specification", "size"),
    (r"PartitionConfig|PartitionNodeLimit", "size"),
    (r"time limit|[Tt]ime limit|RUNLIMIT", "time"),
    (r"[Nn]o such file or directory|not found", "paths"),
)


def explained(message: str, profile: Profile) -> str:
    """A scheduler's complaint, followed by what to do about it.

    Args:
        message: Message of the scheduler, or the end of its log.
        profile: Profile of the cluster.
    """
    advice = {
        "partitions": f"set the partition or queue under 'resources' of {profile.file}{_partitions(profile)}",
        "account": f"set 'slurm_account' or 'lsf_project' under 'resources' of {profile.file}",
        "gpu": f"this cluster has other names for GPUs: change 'gpu' in {profile.file}",
        "size": f"no node has that much: reduce 'cpus', 'memory' or 'gpu' in {profile.file}",
        "time": f"no job may take that long: reduce 'longest' in {profile.file}",
        "paths": "the node does not see this machine's paths: Snakemake's environment, this one and nnU-Net's folders "
        "must be on a file system that all nodes share",
    }
    for pattern, what in REFUSALS:
        if re.search(pattern, message):
            return f"{message}\n  {advice[what]}"
    return message


def _partitions(profile: Profile) -> str:
    if profile.scheduler != "slurm":
        return ""
    with suppress(OSError, subprocess.SubprocessError):
        words = ["sinfo", "--noheader", "--format=%R"]
        partitions = subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout.split()
        return f"; there are {', '.join(dict.fromkeys(partitions))}"
    return ""


def waits_for(profile: Profile, output: str) -> str:
    """What jobs wait for, in SLURM's words; empty if it is not known.

    Args:
        profile: Profile of the cluster.
        output: Output of Snakemake so far.
    """
    run = re.search(r"SLURM run ID: (\S+)", output)
    if profile.scheduler != "slurm" or not run:
        return ""
    with suppress(OSError, subprocess.SubprocessError):
        words = ["squeue", "--noheader", "--format=%i %T %r", "--name", run[1]]
        jobs = subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
        return "; ".join(f"job {line.strip()}" for line in jobs.splitlines())
    return ""


def _answers(words: Sequence[str]) -> bool:
    try:
        return subprocess.run(words, capture_output=True, check=False, timeout=PATIENCE).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
