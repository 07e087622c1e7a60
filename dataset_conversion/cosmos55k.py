"""Cosmos55k: 55,023 pictures and slices of 26 structures in 7 modalities, with one labelled object in each.

Liu et al., "Instructive Feature Enhancement for Dichotomous Medical Image Segmentation", MICCAI 2023. The set has no
public download; `cosmos_style` builds a similar one. These layouts can be converted: ``X.png`` with ``X_mask.png``
beside it, flat or in ``train``, ``val``, ``test``; lists ``train.lst`` (or ``.txt``), ``val``, ``test`` of such
pictures; folders ``images`` and ``masks`` side by side anywhere.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import ClassVar

from dataset_conversion.cosmos_lists import read_lists
from dataset_conversion.cosmos_names import (
    group_of,
    groups_of,
    modality_and_structure,
    pair_pictures,
    part_notes,
    part_of,
)
from dataset_conversion.find import FoundFile, orphan, stem_of, walk
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
from dataset_conversion.picture_options import (
    CHANNELS,
    ENDINGS,
    READER,
    add_any_colour,
    add_max_size,
    written_bytes,
)
from dataset_conversion.schemes import FOLDS, GIVEN
from dataset_conversion.staging import Workplace

PAPER = {"train": 31548, "val": 5884, "test": 17591}
OBJECT = LabelTask(name="object", summary="the one labelled object", labels={"object": 1}, mapping={1: 1})
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


class Cosmos55k(DataSet):
    """Cosmos55k, as its owners store it."""

    name = "cosmos55k"
    title = "Cosmos55k"
    number = 521
    folder_name = "Cosmos55k"
    channel_names: ClassVar[Mapping[str, str]] = CHANNELS
    reader = READER
    reference = "Liu et al., Instructive Feature Enhancement for Dichotomous Medical Image Segmentation, MICCAI 2023"
    licence = "that of each source data set"
    file_endings = ENDINGS
    megabytes_per_second = 15.0
    tasks = (OBJECT,)
    splits: ClassVar[Mapping[str, str]] = {"given": GIVEN, "folds": FOLDS}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the largest size of pictures, and the meaning of colour masks."""
        add_max_size(parser)
        add_any_colour(parser)

    def plan(self, sources: Sequence[Path], settings: ConversionSettings) -> ConversionPlan:
        """Pair pictures and masks; parts come from lists, else from folders."""
        pairs, unused = pair_pictures(walk(sources, _PICTURES))
        lists = read_lists(sources, pairs)
        unused += lists.unused
        known = dict.fromkeys(lists.files, "a list of pictures")
        complete = []
        for pair in pairs:
            if pair.image is None or pair.label is None:
                file = pair.image or pair.label
                if file is not None:
                    unused.append(orphan(stem_of(file.path.name), file, "mask" if pair.image else "picture"))
            elif lists.files and pair.image.path not in lists.parts:
                reason = "is in none of the lists"
                unused.append(Unused(id=pair.key, path=pair.image.relative, status="ignored", reason=reason))
                known[pair.label.path] = "the mask of a picture that is in none of the lists"
            else:
                complete.append((pair.image, pair.label, lists.parts.get(pair.image.path) or part_of(pair.image)))
        cases, notes = _cases(complete)
        notes += part_notes(image for image, _, _ in complete if image.path not in lists.parts)
        return ConversionPlan(
            cases=cases,
            unused=unused,
            warnings=[*lists.warnings, *notes, *_notes(cases)],
            known=known,
            file_ending=settings.file_ending,
        )

    def convert(self, case: PlannedCase, record: CaseRecord, work: Workplace) -> None:
        """Convert a picture with its mask, see `rgb.convert_rgb`."""
        from dataset_conversion.rgb import convert_rgb

        # Neighbouring slices always look alike. Duplicates of single pictures show only in the pictures themselves.
        own_picture = case.group == case.image.stem or group_of(case.image.stem) == case.image.stem
        convert_rgb(case, record, work, with_fingerprint=own_picture)

    def output_bytes(self, plan: ConversionPlan, settings: ConversionSettings) -> int:
        """Estimate the written bytes, see `picture_options.written_bytes`."""
        return written_bytes(plan, settings)


def _cases(complete: Sequence[tuple[FoundFile, FoundFile, str]]) -> tuple[list[PlannedCase], list[str]]:
    groups, notes = groups_of(stem_of(image.path.name) for image, _, _ in complete)
    cases = []
    for name, (image, label, part) in zip(_ids([image for image, _, _ in complete]), complete, strict=True):
        stem = stem_of(image.path.name)
        modality, structure = modality_and_structure(stem)
        cases.append(
            PlannedCase(
                id=name,
                image=image.path,
                label=label.path,
                part=TEST if part == "test" else TRAIN,
                fold_part=part,
                group=groups[stem],
                modality=modality,
                structure=structure,
            )
        )
    return cases, notes


def _ids(images: Sequence[FoundFile]) -> list[str]:
    """Case ids: the picture's name, with its folders where that name is not unique, with a number if still needed."""
    names = [_clean(stem_of(image.path.name)) for image in images]
    often = Counter(name.lower() for name in names)
    taken: set[str] = set()
    ids = []
    for name, image in zip(names, images, strict=True):
        wanted = name if often[name.lower()] == 1 else _clean(image.relative.rpartition(".")[0])
        numbered = (f"{wanted}-{number}" for number in count(2))
        unique = next(candidate for candidate in chain([wanted], numbered) if candidate.lower() not in taken)
        taken.add(unique.lower())
        ids.append(unique)
    return ids


def _clean(name: str) -> str:
    """A name that is safe as a file name everywhere."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).lstrip("._+-") or "picture"


def _notes(cases: Sequence[PlannedCase]) -> list[str]:
    counts = Counter(case.fold_part or "no part" for case in cases)
    notes = ["made from public sets (KiTS19, ISIC 2018, MSD liver ...): do not test on those what was trained on this"]
    if any(counts[part] != number for part, number in PAPER.items()):
        counted = ", ".join(f"{part} {number}" for part, number in sorted(counts.items()))
        notes.append(f"pictures: {counted}; the paper has train 31548, val 5884, test 17591")
    return notes


DATA_SET = Cosmos55k()

if __name__ == "__main__":
    from dataset_conversion.command import main

    raise SystemExit(main("cosmos55k"))
