"""What differs between two configurations, in nnU-Net's own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """A line for each setting that differs; both with all that they inherit.

    Examples:
        >>> difference({"patch_size": [8, 8], "batch_size": 2}, {"patch_size": [4, 4], "batch_size": 2})
        ['patch_size: [8, 8] -> [4, 4]']
    """
    old, new = _flat(before), _flat(after)
    return [
        f"{key}: {old.get(key, 'none')} -> {new.get(key, 'none')}"
        for key in dict.fromkeys((*old, *new))
        if key != "inherits_from" and old.get(key) != new.get(key)
    ]


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        # 'architecture' and 'arch_kwargs' only hold others, whose names say enough.
        flat |= _flat(value) if isinstance(value, Mapping) and key in ("architecture", "arch_kwargs") else {key: value}
    return flat
