"""What is peculiar to one scheduler."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from nnunet_tricks.cluster.profile import Profile

COMMANDS = {"slurm": "sbatch", "lsf": "bsub"}
"""How a machine shows that it may submit jobs."""

PATIENCE = 60.0


def check_scheduler(profile: Profile) -> None:
    """Whether jobs can be submitted from this machine.

    Raises:
        ValueError: If not.
    """
    needed = COMMANDS.get(profile.scheduler)
    if needed and shutil.which(needed) is None:
        raise ValueError(
            f"profile {profile.name} is for {profile.scheduler}, and there is no '{needed}' here: log in to a machine "
            "from which jobs are submitted"
        )


def needed_options(profile: Profile) -> dict[str, Any]:
    """Options of Snakemake without which a cluster like this one does not work."""
    # Without accounting Snakemake would ask for the states of jobs for ever, and never hear of one.
    if profile.scheduler == "slurm" and "slurm-status-command" not in profile.options and not _answers(["sacct", "-X"]):
        return {"slurm-status-command": "squeue"}
    return {}


def _answers(words: Sequence[str]) -> bool:
    try:
        return subprocess.run(words, capture_output=True, check=False, timeout=PATIENCE).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
