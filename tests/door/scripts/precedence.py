"""Who wins, and what stays whole when we fail: many look-ups in one process, because its imports take seconds."""

import json
import os
import sys
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from look_ups import look_up

FOLDERS = "nnUNet_extTrainer"


def main(own: str, broken: str, probe: str) -> None:
    """Look up with and without trainers of the user's own, with a broken nnunet_tricks, and inside another search."""
    report: dict[str, Any] = {"linked": _all()}
    os.environ[FOLDERS] = own
    report["own"] = _all()
    os.environ[FOLDERS] = broken
    report["broken own"] = _all()

    os.environ[FOLDERS] = own
    trainers = sys.modules.pop("nnunet_tricks.door.trainers")
    sys.modules["nnunet_tricks.door.trainers"] = None  # type: ignore[assignment]
    report["ours fails, own"] = _all()
    del os.environ[FOLDERS]
    report["ours fails"] = _all()
    with redirect_stderr(StringIO()) as said:
        look_up("nnUNetTrainerTversky", old_finder=True)
    report["said"] = said.getvalue()
    sys.modules["nnunet_tricks.door.trainers"] = trainers

    # nnU-Net's own folder, with a dataset_conversion of its own, is first on the path while it searches.
    import nnunetv2
    from nnunetv2.utilities.find_class_by_name import temporarily_extend_syspath

    from nnunet_tricks.door import kinds

    sys.path.append(probe)
    kinds.KINDS[kinds.TRAINERS] = "importing:find"
    before = list(sys.path)
    with temporarily_extend_syspath(nnunetv2.__path__[0]):
        inside = list(sys.path)
        report["inside"] = look_up("nnUNetTrainerProbe", old_finder=True)
        report["path kept"] = inside == sys.path != before
    print(json.dumps(report))


def _all() -> dict[str, dict[str, Any]]:
    names = ["nnUNetTrainer", "nnUNetTrainerCELoss", "nnUNetTrainerTversky", "nnUNetTrainerTversky_alpha1p7", "Foreign"]
    return {name: look_up(name) for name in names} | {
        f"old {name}": look_up(name, old_finder=True) for name in names if name != "nnUNetTrainer"
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
