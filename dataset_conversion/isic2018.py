"""ISIC 2018 task 1: dermoscopy pictures with the outline of the lesion.

2,594 pictures for training, 100 for validation, 1,000 for test, from challenge.isic-archive.com/data. Layouts: the six
official folders (inputs say ``Task1-2``, masks ``Task1``), the same with ``Testing`` for ``Test``, flat copies with
``images`` and ``masks``, and arrays (see `isic_arrays`). Names of 2016 and 2017 work too. Attribute maps, superpixels
and licence files beside the pictures are left alone. Many pictures occur more than once within and across the years:
identical and near-identical ones stay in one fold, and those in training and test are reported.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from dataset_conversion.find import PARTS, Found, orphan, pair, stem_of, walk
from dataset_conversion.isic_arrays import NOTE, convert_row, plan_arrays
from dataset_conversion.model import TEST, TRAIN, Case, DataSet, Plan, Record, Settings, Task, Unused
from dataset_conversion.picture_options import CHANNELS, ENDINGS, READER, add_any_colour, add_max_size, written_bytes
from dataset_conversion.schemes import FOLDS, MEDISEG


class Isic2018(DataSet):
    """Lesion boundary segmentation, ISIC challenge of 2018."""

    name = "isic2018"
    title = "ISIC 2018 task 1"
    number = 516
    folder_name = "ISIC2018"
    channel_names: ClassVar[Mapping[str, str]] = CHANNELS
    reader = READER
    reference = "Codella et al., Skin Lesion Analysis Toward Melanoma Detection 2018, arXiv:1902.03368"
    licence = "see the download page and LICENSE.txt of the download"
    file_endings = ENDINGS
    megabytes_per_second = 8.0
    tasks = (Task(name="lesion", summary="skin lesion", labels={"lesion": 1}, mapping={1: 1}),)
    splits: ClassVar[Mapping[str, str]] = {
        "folds": f"{FOLDS}, over the official training and validation pictures",
        "official": "one fold: official training pictures train, official validation pictures validate",
        "mediseg": f"{MEDISEG}; of the official training pictures only",
    }

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How large pictures may be, and what colour masks mean."""
        add_max_size(parser)
        add_any_colour(parser)

    def plan(self, sources: Sequence[Path], settings: Settings) -> Plan:
        """Pair by ISIC number within each part; arrays are looked for where there are no pictures."""
        cases, unused = _pictures(sources)
        warnings = []
        if not cases:
            cases, more = plan_arrays(sources)
            unused += more
            warnings = [NOTE] if cases else []
        if settings.split == "mediseg":
            reason = "not part of the scheme mediseg, which splits the official training pictures"
            others = [case for case in cases if case.fold_part != "train"]
            unused += [Unused(id=one.id, path=one.image.name, status="ignored", reason=reason) for one in others]
            cases = [case for case in cases if case.fold_part == "train"]
        return Plan(cases=cases, unused=unused, warnings=warnings, file_ending=settings.file_ending)

    def convert(self, case: Case, record: Record, work: Any) -> None:
        """See `rgb.convert_rgb`, and `isic_arrays.convert_row` for arrays."""
        from dataset_conversion.rgb import convert_rgb

        if case.image.suffix.lower() == ".npy":
            convert_row(case, record, work)
        else:
            convert_rgb(case, record, work)

    def output_bytes(self, plan: Plan, settings: Settings) -> int:
        """Lossless formats are larger than JPEG."""
        return written_bytes(plan, settings)


def _pictures(sources: Sequence[Path]) -> tuple[list[Case], list[Unused]]:
    files = walk(sources, (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"))
    pairs, unused = pair(files, _key)
    unused = [replace(one, id=one.id.partition("/")[2]) for one in unused]
    cases: list[Case] = []
    seen: dict[str, str] = {}
    for one in pairs:
        part, _, name = one.key.partition("/")
        found = one.image or one.label
        if found is None:
            continue
        if name in seen:
            reason = f"also stands in the {seen[name]} part"
            unused.append(Unused(id=name, path=found.relative, status="refused", reason=reason))
        elif one.image is None or (one.label is None and part != "test"):
            unused.append(orphan(name, found, "label" if one.image else "image"))
        else:
            seen[name] = part
            cases.append(
                Case(
                    id=name,
                    image=one.image.path,
                    label=one.label.path if one.label else None,
                    part=TEST if part == "test" else TRAIN,
                    fold_part=part,
                    modality="dermoscopy",
                    structure="skin lesion",
                )
            )
    return cases, unused


def _key(found: Found) -> tuple[str, str] | None:
    """``train/ISIC_0000000`` and the role."""
    match = re.fullmatch(r"(isic_\d{7})(_segmentation)?", stem_of(found.path.name), re.IGNORECASE)
    # Task 3 (diagnosis) has other pictures, and no masks.
    if match is None or any("task3" in folder for folder in found.folders):
        return None
    # The source folder itself may be one of the download's, or anything, such as "my test".
    top = found.folders[0] if "isic" in found.folders[0] else ""
    folders = (top, *found.folders[1:])
    part = next((name for folder in reversed(folders) if (name := _part_of(folder))), "train")
    in_masks = re.search(r"mask|groundtruth|ground_truth|label|annotation|(^|_)gt($|_)", folders[-1])
    return f"{part}/{match[1].upper()}", "label" if match[2] or in_masks else "image"


def _part_of(folder: str) -> str | None:
    return next((PARTS[word] for word in re.split(r"[^a-z]+", folder) if word in PARTS), None)


DATA_SET = Isic2018()

if __name__ == "__main__":
    from dataset_conversion.command import main

    raise SystemExit(main("isic2018"))
