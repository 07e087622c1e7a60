"""What the user knows about cases and the file names do not say: a csv with groups, sites, structures.

Published lists go as they are: the sites of KiTS19 (``case,site_id``), the lesions of ISIC (``image,lesion_id``) and
its metadata (``isic_id,patient_id``).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dataset_conversion.errors import ConversionError
from dataset_conversion.model import Case

COLUMNS = {
    "id": ("id", "case", "case_ids", "image", "image_id", "isic_id"),
    "group": ("group", "patient_id", "lesion_id"),
    "modality": ("modality",),
    "structure": ("structure",),
    "site": ("site", "site_id", "site_ids"),
}
"""What each column may be called; the first of them that is there and not empty counts."""


def apply(cases: Sequence[Case], path: Path | None) -> list[Case]:
    """Cases with the columns of the csv taken over.

    Args:
        cases: As planned.
        path: A csv whose column ``id`` holds case ids (or their image's file stem) and that has one or more of the
            other `COLUMNS`.
    """
    if path is None:
        return list(cases)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = set(reader.fieldnames or [])
        rows = [{word: _cell(row, names) for word, names in COLUMNS.items()} for row in reader]
    others = {name for word, names in COLUMNS.items() if word != "id" for name in names}
    if not columns & set(COLUMNS["id"]) or not columns & others:
        raise ConversionError(
            f"--metadata {path} needs a column 'id' and at least one of {', '.join(list(COLUMNS)[1:])}; it has "
            f"{', '.join(sorted(columns)) or 'none'}"
        )
    by_id = {row.pop("id"): {word: value for word, value in row.items() if value} for row in rows}
    answer = [_with(case, by_id.get(case.id) or by_id.get(case.image.name.partition(".")[0], {})) for case in cases]
    if not any(one != other for one, other in zip(answer, cases, strict=True)):
        raise ConversionError(f"--metadata {path} says nothing new about any case; its ids look like {list(by_id)[:3]}")
    return answer


def _cell(row: Mapping[str, str | None], names: Sequence[str]) -> str:
    return next((value.strip() for name in names if (value := row.get(name))), "")


def _with(case: Case, known: Mapping[str, str]) -> Case:
    return replace(
        case,
        group=known.get("group", case.group),
        modality=known.get("modality", case.modality),
        structure=known.get("structure", case.structure),
        site=known.get("site", case.site),
    )
