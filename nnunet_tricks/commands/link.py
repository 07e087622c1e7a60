"""``nnunet-tricks link``: let stock nnU-Net commands find our trainers."""

from __future__ import annotations

import argparse
import json

from nnunet_tricks.door import link


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Let the stock nnU-Net commands of this Python find our trainers, after nnU-Net's own and yours. Writes three "
        "small files into this environment's site-packages, or, where that cannot be written, into your user "
        "site-packages. Nothing in nnU-Net's folder is touched; 'nnunet-tricks unlink' removes them."
    )
    parser.add_argument("--dry-run", action="store_true", help="only print what would be written")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Link, and print where."""
    linked = link.link(dry_run=arguments.dry_run)
    if arguments.json:
        report = {
            "outcome": linked.outcome,
            "dry_run": arguments.dry_run,
            "folder": str(linked.place.folder),
            "kind": linked.place.kind,
            "files": [str(path) for path in linked.files],
            "passed_over": linked.passed_over,
        }
        print(json.dumps(report, indent=2))
        return 0
    for reason in linked.passed_over:
        print(f"{reason}; taking the next place.")
    says = {"linked": "Linked", "refreshed": "Refreshed the link", "unchanged": "Already linked"}[linked.outcome]
    would = {"linked": "would link", "refreshed": "would refresh the link", "unchanged": "already linked"}
    done = f"Dry run: {would[linked.outcome]}" if arguments.dry_run else says
    print(f"{done} in {linked.place}.")
    if linked.outcome != "unchanged":
        print(*(f"  {path.name}" for path in linked.files), sep="\n")
        print(
            "Nothing was written. Without --dry-run, nnU-Net will find our trainers."
            if arguments.dry_run
            else "nnU-Net now finds our trainers by name (try -tr nnUNetTrainerTversky). Undo: nnunet-tricks unlink"
        )
    return 0
