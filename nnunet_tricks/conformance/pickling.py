"""Whether a loader can be sent to the processes that augment.

On Linux these processes are forked, up to Python 3.13. On Windows, on macOS and from Python 3.14 on, the loader is
pickled with its transforms. If it cannot be pickled, the training ends before its first step.
"""

from __future__ import annotations

import io
import pickle
import sys
from types import FunctionType
from typing import Any


class _Pickler(pickle.Pickler):
    """Leaves out objects that can only be sent while a process starts, and those of a user's folder of trainers."""

    def reducer_override(self, thing: Any) -> Any:
        """A stand-in for such objects, which can be pickled."""
        home = getattr(thing, "__module__", None) or ""
        if type(thing).__module__.startswith("multiprocessing."):
            return str, ()
        # nnU-Net forgets such modules once it has the trainer.
        by_name = isinstance(thing, (type, FunctionType)) and "<" not in thing.__qualname__
        if by_name and home not in sys.modules:
            return str, ()
        return NotImplemented


def obstacle(loader: Any) -> str:
    """Why a loader cannot be pickled, in one line; empty if it can.

    Examples:
        >>> obstacle([len, {"a": 1}])
        ''
        >>> obstacle(lambda image: image)
        "...Can't pickle...<lambda>..."
    """
    try:
        _Pickler(io.BytesIO()).dump(loader)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
