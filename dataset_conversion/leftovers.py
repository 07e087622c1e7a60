"""What lies in the source folders and is no part of any case: every file is accounted for. Standard library only."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dataset_conversion.find import is_junk, stem_of
from dataset_conversion.model import Plan, Unused

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar", ".zip.001", ".7z.001", ".z01")
_DICOM = (".dcm", ".ima")
_NO_PART = "neither its name nor its folder says that it is part of the data set"


def noted(plan: Plan, sources: Sequence[Path]) -> Plan:
    """The plan with every file that it does not mention yet, and every folder that could not be looked into.

    Args:
        plan: What a data set's module found.
        sources: Where it looked.
    """
    taken = {file for case in plan.cases for file in (case.image, case.label) if file is not None} | set(plan.known)
    mentioned = Counter(one.path for one in plan.unused)
    more: list[Unused] = []
    for path, relative, reason in _everything(sources):
        if reason:
            more.append(
                Unused(
                    id=stem_of(path.name),
                    path=relative,
                    status="refused" if reason.startswith("cannot") else "ignored",
                    reason=reason,
                )
            )
        elif path in taken:
            continue
        elif mentioned[relative]:
            mentioned[relative] -= 1
        else:
            more.append(Unused(id=stem_of(path.name), path=relative, status="ignored", reason=_NO_PART))
    return replace(plan, unused=[*plan.unused, *more])


def _everything(sources: Sequence[Path]) -> Iterator[tuple[Path, str, str]]:
    """Every file, and every folder that is not looked into: path, path below its source, and why it cannot be taken."""
    seen: set[str] = set()
    for source in sources:
        failed: list[OSError] = []
        for folder, folders, files in os.walk(source, followlinks=True, onerror=failed.append):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            for name in sorted(name for name in folders if is_junk(name)):
                yield Path(folder, name), _below(folder, name, source) + "/", "a folder that no download has"
            folders[:] = sorted(name for name in folders if not is_junk(name))
            for name in sorted(files):
                hidden = "a hidden file" if name.startswith(".") else ""
                yield Path(folder, name), _below(folder, name, source), hidden
        for error in failed:
            path = Path(os.fsdecode(error.filename or source))
            reason = f"cannot be looked into ({error.strerror}): make the folder readable"
            yield path, Path(os.path.relpath(path, source)).as_posix() + "/", reason


def _below(folder: str, name: str, source: Path) -> str:
    return Path(folder, name).relative_to(source).as_posix()


def hint(plan: Plan, sources: Sequence[Path]) -> str:
    """What the folders hold instead of cases, where that says what to do; else what the first unused file lacks."""
    files = [(path, relative) for path, relative, reason in _everything(sources) if not reason]
    kinds = {
        "archives, which must be unpacked first": lambda path: path.name.lower().endswith(_ARCHIVES),
        "DICOM files, which must be made into NIfTI first (dcm2niix does that)": _is_dicom,
    }
    said = ""
    for what, belongs in kinds.items():
        first = next((relative for path, relative in files if belongs(path)), "")
        if first:
            said += f"; there are {what}: {first}"
    telling = [one for one in plan.unused if one.status != "ignored"]
    telling += [one for one in plan.unused if one.status == "ignored" and one.id in {case.id for case in plan.cases}]
    if telling:
        said = f" ({telling[0].path}: {telling[0].reason}){said}"
    return said


def _is_dicom(path: Path) -> bool:
    """By ending, or where there is none, by the four letters that stand after 128 bytes."""
    if path.suffix.lower() in _DICOM:
        return True
    # Scanners write names such as IM000001, or the number of a slice.
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
