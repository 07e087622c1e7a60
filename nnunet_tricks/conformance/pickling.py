"""Whether a loader can be sent to the processes that augment.

On Linux they are forked, up to Python 3.13. On Windows, on macOS and from Python 3.14 on a loader is pickled, with its
transforms, and what cannot be pickled ends the training before its first step.
"""

from __future__ import annotations

import io
import pickle
import sys
from types import FunctionType
from typing import Any


class _Pickler(pickle.Pickler):
    """Leaves out what only travels while a process starts, and what a user's folder of trainers holds."""

    def reducer_override(self, thing: Any) -> Any:
        """Something that can be pickled in place of these."""
        home = getattr(thing, "__module__", None) or ""
        if type(thing).__module__.startswith("multiprocessing."):
            return str, ()
        # nnU-Net forgets such modules once it has the trainer, whatever is in them.
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
