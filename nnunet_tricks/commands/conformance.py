"""``nnunet-tricks conformance``: does a trainer work in every situation that nnU-Net can put it in?"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Take trainers, ours or your own, through tiny trainings on made-up data: in every label mode (labels or "
        "regions, with and without an ignore label), in 2D, 3D and a cascade, with and without deep supervision. Each "
        "builds, trains, validates, continues and predicts, also with bfloat16, torch.compile, and patches of "
        "background or without annotation. This finds crashes, and trainings that go wrong silently: a loss that does "
        "not prefer the truth or counts unannotated voxels, gradients that are 0 or lead uphill, training on "
        "validation cases, loaders that cannot be sent to processes, epochs that differ after --c, and predictions "
        "that change or do not match the trained network. It also checks the loss in two processes and, for our "
        "trainers, that everything they do not claim is nnU-Net's, bit for bit. Without --all, a network of ours is "
        "compiled once for each of 2D, 3D and the cascade. It needs no GPU and about a second per trainer and "
        "situation, and writes nothing into nnU-Net's folders. Exit code 1 if something failed."
    )
    parser.add_argument("name", nargs="*", help="a trainer, as after nnUNetv2_train -tr, or a trick (Tversky)")
    parser.add_argument(
        "--all",
        action="store_true",
        help="every situation, not only a selection that has every pair of circumstances; without NAME every trick of "
        "the catalogue",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON, for scripts")
    parser.add_argument(
        "--keep",
        metavar="FOLDER",
        type=Path,
        help="keep data, results, logs and tracebacks here; must not exist or be empty",
    )


def run(arguments: argparse.Namespace) -> int:
    """Check the trainers and print the results."""
    from nnunet_tricks.conformance import session

    if not arguments.name and not arguments.all:
        raise ValueError("name a trainer, or give --all for every trick of the catalogue in every situation")
    return session.run(arguments.name, whole_grid=arguments.all, as_json=arguments.json, keep=arguments.keep)
