"""The run as a whole: kill and resume, what is in the way, dry runs, exit codes, several processes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

from dataset_conversion import command
from dataset_conversion.staging import Staging

MODULES = {"cosmos55k": "cosmos55k", "lits": "lits"}


def contents(folder):
    """Hash of every file of a data set."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def words(name, source, raw, *options):
    module = f"dataset_conversion.{MODULES[name]}"
    return [sys.executable, "-m", module, str(source), "--raw", str(raw), "--preview", *options]


def kill_after(process, journal, lines, seconds):
    """Kill a conversion when some cases are done, or after some time."""
    start = time.monotonic()
    while process.poll() is None:
        done = journal.read_bytes().count(b"\n") if journal.exists() else 0
        if done >= lines or time.monotonic() - start > seconds:
            process.kill()
            break
        time.sleep(0.002)
    return process.wait()


@pytest.mark.parametrize(("name", "workers"), [("cosmos55k", 2), ("cosmos55k", 1), ("lits", 1)])
def test_kill_and_resume_give_the_same_bytes(data, tmp_path, name, workers):
    source = data / name
    if command.main(name, [str(source), "--raw", str(tmp_path / "whole"), "--preview", "--workers", "1", "--json"]):
        pytest.fail("the sample does not convert")
    (whole,) = (tmp_path / "whole").iterdir()
    raw = tmp_path / "killed"
    journal = raw / f".{whole.name}.partial" / "journal.jsonl"
    chance = random.Random(workers)
    killed = 0
    for attempt in range(4):
        options = ["--workers", str(workers), *(["--resume"] if attempt else [])]
        # A session of its own, so that the workers are killed, too.
        process = subprocess.Popen(
            words(name, source, raw, *options),
            start_new_session=True,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        code = kill_after(process, journal, chance.randint(0, 60) if name == "cosmos55k" else attempt, 60)
        if code == -signal.SIGKILL:
            killed += 1
            time.sleep(0.1)
            assert not (raw / whole.name).exists()
    last = subprocess.run(words(name, source, raw, "--resume"), capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    assert killed
    assert contents(raw / whole.name) == contents(whole)
    assert [path.name for path in raw.iterdir()] == [whole.name]


def test_number_of_processes_does_not_change_the_bytes(data, tmp_path):
    for workers in (1, 3):
        words_ = [str(data / "conic"), "--raw", str(tmp_path / str(workers)), "--workers", str(workers), "--json"]
        assert command.main("conic", words_) == 0
    alone, together = (contents(tmp_path / workers / "Dataset517_CoNIC2022") for workers in ("1", "3"))
    assert alone == together


def test_nothing_in_the_output_names_the_machine(convert, data):
    done = convert("lits", data / "lits")
    for path in done.folder.glob("*.*"):
        text = path.read_text()
        assert str(data) not in text
        assert str(done.folder.parent) not in text
        assert os.uname().nodename not in text


@pytest.fixture
def stop(raw, monkeypatch):
    """Begin a conversion of KiTS19 and stop it after two cases."""

    def begin(source):
        note = Staging.note
        count = 0

        def stopping(self, record):
            nonlocal count
            count += 1
            note(self, record)
            if count == 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Staging, "note", stopping)
            assert command.main("kits19", [str(source), "--workers", "1"]) == 130
        return raw / ".Dataset519_KiTS2019.partial"

    return begin


@pytest.fixture
def stopped(stop, data):
    return stop(data / "kits19")


def test_stopped_conversion_is_named_and_not_overwritten(convert, data, stopped):
    done = convert("kits19", data / "kits19")
    assert done.code == 2
    assert "--resume" in done.summary["error"]
    assert len((stopped / "journal.jsonl").read_text().splitlines()) == 2


def test_resume_with_another_task_is_refused(convert, data, stopped):
    done = convert("kits19", data / "kits19", "--resume", "--task", "kidney", "--name", "KiTS2019")
    assert done.code == 2
    assert "another task" in done.summary["error"]


def test_an_empty_note_of_what_was_begun_is_named(convert, data, stopped):
    for contents in (b"", b"\0" * 400, b"\xff\xfe", b"null", b"[1]"):
        (stopped / "job.json").write_bytes(contents)
        error = convert("kits19", data / "kits19", "--resume").summary["error"]
        assert str(stopped / "job.json") in error
        assert "--restart" in error
    assert convert("kits19", data / "kits19", "--restart").code == 0


def test_a_journal_of_anything_is_done_again(convert, data, stopped):
    with (stopped / "journal.jsonl").open("ab") as journal:
        journal.write(b'\0\0\xff\n[1, 2]\n{"files": 3}\n{"id": "x", "files": [], "outputs": 7}\n"')
    done = convert("kits19", data / "kits19", "--resume")
    assert (done.code, done.summary["training"]) == (0, 4)


def test_resume_notices_an_exchanged_source(convert, copied, stop):
    source = copied("kits19")
    stop(source)
    changed = source / "data/case_00000/segmentation.nii.gz"
    shutil.copyfile(source / "data/case_00010/segmentation.nii.gz", changed)
    done = convert("kits19", source, "--resume")
    assert done.code == 2
    assert "set of source files" in done.summary["error"]
    assert convert("kits19", source, "--restart").code == 1


def test_half_a_journal_line_and_a_missing_file_are_done_again(convert, data, stopped):
    with (stopped / "journal.jsonl").open("a") as journal:
        journal.write('{"id": "case_00015", "sta')
    first = json.loads((stopped / "journal.jsonl").read_text().splitlines()[0])
    (stopped / "data" / next(iter(first["outputs"]))).unlink()
    (stopped / "data/labelsTr/.case_00021.nii.gz.tmp").write_bytes(b"half")
    done = convert("kits19", data / "kits19", "--resume")
    assert (done.code, done.summary["training"]) == (0, 4)
    again = convert("kits19", data / "kits19", "-d", 600)
    assert contents(done.folder).keys() == contents(again.folder).keys()
    ours, theirs = (dict(contents(conversion.folder)) for conversion in (done, again))
    # The report names the data set.
    assert {key for key in ours if ours[key] != theirs[key]} == {"conversion_report.json"}


def test_restart_throws_the_rest_away(convert, data, stopped):
    assert convert("kits19", data / "kits19", "--restart", "--task", "kidney", "--name", "KiTS2019").code == 0
    assert not stopped.exists()


def test_resume_of_a_complete_one_says_so(convert, data, raw):
    first = convert("kits19", data / "kits19")
    (raw / ".Dataset519_KiTS2019.partial").mkdir()
    before = contents(first.folder)
    again = convert("kits19", data / "kits19", "--resume")
    assert again.code == 0
    assert contents(first.folder) == before
    assert not (raw / ".Dataset519_KiTS2019.partial").exists()


def test_taken_number_is_refused_with_its_holder_and_a_free_one(convert, data, raw):
    (raw / "Dataset520_Mine").mkdir()
    (raw / "Dataset521_Mine").mkdir()
    done = convert("lits", data / "lits")
    assert done.code == 2
    assert "Dataset520_Mine" in done.summary["error"]
    assert "-d 522" in done.summary["error"]


def test_number_taken_among_results_only(convert, data, raw, monkeypatch):
    results = raw.parent / "results"
    (results / "Dataset520_Old").mkdir(parents=True)
    monkeypatch.setenv("nnUNet_results", str(results))
    assert "Dataset520_Old" in convert("lits", data / "lits").summary["error"]


def test_other_splits_in_the_preprocessed_folder_are_announced(convert, data, raw, monkeypatch):
    preprocessed = raw.parent / "preprocessed"
    (preprocessed / "Dataset520_LiTS2017").mkdir(parents=True)
    monkeypatch.setenv("nnUNet_preprocessed", str(preprocessed))
    old = preprocessed / "Dataset520_LiTS2017/splits_final.json"
    old.write_text(json.dumps([{"train": ["a"], "val": ["b"]}]))
    done = convert("lits", data / "lits")
    assert any("AssertionError" in text and str(old) in text for text in done.summary["warnings"])
    # Equal splits give no warning.
    shutil.copyfile(done.folder / "splits_final.json", old)
    shutil.rmtree(done.folder)
    assert not any("AssertionError" in text for text in convert("lits", data / "lits").summary["warnings"])


def test_dry_run_writes_nothing(convert, data, raw):
    done = convert("kits19", data / "kits19", "--dry-run")
    assert (done.code, done.summary["training"], done.summary["groups"]) == (0, 4, 5)
    assert done.summary["read_bytes"] > 3_000_000
    assert not list(raw.iterdir())


def test_dry_run_points_to_no_report(raw, tmp_path, capsys):
    for number in range(15):
        path = tmp_path / f"source/volume-{number}.nii"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "source/segmentation-0.nii").write_bytes(b"x")
    assert command.main("lits", [str(tmp_path / "source"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "orphan: 2 more with --json" in out
    assert "conversion_report" not in out


def test_a_source_that_goes_away_stops_and_can_be_resumed(convert, copied, raw, monkeypatch):
    source = copied("kits19")
    away = source.with_name("away")
    note = Staging.note

    def unplugged(self, record):
        note(self, record)
        source.rename(away)

    with monkeypatch.context() as patch:
        patch.setattr(Staging, "note", unplugged)
        done = convert("kits19", source)
    assert done.code == 2
    assert f"{str(source)!r} is gone" in done.summary["error"]
    assert not (raw / "Dataset519_KiTS2019").exists()
    away.rename(source)
    assert convert("kits19", source, "--resume").summary["training"] == 4


def test_two_sources_of_one_name_are_told_apart(convert, data, tmp_path):
    for kind in ("imaging", "segmentation"):
        for path in (data / "kits19").rglob(f"{kind}.nii.gz"):
            target = tmp_path / f"{kind}/data/{path.parent.name}_{kind}.nii.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    done = convert("kits19", tmp_path / "imaging/data", tmp_path / "segmentation/data")
    assert done.summary["training"] == 4
    paths = [file["path"] for file in done.case("case_00000")["files"]]
    assert paths == ["imaging/data/case_00000_imaging.nii.gz", "segmentation/data/case_00000_segmentation.nii.gz"]


def test_too_little_room_is_said_beforehand(convert, data, raw, monkeypatch):
    usage = shutil.disk_usage(raw)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    done = convert("conic", data / "conic")
    assert done.code == 2
    assert "make room" in done.summary["error"]
    assert not list(raw.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-d", "0"], "between 1 and 999"),
        (["--name", "a b"], "letters, digits"),
        (["--folds", "1"], "at least 2"),
        (["--workers", "0"], "at least 1"),
        (["--resume", "--restart"], "exclude each other"),
    ],
)
def test_bad_options_are_one_sentence(data, raw, capsys, options, message):
    assert command.main("lits", [str(data / "lits"), *options]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


@pytest.mark.parametrize("what", ["missing", "file", "empty"])
def test_bad_sources_are_one_sentence(convert, tmp_path, what):
    source = tmp_path / "source"
    if what == "file":
        source.write_text("")
    elif what == "empty":
        source.mkdir()
    done = convert("lits", source)
    assert done.code == 2
    assert str(source) in done.summary["error"]


@pytest.mark.parametrize(
    ("name", "hint"), [("Training_Batch1.zip", "unpacked first"), ("1/IMG0001.dcm", "dcm2niix"), ("readme.txt", "")]
)
def test_folders_that_hold_something_else_say_what_to_do(convert, tmp_path, name, hint):
    path = tmp_path / "source" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    error = convert("lits", tmp_path / "source").summary["error"]
    assert "no pair of image and label" in error
    assert hint in error
    assert (name in error) == bool(hint)


def test_output_below_the_source_is_no_source(convert, copied, monkeypatch):
    source = copied("kits19")
    monkeypatch.setenv("nnUNet_raw", str(source / "nnUNet_raw"))
    for options in ([], ["--task", "kidney", "-d", 600]):
        assert convert("kits19", source, *options).summary["training"] == 4


def test_links_in_a_ring_and_sources_within_each_other(convert, copied):
    source = copied("lits")
    (source / "Training Batch 1/again").symlink_to(source, target_is_directory=True)
    done = convert("lits", source, source / "Training Batch 2")
    assert (done.code, done.summary["training"], done.summary["test"]) == (0, 3, 1)


def test_full_disk_names_the_folder_and_how_to_go_on(convert, data, raw):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Labels are longer than the limit, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, limits[1]))
    try:
        done = convert("kits19", data / "kits19", "--restart")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert done.code == 2
    assert str(raw / ".Dataset519_KiTS2019.partial") in done.summary["error"]
    assert "--resume" in done.summary["error"]
    assert not (raw / "Dataset519_KiTS2019").exists()
    assert not list(raw.rglob(".*.tmp"))
    assert convert("kits19", data / "kits19", "--resume" if list(raw.iterdir()) else "--restart").code == 0


@pytest.mark.parametrize(
    "error", [KeyError("odd"), OSError(5, "Input/output error"), IndexError("x"), RecursionError()]
)
def test_what_a_reader_did_not_foresee_refuses_that_case_only(convert, data, monkeypatch, error):
    from dataset_conversion import ct

    read = ct.read_volume

    def reading(path):
        if path.parent.name == "case_00010":
            raise error
        return read(path)

    monkeypatch.setattr(ct, "read_volume", reading)
    done = convert("kits19", data / "kits19")
    assert (done.code, done.summary["training"], done.summary["refused"]) == (1, 3, 1)
    assert type(error).__name__ in done.reason("case_00010")
    assert not list(done.folder.glob("*/case_00010*"))


def test_missing_nnunet_raw_says_what_to_do(data, monkeypatch, capsys):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    assert command.main("lits", [str(data / "lits")]) == 2
    assert "--raw FOLDER" in capsys.readouterr().err


def test_metadata_fills_the_table(convert, data, tmp_path):
    table = tmp_path / "sites.csv"
    table.write_text("id,site\ncase_00000,A\ncase_00010,B\n")
    done = convert("kits19", data / "kits19", "--metadata", table)
    assert done.case("case_00010")["site"] == "B"
    shutil.rmtree(done.folder)
    # The list of sites that was published for federated learning.
    table.write_text("case,site_id\ncase_00000,13\ncase_00010,5\n")
    assert convert("kits19", data / "kits19", "--metadata", table).case("case_00010")["site"] == "5"
    table.write_text("subject,site\ncase_00000,A\n")
    assert "column 'id'" in convert("kits19", data / "kits19", "--metadata", table, "-d", 600).summary["error"]


def test_summary_for_people(raw, data, capsys):
    assert command.main("lits", [str(data / "lits"), "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "3 training cases, 1 test case" in out
    assert "images: hard link (4)" in out


def test_neither_torch_nor_nnunetv2_is_imported(data, tmp_path):
    code = (
        "import sys; from dataset_conversion import command, registry\n"
        f"for name, folder in {[(n, str(data / n)) for n in ('isic2018', 'conic', 'lizard', 'kits19', 'lits')]!r}:\n"
        f"    command.main(name, [folder, '--raw', {str(tmp_path)!r}, '--workers', '1', '--json', '--preview'])\n"
        "bad = [name for name in sys.modules if name.partition('.')[0] in ('torch', 'nnunetv2')]\n"
        "raise SystemExit(str(bad) if bad else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_needs_the_standard_library_only():
    code = "import sys; from dataset_conversion import command; command.main('kits19', ['--help'])"
    probe = f"import atexit, sys; atexit.register(lambda: print('numpy' in sys.modules, file=sys.stderr)); {code}"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "False"


def test_one_group_cannot_be_split_and_says_so(convert, data):
    done = convert("lits", data / "lits", "--exclude", "lits_001", "--exclude", "lits_028")
    assert (done.code, done.summary["training"], done.summary["folds"]) == (0, 1, 0)
    assert any("cannot be split as asked" in warning for warning in done.summary["warnings"])
    assert not (done.folder / "splits_final.json").exists()
