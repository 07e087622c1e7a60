"""nnU-Net's own commands: where they are, and the variables with which they find our trainers."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Mapping

from nnunet_tricks.door import external, link


def command(name: str) -> str:
    """Where one of nnU-Net's commands is, preferably the one of this very Python.

    Raises:
        ValueError: If it is nowhere.
    """
    folders = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", f"{os.name}_user")]
    program = shutil.which(name, path=os.pathsep.join(folders)) or shutil.which(name)
    if program is None:
        raise ValueError(f"{name} is not installed beside this Python: 'nnunet-tricks doctor' says what is missing")
    return program


def with_our_trainers(variables: Mapping[str, str]) -> dict[str, str]:
    """The same variables, with nnU-Net's own door for our trainers added where they are not linked.

    Raises:
        ValueError: If this nnU-Net could not find our trainers.
    """
    if link.state():
        return dict(variables)
    if not external.is_read():
        raise ValueError("nnU-Net before 2.8 finds our trainers only after 'nnunet-tricks link': run it once")
    searched = [folder for folder in variables.get(external.VARIABLE, "").split(os.pathsep) if folder]
    ours = str(external.FOLDER)
    return {**variables, external.VARIABLE: os.pathsep.join([*searched, *([ours] if ours not in searched else [])])}
