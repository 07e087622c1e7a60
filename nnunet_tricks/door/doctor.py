"""What works, what does not, and the one command that mends it."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Literal

from nnunet_tricks import __version__
from nnunet_tricks.door import external, link

OURS = "nnUNetTrainerTversky"
BUILT_IN = "nnUNetTrainerCELoss"
"""A variant of nnU-Net's own: it is found by the same search as ours, only earlier."""

PATHS = {
    "nnUNet_raw": "planning and preprocessing",
    "nnUNet_preprocessed": "preprocessing and training",
    "nnUNet_results": "training and prediction",
}
PACKAGES = (
    "nnunetv2",
    "torch",
    "numpy",
    "batchgenerators",
    "batchgeneratorsv2",
    "dynamic_network_architectures",
    "acvl_utils",
    "SimpleITK",
)
TIMEOUT = 600
"""Seconds after which a child interpreter counts as hanging; a cold network drive needs a minute or two."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: What it is about.
        says: What was found, in a sentence.
        level: ``ok``; ``note`` if it may be as wanted; ``missing`` if nothing works, or not all, before it is mended.
        mend: The one command that mends it.
    """

    topic: str
    says: str
    level: Literal["ok", "note", "missing"] = "ok"
    mend: str = ""

    def __str__(self) -> str:
        """For the terminal."""
        return f"{self.level:<8} {self.topic}: {self.says}" + (f"\n{'':<8} mend: {self.mend}" if self.mend else "")


def examine() -> Iterator[Finding]:
    """Everything that nnU-Net and we need, in the order in which to mend it; what takes seconds comes last."""
    yield Finding("python", f"{platform.python_version()}, {sys.executable}")
    yield from _packages()
    yield from _commands()
    for name, use in PATHS.items():
        yield _path(name, use)
    door = _link()
    yield door
    yield from _start_up()
    yield from _look_up(door_is_open=door.level != "missing")


def _packages() -> Iterator[Finding]:
    yield Finding("nnunet_tricks", __version__)
    for name in PACKAGES:
        try:
            found = version(name)
        except PackageNotFoundError:
            wanted = "nnunetv2>=2.7,<3" if name == "nnunetv2" else name
            yield Finding(name, "is not installed", "missing", _python("-m", "pip", "install", wanted))
            continue
        if name == "nnunetv2" and not (2, 7) <= external.release_numbers(found) < (3, 0):
            mend = _python("-m", "pip", "install", "nnunetv2>=2.7,<3")
            yield Finding(name, f"{found}, which we do not support: it must be 2.7 or later, and 2", "missing", mend)
        else:
            yield Finding(name, found)


def _commands() -> Iterator[Finding]:
    command = shutil.which("nnUNetv2_train")
    if command is None:
        activate = Path(sys.prefix) / "bin" / "activate"
        mend = f"source {shlex.quote(str(activate))}" if activate.is_file() else ""
        yield Finding("nnUNetv2_train", "is not on the PATH", "note", mend)
        return
    # A script, of which the first lines name its interpreter; on Windows a program that hides it.
    with open(command, "rb") as file:
        interpreter = re.search(r"^#!['\"]?(/\S*python[\d.]*)|exec' ['\"]?(/.*?python[\d.]*)", _text(file.read(500)))
    theirs = next(filter(None, interpreter.groups()), "") if interpreter else ""
    if theirs and os.path.realpath(os.path.dirname(theirs)) != os.path.realpath(os.path.dirname(sys.executable)):
        mend = _python("-m", "pip", "install", "--force-reinstall", "--no-deps", "nnunetv2")
        says = f"{command} belongs to another Python, {theirs}, where this link and package are not"
        yield Finding("nnUNetv2_train", says, "missing", mend)
    else:
        yield Finding("nnUNetv2_train", command)


def _path(name: str, use: str) -> Finding:
    held = os.environ.get(name)
    if not held:
        return Finding(name, f"is not set, {use} need it", "missing", f"export {name}=/your/folder")
    if not os.path.isdir(held):
        return Finding(name, f"{held} does not exist", "note", f"mkdir -p {shlex.quote(held)}")
    if os.access(held, os.W_OK):
        return Finding(name, held)
    if name == "nnUNet_raw":
        return Finding(name, f"{held} (read-only)")
    level: Literal["note", "missing"] = "missing" if name == "nnUNet_results" else "note"
    return Finding(name, f"{held} cannot be written", level, f"chmod u+w {shlex.quote(held)}")


def _link() -> Finding:
    """How nnU-Net can get to us; whether it does is for ``_look_up`` to find out."""
    found = link.state()
    ways = [f"linked in {place}" for place in found]
    if external.is_set() and external.is_read():
        ways.append(f"{external.VARIABLE} holds {external.FOLDER}")
    if any(place.status == "outdated" for place in found):
        return Finding("door", f"{', and '.join(ways)}, but by another version", "note", "nnunet-tricks link")
    if not ways:
        why = "does not hold our folder" if external.is_read() else "is read by nnunetv2 2.8 and later only"
        says = f"closed: nothing is linked, and {external.VARIABLE} {why}"
        return Finding("door", says, "missing", "nnunet-tricks link")
    return Finding("door", ", and ".join(ways))


def _start_up() -> Iterator[Finding]:
    """How long a Python that does nothing takes, and how much of it our link."""
    seconds, ours = [], [0.0]
    for _ in range(7):
        start = time.perf_counter()
        bare = subprocess.run([sys.executable, "-c", "pass"], capture_output=True, check=False)
        seconds.append(time.perf_counter() - start)
        timed = subprocess.run([sys.executable, "-X", "importtime", "-c", "pass"], capture_output=True, check=False)
        if line := re.search(rf"\|\s*(\d+) \|\s*{link.HOOK}\s*$", _text(timed.stderr), re.MULTILINE):
            ours.append(int(line[1]) / 1e6)
    share = median(ours[1:] or ours)
    says = f"{1e3 * median(seconds):.0f} ms, {1e3 * share:.1f} ms of it for the link"
    yield Finding("start of python", says)
    if bare.stderr:
        says = f"'python -c pass' complains: {_text(bare.stderr).strip().splitlines()[-1]}"
        yield Finding("start of python", says, "note")


def _look_up(*, door_is_open: bool) -> Iterator[Finding]:
    """Through nnU-Net's own search, in fresh interpreters."""
    theirs = probe(BUILT_IN)
    if "torch" not in theirs:
        mend = _python("-m", "pip", "install", "--force-reinstall", "torch")
        yield Finding("torch", f"cannot be imported: {theirs['failure']}", "missing", mend)
        return
    if theirs["device"]:
        yield Finding("GPU", theirs["device"])
    else:
        yield Finding("GPU", "none that torch can use; nnU-Net's commands then need '-device cpu'", "note")
    if "seconds" not in theirs:
        mend = _python("-m", "pip", "install", "--force-reinstall", "nnunetv2>=2.7,<3")
        yield Finding("nnunetv2", f"cannot find its own {BUILT_IN}: {theirs['failure']}", "missing", mend)
        return
    yield Finding("look-up", f"nnU-Net finds its own {BUILT_IN} in {theirs['seconds']:.2f} s")
    if not door_is_open:
        return
    ours = probe(OURS)
    if "seconds" not in ours:
        says = f"nnU-Net does not find {OURS}: {' '.join(ours['failure'].split())}"
        yield Finding(
            "look-up",
            says,
            "missing",
            "in the folder of nnunet_tricks: " + _python("-m", "pip", "install", "--force-reinstall", "--no-deps", "."),
        )
    elif not ours["module"].startswith("nnunet_tricks"):
        yield Finding("look-up", f"nnU-Net finds another {OURS} than ours, in {ours['module']}; that one wins", "note")
    else:
        yield Finding("look-up", f"nnU-Net finds our {OURS} in {ours['seconds']:.2f} s")


def probe(trainer: str, *, python: str = sys.executable) -> dict[str, Any]:
    """Look a trainer up in an interpreter of its own.

    Args:
        trainer: Name of the trainer.
        python: The interpreter.

    Returns:
        What ``probe.py`` printed, as one dictionary: ``seconds`` and ``module`` if all went well, else ``failure``.
    """
    script = Path(__file__).with_name("probe.py")
    try:
        child = subprocess.run([python, str(script), trainer], capture_output=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return {"failure": f"no answer within {TIMEOUT} s"}
    found: dict[str, Any] = {}
    for line in _text(child.stdout).splitlines():
        if line.startswith("{"):
            with suppress(ValueError):  # nnU-Net prints too
                found |= json.loads(line)
    if "seconds" not in found and "failure" not in found:
        last = (_text(child.stderr).strip() or "no message").splitlines()[-1]
        found["failure"] = f"the interpreter ended with code {child.returncode}: {last}"
    return found


def _text(output: bytes) -> str:
    return output.decode(errors="replace")


def _python(*words: str) -> str:
    return shlex.join([sys.executable, *words])
