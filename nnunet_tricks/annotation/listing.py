"""Folders of images and label maps: which file belongs to which case."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from nnunet_tricks.annotation.formats import ENDINGS, is_volume, stem_of, whole_ending
from nnunet_tricks.annotation.scans import VolumeFile
from nnunet_tricks.utilities.wording import some

Channels = Mapping[str, tuple[Path, ...]]

_CHANNEL = re.compile(r"(.+)_(\d{4})")
_OF_PAINT = re.compile(r"(.+)[._-](?:seg|segmentation|labels?|labelmap|mask)", re.IGNORECASE)
"""Pattern of the names of label maps beside their images."""


def in_folder(folder: Path) -> dict[str, VolumeFile]:
    """Find the volumes of a folder by the name of their case; of several channels, the first.

    Args:
        folder: Folder of images, or a raw data set of nnU-Net, whose ``imagesTr`` are taken.

    Raises:
        ValueError: See ``channels_in``.
    """
    return {case: VolumeFile(files[0]) for case, files in channels_in(folder).items()}


def channels_in(folder: Path) -> Channels:
    """Find the files of each case, one for each channel.

    Either all names end in nnU-Net's channel numbers, ``_0000``, ``_0001`` and so on, the same ones for each case. Or
    none ends in four digits, and each file is a case with one channel.

    Args:
        folder: Folder of images, or a raw data set of nnU-Net, whose ``imagesTr`` are taken.

    Raises:
        ValueError: If there are no files, a case has two files, or names may be of channels or of cases.
    """
    folder = _inner(folder, "imagesTr")
    files = {file: stem_of(file) for file in sorted(folder.iterdir()) if is_volume(file)}
    if not files:
        raise ValueError(f"{folder} has no volumes: files must end in {', '.join(ENDINGS)}")
    _refuse_twins(folder, files, [*files.values()])
    _refuse_paint(folder, files)
    matches = {file: _CHANNEL.fullmatch(stem) for file, stem in files.items()}
    plain = [file.name for file, match in matches.items() if match is None]
    if len(plain) == len(files):
        return {stem: (file,) for file, stem in files.items()}
    if plain:
        numbered = next(file.name for file, match in matches.items() if match)
        raise ValueError(
            f"{folder}: {numbered} ends in four digits as nnU-Net's channels do, and {some(plain)} does not, so nobody "
            "knows which files are channels: end the names of all files in a channel number, such as _0000"
        )
    by_case: dict[str, dict[int, Path]] = {}
    for file, match in matches.items():
        if match:
            by_case.setdefault(match[1], {})[int(match[2])] = file
    wanted = range(max(map(len, by_case.values())))
    for case, channels in by_case.items():
        if 0 not in channels:
            raise ValueError(
                f"{folder}: {case} has no first channel, no {case}_0000; if the four digits of "
                f"{channels[min(channels)].name} are part of the case's name, add _0000 to the names of all files"
            )
        if sorted(channels) != [*wanted]:
            numbers = some([f"{channel:04d}" for channel in sorted(channels)])
            raise ValueError(
                f"{folder}: {case} has the channels {numbers}, and other cases {len(wanted)} from 0000 on: all need "
                "the same ones. If the four digits are part of the cases' names, add _0000 to the names of all files"
            )
    return {case: tuple(file for _, file in sorted(channels.items())) for case, channels in by_case.items()}


def doubts(cases: Channels) -> Iterator[str]:
    """Warnings about how file names were read.

    Raises:
        ValueError: If channels of a case do not have the same voxels.
    """
    count = len(next(iter(cases.values())))
    endings = sorted({whole_ending(file) for files in cases.values() for file in files})
    if len(endings) > 1:
        yield (
            f"images end in {', '.join(endings)}, and nnU-Net reads one format per data set: save them in one before "
            "'annotate import'"
        )
    if count > 1:
        for case, files in cases.items():
            shapes = {"x".join(map(str, VolumeFile(file).axial.shape)) for file in files}
            if len(shapes) > 1:
                raise ValueError(
                    f"{files[0]} and the other files whose names begin with {case} are not channels of one case, since "
                    f"they have {' and '.join(sorted(shapes))} voxels: if each is a case, add _0000 to the names of "
                    "all files"
                )
    if count > len(cases):
        case, files = next(iter(cases.items()))
        yield (
            f"{files[0].name} to {files[-1].name} are taken for {count} channels of one case, {case}: if each is a "
            "case, add _0000 to the names of all files"
        )


def labels_in(folder: Path, cases: Collection[str] = ()) -> dict[str, VolumeFile]:
    """Find the label maps of a folder by the name of their case.

    3D Slicer's ``case.seg.nrrd`` belongs to ``case``. So does ``case_0000.nii.gz``, named like its image, unless there
    is a case with the longer name.

    Args:
        folder: Folder of label maps, or a raw data set of nnU-Net, whose ``labelsTr`` are taken.
        cases: Known names of cases.

    Raises:
        ValueError: If there are no label maps, or a case has two files.
    """
    folder = _inner(folder, "labelsTr")
    files = [file for file in sorted(folder.iterdir()) if is_volume(file)]
    if not files:
        raise ValueError(f"{folder} has no label maps: files must end in {', '.join(ENDINGS)}")
    named = {file: _case_of(stem_of(file), cases) for file in files}
    _refuse_twins(folder, named, [*named.values()])
    return {case: VolumeFile(file) for file, case in named.items()}


def _case_of(stem: str, cases: Collection[str]) -> str:
    if stem in cases:
        return stem
    case = stem[:-4] if stem.lower().endswith(".seg") else stem
    return case[:-5] if case not in cases and case.endswith("_0000") and case[:-5] in cases else case


def _inner(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    return folder / name if (folder / name).is_dir() else folder


def _refuse_paint(folder: Path, files: Mapping[Path, str]) -> None:
    """Refuse segmentations beside their images, which would be counted as volumes."""
    stems = {*files.values()}
    paint = []
    for file, stem in files.items():
        match = _OF_PAINT.fullmatch(stem)
        if match and (stem.lower().endswith(".seg") or {match[1], f"{match[1]}_0000"} & stems):
            paint.append(file.name)
    if paint:
        raise ValueError(
            f"{folder} has {some(paint)} among its images, which by the name is a segmentation: keep label maps in a "
            "folder of their own"
        )


def _refuse_twins(folder: Path, files: Mapping[Path, str], names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len({*names}) < len(names) else []
    if twice:
        of_first = [file.name for file, name in files.items() if name == twice[0]]
        others = f"; the same is true of {some(twice[1:])}" if twice[1:] else ""
        raise ValueError(
            f"{folder} has two files of one case: {' and '.join(of_first)}{others}. Keep one of them, since "
            "nobody knows which one counts"
        )
