"""``nnunet-tricks demo``: a comparison of two trainers, from nothing, in minutes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

EPOCHS = 5
PHANTOMS = {"train": 10, "unseen": 4}
QUICK = {"train": 5, "unseen": 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Make a small CT-like 3D data set, then plan, preprocess, train and predict with nnU-Net's own commands. "
        "nnUNetTrainer and a trick are trained with the same small configuration and compared on unseen cases, in a "
        "table and a picture. Takes about five minutes on two CPU cores. Everything goes into one folder; your nnU-Net "
        "folders are not touched. If it is interrupted, start it again and it goes on."
    )
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        default=Path("nnunet_tricks_demo"),
        metavar="FOLDER",
        help="folder for everything (default: ./%(default)s)",
    )
    add(
        "--source",
        type=Path,
        metavar="FOLDER",
        help="a raw data set of nnU-Net to use instead; it is only read, and a few cases are held out as unseen",
    )
    add(
        "-c",
        dest="configuration",
        metavar="CONFIGURATION",
        help="configuration to make small (default: 3d_fullres or 2d)",
    )
    add(
        "-tr",
        dest="trainers",
        nargs="+",
        default=["nnUNetTrainerTverskyCE"],
        metavar="TRAINER",
        help="trainers to compare, named without epochs (default: nnUNetTrainerTverskyCE)",
    )
    add(
        "--epochs",
        type=int,
        help=f"nnU-Net's epochs, 250 steps each (default: {EPOCHS}; images of patients need 10 or more)",
    )
    add("--train", type=int, metavar="N", help="cases to train on (default: 10 phantoms, or all of the source)")
    add("--unseen", type=int, metavar="N", help=f"cases to predict (default: {PHANTOMS['unseen']})")
    add("--quick", action="store_true", help="one epoch, few cases: shows that it works, not which trainer is better")
    add("--device", choices=["cpu", "cuda", "mps"], help="where to compute (default: a GPU if torch finds one)")
    add("--restart", action="store_true", help="remove what an earlier demo left in the folder")
    add("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run it, and show the table."""
    from nnunet_tricks.demo.run import run as run_demo
    from nnunet_tricks.demo.scores import DEFINITIONS
    from nnunet_tricks.demo.table import as_text

    result = run_demo(_setting(arguments), restart=arguments.restart)
    if arguments.json:
        print(json.dumps(result, indent=2))
        return 0
    baseline = next(iter(result["scores"]))
    print(f"{result['data']}, {result['configuration']}, unseen: {', '.join(result['unseen'])}")
    print(f"With sign: difference from {baseline}\n")
    print(as_text(result["scores"]))
    print(f"\n{DEFINITIONS}")
    if arguments.quick:
        print("One epoch is too short to say which trainer is better.")
    print(f"Picture: {result['picture']}")
    return 0


def _setting(arguments: argparse.Namespace) -> Any:
    from nnunet_tricks.demo import source
    from nnunet_tricks.demo.setting import DemoSetting, with_epochs

    counts = QUICK if arguments.quick else PHANTOMS
    epochs = arguments.epochs if arguments.epochs is not None else 1 if arguments.quick else EPOCHS
    folder = arguments.source.resolve() if arguments.source else None
    for name in ("train", "unseen"):
        if getattr(arguments, name) is not None and getattr(arguments, name) < 1:
            raise ValueError(f"--{name} must be at least 1, got {getattr(arguments, name)}")
    if not folder and arguments.train is not None and arguments.train < source.MIN_TRAIN:
        raise ValueError(f"--train must be at least {source.MIN_TRAIN} for nnU-Net's five folds, got {arguments.train}")
    given: dict[str, Any] = {"patch": ()} if folder else {}
    return DemoSetting(
        out=arguments.out.resolve(),
        trainers=with_epochs(arguments.trainers, epochs),
        source=folder,
        configuration=arguments.configuration or (source.configuration(folder) if folder else "3d_fullres"),
        train=arguments.train or (0 if folder and not arguments.quick else counts["train"]),
        unseen=arguments.unseen or counts["unseen"],
        device=arguments.device or _device(),
        **given,
    )


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
