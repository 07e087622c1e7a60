"""``nnunet-tricks unlink``: undo link."""

from __future__ import annotations

import argparse
import json

from nnunet_tricks.door import link


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = "Remove the files that 'nnunet-tricks link' wrote for this Python, and nothing else."
    parser.add_argument("--dry-run", action="store_true", help="only print what would be removed")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Unlink, and print what was removed and what still links."""
    removed = link.unlink(dry_run=arguments.dry_run)
    remaining = [place for place in link.state() if place.kind == "inherited"]
    if arguments.json:
        report = {
            "dry_run": arguments.dry_run,
            "removed": [str(path) for path in removed],
            "still_linked_by": [str(place.folder) for place in remaining],
        }
        print(json.dumps(report, indent=2))
        return 0
    print(f"{'Would remove' if arguments.dry_run else 'Removed'}:" if removed else "There was no link.")
    for path in removed:
        print(f"  {path}")
    for place in remaining:
        print(f"Still linked by {place}: run 'nnunet-tricks unlink' with the Python of that environment.")
    return 0
