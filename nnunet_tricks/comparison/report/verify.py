"""Whether a report is what its table says: everything is made again and every byte compared.

Only figures may be compared by what they show, where other versions have drawn them. Nothing else that a report says of
its versions loosens the comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnunet_tricks.comparison.report.alike import apart, foreign, words
from nnunet_tricks.comparison.report.facts import Facts, versions
from nnunet_tricks.comparison.report.render import CASES, FACTS, SOURCES, SUMS, digest, rendered
from nnunet_tricks.utilities.wording import some

SHOWN = 30
"""Number of characters that are shown before and after the first difference."""

FIGURE = re.compile(r"<svg.*?</svg>", re.DOTALL)


@dataclass(frozen=True)
class FileCheck:
    """What became of one file.

    Attributes:
        file: Name of the file.
        good: Whether the file is as it should be.
        words: Words for people that say what was found.
        checked: Whether all of the file could be compared.
    """

    file: str
    good: bool
    words: str
    checked: bool = True


def verify(report: Path) -> list[FileCheck]:
    """Check every file of a report.

    Args:
        report: Folder of the report, or a file in it.

    Raises:
        ValueError: If there is no report, or its table or facts cannot be read.
    """
    folder = report if report.is_dir() else report.parent
    absent = [name for name in (*SOURCES, SUMS) if not (folder / name).is_file()]
    if absent:
        raise ValueError(f"{folder} is no report that 'compare --report' has written: it has no {', '.join(absent)}")
    sums = _sums(folder)
    checks = [_by_sum(folder, name, sums) for name in SOURCES]
    stored = {name: _read(folder / name) for name in SOURCES}
    try:
        files = rendered(stored[CASES], stored[FACTS])
        known = Facts.of_json(stored[FACTS])
    except ValueError as error:
        raise ValueError(f"{folder}: {_changed(checks)}{error}") from None
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        # A changed name or number somewhere: what was made of both files together cannot be made any more.
        raise ValueError(f"{folder}: {_changed(checks)}{CASES} and {FACTS} do not fit together ({error})") from None
    here = versions()
    others = [
        f"{name} {known.versions.get(name)}, here {here[name]}"
        for name in here
        if known.versions.get(name) != here[name]
    ]
    for name, text in files.items():
        checks.append(_by_making(folder / name, text, sums.get(name, ""), others))
    return checks


def _changed(checks: list[FileCheck]) -> str:
    return "".join(f"{check.file}: {check.words}; " for check in checks if not check.good)


def _by_sum(folder: Path, name: str, sums: dict[str, str]) -> FileCheck:
    good = sums.get(name) == digest(_read(folder / name))
    return FileCheck(name, good, "as it was written" if good else f"has changed: its SHA-256 is not that of {SUMS}")


def _by_making(file: Path, made: str, known: str, others: list[str]) -> FileCheck:
    if not file.is_file():
        return FileCheck(file.name, False, "is not there")
    stored = _read(file)
    if stored == made and digest(stored) == known:
        return FileCheck(file.name, True, "made again, every byte the same")
    if stored == made:
        return FileCheck(file.name, False, f"made again, every byte the same, but its SHA-256 is not that of {SUMS}")
    why = f"; made with {'; '.join(others)}" if others else ""
    figures = list(zip(FIGURE.findall(stored), FIGURE.findall(made), strict=False))
    if not others or FIGURE.split(stored) != FIGURE.split(made) or digest(stored) != known:
        return FileCheck(file.name, False, f"{_first_difference(stored, made)}{why}")
    changed = next(filter(None, (_changed_figure(number, *both) for number, both in enumerate(figures, 1))), "")
    if changed:
        return FileCheck(file.name, False, f"{changed}{why}")
    distances = [apart(*both) for both in figures]
    unlike = [str(number) for number, distance in enumerate(distances, 1) if distance is None]
    if unlike:
        return FileCheck(
            file.name,
            False,
            f"numbers made again, every byte the same; figures NOT checked: here figure {', '.join(unlike)} of "
            f"{len(figures)} is drawn otherwise{why}",
            checked=False,
        )
    most = max((distance for distance in distances if distance is not None), default=0.0)
    return FileCheck(
        file.name,
        True,
        f"numbers made again, every byte the same; figures alike: the same elements and words, at most {most:.1g} "
        f"points from where they are drawn here{why}",
    )


def _changed_figure(number: int, stored: str, made: str) -> str:
    """What a figure holds that no version draws; empty if there is nothing."""
    strange = foreign(stored)
    if strange:
        return f"figure {number} holds {strange}, which no figure does"
    differing = [*(words(stored) - words(made)), *(words(made) - words(stored))]
    return f"figure {number} has other words than its table: {some(list(map(repr, differing)))}" if differing else ""


def _first_difference(stored: str, made: str) -> str:
    """The line of the first difference, and what stands there."""
    pairs = zip(stored, made, strict=False)
    start = next(
        (place for place, (letter, expected) in enumerate(pairs) if letter != expected), min(len(stored), len(made))
    )
    line = stored.count("\n", 0, start) + 1
    cut = slice(max(0, start - SHOWN), start + SHOWN)
    return f"differs in line {line}: it says {stored[cut]!r}, the table {made[cut]!r}"


def _sums(folder: Path) -> dict[str, str]:
    return dict(_pairs(_read(folder / SUMS)))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        value, _, name = line.partition("  ")
        yield name, value


def _read(file: Path) -> str:
    """The content of a file as text, byte for byte.

    Raises:
        ValueError: If it is no text.
    """
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is no text in UTF-8: it has been damaged") from None
