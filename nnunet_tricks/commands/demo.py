"""``nnunet-tricks demo``: a comparison of two trainers, from nothing, in minutes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Make a small CT-like 3D data set, plan, preprocess, train and predict with nnU-Net's own commands, with "
        "nnUNetTrainer and with a trick under the same small configuration, and compare them on unseen cases. Takes "
        "about five minutes on two CPU cores. Everything goes into one folder; your nnU-Net folders are not touched. "
        "Interrupted, it goes on where it was when started again."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("nnunet_tricks_demo"), metavar="FOLDER", help="(default: ./%(default)s)"
    )
    parser.add_argument("--epochs", type=int, default=3, help="of 250 steps each, as nnU-Net's (default: %(default)s)")
    parser.add_argument("--restart", action="store_true", help="throw away what an earlier demo left in the folder")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run it, and show the table."""
    from nnunet_tricks.demo.run import Demo
    from nnunet_tricks.demo.run import run as run_demo
    from nnunet_tricks.demo.scores import DEFINITIONS
    from nnunet_tricks.demo.table import as_text

    demo = Demo(out=arguments.out.resolve(), epochs=arguments.epochs)
    result = run_demo(demo, restart=arguments.restart)
    if arguments.json:
        print(json.dumps(result, indent=2))
        return 0
    print(f"Unseen cases: {demo.unseen}. Signed: difference to {demo.names[0]}.\n")
    print(as_text(result["scores"]))
    print(f"\n{DEFINITIONS}\nEverything is in {demo.out}")
    return 0
