"""What nnU-Net looks up by name, and which function of ours answers.

``answer`` is called by files that stay behind in site-packages when this package is upgraded: keep its form.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from nnunet_tricks.catalogue.naming import IllegalName

TRAINERS = "nnunetv2.training.nnUNetTrainer"

KINDS = {
    TRAINERS: "nnunet_tricks.door.trainers:find",
    "nnunetv2.experiment_planning": "nnunet_tricks.planning.found:find",
    "nnunetv2.preprocessing.resampling": "nnunet_tricks.planning.resize:find",
}
"""Where nnU-Net searches, and our function, as ``module:name``, from a name to what it stands for or ``None``.

A new kind (normalisation, ...) is one more line; the dotted place is the third argument of nnU-Net's
``recursive_find_python_class``.
"""


def answer(place: str, name: str) -> tuple[Any, str]:
    """What we have under a name that nnU-Net itself does not know.

    Args:
        place: The package in which nnU-Net searched.
        name: Name that it searched for.

    Returns:
        Our object, or ``None`` if the name is not ours; and the reason why a name of ours is refused, else ``""``.

    Examples:
        >>> answer("nnunetv2.training.nnUNetTrainer", "nnUNetTrainerTversky_alpha1p7")
        (None, "'nnUNetTrainerTversky_alpha1p7' is not a trainer of nnunet_tricks: alpha of Tversky must be ...")
        >>> answer("nnunetv2.imageio", "SimpleITKIO")
        (None, '')
    """
    if place not in KINDS:
        return None, ""
    module, function = KINDS[place].split(":")
    with _without_nnunet_as_top_level():
        try:
            return getattr(import_module(module), function)(name), ""
        except IllegalName as refusal:
            return None, str(refusal)


@contextmanager
def _without_nnunet_as_top_level() -> Iterator[None]:
    """Hide nnU-Net's own folder, which is first on ``sys.path`` while it searches.

    What lies in it (``dataset_conversion``, ``utilities``, ``imageio``, ...) would stand in for top-level packages of
    the same name, for instance ours.
    """
    nnunet = getattr(sys.modules.get("nnunetv2"), "__path__", ())
    folders = {os.path.abspath(folder) for folder in nnunet}
    hidden = [entry for entry in sys.path if entry in folders]
    for entry in hidden:
        sys.path.remove(entry)
    try:
        yield
    finally:
        sys.path[:0] = hidden
