import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnunet_tricks.demo import nnunet
from nnunet_tricks.door import external, link


def test_the_users_folders_are_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", f"/precious/{name}")
    monkeypatch.setenv(external.VARIABLE, "/precious/trainers")
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    variables = nnunet.environment(tmp_path / "demo", processes=1)
    assert not [name for name, value in variables.items() if "precious" in value]
    assert all((tmp_path / "demo" / name).is_dir() for name in ("raw", "preprocessed", "results"))
    assert variables["nnUNet_n_proc_DA"] == "1"  # nnU-Net's planning does not survive 0
    assert os.environ[external.VARIABLE] == "/precious/trainers"


@pytest.mark.parametrize("linked", [True, False])
def test_trainers_are_found_by_link_or_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool) -> None:
    monkeypatch.setattr(link, "state", lambda: link.places() if linked else [])
    variables = nnunet.environment(tmp_path, processes=1)
    assert variables.get(external.VARIABLE) == (None if linked else str(external.FOLDER))


def test_an_old_nnunet_without_the_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "state", list)
    monkeypatch.setattr(external, "is_read", lambda: False)
    with pytest.raises(ValueError, match="nnunet-tricks link"):
        nnunet.environment(tmp_path, processes=1)


def test_a_failure_shows_the_end_of_the_log(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "print('all well'); raise SystemExit('disk on fire')"]
    log = tmp_path / "logs" / "train.txt"
    with pytest.raises(nnunet.CommandFailed, match=r"(?s)exit code 1.*train\.txt.*all well\ndisk on fire"):
        nnunet.run(words, variables=nnunet.environment(tmp_path, processes=1), log=log, watch=lambda: None)


def test_an_exception_ends_the_child(tmp_path: Path) -> None:
    def impatient() -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        nnunet.run(["sleep", "60"], variables=os.environ, log=tmp_path / "log.txt", watch=impatient)
    assert time.monotonic() - began < 20


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_a_terminated_demo_takes_its_children_and_theirs_along(tmp_path: Path) -> None:
    grandchild = "import subprocess, sys; subprocess.run(['sleep', '61.25'])"
    script = f"""
import os, sys
from pathlib import Path
from nnunet_tricks.demo import nnunet
nnunet.run([sys.executable, "-c", {grandchild!r}], variables=os.environ, log=Path({str(tmp_path / "log.txt")!r}),
           watch=lambda: Path({str(tmp_path / "started")!r}).touch())
"""
    demo = subprocess.Popen([sys.executable, "-c", script])
    _wait_for(lambda: (tmp_path / "started").exists() and _sleeping())
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(timeout=30) == 128 + signal.SIGTERM
    _wait_for(lambda: not _sleeping())


def _sleeping() -> bool:
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return "sleep 61.25" in listing.splitlines()


def _wait_for(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
