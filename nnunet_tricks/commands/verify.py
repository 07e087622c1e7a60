"""``nnunet-tricks verify``: whether a report says what its table says."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

UNCHECKED = 3
"""How it ends where nothing differs, but not all could be compared."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Make every number and figure of a report again, from its table of all cases, and say if one byte differs. "
        "Needs neither models nor images. Ends with 1 if something differs, and with 3 if numbers are "
        "the same but other versions have drawn figures in which they cannot be compared."
    )
    add = parser.add_argument
    add("report", type=Path, metavar="REPORT", help="folder that 'compare --report' has written, or a file in it")
    add("--json", action="store_true", help="print what was found as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    from nnunet_tricks.comparison.report.verify import verify

    if not arguments.report.exists():
        raise ValueError(f"{arguments.report} is not there")
    findings = verify(arguments.report)
    if arguments.json:
        print(json.dumps([asdict(one) for one in findings], indent=1))
    else:
        for one in findings:
            word = "ok" if one.good else "DIFFERS" if one.checked else "PARTLY"
            print(f"{word:7} {one.file}: {one.words}")
    if all(one.good for one in findings):
        return 0
    return 1 if any(one.checked and not one.good for one in findings) else UNCHECKED
