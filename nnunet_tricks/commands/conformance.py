"""``nnunet-tricks conformance``: does a trainer hold in every situation that nnU-Net can put it in?"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Take trainers, ours or anybody's, through tiny trainings on made-up data, in every label mode (labels or "
        "regions, with and without an ignore label), in 2D, 3D and a cascade, with and without deep supervision: "
        "build, train, patches of background and without annotation, bfloat16, torch.compile, validate, continue, "
        "predict. Found are not only crashes but trainings that go wrong silently: a loss that does not prefer the "
        "truth or counts what nobody annotated, gradients of 0 or uphill, training on validation cases, loaders that "
        "cannot be sent to processes, epochs that differ after --c, predictions that differ from time to time or from "
        "what was trained. Then the loss in two processes and, for our trainers, that what they do not claim is as in "
        "nnU-Net's, bit for bit. No GPU, a second per trainer and situation, and nothing is written into nnU-Net's "
        "folders. Exit code 1 if something failed."
    )
    parser.add_argument("name", nargs="*", help="a trainer, as after nnUNetv2_train -tr, or a trick (Tversky)")
    parser.add_argument(
        "--all",
        action="store_true",
        help="every situation, not only a selection in which any two circumstances meet; without NAME every trick of "
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
    """Check the trainers and print what came out."""
    from nnunet_tricks.conformance import session

    if not arguments.name and not arguments.all:
        raise ValueError("name a trainer, or say --all for every trick of the catalogue in every situation")
    return session.run(arguments.name, whole_grid=arguments.all, as_json=arguments.json, keep=arguments.keep)
