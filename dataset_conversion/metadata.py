"""What the user knows about cases beyond their file names: a csv with groups, sites, structures.

Published lists work unchanged: the sites of KiTS19 (``case,site_id``), the lesions of ISIC (``image,lesion_id``) and
its metadata (``isic_id,patient_id,lesion_id``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dataset_conversion.errors import ConversionError
from dataset_conversion.model import PlannedCase
from dataset_conversion.splits import joined
from dataset_conversion.text_table import TableRow, TextTable, read_table

COLUMNS = {
    "id": ("id", "case", "case_ids", "image", "image_id", "image_name", "isic_id"),
    "group": ("group", "patient_id", "lesion_id"),
    "modality": ("modality",),
    "structure": ("structure",),
    "site": ("site", "site_id", "site_ids"),
}
"""Accepted names of each column. If there are several groups, all count: cases that share any of them stay together."""

# Written by programs for unknown values; as a group they would join unrelated cases.
_NOTHING = frozenset(
    (
        *("", "nan", "na", "n/a", "n.a.", "null", "none", "nil", "-", "--", "?", "unknown", "<na>", "#n/a", "missing"),
        *("not available", "not applicable", "unspecified", "undefined", "unassigned", "-1"),
    )
)
# Groups of at least this size and share of all cases may be another word for an unknown value.
_LARGE, _LARGE_SHARE = 10, 0.2


def apply(cases: Sequence[PlannedCase], path: Path | None) -> tuple[list[PlannedCase], list[str]]:
    """Apply the columns of the csv to the cases.

    Args:
        cases: The planned cases.
        path: A csv with case ids (or their image's file stem) in column ``id``, and one or more of the other
            `COLUMNS`.

    Returns:
        The cases, and notes on rows and cases without a partner.

    Raises:
        ConversionError: If the table has nothing new about any case, or contradicts itself about one.
    """
    if path is None:
        return list(cases), []
    table = read_table(path)
    columns = set(table.columns)
    others = {name for word, names in COLUMNS.items() if word != "id" for name in names}
    if not columns & set(COLUMNS["id"]) or not columns & others:
        raise ConversionError(
            f"--metadata {path} needs a column 'id' and at least one of {', '.join(list(COLUMNS)[1:])}; it has "
            f"{', '.join(sorted(columns)) or 'none'}"
        )
    known, strangers = _by_case(cases, table)
    groups = _groups(cases, known)
    answer = [_with(case, known.get(case.id, {}), groups[case.id]) for case in cases]
    if not any(after != before for after, before in zip(answer, cases, strict=True)):
        looks = [name for row in table.rows[:3] for name in _ids(row)[:1]]
        raise ConversionError(
            f"--metadata {path} says nothing new about any case; its ids look like {looks}, those of the "
            f"cases like {[case.id for case in cases[:3]]}"
        )
    return answer, _notes(cases, table, known, strangers)


def _by_case(cases: Sequence[PlannedCase], table: TextTable) -> tuple[dict[str, dict[str, str]], list[TableRow]]:
    """Filled cells of each case that a row names, and the rows that name no case."""
    names: dict[str, list[str]] = {}
    for case in cases:
        for name in {case.id.lower(), case.image.name.partition(".")[0].lower()}:
            names.setdefault(name, []).append(case.id)
    known: dict[str, dict[str, str]] = {}
    strangers = []
    for row in table.rows:
        candidates = [names[name.lower()] for name in _ids(row) if name.lower() in names]
        if not candidates:
            strangers.append(row)
            continue
        filled = {name: text for name, text in row.cells.items() if text.lower() not in _NOTHING}
        for name_of_case in candidates[0]:
            before = known.setdefault(name_of_case, {})
            for name, text in filled.items():
                if _means_something(name) and before.get(name, text) != text:
                    raise ConversionError(
                        f"--metadata {table.path} line {row.line} says {name} {text!r} of {name_of_case!r}, an "
                        f"earlier line {before[name]!r}; keep one of them"
                    )
            before.update(filled)
    return known, strangers


def _ids(row: TableRow) -> list[str]:
    """Names of the case in a row: as written, and without folders and ending."""
    cells = [row.cells[name] for name in COLUMNS["id"] if row.cells.get(name)]
    bare = [cell.replace("\\", "/").rpartition("/")[2] for cell in cells]
    return [*cells, *bare, *[name.partition(".")[0] for name in bare]]


def _means_something(column: str) -> bool:
    return any(column in names for word, names in COLUMNS.items() if word != "id")


def _groups(cases: Sequence[PlannedCase], known: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Group of each case: the table's, joined over its columns, instead of the group from the case's name.

    If the table names only some cases of a group, the others keep it, and the named ones keep it beside the table's.
    Otherwise one volume would be on both sides of a split.
    """
    given = {case.id: [known.get(case.id, {}).get(name, "") for name in COLUMNS["group"]] for case in cases}
    not_named = {case.group for case in cases if case.group and not any(given[case.id])}
    names: dict[str, str] = {}
    links: list[tuple[str, str]] = []
    first: dict[tuple[str, str], str] = {}
    for case in cases:
        marks = [(name, text) for name, text in zip(COLUMNS["group"], given[case.id], strict=True) if text]
        if case.group and (not marks or case.group in not_named):
            marks.append(("", case.group))
        names[case.id] = marks[0][1] if marks else ""
        # A patient and a lesion with the same number are different things.
        links += [(first.setdefault(mark, case.id), case.id) for mark in marks]
    roots = joined({name: name for name in names}, links)
    taken = Counter(names[root] for root in set(roots.values()))
    # Unrelated groups with the same text are told apart by a case's id.
    return {
        name: f"{names[root]} ({root})" if names[root] and taken[names[root]] > 1 else names[root]
        for name, root in roots.items()
    }


def _with(case: PlannedCase, known: Mapping[str, str], group: str) -> PlannedCase:
    values = {word: next((known[name] for name in COLUMNS[word] if known.get(name)), "") for word in COLUMNS}
    return replace(
        case,
        group=group,
        modality=values["modality"] or case.modality,
        structure=values["structure"] or case.structure,
        site=values["site"] or case.site,
    )


def _notes(
    cases: Sequence[PlannedCase],
    table: TextTable,
    known: Mapping[str, Mapping[str, str]],
    strangers: Sequence[TableRow],
) -> list[str]:
    notes = []
    if strangers:
        first = _ids(strangers[0])
        notes.append(
            f"--metadata {table.path.name}: rows that match no case: {len(strangers)} of {len(table.rows)}, such as "
            f"{first[0] if first else ''!r} in line {strangers[0].line}"
        )
    without_row = [case.id for case in cases if case.id not in known]
    if without_row:
        notes.append(
            f"--metadata {table.path.name}: cases without a row: {len(without_row)} of {len(cases)}, such as "
            f"{without_row[0]}"
        )
    group_words = (known[case.id].get(name, "") for case in cases for name in COLUMNS["group"] if case.id in known)
    often = Counter(word for word in group_words if word)
    word, number = max(often.items(), key=lambda item: item[1], default=("", 0))
    if number >= _LARGE and number > _LARGE_SHARE * len(cases):
        notes.append(
            f"--metadata {table.path.name}: {number} of {len(cases)} cases have the group {word!r} and stay together; "
            f"if it means that nothing is known, leave these cells empty"
        )
    nothing = Counter(
        text
        for row in table.rows
        for name, text in row.cells.items()
        if name in COLUMNS["group"] and text and text.lower() in _NOTHING
    )
    if nothing:
        words = ", ".join(repr(word) for word in sorted(nothing))
        notes.append(f"--metadata {table.path.name}: {words} in {sum(nothing.values())} cells counts as no group")
    return notes
