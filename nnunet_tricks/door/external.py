"""nnU-Net's own door for trainers of others, the variable ``nnUNet_extTrainer``, for where nothing may be linked."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

VARIABLE = "nnUNet_extTrainer"

FOLDER = Path(__file__).parent / "ext"
"""What to put into the variable."""


def _fish(value: str) -> str:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {VARIABLE} '{quoted}'"


def _powershell(value: str) -> str:
    quoted = value.replace("'", "''")
    return f"$env:{VARIABLE} = '{quoted}'"


SHELLS: dict[str, Callable[[str], str]] = {
    "bash": lambda value: f"export {VARIABLE}={shlex.quote(value)}",
    "fish": _fish,
    "powershell": _powershell,
    "cmd": lambda value: f'set "{VARIABLE}={value}"',
}
"""How each shell sets the variable; ``bash`` is also right for sh, dash and zsh."""


def assignment(*, shell: str = "bash", present: str = "", folder: Path = FOLDER) -> str:
    """The line that makes nnU-Net search our folder, after those that it searches already.

    Args:
        shell: One of ``SHELLS``.
        present: Value of the variable now.
        folder: The folder with our bridge.

    Returns:
        One line for that shell. Running it twice changes nothing more.

    Raises:
        ValueError: If nnU-Net would cut the folder's name in two.

    Examples:
        >>> assignment(folder=Path("/opt/tricks"), present="/home/me/trainers")
        'export nnUNet_extTrainer=/home/me/trainers:/opt/tricks'
        >>> assignment(folder=Path("/opt/our tricks"), shell="fish")
        "set -gx nnUNet_extTrainer '/opt/our tricks'"
    """
    ours = str(folder)
    if os.pathsep in ours:
        raise ValueError(
            f"nnU-Net splits {VARIABLE} at '{os.pathsep}', which stands in {ours}: use 'nnunet-tricks link', "
            "or install nnunet_tricks into a folder without it"
        )
    # Last, so that trainers of the user's own win over ours of the same name.
    others = [entry for entry in present.split(os.pathsep) if entry.strip() and not _same(entry, ours)]
    return SHELLS[shell](os.pathsep.join([*others, ours]))


def is_set() -> bool:
    """Whether nnU-Net, started from here, searches our folder."""
    return any(_same(entry, str(FOLDER)) for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry.strip())


def is_read() -> bool:
    """Whether the installed nnU-Net knows the variable at all."""
    try:
        release = version("nnunetv2")
    except PackageNotFoundError:
        return False
    return release_numbers(release) >= (2, 8)


def release_numbers(release: str) -> tuple[int, ...]:
    """The first two numbers of a version, whatever follows them.

    Examples:
        >>> release_numbers("2.9rc1")
        (2, 9)
    """
    return tuple(int(number) for number in re.findall(r"\d+", release)[:2])


def _same(folder: str, another: str) -> bool:
    return os.path.realpath(folder) == os.path.realpath(another)
