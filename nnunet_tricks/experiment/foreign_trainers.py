"""Whether a trainer that is not one of ours exists, found out without importing nnU-Net.

Which look-up is for what: ``door.trainers.find`` builds our class of a name, and knows no others. ``door.lookup`` gives
the class that nnU-Net would train with, and imports nnU-Net for it. ``door.probe`` asks a fresh process of stock
nnU-Net, for ``doctor``. This module only reads source files, so that ``run`` can check an experiment in a moment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from nnunet_tricks.door import external


def is_there(trainer: str) -> bool:
    """Whether nnU-Net or a folder of ``nnUNet_extTrainer`` has a class of this name.

    Examples:
        >>> is_there("nnUNetTrainerDA5"), is_there("nnUNetTrainerMadeUp")
        (True, False)
    """
    return trainer in _classes(os.environ.get(external.VARIABLE, ""))


@cache
def _classes(others: str) -> frozenset[str]:
    classes: set[str] = set()
    for folder in _folders(others):
        for file in folder.rglob("*.py"):
            classes.update(
                re.findall(r"^class\s+(\w+)", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
            )
    return frozenset(classes)


def _folders(others: str) -> Iterator[Path]:
    nnunet = find_spec("nnunetv2")
    for folder in (nnunet.submodule_search_locations or []) if nnunet else []:
        yield Path(folder) / "training" / "nnUNetTrainer"
    yield from (Path(folder) for folder in others.split(os.pathsep) if folder)
