"""Files in the source folders that are not part of any case: every file is accounted for. Standard library only."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dataset_conversion.find import is_junk, stem_of
from dataset_conversion.model import ConversionPlan, Unused

_NO_DOWNLOAD = "a folder of the operating system, of nnU-Net or hidden; it is not looked into"
_NO_PART = "neither its name nor its folder says that it is part of the data set"


def of(plan: ConversionPlan, sources: Sequence[Path]) -> tuple[list[Unused], list[Unused]]:
    """Find every file that a plan does not mention, and every folder that could not be looked into.

    Args:
        plan: Plan of a data set's module.
        sources: Source folders.

    Returns:
        The folders as refusals, since cases may be in them, and the files.
    """
    taken = {file for case in plan.cases for file in (case.image, case.label) if file is not None}
    mentioned = Counter(entry.path for entry in plan.unused)
    unreadable: list[Unused] = []
    ignored: list[Unused] = []
    for entry in _everything(sources):
        unused = Unused(
            id=stem_of(entry.path.name), path=entry.below, status="ignored", reason=entry.reason or _NO_PART
        )
        if entry.unreadable:
            unreadable.append(replace(unused, status="refused"))
        elif entry.path in taken:
            continue
        elif mentioned[entry.below]:
            mentioned[entry.below] -= 1
        elif entry.path in plan.known:
            ignored.append(replace(unused, status="known", reason=plan.known[entry.path]))
        else:
            ignored.append(unused)
    return unreadable, ignored


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A file, or a folder that is not looked into."""

    path: Path
    below: str
    """Path below its source folder."""
    reason: str = ""
    """Why it cannot be part of a case."""
    unreadable: bool = False


def _everything(sources: Sequence[Path]) -> Iterator[_Entry]:
    """Yield every file once, as `find.walk` sees them."""
    seen: set[str] = set()
    for source in sources:
        failed: list[OSError] = []
        for folder, folders, files in os.walk(source, followlinks=True, onerror=failed.append):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            place = Path(folder)
            below = place.relative_to(source)
            for name in sorted(name for name in folders if is_junk(name)):
                yield _Entry(path=place / name, below=f"{(below / name).as_posix()}/", reason=_NO_DOWNLOAD)
            folders[:] = sorted(name for name in folders if not is_junk(name))
            for name in sorted(files):
                reason = "a hidden file" if name.startswith(".") else ""
                yield _Entry(path=place / name, below=(below / name).as_posix(), reason=reason)
        for error in failed:
            path = Path(os.fsdecode(error.filename or source))
            reason = f"cannot be looked into ({error.strerror}): make the folder readable"
            below_source = f"{Path(os.path.relpath(path, source)).as_posix()}/"
            yield _Entry(path=path, below=below_source, reason=reason, unreadable=True)
