"""Transforms in place of batchgeneratorsv2's own, however deep they are in others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform

T = TypeVar("T", bound=BasicTransform)


def in_place_of(transform: BasicTransform, kind: type[T]) -> T:
    """A transform of a subclass with the same settings."""
    made = object.__new__(kind)
    made.__dict__.update(transform.__dict__)
    return made


def with_replaced(transform: Any, ours: dict[type[BasicTransform], Callable[[Any], BasicTransform | None]]) -> Any:
    """Replace transforms of some classes, but for subclasses of these.

    Args:
        transform: A transform, or a list of them; those that hold others are changed.
        ours: Makes what stands in for a transform of a class; ``None`` leaves it.
    """
    if isinstance(transform, list):
        return [with_replaced(part, ours) for part in transform]
    if type(transform) in ours:
        return ours[type(transform)](transform) or transform
    if isinstance(transform, BasicTransform):
        for name, part in vars(transform).items():
            if isinstance(part, BasicTransform) or (isinstance(part, list) and _are_transforms(part)):
                setattr(transform, name, with_replaced(part, ours))
    return transform


def _are_transforms(parts: list[Any]) -> bool:
    return bool(parts) and all(isinstance(part, BasicTransform) for part in parts)
