"""What nnU-Net's own functions find for the names on the command line, here and in a spawned child, as JSON."""

import json
import multiprocessing
import os
import sys
from typing import Any


def look_up(name: str, *, old_finder: bool = False) -> dict[str, Any]:
    """As nnU-Net's commands look a trainer up."""
    import nnunetv2
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

    try:
        from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
    except ImportError:
        old_finder = True
    try:
        if old_finder:
            folder = os.path.join(nnunetv2.__path__[0], "training", "nnUNetTrainer")
            found = recursive_find_python_class(folder, name, "nnunetv2.training.nnUNetTrainer")
        else:
            found = recursive_find_trainer_class_by_name(name)
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}
    if not isinstance(found, type):
        return {"found": found}
    return {"found": found.__name__, "module": found.__module__, "importable": _importable(found)}


def _importable(found: type) -> bool:
    """Whether pickle, in another process, would get at the class."""
    return getattr(sys.modules.get(found.__module__), found.__name__, None) is found


def main(names: list[str]) -> None:
    """Print what is found in this process, and what a spawned child finds for the first name."""
    report: dict[str, Any] = {name: look_up(name) for name in names}
    if "--spawn" in names:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            report["spawned"] = pool.apply(look_up, (names[0],))
    import nnunetv2

    print(json.dumps(report | {"nnunetv2": nnunetv2.__path__[0]}))


if __name__ == "__main__":
    main(sys.argv[1:])
