"""``nnunet-tricks annotate preview``: a person sees whether plan, images and paint belong together."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_tricks.commands.annotate.shared import add_json, warn
from nnunet_tricks.utilities.wording import some

if TYPE_CHECKING:
    from nnunet_tricks.annotation.scans import VolumeFile
    from nnunet_tricks.pictures.annotation.outlines import ImportedLabels, PaintedFiles


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.description = (
        "Draw a picture for each volume of a plan. It shows the selected slices as viewers do (the patient's right on "
        "the left, anterior on top), with the numbers by which viewers know them, and outlines of what was painted. "
        "The pictures show within a minute whether plan, images and paint belong together."
    )
    parser.add_argument("plan", metavar="PLAN", type=Path, help="the .json that 'annotate select' wrote")
    parser.add_argument("images", metavar="IMAGES", type=Path, help="folder of the images")
    paint = parser.add_mutually_exclusive_group()
    paint.add_argument("--labels", metavar="FOLDER", type=Path, help="folder of label maps as annotators save them")
    paint.add_argument(
        "--dataset", metavar="DATASET", help="number or full name of the data set that 'annotate import' made of them"
    )
    parser.add_argument(
        "--window",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="intensities that are black and white, such as -160 240 for the abdomen in CT (default: percentiles 0.5 "
        "and 99.5 of each volume)",
    )
    parser.add_argument(
        "-o",
        dest="out",
        metavar="FOLDER",
        type=Path,
        default=Path("preview"),
        help="folder where CASE.png are written (default: %(default)s)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw a picture of each case."""
    from nnunet_tricks.annotation import listing, selection
    from nnunet_tricks.pictures.annotation.volume import picture_of
    from nnunet_tricks.utilities.files import write_atomically
    from nnunet_tricks.utilities.progress import shown

    if arguments.window and not arguments.window[0] < arguments.window[1]:
        raise ValueError(f"--window must be a lower and a higher intensity, got {arguments.window}")
    plan = selection.read(arguments.plan)
    warnings = [*selection.differences_of_table(plan, arguments.plan)]
    images = listing.in_folder(arguments.images)
    missing = [case for case in plan["cases"] if case not in images]
    if missing:
        raise ValueError(f"{arguments.images} has no image of {some(missing)}, which {arguments.plan} names")
    outlines = _outlines(arguments, plan, images)
    numbered: dict[str, int] = {}
    unpainted: list[str] = []
    files: list[str] = []
    arguments.out.mkdir(parents=True, exist_ok=True)
    for case, entry in shown(plan["cases"].items(), "Drawing", len(plan["cases"])):
        outlined = outlines.of(case, images[case].axial) if outlines else None
        if outlines and outlined is None:
            unpainted.append(case)
        file = arguments.out / f"{case}.png"
        content, remarks = picture_of(case, images[case], entry, outlined, arguments.window, numbered)
        write_atomically(file, content)
        files.append(str(file))
        warnings += remarks
    if unpainted:
        warnings.append(f"no paint yet, so the picture has no outlines: {some(unpainted)}")
    warn(warnings)
    if arguments.json:
        print(json.dumps({"files": files, "warnings": warnings}, indent=2))
        return 0
    print(f"Written: {len(files)} pictures in {arguments.out}")
    return 0


def _outlines(
    arguments: argparse.Namespace, plan: Mapping[str, Any], images: Mapping[str, VolumeFile]
) -> PaintedFiles | ImportedLabels | None:
    from nnunet_tricks.nnunet.folders import Folders
    from nnunet_tricks.pictures.annotation.outlines import ImportedLabels, PaintedFiles

    if arguments.labels:
        return PaintedFiles(arguments.labels, {**images, **plan["cases"]})
    return ImportedLabels(Folders.of_environment(), arguments.dataset) if arguments.dataset else None
