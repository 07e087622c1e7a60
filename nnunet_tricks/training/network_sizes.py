"""Networks in full size, or small for checks that look at how a network is trained and not at what it learns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, TypeVar

Size = Literal["full", "small"]
Settings = TypeVar("Settings")

VARIABLE = "nnunet_tricks_network_size"
"""Variable of the environment that the conformance harness sets to ``small``. Prediction builds the network again, in
other processes too, so what decides its size must reach all of them."""


def is_small() -> bool:
    """Whether networks are built small."""
    return os.environ.get(VARIABLE) == "small"


def chosen(sizes: Mapping[Size, Settings]) -> Settings:
    """The settings of the size in use.

    Examples:
        >>> chosen({"full": 50, "small": 4})
        50
    """
    return sizes["small" if is_small() else "full"]
