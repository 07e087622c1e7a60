"""What schedulers do to jobs, with commands that are lines of bash: preemption, time limits, and being told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_tricks.experiment.cluster.environment import Environment
from nnunet_tricks.experiment.cluster.head import HeadProcess
from nnunet_tricks.experiment.cluster.profile import JobResources, Profile
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.nnunet.folders import Folders
from tests.checkout import import_folder
from tests.experiment.generic import Shell, lines

# Minutes pass until a time limit is over.
pytestmark = [pytest.mark.slurm, pytest.mark.slow]

PATIENCE = 400.0
QUICK = {"slurm-init-seconds-before-status-checks": 2, "seconds-between-status-checks": 2, "latency-wait": 10}


def waiting(folder: Path, key: str, line: str) -> Shell:
    """A cell that writes down that it begins, and then does what ``line`` says."""
    return Shell(key=key, states=folder / "states", line=f"echo x >> {folder}/{key}.begun; {line}", made=folder / key)


def head(folder: Path, cells: list[Shell], snakemake: Path) -> HeadProcess:
    # A minute is the shortest limit that SLURM keeps; on a very busy machine a job does not even begin in it.
    section = JobResources(60.0, 500)
    profile = Profile("one_node", folder, "slurm", retries=5, longest=120.0, training=section, options=QUICK)
    folders = Folders(folder / "raw", folder / "preprocessed", folder / "results")
    variables = {**os.environ, "PYTHONPATH": str(import_folder(folder))}
    return HeadProcess(
        folder / "spec.yaml",
        cells,
        profile,
        "cpu",
        folders,
        variables,
        environment=Environment(snakemake),
        timing=False,
    )


def jobs(state: str) -> list[str]:
    jobs = subprocess.run(["squeue", "-h", "-o", "%i", "-t", state], capture_output=True, text=True, check=True)
    return jobs.stdout.split()


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.2)


def test_preempted_jobs_and_jobs_that_run_out_of_time_are_done_again(tmp_path, snakemake, slurm) -> None:
    second = "test $(wc -l < {}/{}.begun) -gt 1 && touch {}/{}"
    preempted = waiting(tmp_path, "preempted", second.format(*(tmp_path, "preempted") * 2) + " || sleep 3600")
    late = waiting(tmp_path, "late", second.format(*(tmp_path, "late") * 2) + " || sleep 3600")

    def requeue() -> None:
        until(lambda: lines(tmp_path / "preempted.begun") and lines(tmp_path / "late.begun"))
        jobs = subprocess.run(["squeue", "-h", "-o", "%i %k"], capture_output=True, text=True, check=True).stdout
        (number,) = [line.split()[0] for line in jobs.splitlines() if "preempted" in line]
        subprocess.run(["scontrol", "requeue", number], check=True)

    thread = threading.Thread(target=requeue)
    thread.start()
    assert head(tmp_path, [preempted, late], snakemake).run()
    thread.join()
    assert lines(tmp_path / "late.begun") == 2
    assert lines(tmp_path / "preempted.begun") == 2
    # The first attempt was ended by a signal, the second one did the work.
    assert [attempt.returncode == 0 for attempt in Record.read(late.folder).attempts] == [False, True]


def test_told_to_end_the_jobs_are_cancelled(tmp_path, snakemake, slurm) -> None:
    code = f"""
from pathlib import Path
from nnunet_tricks.utilities.signals import told_to_end
from tests.slurm.test_faults import head, waiting
folder = Path({str(tmp_path)!r})
with told_to_end():
    head(folder, [waiting(folder, "long", "sleep 3600")], Path({str(snakemake)!r})).run()
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=import_folder(tmp_path), start_new_session=True)
    until(lambda: lines(tmp_path / "long.begun"))
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    until(lambda: not jobs("PENDING,RUNNING"))
