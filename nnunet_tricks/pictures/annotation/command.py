"""``nnunet-tricks annotate preview``: pictures that show whether plan, images and paint belong together."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_tricks.utilities.wording import some

if TYPE_CHECKING:
    from nnunet_tricks.annotation.scans import Scan
    from nnunet_tricks.pictures.annotation.outlines import ImportedLabels, Outlines, PaintedFiles


def add_arguments(commands: Any) -> None:
    """Declare ``preview`` beside the other sub-commands of ``annotate``."""
    preview = commands.add_parser("preview", help="pictures of selected slices, and of the paint on them")
    preview.description = (
        "Draw a picture for each volume of a plan: its selected slices as viewers show them (the patient's right on "
        "the left, anterior on top), with the numbers by which viewers know them; and outlines of what was painted. "
        "In a minute they show whether plan, images and paint belong together."
    )
    preview.add_argument("plan", metavar="PLAN", type=Path, help="the .json that 'annotate select' wrote")
    preview.add_argument("images", metavar="IMAGES", type=Path, help="folder of the images")
    paint = preview.add_mutually_exclusive_group()
    paint.add_argument("--labels", metavar="FOLDER", type=Path, help="label maps as annotators save them")
    paint.add_argument(
        "--dataset", metavar="DATASET", help="number or full name of the data set that 'annotate import' made of them"
    )
    preview.add_argument(
        "--window",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="intensities that are black and white, such as -160 240 for the abdomen in CT (default: percentiles 0.5 "
        "and 99.5 of each volume)",
    )
    preview.add_argument(
        "-o",
        dest="out",
        metavar="FOLDER",
        type=Path,
        default=Path("preview"),
        help="where CASE.png are written (default: %(default)s)",
    )
    preview.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Draw a picture for each volume of the plan, and print what was written."""
    from nnunet_tricks.annotation import listing, selection
    from nnunet_tricks.annotation.progress import shown
    from nnunet_tricks.utilities.files import write_atomically

    if arguments.window and not arguments.window[0] < arguments.window[1]:
        raise ValueError(f"--window must be a lower and a higher intensity, got {arguments.window}")
    plan = selection.read(arguments.plan)
    warnings = [*selection.differences_of_table(plan, arguments.plan)]
    images = listing.in_folder(arguments.images)
    gone = [case for case in plan["cases"] if case not in images]
    if gone:
        raise ValueError(f"{arguments.images} has no image of {some(gone)}, which {arguments.plan} names")
    source = _source(arguments, plan, images)
    numbered: dict[str, int] = {}
    unpainted: list[str] = []
    files: list[str] = []
    arguments.out.mkdir(parents=True, exist_ok=True)
    for case, entry in shown(plan["cases"].items(), "Drawing", len(plan["cases"])):
        outlines = source.of(case, images[case].axial) if source else None
        if source and outlines is None:
            unpainted.append(case)
        file = arguments.out / f"{case}.png"
        content, remarks = picture_of(case, images[case], entry, outlines, arguments.window, numbered)
        write_atomically(file, content)
        files.append(str(file))
        warnings += remarks
    if unpainted:
        warnings.append(f"no paint yet, and pictures without outlines: {some(unpainted)}")
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    if arguments.json:
        print(json.dumps({"files": files, "warnings": warnings}, indent=2))
        return 0
    print(f"Written: {len(files)} pictures in {arguments.out}")
    return 0


def picture_of(
    case: str,
    image: Scan,
    entry: Mapping[str, Any],
    outlines: Outlines | None,
    window: Sequence[float] | None = None,
    numbered: dict[str, int] | None = None,
) -> tuple[bytes, list[str]]:
    """The picture of one volume, and remarks for the person who looks at it.

    Args:
        case: Name of the volume.
        image: Image of the volume.
        entry: Entry of the volume in the plan.
        outlines: Outlines that are drawn on the slices.
        window: Intensities that are black and white.
        numbered: Names of outlines in earlier pictures; new ones are added, so that a name has one colour in all.

    Raises:
        ValueError: If the image has another number of slices than when slices were selected.
    """
    from nnunet_tricks.annotation.features import shades
    from nnunet_tricks.pictures.annotation.display import view_of
    from nnunet_tricks.pictures.annotation.picture import Tile, drawn

    volume, chosen = image.axial, entry["chosen"]
    if entry["slices"] != volume.slices:
        raise ValueError(f"{image.file} has {volume.slices} slices, and had {entry['slices']} when they were selected")
    masks = outlines.masks if outlines else {}
    tiles = [
        Tile(
            title=f"slice {index}, ITK-SNAP {volume.itksnap(index)}, {volume.superior(index):.1f} mm",
            pixels=pixels,
            masks={name: mask[index] for name, mask in masks.items()},
        )
        for index, pixels in zip(chosen, shades(image.numbers(), chosen, window), strict=True)
    ]
    remarks = []
    title = f"{case}: {len(chosen)} of {volume.slices} slices, counted from 0 (inferior)\n{image.file.name}"
    if outlines:
        unselected = [str(volume.itksnap(index)) for index in outlines.annotated if index not in chosen]
        if unselected:
            remarks.append(f"{case}: paint is also on slices that were not selected, ITK-SNAP {some(unselected)}")
            title += f"; paint also on slices that were not selected, ITK-SNAP {some(unselected)}"
    numbered = {} if numbered is None else numbered
    names = {name: numbered.setdefault(name, len(numbered)) for name in masks}
    return drawn(tiles, view_of(volume), title, names), remarks


def _source(
    arguments: argparse.Namespace, plan: Mapping[str, Any], images: Mapping[str, Scan]
) -> PaintedFiles | ImportedLabels | None:
    from nnunet_tricks.nnunet.folders import Folders
    from nnunet_tricks.pictures.annotation.outlines import ImportedLabels, PaintedFiles

    if arguments.labels:
        return PaintedFiles(arguments.labels, {**images, **plan["cases"]})
    return ImportedLabels(Folders.of_environment(), arguments.dataset) if arguments.dataset else None
