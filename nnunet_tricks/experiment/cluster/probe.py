"""Examines a node, for ``cluster check``.

``python -m nnunet_tricks.experiment.cluster.probe FOLDER NAME MARKER`` starts it.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import uuid
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nnunet_tricks.utilities.files import write_atomically
from nnunet_tricks.utilities.python import words_of_python

TRAINER = "nnUNetTrainerTversky"
SAID = "said"


def main(arguments: Sequence[str]) -> int:
    """Write what is there. The exit code is always 0: the head process judges what was written."""
    folder, name, marker = Path(arguments[0]), arguments[1], Path(arguments[2])
    write_atomically(folder / SAID / f"{name}.json", json.dumps(look()))
    write_atomically(marker, "")
    return 0


def look() -> dict[str, Any]:
    """Name, folders, GPU, nnU-Net and our trainers on this node."""
    folders = {f"nnUNet_{name}": os.environ.get(f"nnUNet_{name}", "") for name in ("raw", "preprocessed", "results")}
    return {
        "node": platform.node(),
        "unseen": [f"{name}={folder}" for name, folder in folders.items() if not Path(folder).is_dir()],
        "unwritable": [
            f"{name}={folder}" for name, folder in folders.items() if name != "nnUNet_raw" and not _is_writable(folder)
        ],
        "gpu": _printed_by("import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"),
        "nnunet": _version("nnunetv2"),
        "trainer": _printed_by(
            "import nnunetv2; from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as find;"
            f" print(find({TRAINER!r}).__name__)"
        ),
    }


def _is_writable(folder: str) -> bool:
    file = Path(folder) / f".nnunet_tricks_{uuid.uuid4().hex}"
    try:
        file.write_text("")
        file.unlink()
    except OSError:
        return False
    return True


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _printed_by(line: str) -> str:
    """The last line that a line of Python prints, in an interpreter of its own; empty if it fails."""
    done = subprocess.run([*words_of_python(), "-c", line], capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    return lines[-1] if lines and done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
