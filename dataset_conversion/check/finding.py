"""What a check reports: a fault or note, where it is, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

FAULT = "fault"
NOTE = "note"


@dataclass(frozen=True, kw_only=True)
class CheckFinding:
    """One thing that is wrong, or that somebody should look at.

    Attributes:
        level: ``fault`` if a training would stop, or learn from something misunderstood; otherwise ``note``.
        kind: Word for programs: ``damaged``, ``geometry``, ``labels``, ``pairs``, ``duplicate``, ``leak``, and others.
        file: Path below the data set's folder, with forward slashes.
        case: Case id; empty if it is about the data set as a whole.
        says: Description, and what to do.
    """

    level: str
    kind: str
    file: str
    says: str
    case: str = ""


def fault(kind: str, file: str, says: str, case: str = "") -> CheckFinding:
    """Make a finding that must be fixed before training."""
    return CheckFinding(level=FAULT, kind=kind, file=file, says=says, case=case)


def note(kind: str, file: str, says: str, case: str = "") -> CheckFinding:
    """Make a finding that somebody should look at."""
    return CheckFinding(level=NOTE, kind=kind, file=file, says=says, case=case)


def as_summary(folder: str, cases: int, tests: int, findings: Sequence[CheckFinding]) -> dict[str, Any]:
    """Make the summary that ``--json`` prints."""
    return {
        "folder": folder,
        "training": cases,
        "test": tests,
        "faults": sum(finding.level == FAULT for finding in findings),
        "notes": sum(finding.level == NOTE for finding in findings),
        "findings": [asdict(finding) for finding in findings],
    }


def as_text(summary: dict[str, Any], limit: int) -> str:
    """Write the summary for people, with at most ``limit`` lines of each level."""
    lines = [f"{summary['folder']}: {summary['training']} training cases, {summary['test']} test cases"]
    for level, title in ((FAULT, "faults"), (NOTE, "notes")):
        of_level = [finding for finding in summary["findings"] if finding["level"] == level]
        if of_level:
            lines.append(f"{len(of_level)} {title if len(of_level) > 1 else level}:")
        for finding in of_level[:limit]:
            lines.append(f"  {finding['file']}: {finding['says']}")
        if len(of_level) > limit:
            lines.append(f"  ... and {len(of_level) - limit} more; --json lists all")
    if not summary["findings"]:
        lines.append("no faults, nothing to note")
    return "\n".join(lines)
