"""What the user knows about cases and the file names do not say: a csv with groups, sites, structures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dataset_conversion.errors import ConversionError
from dataset_conversion.model import Case

COLUMNS = ("group", "modality", "structure", "site")


def apply(cases: Sequence[Case], path: Path | None) -> list[Case]:
    """Cases with the columns of the csv taken over.

    Args:
        cases: As planned.
        path: A csv whose column ``id`` holds case ids (or their image's file stem) and that has one or more of
            `COLUMNS`.
    """
    if path is None:
        return list(cases)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        rows = list(reader)
    used = [column for column in COLUMNS if column in columns]
    if "id" not in columns or not used:
        raise ConversionError(
            f"--metadata {path} needs a column 'id' and at least one of {', '.join(COLUMNS)}; it has "
            f"{', '.join(columns) or 'none'}"
        )
    by_id = {row["id"]: row for row in rows}
    answer = []
    for case in cases:
        row = by_id.get(case.id) or by_id.get(case.image.name.partition(".")[0], {})
        known = {column: row[column] for column in used if row.get(column)}
        answer.append(
            replace(
                case,
                group=known.get("group", case.group),
                modality=known.get("modality", case.modality),
                structure=known.get("structure", case.structure),
                site=known.get("site", case.site),
            )
        )
    if not any(one != other for one, other in zip(answer, cases, strict=True)):
        raise ConversionError(f"--metadata {path} says nothing new about any case; its ids look like {list(by_id)[:3]}")
    return answer
