"""ISIC 2018 task 1: dermoscopy pictures with the outline of the lesion.

There are 2,594 pictures for training, 100 for validation and 1,000 for test, from challenge.isic-archive.com/data.
Layouts: the six official folders (``Task1-2`` for inputs, ``Task1`` for masks), the same with ``Testing`` for ``Test``,
flat copies with ``images`` and ``masks``, and arrays (see `isic_arrays`). Names of 2016 and 2017 work too. Attribute
maps, superpixels and licence files beside the pictures are ignored. Many pictures occur more than once, within and
across the years. Identical and near-identical ones stay in one fold, and those in training and test are reported.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from dataset_conversion.find import PARTS, FoundFile, of_refused, orphan, pair, stem_of, walk
from dataset_conversion.isic_arrays import NOTE, convert_row, plan_arrays
from dataset_conversion.model import (
    TEST,
    TRAIN,
    CaseRecord,
    ConversionPlan,
    ConversionSettings,
    DataSet,
    LabelTask,
    PlannedCase,
    Unused,
)
from dataset_conversion.picture_options import CHANNELS, ENDINGS, READER, add_any_colour, add_max_size, written_bytes
from dataset_conversion.schemes import FOLDS, MEDISEG
from dataset_conversion.staging import Workplace

# Folders of the official downloads, from ISBI2016_ISIC_Part1_Training_Data to ISIC2018_Task1_Test_GroundTruth.
_OFFICIAL = re.compile(
    r"(?:isbi\d{4}_)?isic-?(?:\d{4})?_(?:.*_)?(?:training|validation|test|testing)(?:_.*)?_"
    r"(?:input|data|groundtruth)(?:_v\d)?"
)
_PREDICTIONS = re.compile(r"pred|result|output")


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
    tasks = (LabelTask(name="lesion", summary="skin lesion", labels={"lesion": 1}, mapping={1: 1}),)
    splits: ClassVar[Mapping[str, str]] = {
        "folds": f"{FOLDS}, over the official training and validation pictures",
        "official": "one fold: official training pictures train, official validation pictures validate",
        "mediseg": f"{MEDISEG}; of the official training pictures only",
    }

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the largest size of pictures, and the meaning of colour masks."""
        add_max_size(parser)
        add_any_colour(parser)

    def plan(self, sources: Sequence[Path], settings: ConversionSettings) -> ConversionPlan:
        """Pair by ISIC number within each part; without pictures, look for arrays."""
        cases, unused, warnings = _pictures(sources)
        known: dict[Path, str] = {}
        if not cases:
            cases, unused_arrays = plan_arrays(sources)
            unused += unused_arrays
            warnings += [NOTE] if cases else []
        if settings.split == "mediseg":
            reason = "not part of the scheme mediseg, which splits only the official training pictures"
            others = [case for case in cases if case.fold_part != "train"]
            unused += [Unused(id=case.id, path=case.image.name, status="ignored", reason=reason) for case in others]
            known = {file: reason for case in others for file in (case.image, case.label) if file is not None}
            cases = [case for case in cases if case.fold_part == "train"]
        return ConversionPlan(
            cases=cases, unused=unused, warnings=warnings, known=known, file_ending=settings.file_ending
        )

    def convert(self, case: PlannedCase, record: CaseRecord, work: Workplace) -> None:
        """Convert a picture with `rgb.convert_rgb`, a row of an array with `isic_arrays.convert_row`."""
        from dataset_conversion.rgb import convert_rgb

        if case.image.suffix.lower() == ".npy":
            convert_row(case, record, work)
        else:
            convert_rgb(case, record, work)

    def output_bytes(self, plan: ConversionPlan, settings: ConversionSettings) -> int:
        """Estimate the written bytes: lossless formats are larger than JPEG."""
        return written_bytes(plan, settings)


def _pictures(sources: Sequence[Path]) -> tuple[list[PlannedCase], list[Unused], list[str]]:
    files = list(walk(sources, (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")))
    roles = _Roles(files)
    pairs, unused = pair(files, roles.key)
    unused = [replace(entry, id=entry.id.rpartition("/")[2], reason=_without_part(entry.reason)) for entry in unused]
    cases: list[PlannedCase] = []
    seen: dict[str, str] = {}
    for image_and_mask in pairs:
        part, _, name = image_and_mask.key.partition("/")
        image, label = image_and_mask.image, image_and_mask.label
        file = image or label
        if file is None:
            continue
        if name in seen:
            reason = f"is also in the {seen[name]} part"
            unused.append(Unused(id=name, path=file.relative, status="refused", reason=reason))
            if image is not None and label is not None:
                unused.append(of_refused(name, label))
        elif image is None or (label is None and part != "test"):
            unused.append(orphan(name, file, "label" if image else "image"))
        else:
            seen[name] = part
            cases.append(
                PlannedCase(
                    id=name,
                    image=image.path,
                    label=label.path if label else None,
                    part=TEST if part == "test" else TRAIN,
                    fold_part=part,
                    modality="dermoscopy",
                    structure="skin lesion",
                )
            )
    return cases, unused, _parts_by_folder(files)


def _without_part(reason: str) -> str:
    return re.sub(r"\b(train|val|test)/(?=ISIC_\d)", "", reason)


class _Roles:
    """Tells pictures from masks by all files of a number together."""

    def __init__(self, files: Sequence[FoundFile]) -> None:
        """Note which numbers have a mask and which have a picture."""
        # If X has a mask X_segmentation and no other picture, the name of its folder does not count.
        self._has_mask: set[str] = set()
        self._has_picture: set[str] = set()
        for file in files:
            match = _name(file)
            if match is None:
                continue
            if match[2]:
                self._has_mask.add(match[1].upper())
            elif not _in_masks(file):
                self._has_picture.add(match[1].upper())

    def key(self, file: FoundFile) -> tuple[str, str] | None:
        """Key, such as ``train/ISIC_0000000``, and role of a file."""
        match = _name(file)
        if match is None:
            return None
        number = match[1].upper()
        part = next((name for folder in reversed(_folders(file)) if (name := _part_of(folder))), "train")
        alone = number in self._has_mask and number not in self._has_picture
        label = bool(match[2]) or (_in_masks(file) and not alone)
        return f"{part}/{number}", "label" if label else "image"


def _name(file: FoundFile) -> re.Match[str] | None:
    """The file's ISIC number, and the ending that makes it a mask; None for a file that is not part of task 1."""
    # Task 3 (diagnosis) has other pictures, and no masks; predictions look like masks.
    if any("task3" in folder or _PREDICTIONS.match(folder) for folder in _folders(file)):
        return None
    return re.fullmatch(r"(isic_\d{7})(_segmentation(?:_?\d{1,2})?)?", stem_of(file.path.name), re.IGNORECASE)


def _folders(file: FoundFile) -> tuple[str, ...]:
    """Folders whose names count; the source folder's own name only if it is the download's, not "my test"."""
    top = file.folders[0]
    return (top if _OFFICIAL.fullmatch(top) else "", *file.folders[1:])


def _in_masks(file: FoundFile) -> bool:
    return bool(re.search(r"mask|groundtruth|ground_truth|label|annotation|(^|_)gt($|_)", _folders(file)[-1]))


def _part_of(folder: str) -> str | None:
    return next((PARTS[word] for word in re.split(r"[^a-z]+", folder) if word in PARTS), None)


def _parts_by_folder(files: Sequence[FoundFile]) -> list[str]:
    """Notes on folders that made pictures validation or test pictures, other than the download's own folders."""
    folders: Counter[tuple[str, str]] = Counter()
    for file in files:
        match = _name(file)
        if match is None or match[2] or _in_masks(file):
            continue
        folder = next((folder for folder in reversed(_folders(file)) if _part_of(folder)), "")
        part = _part_of(folder)
        if part and part != "train" and not _OFFICIAL.fullmatch(folder) and folder not in PARTS:
            folders[folder, part] += 1
    return [
        f"pictures in folders called {folder!r} count as the part {part}: {number}"
        for (folder, part), number in sorted(folders.items())
    ]


DATA_SET = Isic2018()

if __name__ == "__main__":
    from dataset_conversion.command import main

    raise SystemExit(main("isic2018"))
