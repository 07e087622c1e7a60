"""From any trainer's name to its class, as nnU-Net does it, and ours even where ``nnunet-tricks link`` has not run.

``trainers`` knows only ours. ``probe`` asks a fresh process of stock nnU-Net, to see whether it finds ours by itself.
``experiment.foreign_trainers`` only tells whether a class of a name exists, without importing nnU-Net.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from os.path import join
from typing import Any

import nnunetv2
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet import patches

try:
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as _stock
except ModuleNotFoundError:  # nnU-Net 2.7

    def _stock(trainer_name: str) -> Any:
        trainer = recursive_find_python_class(
            join(nnunetv2.__path__[0], "training", "nnUNetTrainer"), trainer_name, "nnunetv2.training.nnUNetTrainer"
        )
        if trainer is None:
            raise RuntimeError(f"Could not find requested nnunet trainer {trainer_name}")
        return trainer


def find_trainer(name: str) -> type[nnUNetTrainer]:
    """The class that ``nnUNetv2_train -tr NAME`` would train with.

    Args:
        name: A built-in trainer, one in a folder of ``nnUNet_extTrainer``, or one of ours.

    Returns:
        The class.

    Raises:
        ValueError: If there is no such trainer.
    """
    try:
        # Before it gives up, nnU-Net imports and announces whatever lies around.
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _stock(name)
    except RuntimeError as error:
        ours = trainers.find(name)
        if ours is None:
            raise ValueError(
                f"no trainer is called '{name}': nnU-Net has none, nor have the folders in nnUNet_extTrainer, and ours "
                "start with nnUNetTrainer"
            ) from error
        return ours


@contextmanager
def findable(trainer: type[nnUNetTrainer]) -> Iterator[None]:
    """Let nnU-Net's prediction find ``trainer`` by its name where its own search finds nothing."""
    with patches.search_of_prediction(partial(_with_fallback, trainer=trainer)):
        yield


def _with_fallback(search: Callable[..., Any], trainer: type[nnUNetTrainer]) -> Callable[..., Any]:
    """``search``, and where it fails (``None`` before 2.8, an error since) for the name of ``trainer``, ``trainer``."""

    def find(*arguments: Any, **keywords: Any) -> Any:
        try:
            found = search(*arguments, **keywords)
        except RuntimeError:
            if trainer.__name__ not in arguments:
                raise
            return trainer
        return trainer if found is None and trainer.__name__ in arguments else found

    return find
