"""``nnunet-tricks doctor``: what works, what does not, and how to fix it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from nnunet_tricks.door import doctor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Check this Python, nnU-Net, its folders and whether it finds our trainers. A trainer is looked up as nnU-Net "
        "does, in an interpreter of its own. For each problem the command that fixes it is shown. Exit code 1 if "
        "something needed is missing."
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print each finding as soon as it is there."""
    findings = []
    for finding in doctor.examine():
        findings.append(finding)
        if not arguments.json:
            print(finding, flush=True)
    missing = [finding for finding in findings if finding.level == "missing"]
    if arguments.json:
        print(json.dumps({"ok": not missing, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        print(f"\n{len(missing)} to fix." if missing else "\nEverything needed is there.")
    return 1 if missing else 0
