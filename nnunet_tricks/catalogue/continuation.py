"""Names that begin with what somebody has typed so far. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nnunet_tricks.catalogue import CATALOGUE, EVERYTHING
from nnunet_tricks.catalogue.info import Parameter
from nnunet_tricks.catalogue.naming import DEFAULT_EPOCHS, PREFIX, is_legal, parse


def tricks(word: str) -> list[str]:
    """Names of tricks, or of trainers if the word begins like one.

    Args:
        word: Beginning of a name; capitals of a trick do not matter.

    Examples:
        >>> tricks("tver"), tricks("keepl"), tricks("nnUNetTrainerFocalT")
        (['Tversky', 'TverskyCE'], ['KeepLargest'], ['nnUNetTrainerFocalTversky', 'nnUNetTrainerFocalTverskyCE'])
        >>> tricks("Tversky_m")
        ['Tversky_mediseg']
    """
    if "_" in word and not word.casefold().startswith(PREFIX.casefold()):
        return [name.removeprefix(PREFIX) for name in trainers(PREFIX + word)]
    names = _beginning(word, [info.name for info in EVERYTHING])
    return [*names, *trainers(word)] if word and PREFIX.startswith(word[: len(PREFIX)]) else names


def trainers(word: str) -> list[str]:
    """Names of trainers, up to their next underscore.

    A parameter that takes numbers is given without them.

    Args:
        word: Beginning of a name, which may lack ``nnUNetTrainer``; capitals do not matter.

    Examples:
        >>> trainers("FocalTversky")
        ['nnUNetTrainerFocalTversky', 'nnUNetTrainerFocalTverskyCE']
        >>> trainers("nnUNetTrainerTversky_")[:3]
        ['nnUNetTrainerTversky_alpha', 'nnUNetTrainerTversky_beta', 'nnUNetTrainerTversky_cb']
        >>> trainers("nnUNetTrainerTversky_10")
        ['nnUNetTrainerTversky_10epochs']
    """
    if PREFIX.casefold().startswith(word.casefold()):
        word = PREFIX
    elif not word.casefold().startswith(PREFIX.casefold()):
        word = PREFIX + word
    before, underscore, last = word[len(PREFIX) :].rpartition("_")
    start = PREFIX + before + underscore
    if before and not is_legal(PREFIX + before):
        return []
    whole = [info.name for info in CATALOGUE]
    unfinished: list[str] = []
    if underscore:
        number = re.fullmatch(r"\d+", last)
        whole += ["shared", "run2", *([f"{last}epochs"] if number else [])]
        parameters = list(_parameters(PREFIX + before)) if before else []
        unfinished = [parameter.name for parameter in parameters if not _words(parameter)]
        whole = [word for parameter in parameters for word in _words(parameter)] + whole
    else:
        whole.insert(0, "")
    # What is typed may be whole already: a parameter with its number.
    whole += [last] if last[:1].islower() and last not in whole else []
    legal = [token for token in whole if is_legal(start + token)]
    return [start + token for token in _beginning(last, [*unfinished, *legal])]


def _beginning(start: str, words: Sequence[str]) -> list[str]:
    """Words that begin in some way; only where none does, those that would with other capitals."""
    return [word for word in words if word.startswith(start)] or [
        word for word in words if word.casefold().startswith(start.casefold())
    ]


def _parameters(name: str) -> Iterator[Parameter]:
    """Parameters of the last trick that can follow."""
    parsed = parse(name)
    if not parsed.tricks or (parsed.epochs, parsed.run, parsed.shared) != (DEFAULT_EPOCHS, 1, False):
        return
    info, changed = parsed.tricks[-1].info, dict(parsed.tricks[-1].changed)
    set_last = max((index for index, parameter in enumerate(info.parameters) if parameter.name in changed), default=-1)
    excluded = {name for parameter in info.parameters if parameter.name in changed for name in parameter.excludes}
    for parameter in info.parameters[set_last + 1 :]:
        if parameter.name not in excluded and not changed.keys() & set(parameter.excludes):
            yield parameter


def _words(parameter: Parameter) -> tuple[str, ...]:
    """Tokens that a flag or a choice has; none for a parameter that takes numbers."""
    return (parameter.name,) if isinstance(parameter.default, bool) else parameter.choices
