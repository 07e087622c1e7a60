"""Cases that show the same or belong together, and are on both sides of a split."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataset_conversion import splits
from dataset_conversion.check.case_report import CaseReport
from dataset_conversion.check.finding import CheckFinding, fault, note
from dataset_conversion.errors import ConversionError
from dataset_conversion.model import TEST, TRAIN
from dataset_conversion.text_table import read_table

SPLITS = "splits_final.json"
PREPROCESSED = "nnUNet_preprocessed"
Fold = Mapping[str, list[str]]


def find(folder: Path, reports: Sequence[CaseReport]) -> list[CheckFinding]:
    """Find duplicates, and leaks in the splits of the raw and the preprocessed folder."""
    reports = _told_apart(reports)
    known, findings = _groups(folder, reports)
    same = _same(reports, known)
    training = [report.id for report in reports if report.part == TRAIN]
    joined = splits.joined(
        {report.id: known.get(report.id, report.id) for report in reports}, [(case, other) for case, other, _ in same]
    )
    split_files = list(_split_files(folder))
    for case, other, how in same:
        findings.append(note("duplicate", _file(reports, case), f"and {_file(reports, other)} are {how}", case))
    findings += _into_the_test_part(reports, same, known)
    for file, name in split_files:
        findings += _of_split(file, name, training, joined)
    if not split_files and len({joined[case] for case in training}) < len(training) >= 5:
        findings += _of_folds(_dealt_by_nnunet(training), f"{SPLITS} (none; nnU-Net deals the cases at random)", joined)
    return findings


def _told_apart(reports: Sequence[CaseReport]) -> list[CaseReport]:
    """Give test cases with the id of a training case another id, since the two may show the same."""
    training = {report.id for report in reports if report.part == TRAIN}
    return [
        replace(report, id=f"{report.id} (test)") if report.part == TEST and report.id in training else report
        for report in reports
    ]


def _same(reports: Sequence[CaseReport], groups: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Find pairs of cases that show the same and are not known to belong together."""
    from dataset_conversion.similarity import near_identical

    first: dict[str, str] = {}
    pairs = []
    for report in reports:
        if report.digest:
            other = first.setdefault(report.digest, report.id)
            if other != report.id and (report.id not in groups or groups[report.id] != groups.get(other)):
                pairs.append((other, report.id, "identical"))
    identical = {(case, other) for case, other, _ in pairs}
    # Slices of volumes resemble each other. If groups are known, only cases without a group are searched.
    alone = {report.id for report in reports if groups.get(report.id, report.id) == report.id}
    thumbnails = {report.id: report.fingerprint for report in reports if report.fingerprint and report.id in alone}
    if len(thumbnails) > 1:
        near = [pair for pair in near_identical(thumbnails) if pair not in identical]
        pairs += [(case, other, "nearly identical pictures") for case, other in near]
    return pairs


def _file(reports: Sequence[CaseReport], case: str) -> str:
    return next(report.file for report in reports if report.id == case)


def _groups(folder: Path, reports: Sequence[CaseReport]) -> tuple[dict[str, str], list[CheckFinding]]:
    """Group of each case, from the ``cases.csv`` that converters write."""
    file = folder / "cases.csv"
    if not file.is_file():
        return {}, []
    try:
        table = read_table(file)
    except ConversionError as error:
        return {}, [fault("groups", file.name, f"cannot be used: {str(error).removeprefix(str(file)).strip()}")]
    if not {"id", "group"} <= set(table.columns):
        return {}, [note("groups", file.name, "has no columns 'id' and 'group', so groups are not known")]
    cells = [row.cells for row in table.rows]
    groups = {row["id"]: row["group"] for row in cells if row["id"] and row["group"]}
    unknown = sorted(set(groups) - {report.id for report in reports})
    if unknown:
        says = f"names {len(unknown)} cases that do not exist, such as {unknown[0]}"
        return groups, [fault("groups", file.name, says)]
    return groups, []


def _into_the_test_part(
    reports: Sequence[CaseReport], same: Sequence[tuple[str, str, str]], groups: Mapping[str, str]
) -> Iterator[CheckFinding]:
    parts = {report.id: report.part for report in reports}
    for case, other, how in same:
        if parts[case] != parts[other]:
            test, train = (case, other) if parts[case] == TEST else (other, case)
            says = f"is a test case, and the training case {train} shows the same ({how}); the test is not independent"
            make = fault if how == "identical" else note
            yield make("leak", _file(reports, test), says, test)
    of_training = {groups[case]: case for case, part in parts.items() if part == TRAIN and case in groups}
    for case, part in parts.items():
        if part == TEST and groups.get(case) in of_training:
            says = f"is a test case of group {groups[case]}, like the training case {of_training[groups[case]]}"
            yield fault("leak", _file(reports, case), says, case)


def _split_files(folder: Path) -> Iterator[tuple[Path, str]]:
    preprocessed = os.environ.get(PREPROCESSED)
    for place, name in (
        (folder, SPLITS),
        (Path(preprocessed or ".") / folder.name, f"nnUNet_preprocessed/.../{SPLITS}"),
    ):
        if (place is folder or preprocessed) and (place / SPLITS).is_file():
            yield place / SPLITS, name


def _of_split(file: Path, name: str, training: Sequence[str], groups: Mapping[str, str]) -> list[CheckFinding]:
    try:
        folds = json.loads(file.read_text(encoding="utf-8"))
        wrong = not isinstance(folds, list) or not folds or not all(_is_fold(fold) for fold in folds)
    except (OSError, ValueError) as error:
        return [fault("splits", name, f"cannot be read as JSON ({error})")]
    if wrong:
        return [fault("splits", name, 'must be a list of folds such as {"train": [...], "val": [...]}')]
    return _of_folds(folds, name, groups, training)


def _is_fold(fold: Any) -> bool:
    return isinstance(fold, dict) and all(
        isinstance(fold.get(part), list) and all(isinstance(case, str) for case in fold[part])
        for part in ("train", "val")
    )


def _of_folds(
    folds: Sequence[Fold], name: str, groups: Mapping[str, str], training: Sequence[str] | None = None
) -> list[CheckFinding]:
    findings = []
    for number, fold in enumerate(folds):
        unknown = sorted((set(fold["train"]) | set(fold["val"])) - set(training or groups))
        if unknown:
            says = f"fold {number} names {len(unknown)} cases that are not training cases, such as {unknown[0]}"
            findings.append(fault("splits", name, says))
        for part in ("train", "val"):
            twice = [case for case, count in Counter(fold[part]).items() if count > 1]
            if twice:
                findings.append(fault("splits", name, f"fold {number} names {twice[0]} twice in its {part} list"))
            if not fold[part]:
                findings.append(fault("splits", name, f"fold {number} has an empty {part} list"))
        both = sorted(set(fold["train"]) & set(fold["val"]))
        if both:
            says = f"fold {number} trains on {len(both)} of its validation cases, such as {both[0]}"
            findings.append(fault("leak", name, says, both[0]))
        trained = {groups[case]: case for case in fold["train"] if case in groups}
        leaks = [
            (case, trained[groups[case]]) for case in fold["val"] if groups.get(case) in trained and case not in both
        ]
        if leaks:
            case, other = leaks[0]
            says = (
                f"fold {number} validates on {len(leaks)} cases, and trains on a duplicate or on another case of the "
                f"same group, such as {case} with {other}"
            )
            findings.append(fault("leak", name, says, case))
    return findings


def _dealt_by_nnunet(training: Sequence[str]) -> list[Fold]:
    """The split that nnU-Net makes if there is none."""
    from sklearn.model_selection import KFold

    names = sorted(training)
    parts = KFold(n_splits=5, shuffle=True, random_state=12345).split(names)
    return [
        {"train": [names[number] for number in train], "val": [names[number] for number in val]} for train, val in parts
    ]
