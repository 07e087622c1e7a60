"""What ``nnUNetv2_train`` was called with, as far as it does not tell the trainer that it makes.

nnU-Net makes a trainer, and with it the results folder, before it looks at ``-pretrained_weights``. Nothing that the
trainer gets says whether there will be a file. The functions that make it have the answer among their arguments.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_MAKERS = {"run_training", "run_ddp"}
"""Functions of ``nnunetv2.run.run_training`` that make a trainer: in this process, and in one of several for DDP."""

_MODULE = ("nnunetv2", "run", "run_training.py")

_FILE = "pretrained_weights"
"""Name of their argument."""

_GOING_ON = ("continue_training", "only_run_validation", "c", "val")
"""Names of their arguments for ``--c`` and ``--val``: those of the first, then those of the second."""


@dataclass(frozen=True)
class TrainingCall:
    """A call of nnU-Net's training.

    Attributes:
        pretrained_weights: File of ``-pretrained_weights``, if there is one.
        anew: Whether it trains from the beginning, so neither with ``--c`` nor with ``--val``.
    """

    pretrained_weights: Path | None
    anew: bool = False


def training_call() -> TrainingCall | None:
    """The call of nnU-Net's training that this code runs in; ``None`` where somebody else makes a trainer.

    Examples:
        >>> training_call() is None
        True
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        # Not by the name of the module, which is __main__ where it is the program.
        if code.co_name in _MAKERS and Path(code.co_filename).parts[-3:] == _MODULE and _FILE in frame.f_locals:
            file = frame.f_locals[_FILE]
            goes_on = any(frame.f_locals.get(name) for name in _GOING_ON)
            return TrainingCall(Path(file) if file else None, anew=not goes_on)
        frame = frame.f_back
    return None
