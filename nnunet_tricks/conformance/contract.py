"""What the class alone shows: the promises that nnU-Net relies on without checking them.

nnU-Net copies a trainer's constructor arguments by their names. It looks at the parameters of
``build_network_architecture`` to distinguish old trainers from new ones, and calls that function on the class when it
predicts. It calls other hooks as its own trainer defines them. A hook written for another version of nnU-Net fails late
or misinterprets its arguments.
"""

from __future__ import annotations

import inspect
from inspect import Parameter

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.outcome import ConformanceReport, Status, StepOutcome

NETWORK = "build_network_architecture"


def check_contract(trainer: type[nnUNetTrainer]) -> ConformanceReport:
    """Compare the class with the trainer of the installed nnU-Net.

    Args:
        trainer: The class.

    Returns:
        One step per promise.

    Examples:
        >>> check_contract(nnUNetTrainer).passed
        True
    """
    faults = {
        "name": _name(trainer),
        "__init__": _constructor(trainer),
        NETWORK: _network(trainer),
        "hooks": "; ".join(filter(None, (_hook(trainer, name) for name in overridden_hooks(trainer)))),
    }
    return ConformanceReport(
        trainer.__name__,
        "contract",
        tuple(StepOutcome(step, Status.FAIL if fault else Status.PASS, fault) for step, fault in faults.items()),
    )


def overridden_hooks(trainer: type[nnUNetTrainer]) -> tuple[str, ...]:
    """Functions of nnU-Net's trainer that the class replaces.

    Examples:
        >>> from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerDiceLoss import nnUNetTrainerDiceLoss
        >>> overridden_hooks(nnUNetTrainerDiceLoss)
        ('_build_loss',)
    """
    return tuple(
        name
        for name, theirs in vars(nnUNetTrainer).items()
        if inspect.isroutine(theirs)
        and name not in ("__init__", NETWORK)
        and inspect.getattr_static(trainer, name) is not theirs
    )


def _name(trainer: type[nnUNetTrainer]) -> str:
    if "__" not in trainer.__name__:
        return ""
    return (
        "the class name holds '__', where nnU-Net cuts the name of a results folder into trainer, plans, configuration"
    )


def _constructor(trainer: type[nnUNetTrainer]) -> str:
    mine, theirs = (list(inspect.signature(kind).parameters) for kind in (trainer, nnUNetTrainer))
    if mine == theirs:
        return ""
    return (
        f"__init__ takes ({', '.join(mine)}), it must take exactly ({', '.join(theirs)}), since nnU-Net copies "
        "arguments by these names; put settings into class attributes or the body of __init__"
    )


def _network(trainer: type[nnUNetTrainer]) -> str:
    if not isinstance(inspect.getattr_static(trainer, NETWORK), (staticmethod, classmethod)):
        return f"{NETWORK} must be a staticmethod or a classmethod, since prediction calls it on the class"
    mine, theirs = (list(_parameters(kind, NETWORK)) for kind in (trainer, nnUNetTrainer))
    return "" if mine == theirs else _mismatch(NETWORK, mine, theirs)


def _hook(trainer: type[nnUNetTrainer], name: str) -> str:
    """Why a hook cannot be called like nnU-Net's; empty if it can. Extra parameters need defaults."""
    if not callable(getattr(trainer, name)):
        return f"{name} is not a function, but nnU-Net calls it"
    own, expected = _parameters(trainer, name), list(_parameters(nnUNetTrainer, name))
    if {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD} <= {parameter.kind for parameter in own.values()}:
        return ""
    added = list(own.values())[len(expected) :]
    if list(own)[: len(expected)] == expected and all(p.default is not Parameter.empty for p in added):
        return ""
    return _mismatch(name, list(own), expected)


def _parameters(trainer: type[nnUNetTrainer], name: str) -> dict[str, Parameter]:
    """What a hook takes when it is called on an instance."""
    raw = inspect.getattr_static(trainer, name)
    parameters = dict(inspect.signature(getattr(raw, "__func__", raw)).parameters)
    if not isinstance(raw, staticmethod):
        parameters.pop(next(iter(parameters), ""), None)
    return parameters


def _mismatch(name: str, mine: list[str], theirs: list[str]) -> str:
    return f"{name} takes ({', '.join(mine)}), the installed nnU-Net calls it with ({', '.join(theirs)})"
