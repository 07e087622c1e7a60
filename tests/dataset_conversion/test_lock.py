"""Two processes never make data sets of one number, and data that were changed meanwhile get no name."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataset_conversion import final_check, lock
from dataset_conversion.errors import ConversionError
from dataset_conversion.lock import NumberLock

HOLD = """
import sys, time
from pathlib import Path
if "no kernel locks" in sys.argv:
    import fcntl
    def flock(*_): raise OSError(38, "Function not implemented")
    fcntl.flock = flock
from dataset_conversion.lock import NumberLock
with NumberLock(Path(sys.argv[1]), 519, "Dataset519_KiTS2019"):
    print("held", flush=True)
    time.sleep(60)
"""


def holding(raw, *words):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(raw), *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture(params=["kernel locks", "no kernel locks"])
def locks(request, monkeypatch):
    """Both kinds of file systems; one without kernel locks answers every flock like this."""

    def flock(*_):
        raise OSError(38, "Function not implemented")

    if request.param == "no kernel locks":
        monkeypatch.setattr(fcntl, "flock", flock)
    return request.param


def test_a_held_number_is_refused_with_its_holder_and_free_after_a_kill(raw, locks):
    process = holding(raw, locks)
    with pytest.raises(ConversionError, match=rf"number 519 .* process {process.pid} on .*Dataset519_KiTS2019.*-d"):
        NumberLock(raw, 519, "Dataset519_KiTS2019kidney")
    NumberLock(raw, 520, "Dataset520_LiTS2017").release()
    process.kill()
    process.wait()
    assert [path.name for path in raw.iterdir()] == [".Dataset519.lock"]
    with NumberLock(raw, 519, "Dataset519_Mine"), pytest.raises(ConversionError, match="Dataset519_Mine"):
        NumberLock(raw, 519, "Dataset519_Mine")
    assert not list(raw.iterdir())


@pytest.mark.parametrize("theirs", ["kernel locks", "no kernel locks"])
def test_machines_with_and_without_kernel_locks_see_each_other(raw, locks, theirs):
    process = holding(raw, theirs)
    with pytest.raises(ConversionError, match=f"process {process.pid}"):
        NumberLock(raw, 519, "Dataset519_Mine")
    process.kill()
    process.wait()


def test_without_kernel_locks_a_holder_elsewhere_is_believed(raw, monkeypatch):
    def flock(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    file = raw / ".Dataset519.lock"
    with NumberLock(raw, 519, "Dataset519_Mine"):
        content = json.loads(file.read_text())
    for change in ({"host": "node7"}, {"place": "another start"}):
        file.write_text(json.dumps({**content, "pid": 4_000_000, **change}))
        with pytest.raises(ConversionError, match=f"if that process is gone, remove {file}"):
            NumberLock(raw, 519, "Dataset519_Mine")
    # A number that another process took meanwhile, and half a file.
    file.write_text(json.dumps({**content, "started": "1"}))
    NumberLock(raw, 519, "Dataset519_Mine").release()
    file.write_text(json.dumps(content)[:20])
    with pytest.raises(ConversionError, match="another process"):
        NumberLock(raw, 519, "Dataset519_Mine")


def test_two_that_find_a_dead_holder_do_not_both_take_over(raw, monkeypatch):
    def flock(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    dead = holding(raw, "no kernel locks")
    dead.kill()
    dead.wait()
    is_gone = lock.LockHolder.is_gone
    taken = []

    def slow(self):
        # The other one takes over between this one's look and its own try.
        monkeypatch.setattr(lock.LockHolder, "is_gone", is_gone)
        taken.append(NumberLock(raw, 519, "Dataset519_Other"))
        return True

    monkeypatch.setattr(lock.LockHolder, "is_gone", slow)
    with pytest.raises(ConversionError, match="Dataset519_Other"):
        NumberLock(raw, 519, "Dataset519_Mine")
    taken[0].release()
    assert not list(raw.iterdir())


def test_a_folder_made_in_vain_is_removed(tmp_path):
    NumberLock(tmp_path / "new/raw", 519, "Dataset519_Mine").release()
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(ConversionError, match="cannot be written"):
        NumberLock(tmp_path / "file", 519, "Dataset519_Mine")


def test_a_lock_that_is_a_link_to_nothing_is_named(raw):
    (raw / ".Dataset519.lock").symlink_to(raw / "nothing")
    with pytest.raises(ConversionError, match="link to nothing; remove it"):
        NumberLock(raw, 519, "Dataset519_Mine")


def started_together(words, count):
    """Processes that have imported everything and wait for one line."""
    code = (
        "import sys; from dataset_conversion import command, engine, ct\n"
        "name, *words = sys.argv[1:]; print('ready', flush=True); sys.stdin.readline()\n"
        "raise SystemExit(command.main(name, words))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", code, *line], **pipes) for line in words]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    return [(process.communicate()[1], process.returncode) for process in processes]


# More pairs by hand: NNUNET_TRICKS_PAIRS=20.
@pytest.mark.parametrize("turn", range(int(os.environ.get("NNUNET_TRICKS_PAIRS", "3"))))
def test_two_conversions_on_one_number_make_one_whole_data_set(data, raw, turn):
    common = [str(data / "kits19"), "--raw", str(raw), "--workers", "1", "--json"]
    second = (["--restart"], ["--task", "kidney"], [])[turn % 3]
    results = started_together([["kits19", *common], ["kits19", *common, *second]], 2)
    codes = sorted(code for _, code in results)
    assert codes == [0, 2], results
    error = next(error for error, code in results if code == 2)
    assert "number 519" in error
    (folder,) = raw.iterdir()
    described = json.loads((folder / "dataset.json").read_text())
    assert described["numTraining"] == 4 == len(list((folder / "labelsTr").iterdir()))
    assert len(list((folder / "imagesTr").iterdir())) == 4
    assert len(list((folder / "imagesTs").iterdir())) == 1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for the workers in /proc")
def test_workers_end_with_a_killed_conversion(data, raw):
    words = [sys.executable, "-m", "dataset_conversion.cosmos55k", str(data / "cosmos55k"), "--raw", str(raw)]
    process = subprocess.Popen([*words, "--workers", "2"], stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(raw.glob(".*.partial/journal.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    while in_session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not in_session(process.pid)


def in_session(session):
    """Processes of a session that are not yet gone."""
    folders = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, belongs = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(belongs) == session and state != "Z":
            folders.append(path)
    return folders


def whole(raw):
    """A small raw data set, written and without its name."""
    folder = raw / ".Dataset519_Mine.partial"
    for name in ("imagesTr/a_0000.png", "imagesTr/b_0000.png", "labelsTr/a.png", "labelsTr/b.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    (folder / "dataset.json").write_text(json.dumps({"file_ending": ".png", "numTraining": 2}))
    return folder, {path.relative_to(folder).as_posix(): 1 for path in folder.glob("*/*")}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "labelsTr/a.png").unlink(), "missing"),
        (lambda folder: (folder / "labelsTr/a.png").write_bytes(b""), "another size"),
        (lambda folder: (folder / "labelsTr/c.png").write_bytes(b"x"), "c has only one of them"),
        (lambda folder: (folder / "dataset.json").write_text('{"file_ending": ".png", "numTraining": 3}'), "says 3"),
        (lambda folder: (folder.parent / "Dataset519_Other").mkdir(), "taken by .*Dataset519_Other"),
        (lambda folder: (folder.parent / "Dataset519_Mine").mkdir(), "taken by .*Dataset519_Mine"),
    ],
)
def test_what_is_not_whole_or_not_free_gets_no_name(raw, spoil, message):
    folder, outputs = whole(raw)
    spoil(folder)
    with pytest.raises(ConversionError, match=message):
        final_check.give_name(folder, raw / "Dataset519_Mine", outputs)
    assert folder.exists()


def test_what_is_whole_gets_its_name(raw):
    folder, outputs = whole(raw)
    final_check.give_name(folder, raw / "Dataset519_Mine", outputs)
    assert [path.name for path in raw.iterdir()] == ["Dataset519_Mine"]


def test_a_conversion_checks_its_files_before_the_name(convert, data, raw, monkeypatch):
    from dataset_conversion import engine

    complete = engine._complete

    def spoilt(staging, *rest):
        next((staging.data / "labelsTr").iterdir()).unlink()
        return complete(staging, *rest)

    monkeypatch.setattr(engine, "_complete", spoilt)
    done = convert("kits19", data / "kits19")
    assert done.code == 2
    assert "missing" in done.summary["error"]
    assert not list(raw.glob("Dataset*"))


def test_a_signal_releases_the_lock(data, raw):
    process = holding(raw)
    process.send_signal(signal.SIGTERM)
    process.wait()
    NumberLock(raw, 519, "Dataset519_Mine").release()
    assert not list(raw.iterdir())
