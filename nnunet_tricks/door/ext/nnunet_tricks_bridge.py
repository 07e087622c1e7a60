"""Every trainer of nnunet_tricks, as nnU-Net's search through ``nnUNet_extTrainer`` wants it: an attribute of a module.

nnU-Net imports this file as a top-level module, asks it for the name twice, and forgets it again. The classes therefore
live in the installed package. Nothing here may fail on import: that would break everybody else's trainers too.
"""

import os
import sys

_VARIABLE = "nnUNet_extTrainer"


def __getattr__(name: str) -> object:
    """The trainer ``name``, or ``AttributeError``, after which nnU-Net searches on."""
    if not name.casefold().startswith("nnunettrainer"):
        raise AttributeError(name)
    try:
        from nnunet_tricks.door.kinds import TRAINERS, answer

        found, refusal = answer(TRAINERS, name)
    except Exception as problem:
        found, refusal = None, f"nnunet_tricks could not be asked for {name}: {type(problem).__name__}: {problem}"
        final = False
    else:
        final = _nothing_follows()
    if found is not None:
        return found
    if refusal and final:
        raise RuntimeError(refusal)
    if refusal:
        print(refusal, file=sys.stderr)
    raise AttributeError(name)


def _nothing_follows() -> bool:
    """Whether this folder is the last one that nnU-Net searches, so that ours may be the last word."""
    folders = [folder for folder in os.environ.get(_VARIABLE, "").split(os.pathsep) if folder.strip()]
    return bool(folders) and os.path.realpath(folders[-1]) == os.path.realpath(os.path.dirname(__file__))
