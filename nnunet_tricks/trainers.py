"""From a trainer's name to its class, made on first look-up."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from nnunet_tricks.naming import IllegalName, is_ours, parse


def find(name: str) -> type | None:
    """The trainer class of a name.

    Args:
        name: As it follows nnU-Net's ``-tr``.

    Returns:
        The class, the same one each time, or ``None`` where the name does not begin as trainers' names do.

    Raises:
        IllegalName: If it begins so, but is none of ours.

    Examples:
        >>> find("nnUNetTrainerTversky_alpha0p2_100epochs").__name__
        'nnUNetTrainerTversky_alpha0p2_100epochs'
    """
    return _build(name) if is_ours(name) else None


@cache
def _build(name: str) -> type:
    # A base comes last, so that what a trick sets replaces what the base set.
    tricks = sorted(parse(name).tricks, key=lambda trick: trick.info.base)
    classes = [getattr(import_module(trick.info.module), trick.info.implementation) for trick in tricks]
    # Both need torch, which names that are illegal should not wait for.
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from nnunet_tricks.trainer import TrickTrainer

    # A name that a class already has, nnU-Net's own included, means that class.
    written = [cls for cls in (*classes, nnUNetTrainer) if cls.__name__ == name]
    if written:
        return written[0]
    what = "; ".join(trick.info.summary for trick in tricks) or "nothing switched"
    return type(name, (*classes, TrickTrainer), {"__module__": __name__, "__doc__": f"nnU-Net with: {what}."})


def __getattr__(name: str) -> type:
    """Every legal name is an attribute, so that generated classes are importable and can be pickled."""
    try:
        trainer = find(name)
    except IllegalName as error:
        raise AttributeError(str(error)) from error
    if trainer is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return trainer
