"""Identical and nearly identical pictures, which must not stand on both sides of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataset_conversion import splits
from dataset_conversion.model import CaseRecord


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """Two cases that show the same."""

    one: str
    other: str
    kind: str
    """``identical`` files or ``near-identical`` pictures."""


def search(records: Sequence[CaseRecord]) -> list[Duplicate]:
    """All duplicates, in the order of their ids."""
    found = []
    first: dict[str, CaseRecord] = {}
    identical = set()
    for record in records:
        hashes = [file.sha256 for file in record.files if file.role == "image"]
        for digest in filter(None, [*hashes, record.pixels_sha256]):
            earlier = first.setdefault(digest, record)
            # Slices of one volume share its file and its group; there is nothing to find out about them.
            if earlier is record or (record.group and record.group == earlier.group):
                continue
            if (earlier.id, record.id) not in identical:
                found.append(Duplicate(one=earlier.id, other=record.id, kind="identical"))
                identical.add((earlier.id, record.id))
    with_fingerprint = {record.id: record.fingerprint for record in records if record.fingerprint}
    if len(with_fingerprint) > 1:
        from dataset_conversion.similarity import near_identical

        for name, other in near_identical(with_fingerprint):
            if (name, other) not in identical:
                found.append(Duplicate(one=name, other=other, kind="near-identical"))
    return sorted(found, key=lambda duplicate: (duplicate.one, duplicate.other))


def groups(records: Sequence[CaseRecord], found: Sequence[Duplicate]) -> dict[str, str]:
    """Case id to group, duplicates in one group."""
    own = {record.id: record.group or record.id for record in records}
    return splits.joined(own, [(duplicate.one, duplicate.other) for duplicate in found])


def warnings(records: Sequence[CaseRecord], grouped: Mapping[str, str], found: Sequence[Duplicate]) -> list[str]:
    """What the user must know: groups that stand in training and test cases."""
    parts = {record.id: record.part for record in records}
    answer = []
    if found:
        kinds = [f"{sum(one.kind == kind for one in found)} {kind}" for kind in ("identical", "near-identical")]
        answer.append(
            f"pairs of pictures: {' and '.join(kinds)}; each pair stays in one fold (see conversion_report.json)"
        )
    for group, ids in splits.spanning(grouped, parts).items():
        shown = ", ".join(ids[:4]) + (", ..." if len(ids) > 4 else "")
        answer.append(f"group {group} has training and test cases, so the test set is not independent: {shown}")
    return answer
