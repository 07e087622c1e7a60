"""Which files belong to a case, and which files nnU-Net would ignore."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataset_conversion.check.description import FILE, Description
from dataset_conversion.check.finding import CheckFinding, fault, note
from dataset_conversion.model import TEST, TRAIN

_TRIED = 5
FOLDERS = {TRAIN: ("imagesTr", "labelsTr"), TEST: ("imagesTs", "labelsTs")}


@dataclass(kw_only=True)
class RawCase:
    """One case of a raw data set.

    Attributes:
        id: Case id.
        part: ``train`` or ``test``.
        images: File of each channel, by its number.
        label: The label map; None for a test case without one.
    """

    id: str
    part: str
    images: dict[int, Path] = field(default_factory=dict)
    label: Path | None = None


def take(folder: Path, description: Description) -> tuple[list[RawCase], list[CheckFinding]]:
    """Find all cases of the data set, in the order of their ids, and what is wrong with files and pairs."""
    cases, findings = [], []
    for part in (TRAIN, TEST):
        if part == TRAIN and description.files:
            cases_of_part, faults = _listed(folder, description)
        else:
            cases_of_part, faults = _in_folders(folder, description, part)
        cases += cases_of_part
        findings += faults
    training = [case for case in cases if case.part == TRAIN]
    if not training:
        findings.append(
            fault("pairs", "imagesTr", f"holds no training case: no file named CASE_0000{description.ending}")
        )
    elif description.training is not None and description.training != len(training):
        says = f"'numTraining' is {description.training}, but there are {len(training)} training cases"
        findings.append(fault("pairs", FILE, says))
    ids = {case.id for case in training}
    both = sorted(ids & {case.id for case in cases if case.part == TEST})
    if both:
        shown = ", ".join(both[:4]) + (", ..." if len(both) > 4 else "")
        findings.append(note("pairs", "imagesTs", f"{len(both)} case ids are also training cases: {shown}"))
    return cases, findings


def first_images(folder: Path, description: Description) -> list[Path]:
    """Images of the first training cases, in nnU-Net's order."""
    if description.files:
        return [_expanded(folder, images[0]) for images, _ in list(description.files.values())[:_TRIED] if images]
    place = folder / FOLDERS[TRAIN][0]
    return sorted(place.glob(f"*_0000{description.ending}"))[:_TRIED] if place.is_dir() else []


def _expanded(folder: Path, path: str) -> Path:
    """A listed path, which nnU-Net resolves from the data set's folder."""
    return Path(os.path.normpath(folder / os.path.expandvars(path)))


def _listed(folder: Path, description: Description) -> tuple[list[RawCase], list[CheckFinding]]:
    cases, findings = [], []
    for case_id, (images, label) in sorted(description.files.items()):
        paths = [_expanded(folder, image) for image in images]
        target = _expanded(folder, label)
        cases.append(RawCase(id=case_id, part=TRAIN, images=dict(enumerate(paths)), label=target))
        missing = [str(path) for path in (*paths, target) if not path.is_file()]
        findings += [fault("pairs", FILE, f"'dataset' names {path}, which does not exist", case_id) for path in missing]
    return [
        case for case in cases if all(path.is_file() for path in (*case.images.values(), case.label) if path)
    ], findings


def _in_folders(folder: Path, description: Description, part: str) -> tuple[list[RawCase], list[CheckFinding]]:
    images_name, labels_name = FOLDERS[part]
    findings: list[CheckFinding] = []
    cases: dict[str, RawCase] = {}
    pattern = re.compile(r"(.+)_(\d{4})" + re.escape(description.ending), re.DOTALL)
    spacings: list[Path] = []
    for file in _files(folder / images_name, findings):
        match = pattern.fullmatch(file.name)
        if match:
            case = cases.setdefault(match[1], RawCase(id=match[1], part=part))
            case.images[int(match[2])] = file
        elif file.suffix == ".json" and description.is_tiff:
            spacings.append(file)
        else:
            findings.append(fault("pairs", f"{images_name}/{file.name}", _not_an_image(file.name, description.ending)))
    findings += _spacings(spacings, cases, description)
    for case in cases.values():
        findings += _channels(case, description, images_name)
    for file in _files(folder / labels_name, findings):
        relative = f"{labels_name}/{file.name}"
        if file.suffix == ".json" and description.is_tiff and file.stem in cases:
            continue
        stem = file.name.removesuffix(description.ending)
        if stem == file.name:
            says = f"is not a label map of this data set, whose files end in {description.ending}; nnU-Net ignores it"
            findings.append(fault("pairs", relative, says))
        elif stem in cases:
            cases[stem].label = file
        else:
            findings.append(fault("pairs", relative, f"has no image: {images_name}/{stem}_0000{description.ending}"))
    if part == TRAIN:
        for case in cases.values():
            if case.label is None:
                says = f"has no label: {labels_name}/{case.id}{description.ending} is missing"
                findings.append(fault("pairs", f"{images_name}/{case.id}", says, case.id))
    findings += _same_but_for_capitals(cases, images_name)
    return [cases[name] for name in sorted(cases)], findings


def _files(folder: Path, findings: list[CheckFinding]) -> Iterator[Path]:
    """Yield regular files; whatever cannot be opened becomes a finding."""
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir()):
        relative = f"{folder.name}/{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_file():
            yield entry
        elif entry.is_symlink():
            findings.append(fault("damaged", relative, f"is a link to {os.readlink(entry)}, which does not exist"))
        else:
            what = "a folder" if entry.is_dir() else "not a regular file"
            findings.append(fault("pairs", relative, f"is {what}; nnU-Net ignores it"))


def _spacings(files: Sequence[Path], cases: Mapping[str, RawCase], description: Description) -> Iterator[CheckFinding]:
    """Check names: a TIFF stack ``CASE_0000.tif`` has its spacing in ``CASE.json``, and nnU-Net ignores other names."""
    for file in files:
        case = re.sub(r"_\d{4}$", "", file.stem)
        if file.stem in cases or (case in cases and not description.is_stack):
            continue
        relative = f"{file.parent.name}/{file.name}"
        if case in cases:
            says = f"is ignored: nnU-Net looks for the spacing in {case}.json, and takes 1, 1, 1 without it; rename it"
            yield fault("geometry", relative, says, case)
        else:
            yield fault(
                "pairs", relative, f"belongs to no image of this data set; {case}_0000{description.ending} is missing"
            )


def _not_an_image(name: str, ending: str) -> str:
    if not name.endswith(ending):
        return f"is not an image of this data set, whose files end in {ending}; nnU-Net ignores it"
    return f"has no channel number; nnU-Net needs {name.removesuffix(ending)}_0000{ending}"


def _channels(case: RawCase, description: Description, folder: str) -> Iterator[CheckFinding]:
    numbers = sorted(case.images)
    # A file of a colour picture or 4D volume holds several channels.
    if numbers != list(range(len(numbers))) or len(numbers) > description.channels:
        wanted = ", ".join(f"_{number:04d}" for number in range(description.channels))
        present = ", ".join(f"_{number:04d}" for number in numbers)
        yield fault(
            "pairs", f"{folder}/{case.id}", f"has the channels {present}; dataset.json asks for {wanted}", case.id
        )


def _same_but_for_capitals(cases: dict[str, RawCase], folder: str) -> Iterator[CheckFinding]:
    seen: dict[str, str] = {}
    for name in sorted(cases):
        other = seen.setdefault(name.lower(), name)
        if other != name:
            says = f"differs from {other} in capitals only; some file systems keep one of them"
            yield fault("pairs", f"{folder}/{name}", says, name)
