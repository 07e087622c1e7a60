"""A user's raw data set in the demo: links to its files, with some cases held out as unseen."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIN_TRAIN = 5
"""Fewest training cases, since nnU-Net makes five folds."""


@dataclass(frozen=True)
class SourceCase:
    """One case of a raw data set.

    Attributes:
        name: Identifier of the case.
        images: One file per channel.
        label: File of its label map.
    """

    name: str
    images: tuple[Path, ...]
    label: Path


@dataclass(frozen=True)
class DemoCases:
    """The cases that a demo takes from a source.

    Attributes:
        train: Cases to train on.
        unseen: Cases to predict.
        dataset: Content of the source's ``dataset.json``.
    """

    train: tuple[SourceCase, ...]
    unseen: tuple[SourceCase, ...]
    dataset: dict[str, Any]


def name_of(source: Path) -> str:
    """The data set's name in the demo's own folders.

    Examples:
        >>> name_of(Path("nnUNet_raw/Dataset501_Hippocampus")), name_of(Path("my data"))
        ('Dataset501_Hippocampus', 'Dataset001_my-data')
    """
    if re.fullmatch(r"Dataset\d{3}_.+", source.name):
        return source.name
    return f"Dataset001_{re.sub(r'[^A-Za-z0-9]+', '-', source.name).strip('-') or 'source'}"


def read_dataset_json(source: Path) -> dict[str, Any]:
    """The description of a raw data set.

    Raises:
        ValueError: If the folder is not a raw data set of nnU-Net v2.
    """
    file = source / "dataset.json"
    if not file.is_file():
        raise ValueError(
            f"{source} is not a raw data set of nnU-Net v2, which has dataset.json, imagesTr and labelsTr: there is no "
            "dataset.json"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON: {error}") from error
    missing = [key for key in ("channel_names", "labels", "file_ending") if key not in content]
    if missing:
        raise ValueError(f"{file} does not describe a raw data set of nnU-Net v2: it lacks {', '.join(missing)}")
    return dict(content)


def configuration(source: Path) -> str:
    """Which of nnU-Net's configurations suits the data: ``3d_fullres``, or ``2d`` if its images have one slice.

    Raises:
        ValueError: If there is no image that nnU-Net can read.
    """
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

    dataset = read_dataset_json(source)
    image = str(_known(source, dataset)[0].images[0])
    try:
        reader = determine_reader_writer_from_dataset_json(dataset, image, verbose=False)()
    except RuntimeError as error:
        raise ValueError(f"nnU-Net cannot read {image}, an image of the source: {error}") from error
    return "2d" if reader.read_images([image])[0].shape[1] == 1 else "3d_fullres"


def select(source: Path, *, train: int, unseen: int) -> DemoCases:
    """Choose the cases to train on and to predict.

    Unseen are those of ``imagesTs`` that have a truth in ``labelsTs``; where there are none, cases spread evenly over
    ``imagesTr``, which are then not trained on.

    Args:
        source: A raw data set.
        train: Train on so many cases at most; 0 for all.
        unseen: Predict so many cases at most.

    Raises:
        ValueError: If it is no raw data set, files are missing, cases have no truth, or are too few.
    """
    dataset = read_dataset_json(source)
    known = _known(source, dataset)
    held_out = _spread(_cases_in(source, "Ts", dataset["file_ending"], labelled_only=True), unseen)
    needed = MIN_TRAIN if held_out else MIN_TRAIN + 1
    if len(known) < needed or 0 < train < MIN_TRAIN:
        given = min(train or len(known), len(known))
        raise ValueError(
            f"{source} has {given} cases to train on, and at least {needed} are needed: {MIN_TRAIN} for nnU-Net's "
            f"folds{'' if held_out else ', one to predict'}"
        )
    if not held_out:
        held_out = _spread(known, min(unseen, len(known) - MIN_TRAIN))
        chosen = {case.name for case in held_out}
        known = [case for case in known if case.name not in chosen]
    known = _spread(known, train) if train else known
    for file in (file for case in (*known, *held_out) for file in (*case.images, case.label)):
        if not file.is_file():
            raise ValueError(f"{file}, a file of {source}, does not exist")
    return DemoCases(tuple(known), tuple(held_out), dataset)


def adopt(selection: DemoCases, folder: Path) -> None:
    """Make a raw data set of links to the files of another one.

    Args:
        selection: Its cases.
        folder: The new data set's folder, which must not exist.
    """
    ending = selection.dataset["file_ending"]
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for part, cases in (("Tr", selection.train), ("Ts", selection.unseen)):
        for case in cases:
            for channel, image in enumerate(case.images):
                _link(image, partial / f"images{part}" / f"{case.name}_{channel:04d}{ending}")
            _link(case.label, partial / f"labels{part}" / f"{case.name}{ending}")
    # Where the source lists its files, they have other names here.
    dataset = {key: value for key, value in selection.dataset.items() if key != "dataset"}
    dataset["numTraining"] = len(selection.train)
    (partial / "dataset.json").write_text(json.dumps(dataset, indent=4), encoding="utf-8")
    partial.rename(folder)


def _known(source: Path, dataset: dict[str, Any]) -> list[SourceCase]:
    """The cases that could be trained on."""
    return _listed(source, dataset) or _cases_in(source, "Tr", dataset["file_ending"])


def _listed(source: Path, dataset: dict[str, Any]) -> list[SourceCase]:
    """The training cases that ``dataset.json`` itself lists, each with the paths of its files."""

    def path(word: str) -> Path:
        return source / os.path.expandvars(word)

    listed = dataset.get("dataset", {})
    try:
        return [
            SourceCase(name, tuple(path(image) for image in files["images"]), path(files["label"]))
            for name, files in sorted(listed.items())
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"'dataset' in {source / 'dataset.json'} must list each training case as nnU-Net does, with its 'images' "
            "and its 'label': training needs both"
        ) from error


def _cases_in(source: Path, part: str, ending: str, *, labelled_only: bool = False) -> list[SourceCase]:
    """The cases of ``imagesTr`` or ``imagesTs``."""
    pattern = re.compile(r"(.+)_\d{4}" + re.escape(ending))
    channels: dict[str, list[Path]] = {}
    images = source / f"images{part}"
    for file in sorted(images.iterdir()) if images.is_dir() else ():
        if match := pattern.fullmatch(file.name):
            channels.setdefault(match[1], []).append(file)
    labels = source / f"labels{part}"
    cases = [SourceCase(name, tuple(files), labels / f"{name}{ending}") for name, files in sorted(channels.items())]
    unlabelled = [case.name for case in cases if not case.label.is_file()]
    if labelled_only:
        return [case for case in cases if case.label.is_file()]
    if not cases:
        raise ValueError(f"{images} holds no image named CASE_0000{ending}, as dataset.json says they end")
    if unlabelled:
        some = f"{', '.join(unlabelled[:3])}{', ...' if len(unlabelled) > 3 else ''}"
        raise ValueError(
            f"{len(unlabelled)} of {len(cases)} cases have no truth in {labels} ({some}): training needs a label file "
            f"CASE{ending} for each; move images without one to imagesTs"
        )
    return cases


def _spread(cases: Sequence[SourceCase], count: int) -> list[SourceCase]:
    """A number of cases, spread evenly over the list."""
    if count >= len(cases):
        return list(cases)
    return [cases[(2 * index + 1) * len(cases) // (2 * count)] for index in range(count)]


def _link(file: Path, link: Path) -> None:
    """Make a symbolic link, or a copy where there are no symbolic links."""
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        link.symlink_to(file.resolve())
    except OSError:
        shutil.copyfile(file, link)
