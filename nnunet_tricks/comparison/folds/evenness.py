"""How even the parts of a split are: cases, groups, labels and volumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_tricks.comparison.folds.division import CaseProperties
from nnunet_tricks.comparison.text_table import NOTHING, PrintedTable
from nnunet_tricks.utilities.wording import some

TEST = "test"
"""Name of the test part."""

Fold = Mapping[str, Sequence[str]]
"""A fold of a split file, with lists ``train`` and ``val``."""


@dataclass(frozen=True)
class FoldAmount:
    """One thing that parts should have alike.

    Attributes:
        name: What is counted, such as ``cases``.
        whole: FoldAmount in all cases.
        parts: FoldAmount in each part.
    """

    name: str
    whole: float
    parts: tuple[float, ...]


@dataclass(frozen=True)
class Evenness:
    """How even the parts of a split are.

    Attributes:
        parts: Names of the parts: the validation cases of each fold, and test cases.
        amounts: What was counted in them.
        warnings: Sentences on what will not work as it should.
    """

    parts: tuple[str, ...]
    amounts: tuple[FoldAmount, ...]
    warnings: tuple[str, ...]

    def spread(self, amount: FoldAmount) -> float | None:
        """Largest over smallest amount of a fold; None if one has nothing. The test part has a size of its own."""
        of_folds = [number for part, number in zip(self.parts, amount.parts, strict=True) if part != TEST]
        return max(of_folds) / min(of_folds) if min(of_folds, default=0) > 0 else None

    @property
    def table(self) -> PrintedTable:
        """The amounts as a table."""
        rows = [
            (
                amount.name,
                _number(amount.whole),
                *map(_number, amount.parts),
                NOTHING if (spread := self.spread(amount)) is None else f"{spread:.2f}",
            )
            for amount in self.amounts
        ]
        return PrintedTable(
            "Validation cases of each fold",
            ("", "all", *self.parts, "max/min"),
            tuple(rows),
        )

    @property
    def data(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "parts": list(self.parts),
            "amounts": [
                {"name": amount.name, "all": amount.whole, "parts": list(amount.parts), "spread": self.spread(amount)}
                for amount in self.amounts
            ],
            "warnings": list(self.warnings),
        }


def evenness(folds: Sequence[Fold], cases: CaseProperties, *, test: Sequence[str] = ()) -> Evenness:
    """Count what is in each fold.

    Args:
        folds: Folds of a split file, whose cases are all known.
        cases: Cases with groups and properties; the properties are what is counted.
        test: Cases of the test part.
    """
    parts = {f"fold {number}": tuple(fold["val"]) for number, fold in enumerate(folds)}
    parts |= {TEST: tuple(test)} if test else {}
    whole = tuple(sorted({case for fold in folds for part in ("train", "val") for case in fold[part]} | {*test}))
    amounts = [FoldAmount("cases", len(whole), tuple(len(part) for part in parts.values()))]
    if cases.groups:
        counts = [len({cases.group_of(case) for case in part}) for part in (whole, *parts.values())]
        amounts.append(FoldAmount("groups", counts[0], tuple(counts[1:])))
    places = {name: place for place, name in enumerate(cases.names)}
    rows = [[places[case] for case in part] for part in (whole, *parts.values())]
    for name, values in cases.properties.items():
        sums = [float(sum(values[place] for place in row)) for row in rows]
        amounts.append(FoldAmount(name, sums[0], tuple(sums[1:])))
    warnings = [*_absent(amounts, tuple(parts)), *leaks(folds, cases, test=test)]
    return Evenness(tuple(parts), tuple(amounts), tuple(warnings))


def leaks(folds: Sequence[Fold], cases: CaseProperties, *, test: Sequence[str] = ()) -> Iterator[str]:
    """Groups, or cases, that are both trained on and measured on."""
    for number, fold in enumerate(folds):
        trained = {cases.group_of(case) for case in fold["train"]}
        both = sorted(trained & {cases.group_of(case) for case in fold["val"]})
        if both:
            yield f"fold {number} trains and validates on {_same(both, cases)}"
        held = sorted(trained & {cases.group_of(case) for case in test})
        if held:
            yield f"fold {number} trains on what is in the test part: {_same(held, cases)}"


def _same(names: Sequence[str], cases: CaseProperties) -> str:
    plural = "s" if len(names) > 1 else ""
    what = f"cases of the same {len(names)} group{plural}" if cases.groups else f"the same {len(names)} case{plural}"
    return f"{what}, {some(names)}"


def _absent(amounts: Sequence[FoldAmount], parts: Sequence[str]) -> Iterator[str]:
    for amount in amounts:
        empty = [part for part, number in zip(parts, amount.parts, strict=True) if not number]
        if not amount.whole:
            yield f"nothing of {amount.name} in any case"
        elif empty:
            yield f"nothing of {amount.name} in {some(empty)}: it cannot be measured there"
        for part, number in zip(parts, amount.parts, strict=True):
            if amount.whole and number == amount.whole and part != TEST:
                yield f"all of {amount.name} in {part}: that fold does not train on it"


def _number(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 or float(amount).is_integer() else f"{amount:.3g}"
