"""``nnunet-tricks doctor``: what works, what does not, and how to fix it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from nnunet_tricks.door import doctor
from nnunet_tricks.utilities.terminal import GREEN, RED, YELLOW, command_lines, styled, width, wrapped

COLOURS = {"ok": GREEN, "note": YELLOW, "missing": RED}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Check this Python, nnU-Net, its folders and whether it finds our trainers. A trainer is looked up as nnU-Net "
        "does, in an interpreter of its own. For each problem the command that fixes it is shown. Exit code 1 if "
        "something needed is missing."
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--workers",
        metavar="DATASET",
        help="measure instead what nnU-Net's workers need for a preprocessed data set (number or name), and how many "
        "keep the device busy",
    )
    parser.add_argument(
        "-c", "--configuration", help="with --workers: the configuration (default: 3d_fullres, else 2d)"
    )
    parser.add_argument("-p", "--plans", default="nnUNetPlans", help="with --workers: the plans (default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda", "mps"), help="with --workers: nnU-Net's -device")


def run(arguments: argparse.Namespace) -> int:
    """Print each finding as soon as it is there."""
    if arguments.workers:
        return _workers(arguments)
    findings = []
    for finding in doctor.examine():
        findings.append(finding)
        if not arguments.json:
            print(*_lines(finding, width()), sep="\n", flush=True)
    missing = [finding for finding in findings if finding.level == "missing"]
    if arguments.json:
        print(json.dumps({"ok": not missing, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        print(f"\n{len(missing)} to fix." if missing else "\nEverything needed is there.")
    return 1 if missing else 0


def _lines(finding: doctor.Checkup, columns: int | None) -> list[str]:
    """A finding in the width of the terminal; as it is in a file or a pipe."""
    if columns is None:
        return [str(finding)]
    level, indent = f"{finding.level:<8} ", " " * 9
    lines = wrapped(f"{finding.topic}: {finding.says}", columns, first=level, rest=indent)
    lines[0] = styled(finding.level, COLOURS[finding.level]) + lines[0].removeprefix(finding.level)
    return lines + (
        command_lines(finding.fix, columns, first=f"{indent}fix: ", rest=f"{indent}  ") if finding.fix else []
    )


def _workers(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.experiment.workers import measure

    name, loading = measure(arguments.workers, arguments.configuration, arguments.plans, arguments.device)
    if arguments.json:
        print(json.dumps({"configuration": name, **asdict(loading), "says": loading.sentences}, indent=2))
    else:
        lines = [wrapped(sentence, width(), first="  ", rest="  ") for sentence in loading.sentences]
        print(name, *(line for sentence in lines for line in sentence), sep="\n")
    return 0
