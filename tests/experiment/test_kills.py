"""Whatever is killed, and whenever: nothing is lost, and nothing runs twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from nnunet_tricks.experiment.processes import MARK
from nnunet_tricks.experiment.record import Record
from tests.experiment.generic import lines, script

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def start(folder: Path, count: int, seconds: float, device: str = "cpu") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        script(folder, count, seconds, device),
        start_new_session=True,
        # Tests that run in the background of a script inherit that it is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def commands(folder: Path) -> list[int]:
    """The processes of cells in that folder."""
    pids = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdecimal() and f"{MARK}={folder}".encode() in (process / "environ").read_bytes():
                pids.append(int(process.name))
    return pids


def keepers(folder: Path) -> list[int]:
    pids = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            line = (process / "cmdline").read_bytes()
            if b"experiment.keeper" in line and str(folder).encode() in line:
                pids.append(int(process.name))
    return pids


def kill(processes: list[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def wait_for(queue: subprocess.Popen[bytes], what: Callable[[], object]) -> None:
    """Wait until something is so, as long as the queue lives."""
    while not what():
        assert queue.poll() is None, "the queue has ended"
        time.sleep(0.05)


def begun(folder: Path, count: int) -> list[int]:
    return [lines(folder / f"c{n}.begun") for n in range(count)]


def test_a_killed_queue_takes_nothing_along(tmp_path) -> None:
    queue = start(tmp_path, 4, 0.6)
    for _ in range(3):
        time.sleep(1.0)
        kill([queue.pid])
        queue.wait()
        queue = start(tmp_path, 4, 0.6)
    assert queue.wait() == 0
    assert begun(tmp_path, 4) == [1] * 4  # what ran when its queue was killed, ran to its end
    assert [len(Record.read(tmp_path / "states" / f"c{n}").attempts) for n in range(4)] == [1] * 4


def test_everything_killed_at_once(tmp_path) -> None:
    """As when a cluster's time is over, or the power fails."""
    chance = random.Random(1)
    queue, interrupted = start(tmp_path, 5, 0.4), 0
    for _ in range(4):
        time.sleep(chance.uniform(0.2, 1.0))
        kill([queue.pid, *keepers(tmp_path), *commands(tmp_path / "states")])
        queue.wait()
        unfinished = sum(begun(tmp_path, 5)) - sum(lines(tmp_path / f"c{n}.made") for n in range(5))
        # One device runs one cell at a time.
        assert unfinished - interrupted in (0, 1)
        interrupted = unfinished
        queue = start(tmp_path, 5, 0.4)
    assert queue.wait() == 0
    assert [lines(tmp_path / f"c{n}.made") for n in range(5)] == [1] * 5
    assert 5 <= sum(begun(tmp_path, 5)) <= 5 + interrupted


def test_a_killed_keeper_takes_its_command_along_and_the_cell_is_done_again(tmp_path) -> None:
    queue = start(tmp_path, 2, 1.0)
    wait_for(queue, lambda: keepers(tmp_path) and commands(tmp_path / "states"))
    kill(keepers(tmp_path))
    assert queue.wait() == 0
    assert [lines(tmp_path / f"c{n}.made") for n in range(2)] == [1, 1]
    assert begun(tmp_path, 2) == [2, 1]


def test_two_queues_share_the_work(tmp_path) -> None:
    # Long enough for the second to begin too, on a busy machine.
    queues = [start(tmp_path, 4, 1.5, device) for device in ("0", "1")]
    assert [queue.wait() for queue in queues] == [0, 0]
    assert begun(tmp_path, 4) == [1] * 4
    devices = {Record.read(tmp_path / "states" / f"c{n}").attempts[0].device for n in range(4)}
    assert devices == {"0", "1"}


def test_told_to_end(tmp_path) -> None:
    """The command gets the chance to end by itself."""
    queue = start(tmp_path, 2, 600)
    wait_for(queue, lambda: commands(tmp_path / "states"))
    queue.send_signal(signal.SIGINT)
    queue.wait()
    # A busy machine takes its time to end processes, but much less than the command would.
    end = time.monotonic() + 60
    while (commands(tmp_path / "states") or keepers(tmp_path)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not commands(tmp_path / "states")
    assert not keepers(tmp_path)
    assert Record.read(tmp_path / "states" / "c0").is_unfinished


POOL = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import getpid
from nnunet_tricks.experiment.processes import die_with_parent
if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), die_with_parent) as pool:
        print(pool.submit(getpid).result(), flush=True)
        time.sleep(600)
"""


def test_the_processes_of_a_killed_pool_end_with_it(tmp_path) -> None:
    (tmp_path / "pool.py").write_text(POOL)
    command = subprocess.Popen([sys.executable, tmp_path / "pool.py"], stdout=subprocess.PIPE, text=True)
    assert command.stdout
    worker = Path("/proc", command.stdout.readline().strip())
    assert worker.is_dir()
    kill([command.pid])
    command.wait()
    end = time.monotonic() + 60
    while worker.is_dir() and "(zombie)" not in (worker / "status").read_text():
        assert time.monotonic() < end, "it waits for work forever"
        time.sleep(0.05)
