"""Whether a report is what its table says: everything is made again and every byte compared.

Only figures may be compared by what they show, where other versions have drawn them. What the report says of versions
opens no other way past the comparison.
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
"""So many characters are shown before and after the first difference."""

FIGURE = re.compile(r"<svg.*?</svg>", re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """What became of one file.

    Attributes:
        file: Its name.
        good: Whether it is as it should be.
        words: What was found.
        checked: Whether all of it could be compared.
    """

    file: str
    good: bool
    words: str
    checked: bool = True


def verify(report: Path) -> list[Finding]:
    """Look at every file of a report.

    Args:
        report: Its folder, or a file in it.

    Raises:
        ValueError: If it is no report, or its table or facts cannot be read.
    """
    folder = report if report.is_dir() else report.parent
    absent = [name for name in (*SOURCES, SUMS) if not (folder / name).is_file()]
    if absent:
        raise ValueError(f"{folder} is no report that 'compare --report' has written: it has no {', '.join(absent)}")
    sums = _sums(folder)
    findings = [_by_sum(folder, name, sums) for name in SOURCES]
    stored = {name: _read(folder / name) for name in SOURCES}
    try:
        files = rendered(stored[CASES], stored[FACTS])
        known = Facts.of_json(stored[FACTS])
    except ValueError as error:
        raise ValueError(f"{folder}: {_changed(findings)}{error}") from None
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        # A changed name or number somewhere: what was made of both files together cannot be made any more.
        raise ValueError(f"{folder}: {_changed(findings)}{CASES} and {FACTS} do not fit together ({error})") from None
    here = versions()
    others = [
        f"{name} {known.versions.get(name)}, here {here[name]}"
        for name in here
        if known.versions.get(name) != here[name]
    ]
    for name, text in files.items():
        findings.append(_by_making(folder / name, text, sums.get(name, ""), others))
    return findings


def _changed(findings: list[Finding]) -> str:
    return "".join(f"{one.file}: {one.words}; " for one in findings if not one.good)


def _by_sum(folder: Path, name: str, sums: dict[str, str]) -> Finding:
    good = sums.get(name) == digest(_read(folder / name))
    return Finding(name, good, "as it was written" if good else f"has changed: its SHA-256 is not that of {SUMS}")


def _by_making(file: Path, made: str, known: str, others: list[str]) -> Finding:
    if not file.is_file():
        return Finding(file.name, False, "is not there")
    stored = _read(file)
    if stored == made and digest(stored) == known:
        return Finding(file.name, True, "made again, every byte the same")
    if stored == made:
        return Finding(file.name, False, f"made again, every byte the same, but its SHA-256 is not that of {SUMS}")
    why = f"; made with {'; '.join(others)}" if others else ""
    figures = list(zip(FIGURE.findall(stored), FIGURE.findall(made), strict=False))
    if not others or FIGURE.split(stored) != FIGURE.split(made) or digest(stored) != known:
        return Finding(file.name, False, f"{_first_difference(stored, made)}{why}")
    changed = next(filter(None, (_changed_figure(number, *both) for number, both in enumerate(figures, 1))), "")
    if changed:
        return Finding(file.name, False, f"{changed}{why}")
    distances = [apart(*both) for both in figures]
    unlike = [str(number) for number, distance in enumerate(distances, 1) if distance is None]
    if unlike:
        return Finding(
            file.name,
            False,
            f"numbers made again, every byte the same; figures NOT checked: here figure {', '.join(unlike)} of "
            f"{len(figures)} is drawn otherwise{why}",
            checked=False,
        )
    most = max((distance for distance in distances if distance is not None), default=0.0)
    return Finding(
        file.name,
        True,
        f"numbers made again, every byte the same; figures alike: the same elements and words, at most {most:.1g} "
        f"points from where they are drawn here{why}",
    )


def _changed_figure(number: int, stored: str, made: str) -> str:
    """What no version of anything draws; empty if there is nothing."""
    strange = foreign(stored)
    if strange:
        return f"figure {number} holds {strange}, which no figure does"
    differing = [*(words(stored) - words(made)), *(words(made) - words(stored))]
    return f"figure {number} has other words than its table: {some(list(map(repr, differing)))}" if differing else ""


def _first_difference(stored: str, made: str) -> str:
    """Where, and what."""
    pairs = zip(stored, made, strict=False)
    at = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(stored), len(made)))
    line = stored.count("\n", 0, at) + 1
    cut = slice(max(0, at - SHOWN), at + SHOWN)
    return f"differs in line {line}: it says {stored[cut]!r}, the table {made[cut]!r}"


def _sums(folder: Path) -> dict[str, str]:
    return dict(_pairs(_read(folder / SUMS)))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        value, _, name = line.partition("  ")
        yield name, value


def _read(file: Path) -> str:
    """The very bytes as text.

    Raises:
        ValueError: If they are none.
    """
    try:
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is no text in UTF-8: it has been damaged") from None
