"""Putting the link into site-packages, taking it out again, and saying where it is.

The link is three files: a copy of ``hook.py``, a ``.pth`` file that runs it at every start of Python, and the
``.start`` file (PEP 829) that stands for the import line of the ``.pth`` file from Python 3.15 on.
"""

from __future__ import annotations

import errno
import os
import py_compile
import site
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Literal

from nnunet_tricks.utilities.files import write_atomically

STEM = "nnunet_tricks_link"
HOOK = f"_{STEM}"

Status = Literal["absent", "outdated", "current"]


@dataclass(frozen=True)
class StartFolder:
    """A folder that this interpreter reads at start.

    Attributes:
        folder: The folder.
        kind: ``environment`` for the interpreter's own site-packages, ``user site`` for the user's, which all
            interpreters of this Python version read, ``inherited`` for those of an environment that this one builds on.
    """

    folder: Path
    kind: Literal["environment", "user site", "inherited"]

    @property
    def status(self) -> Status:
        """Whether the link is here, and as this version of nnunet_tricks writes it."""
        present = [name for name in _contents() if (self.folder / name).exists()]
        if not present:
            return "absent"
        same = all(_read(self.folder / name) == content for name, content in _contents().items())
        return "current" if same else "outdated"

    def __str__(self) -> str:
        """Folder and kind, for messages."""
        return f"{self.folder} ({self.kind})"


@dataclass(frozen=True)
class Linked:
    """What ``link`` did, or would do.

    Attributes:
        outcome: ``unchanged`` if a current link was there.
        place: Folder of the link.
        passed_over: Better places, each with the reason why it is not there.
    """

    outcome: Literal["linked", "refreshed", "unchanged"]
    place: StartFolder
    passed_over: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that make the link."""
        return tuple(self.place.folder / name for name in _contents())


def places() -> list[StartFolder]:
    """Where ``link`` may put the link, best place first."""
    folders = [StartFolder(Path(sysconfig.get_path("purelib")), "environment")]
    # Isolated environments do not read it, nor does a Python started with -s or PYTHONNOUSERSITE.
    if site.ENABLE_USER_SITE:
        folders.append(StartFolder(Path(site.getusersitepackages()), "user site"))
    return folders


def state() -> list[StartFolder]:
    """Every place from which this interpreter is linked, be it by ``link`` run with another one."""
    own = places()
    known = {place.folder for place in own}
    others = [StartFolder(Path(folder), "inherited") for folder in site.getsitepackages() if Path(folder) not in known]
    return [place for place in (*own, *others) if place.status != "absent"]


def link(*, dry_run: bool = False) -> Linked:
    """Let stock nnU-Net, run by this interpreter and by the processes that it starts, find what we offer.

    Args:
        dry_run: Only say what would happen.

    Returns:
        What happened, and where.

    Raises:
        PermissionError: If no place can be written; the message says which, why, and what to do instead.
    """
    # An existing link is refreshed where it is, rather than joined by a second one.
    candidates = sorted(places(), key=lambda place: ("outdated", "current", "absent").index(place.status))
    passed_over: list[str] = []
    for place in candidates:
        status = place.status
        if status == "current":
            return Linked("unchanged", place)
        outcome: Literal["linked", "refreshed"] = "linked" if status == "absent" else "refreshed"
        try:
            if dry_run:
                _refuse_unwritable(place)
            else:
                _write(place, fresh=status == "absent")
        except OSError as error:
            passed_over.append(f"{place} cannot be written: {error.strerror or error}")
        else:
            return Linked(outcome, place, tuple(passed_over))
    if not site.ENABLE_USER_SITE:
        passed_over.append("this interpreter does not read the user's own site-packages")
    raise PermissionError(
        f'no place for the link: {"; ".join(passed_over)}. Use nnUNet_extTrainer instead: eval "$(nnunet-tricks env)"'
    )


def unlink(*, dry_run: bool = False) -> list[Path]:
    """Remove what ``link`` wrote, wherever it put it for this interpreter.

    Args:
        dry_run: Only say what would happen.

    Returns:
        The files that are gone now; none if there was no link.

    Raises:
        PermissionError: If one of them cannot be removed.
    """
    removed: list[Path] = []
    for place in places():
        traces = list(_traces(place.folder))
        for path in traces:
            try:
                if dry_run:
                    _refuse_unwritable(place)
                else:
                    path.unlink()
            except OSError as error:
                raise PermissionError(
                    f"{path} cannot be removed: {error.strerror or error}; ask whoever owns it to"
                ) from error
            removed.append(path)
        if traces and not dry_run:
            with suppress(OSError):  # others may use it too
                (place.folder / "__pycache__").rmdir()
    return removed


def _contents() -> dict[str, bytes]:
    """The files of the link: each is written after those that it needs, and removed before them."""
    note = f"# Lets stock nnU-Net find nnunet_tricks. Written by 'nnunet-tricks link'; {HOOK}.py here says more.\n"
    return {
        f"{HOOK}.py": Path(__file__).with_name("hook.py").read_bytes(),
        f"{STEM}.start": f"{note}{HOOK}:install\n".encode(),
        f"{STEM}.pth": f"{note}import {HOOK}; {HOOK}.install()\n".encode(),
    }


def _traces(folder: Path) -> Iterator[Path]:
    """Everything in ``folder`` that is there because of the link, starters first."""
    hook = folder / f"{HOOK}.py"
    compiled = {*(folder / "__pycache__").glob(f"{HOOK}.*.pyc"), Path(cache_from_source(str(hook)))}
    for path in (*(folder / name for name in reversed(_contents())), *sorted(compiled)):
        if path.exists():
            yield path


def _write(place: StartFolder, *, fresh: bool) -> None:
    if place.kind == "user site":
        place.folder.mkdir(parents=True, exist_ok=True)
    try:
        for name, content in _contents().items():
            write_atomically(place.folder / name, content)
        # The next start may be by somebody who cannot write here, and would compile the hook again at every start.
        with suppress(OSError):
            py_compile.compile(str(place.folder / f"{HOOK}.py"), quiet=1)
    except OSError:
        if fresh:
            for path in list(_traces(place.folder)):
                path.unlink()
        raise


def _refuse_unwritable(place: StartFolder) -> None:
    """Fail as ``_write`` would where that can be known without trying."""
    folder = place.folder
    while place.kind == "user site" and not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _read(path: Path) -> bytes | None:
    with suppress(OSError):
        return path.read_bytes()
    return None
