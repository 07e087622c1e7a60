"""The classes that annotators paint: their names, and their numbers in label maps."""

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
        names: Names of the classes.
        numbers: Their values in label maps, ascending.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]

    @property
    def values(self) -> dict[int, int]:
        """Value in the data set of each painted value."""
        return {number: index for index, number in enumerate(self.numbers, 1)}

    @property
    def described(self) -> dict[str, int]:
        """Labels in the form of ``dataset.json``, without ``ignore``."""
        return {"background": 0} | {name: index for index, name in enumerate(self.names, 1)}

    def named(self, name: str) -> int | None:
        """Value in the data set of a class, by its name; capitals and surrounding spaces do not matter."""
        names = [_compared(class_name) for class_name in self.names]
        wanted = _compared(name)
        return names.index(wanted) + 1 if wanted in names else None

    def __str__(self) -> str:
        """Write the classes as on the command line."""
        return " ".join(f"{name}={number}" for name, number in zip(self.names, self.numbers, strict=True))


def parsed(words: Sequence[str]) -> PaintedClasses:
    """Parse classes from the command line: ``kidney=1 tumour=7``, or names alone, with the numbers 1, 2, and so on.

    Raises:
        ValueError: If a name or number occurs twice, is reserved or missing, or only some names have numbers.

    Examples:
        >>> parsed(["tumour=7", "kidney=1"])
        PaintedClasses(names=('kidney', 'tumour'), numbers=(1, 7))
        >>> str(parsed(["kidney", "tumour"]))
        'kidney=1 tumour=2'
    """
    matches = [_WORD.fullmatch(word) for word in words]
    if any(matches) and not all(matches):
        plain = next(word for word, match in zip(words, matches, strict=True) if not match)
        raise ValueError(f"classes must all have numbers, such as kidney=1 tumour=2, or none; '{plain}' has none")
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
    """A name in the form in which names are compared: an accent may be part of a letter, or a mark after it."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def _check(names: list[str], numbers: list[int]) -> None:
    if not names or not all(names):
        raise ValueError("classes must be one name or more, none of them empty")
    reserved = [name for name in names if name.casefold() in _RESERVED]
    if reserved:
        raise ValueError(
            f"classes must not have the name '{reserved[0]}', which nnU-Net reserves for what "
            + (
                "nobody annotated: say --other-values ignore where painted values mean that"
                if reserved[0].casefold() == labels.IGNORE
                else "belongs to no class: it exists without being named"
            )
        )
    folded = [_compared(name) for name in names]
    twice = [f"name {name}" for name in folded if folded.count(name) > 1]
    twice += [f"number {number}" for number in numbers if numbers.count(number) > 1]
    if twice:
        raise ValueError(f"classes must each have a name and a number of their own, got {twice[0]} more than once")
    wrong = [number for number in numbers if number < 1]
    if wrong:
        raise ValueError(f"numbers of classes must be 1 or more, got {wrong[0]}: 0 is what nobody painted")
    if len(names) > 254:
        raise ValueError(f"classes must be at most 254, so that labels fit 8 bits with 'ignore', got {len(names)}")
