"""The table of annotated classes: what it says, and what is refused."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.nnunet import annotated_classes
from nnunet_tricks.nnunet.annotated_classes import AnnotatedClasses
from nnunet_tricks.nnunet.classes import Classes

LABELS = {"background": 0, "liver": 1, "kidney": 2, "ignore": 3}
REGIONS = {"background": 0, "whole": [1, 2], "core": [2]}
CASES = ["a", "b", "c"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A raw data set of three cases and one for tests."""
    for part, cases in (("labelsTr", CASES), ("labelsTs", ["t"])):
        (tmp_path / part).mkdir()
        for case in cases:
            (tmp_path / part / f"{case}.nii.gz").touch()
    return tmp_path


def found(folder: Path, text: str, labels: dict = LABELS) -> AnnotatedClasses | None:
    (folder / "annotated.json").write_text(text)
    return annotated_classes.find(folder, folder / "none", {"labels": labels, "file_ending": ".nii.gz"})


def table(labels: dict, **listed: list[str]) -> AnnotatedClasses:
    return AnnotatedClasses(
        Path("annotated.json"),
        Classes.of({"labels": labels}),
        {case: frozenset(names) for case, names in listed.items()},
    )


def test_cases_that_are_not_named_are_annotated_for_all(folder: Path) -> None:
    read = found(folder, json.dumps({"a": ["liver"], "b": [], "t": ["kidney"]}))
    assert read is not None
    assert [sorted(read.lacking(case)) for case in ("a", "b", "c", "t")] == [
        ["kidney"],
        ["kidney", "liver"],
        [],
        ["liver"],
    ]
    assert annotated_classes.find(None, folder / "none", {}) is None


def test_a_copy_beside_preprocessed_data_serves_where_there_are_no_raw_ones(folder: Path) -> None:
    (folder / "labelsTr").rename(folder / "gt_segmentations")
    (folder / "annotated.json").write_text('{"a": ["liver"]}')
    description = {"labels": LABELS, "file_ending": ".nii.gz"}
    for raw in (None, folder / "nothing"):
        read = annotated_classes.find(raw, folder, description)
        assert read is not None
        assert read.lacking("a") == {"kidney"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "must hold a JSON object"),
        ("{", "not valid JSON"),
        ('{"a": ["liver"], "a": []}', "names a more than once"),
        ('{"x": ["liver"]}', "names x, and the data set has no label map"),
        ('{"a": ["Liver"]}', "annotated for Liver; the classes of dataset.json are liver, kidney"),
        ('{"a": ["background"]}', "annotated for background"),
        ('{"a": ["ignore"]}', "annotated for ignore"),
        ('{"a": "liver"}', "must give a list"),
        ('{"a": [1]}', "must give a list"),
        ('{"a": ["liver"], "b": ["liver"], "c": []}', "no training case that is annotated for kidney"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        found(folder, text)


def test_the_hash_is_that_of_the_meaning(folder: Path) -> None:
    texts = ['{"a": ["liver", "kidney"], "b": []}', '{"b":[],\n"a": ["kidney","liver"]}', '{"b": []}']
    hashes = [read.sha256 for text in texts if (read := found(folder, text))]
    assert hashes[0] == hashes[1] != hashes[2]


def test_labels_of_regions_are_strays_only_where_another_label_would_say_less() -> None:
    assert table(LABELS, a=["liver"]).stray("a", [0, 1, 2, 3]) == [2]
    assert table(REGIONS, a=["whole"]).stray("a", [0, 1, 2]) == [2]
    # Only label 2 can say that a voxel is of the core.
    assert table(REGIONS, a=["core"]).stray("a", [0, 1, 2]) == [1]
    assert table(REGIONS).stray("a", [0, 1, 2]) == []


def test_pairs_that_no_case_tells_apart() -> None:
    assert table(LABELS, a=["liver"], b=["kidney"]).never_together(["a", "b"]) == [("liver", "kidney")]
    assert table(LABELS, a=["liver"], b=["kidney"]).never_together(CASES) == []


@given(st.lists(st.sets(st.integers(1, 4), min_size=1), min_size=1, max_size=4), st.sets(st.integers(1, 4), min_size=1))
def test_a_union_is_known_if_it_is_made_of_annotated_classes(groups: list[set[int]], union: set[int]) -> None:
    """Compared with all voxels that look the same: a union is known if no two of them differ in it."""
    labels = {
        "background": 0,
        **{f"c{number}": sorted(group) for number, group in enumerate(groups)},
        "rest": [1, 2, 3, 4],
    }
    names = [f"c{number}" for number in range(len(groups))]
    known = table(labels, a=names).knows("a", union)
    looks = {label: tuple(label in group for group in groups) for label in range(5)}
    alike = all((a in union) == (b in union) for a, b in combinations(range(5), 2) if looks[a] == looks[b])
    assert known == alike
