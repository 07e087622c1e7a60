"""Cases divided into parts: whole groups, even parts, as even as scikit-learn's."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunetv2.utilities.crossval_split import generate_crossval_split
from sklearn.model_selection import StratifiedGroupKFold

from nnunet_tricks.comparison.folds.division import CaseProperties, divided
from nnunet_tricks.comparison.folds.evenness import evenness, leaks
from nnunet_tricks.comparison.folds.making import SplitRequest, make_split


def made(groups: list[int], **properties: list[float]) -> CaseProperties:
    names = tuple(f"case_{place:04d}" for place in range(len(groups)))
    return CaseProperties(names, {name: f"p{group}" for name, group in zip(names, groups, strict=True)}, properties)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 6), st.integers(0, 5))
@settings(max_examples=60)
def test_groups_stay_whole_and_each_case_is_in_one_part(groups: list[int], folds: int, seed: int) -> None:
    cases = made(groups, rare=[float(group == 3) for group in groups])
    if len(set(groups)) < folds:
        with pytest.raises(ValueError, match=f"cannot be divided into {folds} folds"):
            divided(cases, [1 / folds] * folds, seed=seed)
        return
    parts = divided(cases, [1 / folds] * folds, seed=seed)
    assert sorted(case for part in parts for case in part) == sorted(cases.names)
    assert all(parts)
    places = Counter((cases.group_of(case), number) for number, part in enumerate(parts) for case in part)
    assert len(places) == len(set(groups))
    assert parts == divided(cases, [1 / folds] * folds, seed=seed)


@given(st.integers(5, 80), st.integers(2, 5))
@settings(max_examples=40)
def test_without_groups_parts_differ_by_one_case_at_most(count: int, folds: int) -> None:
    names = tuple(f"case_{place:04d}" for place in range(count))
    cases = CaseProperties(names, {}, {"odd": [float(place % 3 == 0) for place in range(count)]})
    sizes = [len(part) for part in divided(cases, [1 / folds] * folds, seed=0)]
    assert max(sizes) - min(sizes) <= 1


def unevenness(parts: list[set[str]], cases: CaseProperties) -> float:
    """Sum of squared deviations of each class's and of the cases' shares."""
    places = {name: place for place, name in enumerate(cases.names)}
    amounts = [*cases.properties.values(), [1.0] * len(cases.names)]
    total = 0.0
    for column in amounts:
        shares = [sum(column[places[case]] for case in part) / sum(column) for part in parts]
        total += sum((share - 1 / len(parts)) ** 2 for share in shares)
    return total


def test_strata_are_as_even_as_those_of_scikit_learn() -> None:
    mine, theirs = [], []
    for seed in range(12):
        chance = np.random.default_rng(seed)
        groups = chance.integers(0, 60, 200)
        strata = chance.choice(4, 200, p=[0.6, 0.25, 0.1, 0.05])
        cases = made(groups.tolist(), **{f"s{s}": (strata == s).astype(float).tolist() for s in range(4)})
        mine.append(unevenness([set(part) for part in divided(cases, [0.2] * 5, seed=seed)], cases))
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(strata, strata, groups)
        theirs.append(unevenness([{cases.names[place] for place in held} for _, held in folds], cases))
    assert np.mean(mine) <= np.mean(theirs)


def test_a_rare_class_is_in_every_fold() -> None:
    names = tuple(f"case_{place:03d}" for place in range(100))
    rare = [float(place in (3, 4, 5, 50, 99)) for place in range(100)]
    parts = divided(CaseProperties(names, {}, {"rare": rare, "usual": [1.0] * 100}), [0.2] * 5, seed=1)
    assert [sum(rare[int(case[-3:])] for case in part) for part in parts] == [1] * 5
    assert [len(part) for part in parts] == [20] * 5


def test_without_anything_it_is_nnunets_own_split() -> None:
    names = tuple(f"case_{place:03d}" for place in range(33))
    split = make_split(CaseProperties(names, {}, {}), SplitRequest())
    theirs = generate_crossval_split([*names])
    assert [dict(fold) for fold in split.folds] == [
        {part: list(map(str, fold[part])) for part in ("train", "val")} for fold in theirs
    ]
    assert split.test == ()


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_test_part_has_its_share_of_whole_groups_and_of_classes(share: float) -> None:
    groups = [place // 3 for place in range(300)]
    rare = [float(place % 30 == 0) for place in range(300)]
    cases = made(groups, rare=rare)
    split = make_split(cases, SplitRequest(test=share, folds=4))
    assert len(split.test) == pytest.approx(300 * share, abs=2)
    assert sum(rare[int(case[-4:])] for case in split.test) == pytest.approx(10 * share, abs=0.5)
    for fold in split.folds:
        assert sorted([*fold["train"], *fold["val"], *split.test]) == list(cases.names)
    assert not list(leaks(split.folds, cases, test=split.test))


def test_groups_in_two_folds_and_missing_classes_are_found() -> None:
    cases = made([0, 0, 1, 1, 2, 2], rare=[1, 0, 0, 0, 0, 0], nothing=[0] * 6)
    names = cases.names
    folds = [{"train": names[1:4], "val": (names[0],)}, {"train": names[:3], "val": (names[3],)}]
    even = evenness(folds, cases, test=names[4:])
    assert even.warnings == (
        "nothing of rare in fold 1, test: it cannot be measured there",
        "all of rare in fold 0: that fold does not train on it",
        "nothing of nothing in any case",
        "fold 0 trains and validates on cases of the same 1 group, p0",
        "fold 1 trains and validates on cases of the same 1 group, p1",
    )
    assert [(amount.name, amount.parts) for amount in even.amounts[:2]] == [("cases", (1, 1, 2)), ("groups", (1, 1, 1))]
    assert [even.spread(amount) for amount in even.amounts[:3]] == [1, 1, None]

    alone = CaseProperties(names, {}, {})
    assert evenness([{"train": names, "val": names[:1]}], alone).warnings == (
        "fold 0 trains and validates on the same 1 case, case_0000",
    )


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (SplitRequest(folds=1), "--folds must be at least 2, got 1"),
        (SplitRequest(folds=7), "6 cases cannot be divided into 7 folds"),
        (SplitRequest(test=1), "--test must be a share of the cases from 0 to less than 1, got 1"),
        (SplitRequest(validation=["case_9"]), "names 1 cases that the data set does not have: case_9"),
        (SplitRequest(validation=[f"case_{n}" for n in range(6)]), "leave some to train on"),
    ],
)
def test_what_cannot_be_made_is_refused(request_: SplitRequest, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_split(CaseProperties(tuple(f"case_{n}" for n in range(6)), {}, {}), request_)


def test_a_validation_set_that_shares_a_patient_with_the_rest_is_refused() -> None:
    cases = made([0, 0, 1, 1])
    with pytest.raises(ValueError, match="same 1 group, p0; put all cases of a group on one side"):
        make_split(cases, SplitRequest(validation=["case_0000"]))
    split = make_split(cases, SplitRequest(validation=["case_0001", "case_0000"]))
    assert split.folds == ({"train": ["case_0002", "case_0003"], "val": ["case_0000", "case_0001"]},)


def test_a_test_part_is_not_drawn_beside_a_validation_set() -> None:
    with pytest.raises(ValueError, match="--test and --validation-set exclude each other"):
        make_split(made([0, 0, 1, 1]), SplitRequest(test=0.5, validation=["case_0000", "case_0001"]))
