"""``nnunet-tricks ganaug``: GANs of a fold, and the images that they draw or translate.

Each action is a module with ``add_arguments`` and ``run``. Heavy packages are imported when it runs.
"""

from __future__ import annotations

import argparse
from types import ModuleType

from nnunet_tricks.commands.ganaug import sample, train, translate
from nnunet_tricks.commands.ganaug.shared import add_common, check_numbers

ACTIONS: dict[str, tuple[ModuleType, str]] = {
    "train": (train, "train a GAN, or go on where it was interrupted"),
    "sample": (sample, "draw synthetic pairs of a new mask and its image"),
    "translate": (translate, "give a data set the look of another one, as a new data set"),
}
"""Each action, its module, and what it is for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a parser for each action."""
    parser.description = (
        "Synthetic images. 'train' trains a pix2pix on the preprocessed training cases of a fold, and 'sample' draws "
        "images for new masks with it, for nnUNetTrainerGANAug. 'translate' trains a CycleGAN between two data sets. "
        "All see no validation case. Files are in the folder 'ganaug' beside the preprocessed data."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (module, summary) in ACTIONS.items():
        action = actions.add_parser(name, help=summary)
        module.add_arguments(action)
        add_common(action)


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action."""
    check_numbers(arguments)
    module, _ = ACTIONS[arguments.action]
    return int(module.run(arguments))
