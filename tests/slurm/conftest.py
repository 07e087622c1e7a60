"""A SLURM of one node, this machine, for the time of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "one_node.sh"
NEEDED = ("slurmctld", "slurmd", "sbatch", "munged", "mungekey")


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a SLURM that runs."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: tests/slurm/install.sh does it on Debian and Ubuntu, as root")
    if os.geteuid() != 0:
        pytest.skip("SLURM's daemons need root here")
    if Path("/etc/slurm/slurm.conf").exists():
        pytest.skip("there is a SLURM on this machine already")
    folder = tmp_path_factory.mktemp("slurm")
    try:
        subprocess.run([SCRIPT, "start", folder], check=True)
        yield folder
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=False)
