"""How the parameters of a trick are written in names, and read. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache

from nnunet_tricks.catalogue.info import Parameter, TrickInfo, Value

NUMBER = r"\d{1,15}(?:p\d{1,15})?(?:em\d{1,2})?"
"""How a number is written: ``0p2`` is 0.2, ``3em4`` is 0.0003."""
PART_OF_WORD = r"[a-z0-9]{1,40}"
"""A token of a word, which has one or several."""


def spell_trick(info: TrickInfo, changed: Mapping[str, Value]) -> str:
    """A trick's tokens in a trainer's name, parameters in the order of the catalogue.

    Args:
        info: Entry of the trick.
        changed: Values of the parameters that are not at their default.
    """
    return "_".join([info.name, *(spell(p, changed[p.name]) for p in info.parameters if p.name in changed)])


def spell(parameter: Parameter, value: Value) -> str:
    """A parameter's token with a value, ``alpha0p2``."""
    if isinstance(value, bool):
        return parameter.name
    if isinstance(value, str):
        return value
    numbers = value if isinstance(value, tuple) else (value,)
    return parameter.name + "x".join(map(_spell_number, numbers))


def parameter_of(info: TrickInfo, token: str) -> Parameter | None:
    """The parameter that a token is a value of, or a part of it, if it is of this trick. A word takes what is left."""
    fitting = [parameter for parameter, pattern in _patterns(info).items() if pattern.fullmatch(token)]
    return min(fitting, key=lambda parameter: parameter.word, default=None)


def value_of(parameter: Parameter, token: str) -> Value:
    """The value that a token gives to its parameter."""
    if isinstance(parameter.default, bool):
        return True
    if isinstance(parameter.default, str):
        return token
    numbers = tuple(number(word) for word in token[len(parameter.name) :].split("x"))
    if isinstance(parameter.default, tuple):
        return numbers
    return int(numbers[0]) if isinstance(parameter.default, int) and numbers[0].is_integer() else numbers[0]


def bound(parameter: Parameter, value: Value) -> Value | None:
    """The allowed value nearest to ``value`` where that is another one."""
    if isinstance(parameter.default, (bool, str)):
        return None
    if isinstance(value, tuple):
        clipped: Value = tuple(_clip(parameter, number) for number in value)
    else:
        clipped = _clip(parameter, float(value))
        clipped = round(clipped) if isinstance(parameter.default, int) else clipped
    return clipped if clipped != value else None


def example(parameter: Parameter) -> Value:
    """A value that a message can show."""
    if isinstance(parameter.default, bool):
        return True
    return parameter.default or (0.5, 2.0) if isinstance(parameter.default, tuple) else parameter.default


def number(word: str) -> float:
    """The number that a word spells."""
    return float(word.replace("em", "e-").replace("p", "."))


def _pattern(parameter: Parameter) -> str:
    if isinstance(parameter.default, bool):
        return parameter.name
    if isinstance(parameter.default, str):
        return PART_OF_WORD if parameter.word else "|".join(parameter.choices)
    if isinstance(parameter.default, tuple):
        return f"{parameter.name}{NUMBER}(?:x{NUMBER})*"
    return parameter.name + NUMBER


@cache
def _patterns(info: TrickInfo) -> Mapping[Parameter, re.Pattern[str]]:
    return {parameter: re.compile(_pattern(parameter)) for parameter in info.parameters}


def _clip(parameter: Parameter, number: float) -> float:
    number = max(number, float(parameter.low))
    return number if parameter.high is None else min(number, float(parameter.high))


def _spell_number(number: float) -> str:
    """``0.2`` is ``0p2``; below a thousandth ``0.0003`` is ``3em4``."""
    decimal = Decimal(repr(float(number))).normalize()
    if 0 < decimal < Decimal("0.001"):
        exponent = decimal.adjusted()
        return f"{decimal.scaleb(-exponent):f}em{-exponent}".replace(".", "p")
    return f"{decimal:f}".replace(".", "p")
