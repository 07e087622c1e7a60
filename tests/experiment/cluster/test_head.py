"""Head processes that fail, are killed and go on, with commands that are lines of bash, run by Snakemake here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnunet_tricks.experiment.cells import make
from nnunet_tricks.experiment.cluster import job, rounds
from nnunet_tricks.experiment.cluster.environment import Environment
from nnunet_tricks.experiment.cluster.head import HeadProcess
from nnunet_tricks.experiment.cluster.profile import Profile
from nnunet_tricks.experiment.cluster.rounds import new_folder
from nnunet_tricks.experiment.local import LocalQueue
from nnunet_tricks.experiment.lock import Lock
from nnunet_tricks.experiment.nnunet_cells import Train
from nnunet_tricks.experiment.other_workers import Strangers
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.experiment.running_commands import RunningCommand
from nnunet_tricks.experiment.spec import read_experiment
from nnunet_tricks.nnunet.folders import Folders
from tests.checkout import import_folder
from tests.experiment.cluster import shell_job
from tests.experiment.generic import Shell, counting, lines

LOCAL = Profile("local", Path("local.yaml"), "local", retries=1)


@pytest.fixture(autouse=True)
def _shell_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "JOB", shell_job.__name__)


def head(folder: Path, cells, snakemake: Path, *, profile: Profile = LOCAL) -> HeadProcess:
    folders = Folders(folder / "raw", folder / "preprocessed", folder / "results")
    variables = {**os.environ, "PYTHONPATH": str(import_folder(folder))}
    return HeadProcess(
        folder / "spec.yaml", cells, profile, "cpu", folders, variables, ["cpu"], environment=Environment(snakemake)
    )


def script(folder: Path, count: int, seconds: float, snakemake: Path) -> subprocess.Popen[bytes]:
    """A head process of its own; all cells need the first one."""
    code = f"""
from pathlib import Path
from nnunet_tricks.utilities.signals import told_to_end
from tests.experiment.cluster.test_head import head, rounds, shell_job
from tests.experiment.generic import counting
folder = Path({str(folder)!r})
rounds.JOB = shell_job.__name__
cells = [counting(folder, f"c{{n}}", seconds={seconds}, after=["c0"] if n else [], rank=n) for n in range({count})]
with told_to_end():
    raise SystemExit(not head(folder, cells, Path({str(snakemake)!r})).run())
"""
    return subprocess.Popen([sys.executable, "-c", code], cwd=import_folder(folder), start_new_session=True)


def states(queue: HeadProcess | LocalQueue) -> dict[str, str]:
    return {key: progress.state for key, progress in queue.progress.items()}


def test_cells_run_once_in_order_and_what_is_done_is_not_done_again(tmp_path, snakemake, capsys) -> None:
    cells = [counting(tmp_path, f"c{n}", after=[f"c{n - 1}"] if n else [], rank=n) for n in range(3)]
    made = head(tmp_path, cells, snakemake)
    assert made.run()
    assert [line.split()[1:] for line in capsys.readouterr().err.splitlines() if "done:" in line] == [
        ["done:", f"c{n}"] for n in range(3)
    ]
    assert head(tmp_path, cells, snakemake).run()
    assert LocalQueue(cells, ["cpu"], dict(os.environ)).run()
    assert [lines(tmp_path / f"c{n}.begun") for n in range(3)] == [1] * 3
    assert [len(Record.read(cell.folder).attempts) for cell in cells] == [1] * 3


def test_a_failure_is_tried_again_and_then_told_with_what_it_takes_along(tmp_path, snakemake) -> None:
    line = f"echo x >> {tmp_path}/tries; echo disk on fire; exit 3"
    bad = Shell(key="bad", states=tmp_path / "states", line=line, made=tmp_path / "m")
    cells = [bad, counting(tmp_path, "after", after=["bad"], rank=1), counting(tmp_path, "other", rank=2)]
    made = head(tmp_path, cells, snakemake)
    assert not made.run()
    assert states(made) == {"bad": "failed", "after": "blocked", "other": "done"}
    assert lines(tmp_path / "tries") == 2
    assert "disk on fire" in made.progress["bad"].why


def test_a_killed_head_process_takes_nothing_along_and_the_next_one_waits(tmp_path, snakemake) -> None:
    process = script(tmp_path, 3, 6.0, snakemake)
    while not (tmp_path / "c0.begun").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process = script(tmp_path, 3, 0.2, snakemake)
    assert process.wait() == 0
    assert [lines(tmp_path / f"c{n}.begun") for n in range(3)] == [1] * 3


def test_the_local_queue_goes_on_beside_what_a_killed_head_process_left(tmp_path, snakemake) -> None:
    process = script(tmp_path, 3, 4.0, snakemake)
    while not (tmp_path / "c0.begun").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    cells = [counting(tmp_path, f"c{n}", after=["c0"] if n else [], rank=n) for n in range(3)]
    assert LocalQueue(cells, ["cpu"], dict(os.environ)).run()
    assert [lines(tmp_path / f"c{n}.begun") for n in range(3)] == [1] * 3


def test_told_to_end(tmp_path, snakemake) -> None:
    process = script(tmp_path, 2, 600.0, snakemake)
    while not (tmp_path / "c0.begun").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) != 0
    lock = Lock.take(tmp_path / "states" / "c0" / "lock")
    assert lock is not None, "its command has ended too"
    lock.release()


def test_two_head_processes_never_run_one_experiment(tmp_path, snakemake) -> None:
    made = head(tmp_path, [counting(tmp_path, "c")], snakemake)
    with Lock.take(made.base / "lock"), pytest.raises(ValueError, match="another process already runs"):
        made.run()


def test_a_job_of_an_earlier_round_ends_at_once(tmp_path, snakemake, capsys) -> None:
    made = head(tmp_path, [counting(tmp_path, "c")], snakemake)
    folder = new_folder(tmp_path / "rounds")
    prepared = made._prepared(folder, made.cells, ())
    prepared.write()
    new_folder(tmp_path / "rounds")
    assert job.main([str(folder), prepared.names["c"], str(tmp_path / "marker")]) == job.TAKEN_OVER
    assert "a later run" in capsys.readouterr().err
    assert not (tmp_path / "c.begun").exists()


def test_a_job_leaves_alone_what_somebody_else_is_at(tmp_path, snakemake, monkeypatch) -> None:
    monkeypatch.setattr(job, "PATIENCE", 0.0)
    made = head(tmp_path, [counting(tmp_path, "c")], snakemake)
    folder = new_folder(tmp_path / "rounds")
    prepared = made._prepared(folder, made.cells, ())
    prepared.write()
    with Lock.take(tmp_path / "states" / "c" / "lock"):
        assert job.main([str(folder), prepared.names["c"], str(tmp_path / "marker")]) == job.HELD
    assert not (tmp_path / "c.begun").exists()
    assert (folder / "held" / prepared.names["c"]).exists()


def test_what_somebody_runs_by_hand_is_left_alone(spec, preprocessed, tmp_path, monkeypatch) -> None:
    """The head process watches files of other machines, a node its own processes."""
    text = "datasets: [901]\nconfigurations: [3d_fullres]\ntricks: [CE]\nfolds: [0]\n"
    trains = [cell for cell in make(read_experiment(spec(text)), preprocessed) if isinstance(cell, Train)]
    made = head(tmp_path, trains, tmp_path)
    assert not made._is_busy(trains[0])
    trains[0].model.folder.mkdir(parents=True)
    (trains[0].model.folder / "training_log_2026_1_31_09_05_00.txt").write_text("Epoch time: 0.01 s")
    made._strangers.patience, made._strangers.is_alone = 0.2, lambda _: False
    assert made._is_busy(trains[0])
    while made._is_busy(trains[0]):
        time.sleep(0.02)
    work = trains[1].work()
    assert work
    lock = job._take(trains[0])
    assert lock
    lock.release()
    here = Strangers(look=lambda: [RunningCommand(1, (work,), "")])
    monkeypatch.setattr(job, "Strangers", lambda: here)
    assert job._take(trains[1]) is None


def test_clocks_may_differ(tmp_path, snakemake) -> None:
    """Markers from an hour ahead, as from a node whose clock is wrong."""
    first = counting(tmp_path, "c0")
    ahead = f"touch -d '+1 hour' {tmp_path}/results/nnunet_tricks/runs/*/*/done/preparation/* 2> /dev/null || true"
    ahead = ahead.replace("preparation", "training")
    second = Shell(
        key="c1",
        states=first.states,
        line=f"{ahead}; touch {tmp_path}/second",
        made=tmp_path / "second",
        after=("c0",),
        rank=(1,),
    )
    third = counting(tmp_path, "c2", after=["c1", "c0"], rank=2)
    assert head(tmp_path, [first, second, third], snakemake).run()
    assert lines(tmp_path / "c2.begun") == 1


def test_a_line_of_setup_that_fails_is_named(tmp_path, snakemake) -> None:
    profile = Profile("local", Path("local.yaml"), "local", retries=0, setup=("module load cuda/99",))
    made = head(tmp_path, [counting(tmp_path, "c")], snakemake, profile=profile)
    assert not made.run()
    assert "this line of setup fails: module load cuda/99" in made.progress["c"].why
