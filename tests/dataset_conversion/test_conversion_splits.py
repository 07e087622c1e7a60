"""Splits: no group on both sides, balanced, the same everywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataset_conversion.splits import by_part, cross_validation, grouped_parts, joined, nested, spanning

GROUPS = st.dictionaries(
    st.text("abcdefgh0123", min_size=1, max_size=4), st.sampled_from([f"g{n}" for n in range(12)]), max_size=40
)
COUNT = st.integers(2, 6)
SEED = st.integers(0, 10_000)


def groups_of(groups, ids):
    return {groups[name] for name in ids}


@given(GROUPS, COUNT, SEED)
def test_folds_keep_groups_together_and_validate_each_case_once(groups, count, seed):
    folds = cross_validation(groups, count, seed)
    assert len(folds) == (min(count, len(set(groups.values()))) if len(set(groups.values())) > 1 else 0)
    for fold in folds:
        assert not groups_of(groups, fold["train"]) & groups_of(groups, fold["val"])
        assert sorted(fold["train"] + fold["val"]) == sorted(groups)
    if folds:
        assert sorted(name for fold in folds for name in fold["val"]) == sorted(groups)


@given(GROUPS, COUNT, SEED)
def test_parts_differ_by_no_more_than_the_largest_group(groups, count, seed):
    parts = grouped_parts(groups, count, seed)
    sizes = [len(part) for part in parts]
    largest = max((list(groups.values()).count(group) for group in set(groups.values())), default=0)
    assert max(sizes, default=0) - min(sizes, default=0) <= largest


@given(GROUPS, COUNT, SEED)
def test_nested_folds_have_three_sides_without_a_common_group(groups, count, seed):
    folds, tests = nested(groups, count, seed)
    assert len(folds) == len(tests)
    for fold, test in zip(folds, tests, strict=True):
        sides = [groups_of(groups, ids) for ids in (fold["train"], fold["val"], test)]
        assert all(sides)
        assert not sides[0] & sides[1]
        assert not sides[0] & sides[2]
        assert not sides[1] & sides[2]
        assert sorted(fold["train"] + fold["val"] + test) == sorted(groups)
    if tests:
        assert sorted(name for test in tests for name in test) == sorted(groups)


def test_nested_shares_of_ungrouped_cases_are_the_papers():
    folds, tests = nested({f"c{n}": f"c{n}" for n in range(1000)}, 5, seed=3)
    assert [(len(fold["train"]), len(fold["val"]), len(test)) for fold, test in zip(folds, tests, strict=True)] == [
        (720, 80, 200)
    ] * 5


@given(GROUPS, COUNT, SEED, st.randoms())
def test_order_of_the_cases_does_not_matter(groups, count, seed, random):
    shuffled = list(groups.items())
    random.shuffle(shuffled)
    assert cross_validation(dict(shuffled), count, seed) == cross_validation(groups, count, seed)


def test_split_is_the_same_on_every_machine():
    groups = {f"case_{n:02d}": f"patient_{n // 3}" for n in range(12)}
    validated = [fold["val"] for fold in cross_validation(groups, 2, seed=12345)]
    assert validated == [
        ["case_03", "case_04", "case_05", "case_06", "case_07", "case_08"],
        ["case_00", "case_01", "case_02", "case_09", "case_10", "case_11"],
    ]


def test_seed_changes_the_split():
    groups = {f"c{n}": f"c{n}" for n in range(50)}
    assert cross_validation(groups, 5, 1) != cross_validation(groups, 5, 2)


def test_parts_of_the_data_set_are_followed():
    parts = {"a": "1", "b": "2", "c": "3"}
    assert by_part(parts, [("1",), ("2", "3")]) == [
        {"train": ["b", "c"], "val": ["a"]},
        {"train": ["a"], "val": ["b", "c"]},
    ]


@given(GROUPS, st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=10))
def test_linked_cases_share_a_group_and_no_group_is_torn(groups, numbers):
    names = sorted(groups)
    links = [(names[first % len(names)], names[second % len(names)]) for first, second in numbers] if names else []
    merged = joined(groups, links)
    assert all(merged[first] == merged[second] for first, second in links)
    assert all(
        merged[first] == merged[second] for first in names for second in names if groups[first] == groups[second]
    )
    assert set(merged.values()) <= set(groups.values())


def test_spanning_names_the_cases():
    assert spanning({"a": "1", "b": "1", "c": "2"}, {"a": "train", "b": "test", "c": "test"}) == {"1": ["a", "b"]}
