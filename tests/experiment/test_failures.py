"""Disks that are full, and cells that all fail for one reason."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_tricks.experiment.failures import refuse_full
from nnunet_tricks.experiment.local import LocalQueue
from nnunet_tricks.experiment.queue_display import summary
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.utilities.files import write_atomically
from tests.checkout import IMPORT
from tests.experiment.generic import Shell, counting, lines

MOUNT = ["unshare", "-rm", "bash", "-c", 'mount -t tmpfs -o size=$1 none "$2" && shift 2 && exec "$@"', "bash"]


def failing(folder: Path, key: str, *, line: str = "", rank: int = 0) -> Shell:
    line = line or f"echo x >> {folder}/tries; echo 'RuntimeError: no kernel image for device 0 in /opt/{key}'; exit 1"
    return Shell(key=key, states=folder / "states", line=line, made=folder / f"{key}.made", rank=(rank,))


def queue_of(cells, devices=("cpu",), **how) -> LocalQueue:
    return LocalQueue(cells, list(devices), dict(os.environ), **how)


def states(queue: LocalQueue) -> dict[str, str]:
    return {key: progress.state for key, progress in queue.progress.items()}


def test_when_all_fail_alike_the_rest_is_left_alone(tmp_path) -> None:
    keys = [f"data/model{model}/fold_{fold}/train" for model in range(4) for fold in range(3)]
    queue = queue_of([failing(tmp_path, key, rank=n) for n, key in enumerate(keys)], retries=5)
    assert not queue.run()
    assert lines(tmp_path / "tries") == 3, "one of each of three models"
    assert sorted(states(queue).values()) == ["failed"] * 3 + ["open"] * 9
    text = summary(queue.progress, queue.stopped)
    assert (
        "stopped: 3 cells in a row failed within seconds, all with 'exit code 1; RuntimeError: no kernel image" in text
    )
    assert "start the same command again" in text


def test_two_that_are_all_there_is_are_enough(tmp_path) -> None:
    queue = queue_of([failing(tmp_path, f"data/model{n}/fold_0/train", rank=n) for n in range(2)], retries=5)
    assert not queue.run()
    assert lines(tmp_path / "tries") == 2


def test_one_trick_that_fails_on_every_fold_does_not_end_the_others(tmp_path) -> None:
    bad = [failing(tmp_path, f"data/trick/fold_{fold}/train", rank=fold) for fold in range(5)]
    good = [counting(tmp_path, f"good{n}", rank=9 + n) for n in range(3)]
    queue = queue_of([*bad, *good], retries=1)
    assert not queue.run()
    assert [states(queue)[cell.key] for cell in good] == ["done"] * 3


def test_cells_that_fail_for_different_reasons_are_tried_again(tmp_path) -> None:
    words = ("no memory", "no such file", "cannot divide")
    cells = [
        failing(tmp_path, f"c{n}", line=f"echo x >> {tmp_path}/tries; echo {word}; exit 1", rank=n)
        for n, word in enumerate(words)
    ]
    queue = queue_of(cells, retries=1)
    assert not queue.run()
    assert not queue.stopped
    assert lines(tmp_path / "tries") == 6


def test_a_single_cell_has_its_retries(tmp_path) -> None:
    queue = queue_of([failing(tmp_path, "c")], retries=2)
    assert not queue.run()
    assert lines(tmp_path / "tries") == 3


def test_a_command_without_space_ends_the_queue_with_the_reason(tmp_path) -> None:
    line = f"echo x >> {tmp_path}/tries; echo '[enforce fail] . No space left on device'; exit 1"
    cells = [failing(tmp_path, "full", line=line), counting(tmp_path, "other", rank=1)]
    queue = queue_of(cells, retries=3)
    assert not queue.run()
    assert lines(tmp_path / "tries") == 1
    assert states(queue) == {"full": "failed", "other": "open"}
    why = "No space left on device"
    assert why in queue.progress["full"].why
    assert why in queue.stopped
    assert "make room, then start the same command again" in queue.stopped
    assert why in Record.read(cells[0].folder).attempts[0].why


def test_a_disk_that_is_full_names_its_file(tmp_path) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/results/lock")
    assert "No space left on device (/results/lock)" in refuse_full(error)
    assert not refuse_full(OSError(errno.EIO, "x"))
    with pytest.raises(FileNotFoundError, match="nowhere/x"):
        write_atomically(tmp_path / "nowhere" / "x", "x")


def small_disk(folder: Path, size: str, code: str) -> dict[str, object]:
    """The JSON that a line of Python prints, with a disk of this size mounted on a folder."""
    folder.mkdir()
    if shutil.which("unshare") is None or subprocess.run([*MOUNT, "100k", str(folder), "true"], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    words = [*MOUNT, size, str(folder), sys.executable, "-c", IMPORT + code]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


QUEUE = """
import json, os, shutil
from pathlib import Path
from nnunet_tricks.experiment.local import LocalQueue
from nnunet_tricks.experiment.record import Record
from tests.experiment.generic import Shell, counting
disk, folder = Path({disk!r}), Path({folder!r})
line = "echo x >> {folder}/tries; head -c 10M /dev/zero > {disk}/checkpoint.pth || exit 1"
cells = [Shell(key=f"c{{n}}", states=disk / "states", line=line, made=disk / "m", rank=(n,)) for n in range(4)]
if {before}:
    (disk / "weights").write_bytes(os.urandom(65536))
    try:
        (disk / "more").write_bytes(bytes(10_000_000))
    except OSError:
        pass
queue = LocalQueue(cells, ["cpu"], dict(os.environ), retries=3)
done = queue.run()
attempts = Record.read(cells[0].folder).attempts
print(json.dumps({{"done": done, "stopped": queue.stopped, "why": attempts[0].why if attempts else None}}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts a small disk")
def test_a_full_disk_reaches_screen_and_record_and_spends_no_retries(tmp_path) -> None:
    disk = tmp_path / "disk"
    states_then = small_disk(disk, "1M", QUEUE.format(disk=str(disk), folder=str(tmp_path), before=False))
    assert states_then["done"] is False
    assert "No space left on device" in str(states_then["stopped"])
    assert "No space left on device" in str(states_then["why"])
    assert lines(tmp_path / "tries") == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts a small disk")
def test_a_disk_that_was_full_before(tmp_path) -> None:
    """Not even a record can be written."""
    disk = tmp_path / "disk"
    states_then = small_disk(disk, "1M", QUEUE.format(disk=str(disk), folder=str(tmp_path), before=True))
    assert states_then["done"] is False
    assert "No space left on device" in str(states_then["stopped"])
    assert lines(tmp_path / "tries") == 0
