"""``nnunet-tricks annotate quality``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_tricks.commands.annotate.shared import LEARNED, METHODS, add_json, add_learning, learning_settings
from nnunet_tricks.utilities.wording import some

if TYPE_CHECKING:
    from nnunet_tricks.annotation import quality
    from nnunet_tricks.annotation.interpolation.network_file import TrainedCorrespondence
    from nnunet_tricks.annotation.scans import VolumeFile

DENSITIES = (0.05, 0.1, 0.2, 0.4, 0.8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.description = (
        "Take slices of dense label maps away, interpolate them again, and measure intersection over union over all "
        "slices and over those that were taken away. A gap is the distance from one annotated slice to the next."
    )
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, help="folder of label maps, or a raw data set of nnU-Net with labelsTr"
    )
    parser.add_argument(
        "--density",
        type=float,
        nargs="+",
        metavar="SHARE",
        default=DENSITIES,
        help="shares of slices (default: the paper's)",
    )
    parser.add_argument("--policy", choices=("fixed", "random"), default="fixed", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--method",
        nargs="+",
        choices=METHODS,
        default=["copy", "sdf"],
        help="learned and chain need imagesTr in FOLDER",
    )
    add_learning(parser, "none, must be given")
    parser.add_argument("-o", dest="out", metavar="FILE", type=Path, help="write the figures of each volume as csv")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print the means."""
    from nnunet_tricks.annotation import listing, policies, quality
    from nnunet_tricks.annotation.learning import learned_on
    from nnunet_tricks.utilities.files import write_atomically

    for density in arguments.density:
        policies.number(1, density)
    learned = bool({*arguments.method} & {*LEARNED})
    if learned and arguments.network is None:
        raise ValueError("--method learned and chain need --network FILE, where the network is kept")
    images = listing.in_folder(arguments.folder) if learned else {}
    label_maps = listing.labels_in(arguments.folder, images)
    missing = sorted({*label_maps} - {*images})
    if learned and missing:
        raise ValueError(f"{arguments.folder} has no image of {some(missing)}, which --method learned and chain need")
    network = learned_on([images[case] for case in sorted(images)], learning_settings(arguments)) if learned else None
    rows = _rows(arguments, label_maps, images, network)
    if not rows:
        raise ValueError(f"no label map in {arguments.folder} shows a class")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(arguments.out, quality.table(rows))
    if arguments.json:
        print(json.dumps(quality.summary(rows), indent=2))
    else:
        print(*quality.printed(rows), sep="\n")
    return 0


def _rows(
    arguments: argparse.Namespace,
    label_maps: Mapping[str, VolumeFile],
    images: Mapping[str, VolumeFile],
    network: TrainedCorrespondence | None,
) -> list[quality.QualityRow]:
    from nnunet_tricks.annotation import quality
    from nnunet_tricks.utilities.progress import shown

    rows: list[quality.QualityRow] = []
    ignore = quality.ignore_of(arguments.folder)
    for case, label_map in shown(label_maps.items(), "Interpolating", len(label_maps)):
        truth = label_map.labels()
        if ignore is not None and (truth == ignore).any():
            raise ValueError(
                f"{label_map.file} has voxels that nobody annotated ('ignore' is {ignore}), and quality is measured on "
                "dense labels: give a folder of these"
            )
        rows += quality.measured(
            case,
            truth,
            (label_map.axial.spacing, *label_map.axial.in_plane()),
            quality.regions_of(truth),
            densities=arguments.density,
            methods=arguments.method,
            policy=arguments.policy,
            seed=arguments.seed,
            volume=images[case].numbers() if network else None,
            network=network,
        )
    return rows
