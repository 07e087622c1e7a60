"""Identical and nearly identical pictures, which must not be on both sides of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataset_conversion import splits
from dataset_conversion.model import CaseRecord


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """Two cases that show the same."""

    one: str
    """Id of the first case."""
    other: str
    """Id of the second case."""
    kind: str
    """``identical`` files or ``near-identical`` pictures."""


def search(records: Sequence[CaseRecord]) -> list[Duplicate]:
    """Find all duplicates, in the order of their ids."""
    duplicates = []
    first: dict[str, CaseRecord] = {}
    identical = set()
    for record in records:
        hashes = [file.sha256 for file in record.files if file.role == "image"]
        for digest in filter(None, [*hashes, record.pixels_sha256]):
            earlier = first.setdefault(digest, record)
            # Slices of one volume share its file and its group, so they need no comparison.
            if earlier is record or (record.group and record.group == earlier.group):
                continue
            if (earlier.id, record.id) not in identical:
                duplicates.append(Duplicate(one=earlier.id, other=record.id, kind="identical"))
                identical.add((earlier.id, record.id))
    with_fingerprint = {record.id: record.fingerprint for record in records if record.fingerprint}
    if len(with_fingerprint) > 1:
        from dataset_conversion.similarity import near_identical

        for name, other in near_identical(with_fingerprint):
            if (name, other) not in identical:
                duplicates.append(Duplicate(one=name, other=other, kind="near-identical"))
    return sorted(duplicates, key=lambda duplicate: (duplicate.one, duplicate.other))


def groups(records: Sequence[CaseRecord], duplicates: Sequence[Duplicate]) -> dict[str, str]:
    """The group of each case; duplicates are in one group."""
    own_groups = {record.id: record.group or record.id for record in records}
    return splits.joined(own_groups, [(duplicate.one, duplicate.other) for duplicate in duplicates])


def warnings(records: Sequence[CaseRecord], grouped: Mapping[str, str], duplicates: Sequence[Duplicate]) -> list[str]:
    """What the user must know: pairs of pictures, and groups with training and test cases."""
    parts = {record.id: record.part for record in records}
    answer = []
    if duplicates:
        counts = {kind: sum(pair.kind == kind for pair in duplicates) for kind in ("identical", "near-identical")}
        kinds = [f"{number} {kind}" for kind, number in counts.items()]
        answer.append(
            f"pairs of pictures: {' and '.join(kinds)}; each pair stays in one fold (see conversion_report.json)"
        )
    for group, ids in splits.spanning(grouped, parts).items():
        shown = ", ".join(ids[:4]) + (", ..." if len(ids) > 4 else "")
        answer.append(f"group {group} has training and test cases, so the test set is not independent: {shown}")
    return answer
