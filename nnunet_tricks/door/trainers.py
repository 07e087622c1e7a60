"""From a name of ours to its trainer class, made on first look-up; ``lookup`` also knows the trainers of others."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.catalogue.naming import IllegalName, is_ours, parse


def find(name: str) -> type | None:
    """The trainer class of a name.

    Args:
        name: Name as it follows nnU-Net's ``-tr``.

    Returns:
        The class, the same one each time, or ``None`` where the name does not begin as trainers' names do.

    Raises:
        IllegalName: If it begins so, but is none of ours.

    Examples:
        >>> find("nnUNetTrainerTversky_alpha0p2_100epochs").__name__
        'nnUNetTrainerTversky_alpha0p2_100epochs'
    """
    return _build(name) if is_ours(name) else None


def is_made_here(trainer: type) -> bool:
    """Whether a class is the one of its name here, and not one of a user that builds on ours or has a like name.

    Examples:
        >>> tversky = find("nnUNetTrainerTversky")
        >>> is_made_here(tversky), is_made_here(type("nnUNetTrainerMine", (tversky,), {}))
        (True, False)
    """
    try:
        return find(trainer.__name__) is trainer
    except IllegalName:
        return False


@cache
def _build(name: str) -> type:
    read = parse(name)
    # A network is built by the last class, so that the others can change it, the first one last. The first one also
    # gets the very configuration that prediction holds; others may get copies.
    tricks = sorted(read.switched, key=lambda trick: _place(trick.info))
    classes = [_class_of(trick.info, name) for trick in tricks]
    # Both need torch, which names that are illegal should not wait for.
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from nnunet_tricks.training.trainer import TrickTrainer

    # A name that a class already has, nnU-Net's own included, means that class.
    written = [cls for cls in (*classes, nnUNetTrainer) if cls.__name__ == name]
    if written:
        return written[0]
    what = "; ".join(trick.info.summary for trick in read.switched) or "nothing switched"
    return type(name, (*classes, TrickTrainer), {"__module__": __name__, "__doc__": f"nnU-Net with: {what}."})


def _place(info: TrickInfo) -> int:
    """Where a class stands: blocks are put into what all others have built, and attention behind the blocks."""
    places = {"network.input": -3, "network.attention": -2, "network.block": -1, "network.backbone": 1}
    # A whole network claims several of these, and is built first.
    return max((place for hook, place in places.items() if hook in info.hooks), default=0)


def _class_of(info: TrickInfo, name: str) -> type:
    """What switches a trick in a name; some of nnU-Net's own trainers have a stand-in where the name says more."""
    stand_in = info.stand_in if name != info.trainer else ""
    module, _, class_name = (stand_in or f"{info.module}:{info.trainer}").partition(":")
    trainer: type = getattr(import_module(module), class_name)
    return trainer


def __getattr__(name: str) -> type:
    """Every legal name is an attribute, so that generated classes are importable and can be pickled."""
    try:
        trainer = find(name)
    except IllegalName as error:
        raise AttributeError(str(error)) from error
    if trainer is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return trainer
