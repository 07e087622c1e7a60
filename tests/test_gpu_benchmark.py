"""The measurements for a GPU: what is packed, what is saved, and the whole script on a CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu import measure, pack
from benchmarks.gpu.settings import Measurements, Settings


def test_what_is_packed() -> None:
    names = set(pack.closure("nnunet_tricks", pack.EXTRAS))
    assert {"nnunet-tricks", "nnunetv2", "numpy", "timm", "scipy", "monai"} <= names
    assert not any(name.startswith(("torch", "nvidia-")) for name in names)
    # What only tests need stays here.
    assert "mypy" not in names
    assert all("==" in requirement for requirement in pack.needed(None))
    assert pack.needed(["numpy"])[0].startswith("numpy==")
    assert len(pack.needed(["numpy"])) == 1


def test_no_package_hides_a_standard_module() -> None:
    names = set(pack.closure("nnunet_tricks", pack.EXTRAS))
    # batchgenerators asks for unittest2, which asks for the others.
    assert "batchgenerators" in names
    assert not names & {"argparse", "unittest2", "linecache2", "traceback2"}
    # Its name only begins like that of a standard module.
    assert not pack.is_backport("urllib3")


def test_wheels_of_an_earlier_packing_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("numpy-1.0-py3-none-any.whl", "note.txt"):
        (wheels / name).write_text("")
    # Building wheels needs a registry, and is not what this is about.
    monkeypatch.setattr(pack.subprocess, "run", lambda *words, **settings: None)
    assert pack.main([str(tmp_path)]) == 0
    assert [file.name for file in wheels.iterdir()] == ["note.txt"]


def test_packages_of_an_earlier_packing_are_removed_before_those_of_this_one(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "argparse.py").write_text("")
    (tmp_path / "run.sh").write_text(pack.RUN)
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    environment = {"PATH": f"{python.parent}:{os.environ['PATH']}", "OUT": "new"}
    words = ["sh", str(tmp_path / "run.sh"), "--quick"]
    answer = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "-m benchmarks.gpu.measure --out new/results.json --quick"
    assert not (tmp_path / "site").exists()


def test_nothing_is_packed_without_our_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "OURS", "nnunet_tricks_that_nobody_installed")
    with pytest.raises(SystemExit, match=r"is not installed for .*: pip install '.\[networks\]'"):
        pack.main([str(tmp_path / "packed")])
    assert not (tmp_path / "packed").exists()


def test_the_packed_modules_run_without_the_checkout(tmp_path: Path) -> None:
    pack.copy_scripts(tmp_path)
    assert not list(tmp_path.rglob("pack.py"))
    words = [sys.executable, "-m", "benchmarks.gpu.measure", "--help"]
    answer = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--networks" in answer.stdout
    assert "-m benchmarks.gpu.measure" in pack.RUN


def test_the_shares_of_time_end_with_all_of_it() -> None:
    shares = list(measure.PARTS.values())
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert list(measure.PARTS) == list(measure.MEASURES)
    assert 60 * measure.MINUTES - measure.RESERVE <= 480


def test_results_are_written_whole(tmp_path: Path) -> None:
    measure.save(tmp_path / "results.json", {"a": 1})
    assert json.loads((tmp_path / "results.json").read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def one_result_and_an_error(settings: Settings) -> Measurements:
    """A part whose first result is made, and whose second one fails."""
    yield "2d", lambda: {"milliseconds": 1.0}
    yield "3d", lambda: 1 / 0


def test_results_go_into_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(measure.MEASURES, "losses", one_result_and_an_error)
    out = tmp_path / "new" / "results" / "results.json"
    assert measure.main(["--cpu", "--quick", "--only", "losses", "--out", str(out)]) == 0
    saved = json.loads(out.read_text())["losses"]
    assert saved == {"2d": {"milliseconds": 1.0}, "3d": {"error": "ZeroDivisionError: division by zero"}}
    assert [file.name for file in out.parent.iterdir()] == ["results.json"]


def test_nothing_is_measured_where_nothing_can_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def part(settings: Settings) -> Measurements:
        raise AssertionError("this was measured")

    monkeypatch.setitem(measure.MEASURES, "losses", part)
    (tmp_path / "file").write_text("")
    for out, reason in ((tmp_path, "it is a folder"), (tmp_path / "file" / "results.json", "")):
        assert measure.main(["--cpu", "--quick", "--only", "losses", "--out", str(out)]) == 2
        assert f"results cannot be written to {out}: {reason}" in capsys.readouterr().err


def test_a_part_that_fails_keeps_what_it_has_measured() -> None:
    def part(settings: Settings) -> Measurements:
        yield "2d", lambda: 1
        raise RuntimeError("no more")

    import torch

    rows: dict[str, object] = {}
    kept: list[object] = []
    settings = Settings(torch.device("cpu"), True, measure.Budget(60), None)
    measure.measure(part, settings, rows, lambda: kept.append(dict(rows)))
    assert kept == [{"2d": 1}]
    assert rows == {"2d": 1, "error": "RuntimeError: no more"}


@pytest.mark.slow
def test_the_whole_script_on_a_cpu(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    assert measure.main(["--cpu", "--quick", "--minutes", "60", "--out", str(out)]) == 0
    results = json.loads(out.read_text())
    assert results["left_out"] == []
    assert all(results[part] for part in measure.PARTS)
    assert '"error"' not in out.read_text(), results
    for result in results["ddp"].values():
        assert result["same_weights"]
        assert result["loss_in_ddp"]
        assert result["same_loss"]
