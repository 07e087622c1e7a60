"""What a process of stock nnU-Net sees. Run as a script, in an interpreter of its own, with a trainer's name.

Prints one JSON object for each step that went well, so that a crash shows how far it came. Does not import
nnunet_tricks: whether nnU-Net gets there by itself is the question.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any


def steps(trainer: str) -> Iterator[dict[str, Any]]:
    """Import what nnU-Net imports, then look ``trainer`` up."""
    import torch

    yield {"torch": torch.__version__, "device": _device(torch)}
    import nnunetv2
    import nnunetv2.training.nnUNetTrainer.nnUNetTrainer

    yield {"nnunetv2": nnunetv2.__path__[0]}
    start, cpu_start = time.perf_counter(), time.process_time()
    found = find(trainer)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    yield {"seconds": seconds, "cpu_seconds": cpu_seconds, "module": found.__module__, "name": found.__name__}


def find(trainer: str) -> type:
    """As ``nnUNetv2_train`` finds its trainer."""
    try:
        from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
    except ModuleNotFoundError as error:
        if error.name != "nnunetv2.utilities.find_objects":
            raise
    else:
        return recursive_find_trainer_class_by_name(trainer)
    import nnunetv2
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

    package = "nnunetv2.training.nnUNetTrainer"
    found = recursive_find_python_class(
        os.path.join(nnunetv2.__path__[0], "training", "nnUNetTrainer"), trainer, package
    )
    if found is None:
        raise RuntimeError(f"Could not find requested nnunet trainer {trainer} in {package}")
    return found


def _device(torch: Any) -> str:
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        return f"{torch.cuda.get_device_name(0)}{f' and {count - 1} more' if count > 1 else ''}"
    return "mps" if torch.backends.mps.is_available() else ""


def main() -> None:
    """Print what each step found."""
    # A script's own folder comes first on the path; nnU-Net's commands do not have ours there.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]
    try:
        for found in steps(sys.argv[1]):
            print(json.dumps(found), flush=True)
    except Exception as error:
        print(json.dumps({"failure": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
