"""``nnunet-tricks postprocess``: components and holes of finished segmentations."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Apply steps to a folder of segmentations. Steps are KeepLargest, RemoveSmall and FillHoles, with parameters "
        "as in KeepLargest_count2 or RemoveSmall_voxels80 or RemoveSmall_volume500. 'nnunet-tricks show RemoveSmall' "
        "lists them. A step is done to each class; CLASS:STEP does it to one class, to labels such as 1+2, or to "
        "foreground. The output folder also gets postprocessing.pkl for nnUNetv2_apply_postprocessing."
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="IN", help="segmentations, as nnUNetv2_predict writes them")
    add("output", type=Path, metavar="OUT", help="folder for the results")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--steps", nargs="+", default=(), metavar="[CLASS:]STEP", help="steps, done in this order")
    what.add_argument(
        "--with", dest="tuned", type=Path, metavar="FILE", help="do the steps in this file of 'nnunet-tricks tune'"
    )
    add("-np", dest="processes", type=int, default=1, help="processes (default: %(default)s)")
    add("--continue", dest="resume", action="store_true", help="keep cases that are there")
    add("--overwrite", action="store_true", help="delete older results in the output folder first")
    add("--dry-run", action="store_true", help="check everything, write nothing")
    add("--disable_progress_bar", action="store_true", help="no progress bar")
    add("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Apply them, and say how much changed."""
    from nnunet_tricks.tricks.postprocessing.folder import postprocess

    if arguments.processes < 1:
        raise ValueError(f"-np is {arguments.processes}, and at least 1 process is needed")
    steps = _tuned(arguments) if arguments.tuned else tuple(arguments.steps)
    result = postprocess(
        arguments.folder,
        arguments.output,
        steps,
        processes=arguments.processes,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        dry_run=arguments.dry_run,
        progress=not (arguments.disable_progress_bar or arguments.json),
    )
    if arguments.json:
        print(json.dumps({"cases": list(result.cases), "changed_voxels": dict(result.changed)}, indent=1))
        return 0
    if arguments.dry_run:
        print(f"Would apply {' '.join(steps)} to {len(result.cases)} cases.")
        return 0
    changed = [count for count in result.changed.values() if count]
    print(
        f"{len(result.changed)} cases, {len(changed)} of them changed"
        + (f", by {sum(changed) / len(changed):.0f} voxels on average." if changed else ".")
    )
    if not result.stored:
        print("Note: no postprocessing.pkl was written, since nnU-Net knows no sizes in mm^3: give RemoveSmall voxels.")
    return 0


def _tuned(arguments: argparse.Namespace) -> tuple[str, ...]:
    from nnunet_tricks.tricks.inference.members import DESCRIPTION, read_beside
    from nnunet_tricks.tricks.inference.tuning.settings import read_tuned

    settings = read_tuned(arguments.tuned, read_beside(arguments.folder, DESCRIPTION)["labels"])
    if not settings.steps:
        raise ValueError(f"{arguments.tuned} has no post-processing: nothing is left to be done")
    return settings.steps
