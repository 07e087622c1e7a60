"""Cosmos55k: 55,023 pictures and slices of 26 structures in 7 modalities, one labelled object in each.

Liu et al., "Instructive Feature Enhancement for Dichotomous Medical Image Segmentation", MICCAI 2023. The set has no
public download; `cosmos_style` builds one of its kind. Whoever has it can convert any of these layouts: ``X.png`` with
``X_mask.png`` beside it, flat or in ``train``, ``val``, ``test``; lists ``train.lst`` (or ``.txt``), ``val``, ``test``
of such pictures; folders ``images`` and ``masks`` side by side anywhere.
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
    """Cosmos55k as its owners have it."""

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
        """How large pictures may be, and what colour masks mean."""
        add_max_size(parser)
        add_any_colour(parser)

    def plan(self, sources: Sequence[Path], settings: ConversionSettings) -> ConversionPlan:
        """Pair pictures and masks; parts come from lists, else from folders."""
        pairs, unused = pair_pictures(walk(sources, _PICTURES))
        lists = read_lists(sources, pairs)
        unused += lists.unused
        known = dict.fromkeys(lists.files, "a list of pictures")
        complete = []
        for one in pairs:
            if one.image is None or one.label is None:
                found = one.image or one.label
                if found is not None:
                    unused.append(orphan(stem_of(found.path.name), found, "mask" if one.image else "picture"))
            elif lists.files and one.image.path not in lists.parts:
                reason = "stands in none of the lists"
                unused.append(Unused(id=one.key, path=one.image.relative, status="ignored", reason=reason))
                known[one.label.path] = "the mask of a picture that stands in none of the lists"
            else:
                complete.append((one.image, one.label, lists.parts.get(one.image.path) or part_of(one.image)))
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
        """See `rgb.convert_rgb`."""
        from dataset_conversion.rgb import convert_rgb

        # Neighbouring slices look alike anyway; for single pictures the picture itself is all there is to go by.
        own_picture = case.group == case.image.stem or group_of(case.image.stem) == case.image.stem
        convert_rgb(case, record, work, with_fingerprint=own_picture)

    def output_bytes(self, plan: ConversionPlan, settings: ConversionSettings) -> int:
        """See `picture_options.written_bytes`."""
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
    """A picture's name; with its folders where that name occurs again, with a number where that is not enough."""
    names = [_clean(stem_of(image.path.name)) for image in images]
    often = Counter(name.lower() for name in names)
    taken: set[str] = set()
    ids = []
    for name, image in zip(names, images, strict=True):
        wanted = name if often[name.lower()] == 1 else _clean(image.relative.rpartition(".")[0])
        numbered = (f"{wanted}-{number}" for number in count(2))
        unique = next(one for one in chain([wanted], numbered) if one.lower() not in taken)
        taken.add(unique.lower())
        ids.append(unique)
    return ids


def _clean(name: str) -> str:
    """A name that is safe as a file name everywhere."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).lstrip("._+-") or "picture"


def _notes(cases: Sequence[PlannedCase]) -> list[str]:
    found = Counter(case.fold_part or "no part" for case in cases)
    notes = ["made of public sets (KiTS19, ISIC 2018, MSD liver ...): do not test on those what was trained on this"]
    if any(found[part] != number for part, number in PAPER.items()):
        counted = ", ".join(f"{part} {number}" for part, number in sorted(found.items()))
        notes.append(f"pictures: {counted}; the paper has train 31548, val 5884, test 17591")
    return notes


DATA_SET = Cosmos55k()

if __name__ == "__main__":
    from dataset_conversion.command import main

    raise SystemExit(main("cosmos55k"))
