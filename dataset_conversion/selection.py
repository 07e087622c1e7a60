"""Which of the planned cases are converted: exclusions, possible file names, and hints if there are no cases."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from dataset_conversion.errors import ConversionError
from dataset_conversion.files_on_disk import why_unreadable
from dataset_conversion.find import FoundFile, walk
from dataset_conversion.model import TRAIN, ConversionPlan, DataSet, PlannedCase, Unused

_ARCHIVES = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|7z|rar|z\d\d|r\d\d)(\.\d{3})?$|\.(tar|nii)\.(bz2|xz|zst)$", re.I)
_DICOM_NAMES = re.compile(r"\.(dcm|dicom|ima)$|^DICOMDIR$", re.I)
# Files whose first bytes are read for a hint: the first ones show a folder of DICOM files without endings.
_LOOKED_AT = 50
# Names of images and of temporary files are a little longer than the case id.
_LONGEST_NAME = 255 - len(".") - len("_0000") - len(".tmp")


def without_excluded(plan: ConversionPlan, data_set: DataSet, exclude: Sequence[str]) -> ConversionPlan:
    """Leave out cases, by id or by a preset.

    Raises:
        ConversionError: If a word is neither a preset nor an id in the form of this data set.
    """
    reasons: dict[str, str] = {}
    warnings = []
    known = {case.id for case in plan.cases} | {unused.id for unused in plan.unused}
    forms = {_form(name) for name in known} | {
        _form(name) for preset in data_set.exclusions.values() for name in preset
    }
    for word in exclude:
        if word == "none":
            continue
        if word in data_set.exclusions:
            reasons.update({name: why for name, why in data_set.exclusions[word].items() if name in known})
        elif word in known:
            reasons[word] = "excluded by the user"
        elif _form(word) in forms:
            warnings.append(f"--exclude {word}: the source has no such case")
        else:
            raise ConversionError(_no_case(word, known, data_set))
    if not reasons:
        return replace(plan, warnings=[*plan.warnings, *warnings])
    excluded = [
        Unused(id=case.id, path=case.image.name, status="excluded", reason=reasons[case.id])
        for case in plan.cases
        if case.id in reasons
    ]
    # An excluded case that would have been refused needs no attention either.
    unused = [
        replace(file, status="excluded", reason=f"{reasons[file.id]} ({file.reason})")
        if file.id in reasons and file.status in ("refused", "orphan")
        else file
        for file in plan.unused
    ]
    return replace(
        plan,
        cases=[case for case in plan.cases if case.id not in reasons],
        unused=[*unused, *excluded],
        warnings=[*plan.warnings, *warnings],
        extra={**plan.extra, "excluded": dict(sorted(reasons.items()))},
    )


def without_bad_names(plan: ConversionPlan, file_ending: str) -> ConversionPlan:
    """Refuse cases whose id cannot be a file's name on every system; the others remain."""
    cases: list[PlannedCase] = []
    refused: list[Unused] = []
    seen: dict[str, str] = {}
    for case in plan.cases:
        reason = name_fault(case.id, file_ending)
        # Some file systems ignore the case of letters.
        twin = seen.setdefault(case.id.lower(), case.id)
        if not reason and (twin != case.id or any(other.id == case.id for other in cases[-1:])):
            reason = f"its name equals that of {twin!r}, or differs only in capitals; rename one of the two"
        if reason:
            refused.append(Unused(id=case.id, path=case.image.name, status="refused", reason=reason))
        else:
            cases.append(case)
    return replace(plan, cases=cases, unused=[*plan.unused, *refused])


def name_fault(name: str, file_ending: str) -> str:
    """Why a case id is not a file name that works on every system; empty if it is."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        odd = sorted({letter for letter in name if not re.match(r"[A-Za-z0-9._+-]", letter)}) or [name[:1]]
        return (
            f"its name would contain {', '.join(map(repr, odd))}, which file names should not: rename the source file "
            f"to letters, digits, '.', '_', '+' and '-', beginning with a letter or digit"
        )
    longest = _LONGEST_NAME - len(file_ending)
    if len(name) > longest:
        return f"its name has {len(name)} letters, and {longest} are possible: rename the source file"
    return ""


def check_some_training_case(plan: ConversionPlan, data_set: DataSet, sources: Sequence[Path]) -> None:
    """Refuse sources without any training case, and say what is there instead.

    Raises:
        ConversionError: With the first unused file, and a hint at archives or DICOM files.
    """
    if any(case.part == TRAIN for case in plan.cases):
        return
    first = f" ({plan.unused[0].path}: {plan.unused[0].reason})" if plan.unused else ""
    raise ConversionError(
        f"no pair of image and label of {data_set.title} found in "
        f"{', '.join(str(source) for source in sources)}{first}{hint(sources)}"
    )


def hint(sources: Sequence[Path]) -> str:
    """Name archives or DICOM files in the folders, and say what to do with them; empty without any."""
    archive = next((file for file in walk(sources, ("",)) if _ARCHIVES.search(file.path.name)), None)
    if archive is not None:
        return f"; there are archives, which must be unpacked first: {archive.relative}"
    named = (file for file in walk(sources, ("",)) if _DICOM_NAMES.search(file.path.name))
    unnamed = (file for file in islice(_without_ending(sources), _LOOKED_AT) if _is_dicom(file.path))
    dicom = next(named, None) or next(unnamed, None)
    if dicom is not None:
        return f"; there are DICOM files, which must be converted to NIfTI first (dcm2niix does that): {dicom.relative}"
    return ""


def _without_ending(sources: Sequence[Path]) -> list[FoundFile]:
    # Names such as 1.2.840.113619 have no ending either.
    return [file for file in walk(sources, ("",)) if not re.search(r"\.[A-Za-z][A-Za-z0-9]{0,5}$", file.path.name)]


def _is_dicom(path: Path) -> bool:
    if why_unreadable(path):
        return False
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _form(name: str) -> str:
    """A case id with all digits 0: case_00068 has the form case_00000.

    Examples:
        >>> _form("case_00068")
        'case_00000'
    """
    return re.sub(r"\d", "0", name)


def _no_case(word: str, known: set[str], data_set: DataSet) -> str:
    presets: Mapping[str, object] = data_set.exclusions
    similar = difflib.get_close_matches(word, [*known, *presets], n=1)
    return (
        f"--exclude takes a whole case id or one of {', '.join(('none', *presets))}; got {word!r}"
        f"{f', did you mean {similar[0]}?' if similar else ''}"
    )
