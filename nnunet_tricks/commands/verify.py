"""``nnunet-tricks verify``: whether a report says what its table says."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

UNCHECKED = 3
"""Exit code if nothing differs but not everything could be compared."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Make every number and figure of a report again from its table of all cases, and say if one byte differs. It "
        "needs neither models nor images. The exit code is 1 if something differs. It is 3 if all numbers are the "
        "same, but the figures cannot be compared because other versions drew them."
    )
    add = parser.add_argument
    add("report", type=Path, metavar="REPORT", help="folder that 'compare --report' has written, or a file in it")
    add("--json", action="store_true", help="print what was found as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Verify a report, and print a line for each of its files."""
    from nnunet_tricks.comparison.report.verify import verify

    if not arguments.report.exists():
        raise ValueError(f"{arguments.report} is not there")
    checks = verify(arguments.report)
    if arguments.json:
        print(json.dumps([asdict(check) for check in checks], indent=1))
    else:
        for check in checks:
            word = "ok" if check.good else "DIFFERS" if check.checked else "PARTLY"
            print(f"{word:7} {check.file}: {check.words}")
    if all(check.good for check in checks):
        return 0
    return 1 if any(check.checked and not check.good for check in checks) else UNCHECKED
