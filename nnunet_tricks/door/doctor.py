"""What works, what does not, and the one command that fixes it."""

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
class Checkup:
    """One thing that was looked at.

    Attributes:
        topic: Subject.
        says: Sentence about what was found.
        level: ``ok``; ``note`` if it may be as wanted; ``missing`` if nothing works, or not all, before it is fixed.
        fix: Command that fixes it.
    """

    topic: str
    says: str
    level: Literal["ok", "note", "missing"] = "ok"
    fix: str = ""

    def __str__(self) -> str:
        """Level, subject, sentence and command, for the terminal."""
        return f"{self.level:<8} {self.topic}: {self.says}" + (f"\n{'':<8} fix: {self.fix}" if self.fix else "")


def examine() -> Iterator[Checkup]:
    """Everything that nnU-Net and we need, in the order in which to fix it; what takes seconds comes last."""
    yield Checkup("python", f"{platform.python_version()}, {sys.executable}")
    yield from _packages()
    yield from _commands()
    for name, use in PATHS.items():
        yield _path(name, use)
    door = _link()
    yield door
    yield from _start_up()
    yield from _look_up(door_is_open=door.level != "missing")


def _packages() -> Iterator[Checkup]:
    yield Checkup("nnunet_tricks", __version__)
    for name in PACKAGES:
        try:
            release = version(name)
        except PackageNotFoundError:
            wanted = "nnunetv2>=2.7,<3" if name == "nnunetv2" else name
            yield Checkup(name, "is not installed", "missing", _python("-m", "pip", "install", wanted))
            continue
        if name == "nnunetv2" and not (2, 7) <= external.release_numbers(release) < (3, 0):
            fix = _python("-m", "pip", "install", "nnunetv2>=2.7,<3")
            yield Checkup(name, f"{release}, which we do not support: it must be 2.7 or later, and 2", "missing", fix)
        else:
            yield Checkup(name, release)


def _commands() -> Iterator[Checkup]:
    command = shutil.which("nnUNetv2_train")
    if command is None:
        activate = Path(sys.prefix) / "bin" / "activate"
        fix = f"source {shlex.quote(str(activate))}" if activate.is_file() else ""
        yield Checkup("nnUNetv2_train", "is not on the PATH", "note", fix)
        return
    # A script, of which the first lines name its interpreter; on Windows a program that hides it.
    with open(command, "rb") as file:
        interpreter = re.search(r"^#!['\"]?(/\S*python[\d.]*)|exec' ['\"]?(/.*?python[\d.]*)", _text(file.read(500)))
    python = next(filter(None, interpreter.groups()), "") if interpreter else ""
    if python and os.path.realpath(os.path.dirname(python)) != os.path.realpath(os.path.dirname(sys.executable)):
        fix = _python("-m", "pip", "install", "--force-reinstall", "--no-deps", "nnunetv2")
        says = f"{command} belongs to another Python, {python}, where this link and package are not"
        yield Checkup("nnUNetv2_train", says, "missing", fix)
    else:
        yield Checkup("nnUNetv2_train", command)


def _path(name: str, use: str) -> Checkup:
    held = os.environ.get(name)
    if not held:
        return Checkup(name, f"is not set, {use} need it", "missing", f"export {name}=/your/folder")
    if not os.path.isdir(held):
        return Checkup(name, f"{held} does not exist", "note", f"mkdir -p {shlex.quote(held)}")
    if os.access(held, os.W_OK):
        return Checkup(name, held)
    if name == "nnUNet_raw":
        return Checkup(name, f"{held} (read-only)")
    level: Literal["note", "missing"] = "missing" if name == "nnUNet_results" else "note"
    return Checkup(name, f"{held} cannot be written", level, f"chmod u+w {shlex.quote(held)}")


def _link() -> Checkup:
    """How nnU-Net can get to us; whether it does is for ``_look_up`` to find out."""
    linked = link.state()
    ways = [f"linked in {place}" for place in linked]
    if external.is_set() and external.is_read():
        ways.append(f"{external.VARIABLE} holds {external.FOLDER}")
    if any(place.status == "outdated" for place in linked):
        return Checkup("door", f"{', and '.join(ways)}, but by another version", "note", "nnunet-tricks link")
    if not ways:
        why = "does not hold our folder" if external.is_read() else "is read by nnunetv2 2.8 and later only"
        says = f"closed: nothing is linked, and {external.VARIABLE} {why}"
        return Checkup("door", says, "missing", "nnunet-tricks link")
    return Checkup("door", ", and ".join(ways))


def _start_up() -> Iterator[Checkup]:
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
    yield Checkup("start of python", says)
    if bare.stderr:
        says = f"'python -c pass' complains: {_text(bare.stderr).strip().splitlines()[-1]}"
        yield Checkup("start of python", says, "note")


def _look_up(*, door_is_open: bool) -> Iterator[Checkup]:
    """Look trainers up with nnU-Net's own search, in fresh interpreters."""
    built_in = probe(BUILT_IN)
    if "torch" not in built_in:
        fix = _python("-m", "pip", "install", "--force-reinstall", "torch")
        yield Checkup("torch", f"cannot be imported: {built_in['failure']}", "missing", fix)
        return
    if built_in["device"]:
        yield Checkup("GPU", built_in["device"])
    else:
        yield Checkup("GPU", "none that torch can use; nnU-Net's commands then need '-device cpu'", "note")
    if "seconds" not in built_in:
        fix = _python("-m", "pip", "install", "--force-reinstall", "nnunetv2>=2.7,<3")
        yield Checkup("nnunetv2", f"cannot find its own {BUILT_IN}: {built_in['failure']}", "missing", fix)
        return
    yield Checkup("look-up", f"nnU-Net finds its own {BUILT_IN} in {built_in['seconds']:.2f} s")
    if not door_is_open:
        return
    ours = probe(OURS)
    if "seconds" not in ours:
        says = f"nnU-Net does not find {OURS}: {' '.join(ours['failure'].split())}"
        yield Checkup(
            "look-up",
            says,
            "missing",
            "in the folder of nnunet_tricks: " + _python("-m", "pip", "install", "--force-reinstall", "--no-deps", "."),
        )
    elif not ours["module"].startswith("nnunet_tricks"):
        yield Checkup("look-up", f"nnU-Net finds another {OURS} than ours, in {ours['module']}; that one wins", "note")
    else:
        yield Checkup("look-up", f"nnU-Net finds our {OURS} in {ours['seconds']:.2f} s")


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
    printed: dict[str, Any] = {}
    for line in _text(child.stdout).splitlines():
        if line.startswith("{"):
            with suppress(ValueError):  # nnU-Net prints too
                printed |= json.loads(line)
    if "seconds" not in printed and "failure" not in printed:
        last = (_text(child.stderr).strip() or "no message").splitlines()[-1]
        printed["failure"] = f"the interpreter ended with code {child.returncode}: {last}"
    return printed


def _text(output: bytes) -> str:
    return output.decode(errors="replace")


def _python(*words: str) -> str:
    return shlex.join([sys.executable, *words])
