"""Odd files: how they are written, and the right outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, kw_only=True)
class OddFile:
    """One file that is odd in exactly one way, and what a converter should make of its case.

    Attributes:
        name: What is odd, as words joined by hyphens; unique within its list.
        role: ``image`` or ``label``: the part of a case that this file replaces. Its partner is sound.
        make: Writes the file. Takes the path to write and a random generator.
        outcome: ``converted`` or ``refused``.
        says: A part of the refusal's reason, or of the note that a converted case must have. Empty: no word is needed.
        ending: The file's ending.
    """

    name: str
    role: str
    make: Callable[[Path, np.random.Generator], None]
    outcome: str
    says: str = ""
    ending: str = ".nii.gz"


@dataclass(frozen=True, kw_only=True)
class OddSource:
    """A whole source folder that is odd in one way: a layout, a list, a table.

    Attributes:
        name: What is odd, as words joined by hyphens; unique within its list.
        data_set: The converter that gets it.
        make: Fills an empty folder.
        code: Expected exit code.
        says: A part of what must be said, in the error or in the summary.
        cases: Expected ids of the converted training cases; None where nothing is written.
        words: Further arguments of the command.
    """

    name: str
    data_set: str
    make: Callable[[Path, np.random.Generator], None]
    code: int
    says: str = ""
    cases: tuple[str, ...] | None = None
    words: tuple[str, ...] = ()
