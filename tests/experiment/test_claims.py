"""File systems without locks. The tests have none, so the system call is replaced by one that fails as there."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnunet_tricks.experiment import claims
from nnunet_tricks.experiment.claims import Claim, identity, is_alive
from nnunet_tricks.experiment.local import LocalQueue
from nnunet_tricks.experiment.lock import Lock, is_held
from nnunet_tricks.experiment.record import Record
from tests.experiment.generic import counting, lines, script

WITHOUT = """
import errno, fcntl
def flock(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
# Two minutes of waiting for a sign of life that comes every ten seconds are long for a test.
from nnunet_tricks.experiment import claims
claims.PATIENCE = 20.0
"""


def no_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.fixture
def claims_only(monkeypatch) -> None:
    monkeypatch.setattr(fcntl, "flock", no_locks)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_cells_run_and_it_is_said_once(tmp_path, monkeypatch, capsys, number) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr("nnunet_tricks.experiment.lock._told", set())
    cells = [counting(tmp_path, f"c{n}", after=[f"c{n - 1}"] if n else [], rank=n) for n in range(3)]
    assert LocalQueue(cells, ["cpu"], dict(os.environ)).run()
    assert [lines(tmp_path / f"c{n}.begun") for n in range(3)] == [1] * 3
    assert capsys.readouterr().err.count("is on a file system without locks") == 1
    assert not any(is_held(cell.folder / "lock") for cell in cells)


def test_another_trouble_is_still_told(tmp_path, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output error"):
        Lock.take(tmp_path / "lock")


def test_one_takes_it_and_lets_go(tmp_path, claims_only) -> None:
    for _ in range(3):
        with Lock.take(tmp_path / "lock") as lock:
            assert lock.is_claim
            assert is_held(tmp_path / "lock")
            assert Lock.take(tmp_path / "lock") is None
        assert not is_held(tmp_path / "lock")
    assert len(list(tmp_path.glob("lock.*"))) == 1


def test_it_ends_with_the_child_that_it_was_handed_to(tmp_path, claims_only) -> None:
    with Lock.take(tmp_path / "lock") as lock:
        child = subprocess.Popen(["sleep", "600"], pass_fds=[lock.descriptor])
        lock.hand_to(child.pid)
    assert Lock.take(tmp_path / "lock") is None
    child.kill()
    child.wait()
    again = Lock.take(tmp_path / "lock")
    assert again is not None
    again.release()


def test_many_at_once(tmp_path) -> None:
    """Whoever takes it holds it for a moment and writes a line; nobody else may hold it then."""
    code = f"""{WITHOUT}
import os, sys, time
from pathlib import Path
from nnunet_tricks.experiment.lock import Lock
folder, done = Path({str(tmp_path)!r}), 0
while done < 15:
    lock = Lock.take(folder / "lock")
    if lock is None:
        continue
    inside = folder / "inside"
    inside.mkdir()
    inside.rmdir()
    done += 1
    lock.release()
"""
    started = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) for _ in range(4)]
    assert [process.wait() for process in started] == [0] * 4


def test_who_is_on_another_machine_is_dead_after_a_while_without_a_sign_of_life(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(claims, "PATIENCE", 0.2)
    (tmp_path / "lock.7").write_text("another_machine 12 345")
    (tmp_path / "beat").write_text("another_machine 12 0\n")
    assert Claim.take(tmp_path / "lock") is None
    while Claim.take(tmp_path / "lock") is None:
        time.sleep(0.01)
    assert [file.name for file in tmp_path.glob("lock.*")] == ["lock.8"]


def test_signs_of_life_count(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(claims, "PATIENCE", 0.5)
    (tmp_path / "lock.1").write_text("another_machine 12 345")
    end, number = time.monotonic() + 1.5, 0
    while time.monotonic() < end:
        number += 1
        (tmp_path / "beat").write_text(f"another_machine 12 {number}\n")
        assert Claim.take(tmp_path / "lock") is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_number_that_another_process_has_now_is_not_the_owner(tmp_path) -> None:
    mine = identity(os.getpid())
    (tmp_path / "lock.1").write_text(mine)
    assert Claim.take(tmp_path / "lock") is None
    (tmp_path / "lock.1").write_text(mine.rpartition(" ")[0] + " 1")
    assert Claim.take(tmp_path / "lock") is not None
    assert not is_alive(os.getpid(), "1")


def start(folder: Path, count: int, seconds: float, device: str) -> subprocess.Popen[bytes]:
    python, option, code = script(folder, count, seconds, device)
    return subprocess.Popen([python, option, WITHOUT + code], start_new_session=True)


def test_two_queues_share_the_work_without_locks(tmp_path) -> None:
    queues = [start(tmp_path, 4, 1.0, device) for device in ("0", "1")]
    assert [queue.wait() for queue in queues] == [0, 0]
    assert [lines(tmp_path / f"c{n}.begun") for n in range(4)] == [1] * 4


def test_a_killed_queue_takes_nothing_along_without_locks(tmp_path) -> None:
    for _ in range(3):
        queue = start(tmp_path, 3, 0.6, "cpu")
        time.sleep(0.8)
        os.kill(queue.pid, signal.SIGKILL)
        queue.wait()
    assert start(tmp_path, 3, 0.6, "cpu").wait() == 0
    assert [lines(tmp_path / f"c{n}.begun") for n in range(3)] == [1] * 3
    assert [len(Record.read(tmp_path / "states" / f"c{n}").attempts) for n in range(3)] == [1] * 3
