"""Look-ups through ``nnUNet_extTrainer`` alone, in one process, because its imports take seconds."""

import json
import os
import sys
from typing import Any

from look_ups import look_up

FOLDERS = "nnUNet_extTrainer"
NAMES = ("nnUNetTrainerCELoss", "nnUNetTrainerTversky", "nnUNetTrainerTversky_alpha1p7")


def main(alone: str, after_own: str) -> None:
    """Look up with our folder alone, and with a folder of the user's own before and after it."""
    before_own = os.pathsep.join(reversed(after_own.split(os.pathsep)))
    report: dict[str, Any] = {}
    os.environ[FOLDERS] = alone
    report["alone"] = _all()

    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    report["same class twice"] = recursive_find_trainer_class_by_name(NAMES[1]) is getattr(
        sys.modules["nnunet_tricks.door.trainers"], NAMES[1]
    )
    os.environ[FOLDERS] = after_own
    report["after own"] = _all()
    os.environ[FOLDERS] = before_own
    report["before own"] = _all()
    sys.modules["nnunet_tricks.door.trainers"] = None  # type: ignore[assignment]
    report["ours fails, before own"] = _all()
    os.environ[FOLDERS] = alone
    report["ours fails"] = _all()
    print(json.dumps(report))


def _all() -> dict[str, dict[str, Any]]:
    return {name: look_up(name) for name in NAMES}


if __name__ == "__main__":
    main(*sys.argv[1:])
