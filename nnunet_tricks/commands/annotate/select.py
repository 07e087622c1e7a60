"""``nnunet-tricks annotate select``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunet_tricks.commands.annotate.shared import add_output, add_selection, selection_settings, warn, written


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.description = (
        "Choose volumes and slices for annotators, from images alone. Writes a table as csv, and the plan as JSON, "
        "which 'annotate import' reads. Column itksnap is the number that ITK-SNAP shows (in storage order, from 1). "
        "Column slicer_mm is the offset of 3D Slicer's axial (red) view."
    )
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, help="folder of images, or a raw data set of nnU-Net with imagesTr"
    )
    add_selection(parser)
    parser.add_argument(
        "-o",
        dest="out",
        metavar="NAME",
        type=Path,
        default=Path("annotation"),
        help="write NAME.csv and NAME.json (default: %(default)s)",
    )
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Choose slices, and write the plan and its table."""
    from nnunet_tricks.annotation import listing, selection
    from nnunet_tricks.annotation.scans import VolumeFile

    settings = selection_settings(arguments)
    files = listing.channels_in(arguments.folder)
    channels = len(next(iter(files.values())))
    warn(listing.doubts(files))
    images = {case: VolumeFile(channel_files[0]) for case, channel_files in files.items()}
    chosen = selection.select(images, settings)
    plan = selection.document(chosen, images, settings)
    warn(selection.warnings(chosen, settings))
    outputs = [arguments.out.with_name(f"{arguments.out.name}{ending}") for ending in (".csv", ".json")]
    if not arguments.dry_run:
        _write_new(dict(zip(outputs, (selection.table(chosen), json.dumps(plan, indent=2) + "\n"), strict=True)))
    if arguments.json:
        summary = {"dry_run": arguments.dry_run, "files": [*map(str, outputs)], "channels": channels}
        print(json.dumps({**summary, **plan}, indent=2))
        return 0
    cases = f"{len(files)} case{'s' * (len(files) > 1)}"
    print(f"{cases} with {channels} channel{'s' * (channels > 1)} each in {arguments.folder}")
    _print_budget(plan["budget"])
    print(f"{written(arguments)} {outputs[0]} and {outputs[1]}")
    return 0


def _print_budget(budget: Mapping[str, Any]) -> None:
    print(
        f"{budget['slices']} slices of {budget['volumes']} volumes: {100 * budget['density']:.1f} % of their slices, "
        f"{100 * budget['share_of_slices']:.1f} % of all {budget['of_slices']} in {budget['of_volumes']} volumes"
    )
    print(
        f"No slice is farther than {budget['largest_distance_mm']:g} mm from an annotated one; in the median volume "
        f"{budget['median_largest_distance_mm']:g} mm"
    )


def _write_new(contents: Mapping[Path, str]) -> None:
    """Write files; one that annotators may already work with is never replaced by other content."""
    from nnunet_tricks.utilities.files import write_atomically

    for file, content in contents.items():
        if file.exists() and file.read_text(encoding="utf-8") != content:
            raise ValueError(
                f"{file} exists with other content, and somebody may annotate by it: choose another -o, or remove it"
            )
    new = [file for file in contents if not file.exists()]
    try:
        for file, content in contents.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, content)
    except BaseException:
        for file in new:  # a table without its plan is of no use
            file.unlink(missing_ok=True)
        raise
