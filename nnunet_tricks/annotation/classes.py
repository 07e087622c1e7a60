"""The classes that annotators paint: their names, and the numbers by which label maps know them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from nnunet_tricks.annotation import labels

_WORD = re.compile(r"(.*)=(\s*[+-]?\d+\s*)")
_RESERVED = ("background", labels.IGNORE)


@dataclass(frozen=True)
class PaintedClasses:
    """Classes in the order of their values in the data set, which are 1, 2, and so on.

    Attributes:
        names: What they are called.
        numbers: Values that they have in label maps, ascending.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]

    @property
    def values(self) -> dict[int, int]:
        """Painted value and the one in the data set."""
        return {number: index for index, number in enumerate(self.numbers, 1)}

    @property
    def described(self) -> dict[str, int]:
        """Labels as ``dataset.json`` has them, without ``ignore``."""
        return {"background": 0} | {name: index for index, name in enumerate(self.names, 1)}

    def named(self, name: str) -> int | None:
        """The value in the data set of a class by its name; capitals and spaces around it do not matter."""
        own = [_compared(one) for one in self.names]
        wanted = _compared(name)
        return own.index(wanted) + 1 if wanted in own else None

    def __str__(self) -> str:
        """As on the command line."""
        return " ".join(f"{name}={number}" for name, number in zip(self.names, self.numbers, strict=True))


def parsed(words: Sequence[str]) -> PaintedClasses:
    """Classes as on the command line: ``kidney=1 tumour=7``, or names alone, whose numbers are 1, 2, and so on.

    Raises:
        ValueError: If a name or number comes twice, is reserved or missing, or only some have numbers.

    Examples:
        >>> parsed(["tumour=7", "kidney=1"])
        PaintedClasses(names=('kidney', 'tumour'), numbers=(1, 7))
        >>> str(parsed(["kidney", "tumour"]))
        'kidney=1 tumour=2'
    """
    matches = [_WORD.fullmatch(word) for word in words]
    if any(matches) and not all(matches):
        plain = next(word for word, match in zip(words, matches, strict=True) if not match)
        raise ValueError(f"classes must all have numbers, such as kidney=1 tumour=2, or none, got '{plain}' without")
    if any("=" in (match[1] if match else word) for word, match in zip(words, matches, strict=True)):
        raise ValueError(f"classes must be names, or names and whole numbers such as kidney=1, got {' '.join(words)}")
    pairs = [
        (match[1].strip(), int(match[2])) if match else (word.strip(), index)
        for index, (word, match) in enumerate(zip(words, matches, strict=True), 1)
    ]
    _check([name for name, _ in pairs], [number for _, number in pairs])
    pairs.sort(key=lambda pair: pair[1])
    return PaintedClasses(tuple(name for name, _ in pairs), tuple(number for _, number in pairs))


def _compared(name: str) -> str:
    """A name as it is compared: an accent may be stored as a letter with it, or as a mark after the letter."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def _check(names: list[str], numbers: list[int]) -> None:
    if not names or not all(names):
        raise ValueError("classes must be one name or more, none of them empty")
    reserved = [name for name in names if name.casefold() in _RESERVED]
    if reserved:
        raise ValueError(
            f"classes must not have the name '{reserved[0]}', which nnU-Net keeps for what "
            + (
                "nobody annotated: say --other-values ignore where painted values mean that"
                if reserved[0].casefold() == labels.IGNORE
                else "belongs to no class: it is there without being named"
            )
        )
    folded = [_compared(name) for name in names]
    twice = [*(f"name {one}" for one in folded if folded.count(one) > 1)]
    twice += [f"number {one}" for one in numbers if numbers.count(one) > 1]
    if twice:
        raise ValueError(f"classes must each have a name and a number of their own, got {twice[0]} more than once")
    wrong = [number for number in numbers if number < 1]
    if wrong:
        raise ValueError(f"numbers of classes must be 1 or more, got {wrong[0]}: 0 is what nobody painted")
    if len(names) > 254:
        raise ValueError(f"classes must be at most 254, so that labels fit 8 bits with 'ignore', got {len(names)}")
