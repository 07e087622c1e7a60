"""From what was asked for to the folds of a split."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_tricks.comparison import cases_table
from nnunet_tricks.comparison.folds.division import CaseProperties, divided
from nnunet_tricks.comparison.folds.evenness import Fold, leaks
from nnunet_tricks.nnunet.folders import read_json
from nnunet_tricks.utilities.wording import some

FOLDS, SEED = 5, 12345
"""Numbers of folds and seed of nnU-Net's own split."""


@dataclass(frozen=True, kw_only=True)
class SplitRequest:
    """What a split should be like.

    Attributes:
        folds: Number of folds.
        seed: Seed of what is left to chance.
        test: Share of the cases that no fold trains or validates on.
        validation: Validation cases of the only fold; None for ``folds`` folds.
    """

    folds: int = FOLDS
    seed: int = SEED
    test: float = 0
    validation: Sequence[str] | None = None

    def check(self) -> None:
        """Refuse what no data set could be divided into.

        Raises:
            ValueError: If numbers are out of their range.
        """
        if not 0 <= self.test < 1:
            raise ValueError(f"--test must be a share of the cases from 0 to less than 1, got {self.test:g}")
        if self.validation is None and self.folds < 2:
            raise ValueError(f"--folds must be at least 2, got {self.folds}: --validation-set FILE makes a single fold")


@dataclass(frozen=True)
class MadeSplit:
    """A split.

    Attributes:
        folds: Folds, each with ``train`` and ``val``.
        test: Cases of the test part, sorted.
    """

    folds: tuple[Fold, ...]
    test: tuple[str, ...] = field(default=())


def make_split(cases: CaseProperties, request: SplitRequest) -> MadeSplit:
    """Divide cases into folds. Without groups, properties and a test part the folds are nnU-Net's own.

    Args:
        cases: Cases with their groups and properties.
        request: What the split should be like.

    Raises:
        ValueError: If such a split cannot be made.
    """
    request.check()
    if request.test and request.validation is not None:
        raise ValueError(
            "--test and --validation-set exclude each other: the test part is drawn and could take cases of the list; "
            "keep the test cases apart first, in imagesTs"
        )
    test: tuple[str, ...] = ()
    rest = cases
    if request.test:
        shares = (request.test, 1 - request.test)
        test, remaining = divided(cases, shares, seed=request.seed, what="parts (test and the rest)")
        rest = cases.only(remaining)
    if request.validation is not None:
        return _with_validation_set(rest, request.validation, test)
    if not (rest.groups or rest.properties):
        parts = _as_nnunet(rest.names, request)
    else:
        parts = divided(rest, [1 / request.folds] * request.folds, seed=request.seed)
    return MadeSplit(tuple(_fold(rest.names, part) for part in parts), test)


def _fold(names: Sequence[str], validation: Collection[str]) -> Fold:
    held = set(validation)
    return {"train": [case for case in names if case not in held], "val": sorted(held)}


def _as_nnunet(names: Sequence[str], request: SplitRequest) -> list[tuple[str, ...]]:
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    if len(names) < request.folds:
        raise ValueError(f"{len(names)} cases cannot be divided into {request.folds} folds")
    folds = generate_crossval_split([*names], seed=request.seed, n_splits=request.folds)
    return [tuple(map(str, fold["val"])) for fold in folds]


def _with_validation_set(cases: CaseProperties, validation: Sequence[str], test: Sequence[str]) -> MadeSplit:
    unknown = sorted({*validation} - {*cases.names})
    if unknown:
        raise ValueError(
            f"--validation-set names {len(unknown)} cases that the data set does not have: {some(unknown)}"
        )
    if not validation or len({*validation}) == len(cases.names):
        raise ValueError("--validation-set must name some of the cases, and leave some to train on")
    folds = (_fold(cases.names, validation),)
    if cases.groups and (leak := next(leaks(folds, cases), "")):
        raise ValueError(f"--validation-set: {leak}; put all cases of a group on one side")
    return MadeSplit(folds, tuple(test))


def groups_of(names: Sequence[str], *, column: str = "", pattern: str = "", table: Path) -> dict[str, str]:
    """The group of each case; empty if nothing says so.

    Args:
        names: Names of the cases.
        column: Column of the table with the groups.
        pattern: Regular expression whose first group, or else all of it, is the group in a case's name.
        table: The table ``cases.csv``.

    Raises:
        ValueError: If the table does not have it, or a name does not fit.
    """
    if column and pattern:
        raise ValueError("--group and --group-pattern exclude each other: both say which cases belong together")
    if column:
        groups = cases_table.column(table, column, names, option="--group")
        empty = sorted(case for case in names if not groups[case])
        if empty:
            raise ValueError(f"--group {column}: {table} leaves it empty for {some(empty)}: each case needs a group")
        return {case: groups[case] for case in names}
    if not pattern:
        return {}
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"--group-pattern must be a regular expression, got '{pattern}': {error}") from None
    matches = {case: expression.search(case) for case in names}
    unlike = sorted(case for case, match in matches.items() if not match)
    if unlike:
        raise ValueError(f"--group-pattern '{pattern}' is not in the names of {len(unlike)} cases: {some(unlike)}")
    groups = {case: match[1] if match.re.groups else match[0] for case, match in matches.items() if match}
    empty = sorted(case for case in names if not groups[case])
    if empty:
        raise ValueError(f"--group-pattern '{pattern}' finds nothing in the names of {len(empty)} cases: {some(empty)}")
    return groups


def strata_of(names: Sequence[str], column: str, table: Path) -> dict[str, list[float]]:
    """A property for each word of a column: 1 where a case has it.

    Raises:
        ValueError: If there is no such column, or most cases have a word of their own, as in a column of numbers.
    """
    words = cases_table.column(table, column, names, option="--stratify")
    different = len({words[case] for case in names})
    if 2 * different > len(names) > 2:
        raise ValueError(
            f"--stratify '{column}' has {different} different values in {len(names)} cases, so folds cannot be alike "
            "in them: write ranges into the column, such as 'young' and 'old'"
        )
    return {
        f"{column}: {value or '(empty)'}": [float(words[case] == value) for case in names]
        for value in sorted({words[case] for case in names})
    }


def named_cases(file: Path) -> list[str]:
    """The cases that a file names: JSON with a list, a csv with a column ``id``, or one name in each line.

    Raises:
        ValueError: If it is not there, or names none.
    """
    if not file.is_file():
        raise ValueError(f"--validation-set needs a file with the names of cases, and {file} is not there")
    if file.suffix == ".json":
        content = read_json(file)
        content = content.get("val") if isinstance(content, dict) else content
        if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
            raise ValueError(f"--validation-set {file} must be a list of names, or have one under 'val'")
        names = content
    else:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        if file.suffix == ".csv" and cases_table.ID in next(csv.reader(lines), []):
            names = [row[cases_table.ID] for row in csv.DictReader(lines)]
        else:
            names = lines
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise ValueError(f"--validation-set {file} names no case")
    return names
