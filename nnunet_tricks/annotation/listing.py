"""Folders of images and of label maps: which file is of which case."""

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
"""Names of label maps that lie beside their images."""


def in_folder(folder: Path) -> dict[str, VolumeFile]:
    """The volumes of a folder by the name of their case: of nnU-Net's channels the first.

    Args:
        folder: Of images, or a raw data set of nnU-Net, whose ``imagesTr`` are taken.

    Raises:
        ValueError: See ``channels_in``.
    """
    return {case: VolumeFile(files[0]) for case, files in channels_in(folder).items()}


def channels_in(folder: Path) -> Channels:
    """The files of each case, one for each channel.

    Either all names end in nnU-Net's numbers of channels, ``_0000``, ``_0001`` and so on, the same for each case, or
    none ends in four digits, and each file is a case of one channel.

    Args:
        folder: Of images, or a raw data set of nnU-Net, whose ``imagesTr`` are taken.

    Raises:
        ValueError: If there are none, one case has two files, or names could be of channels and of cases.
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
            f"{folder}: {numbered} ends in four digits as nnU-Net's channels do, and {some(plain)} does not, so which "
            "files are channels is not known: end the names of all files in a channel, such as _0000"
        )
    found: dict[str, dict[int, Path]] = {}
    for file, match in matches.items():
        if match:
            found.setdefault(match[1], {})[int(match[2])] = file
    wanted = range(max(map(len, found.values())))
    for case, channels in found.items():
        if 0 not in channels:
            raise ValueError(
                f"{folder}: {case} has no first channel, no {case}_0000; if the four digits of "
                f"{channels[min(channels)].name} are part of the case's name, add _0000 to the names of all files"
            )
        if sorted(channels) != [*wanted]:
            raise ValueError(
                f"{folder}: {case} has the channels {some([f'{one:04d}' for one in sorted(channels)])}, and other "
                f"cases {len(wanted)} from 0000 on: all need the same ones. If the four digits are part of the "
                "cases' names, add _0000 to the names of all files"
            )
    return {case: tuple(file for _, file in sorted(channels.items())) for case, channels in found.items()}


def doubts(found: Channels) -> Iterator[str]:
    """What somebody should know of how names were read.

    Raises:
        ValueError: If channels of a case do not have the same voxels.
    """
    count = len(next(iter(found.values())))
    endings = sorted({whole_ending(file) for files in found.values() for file in files})
    if len(endings) > 1:
        yield (
            f"images end in {', '.join(endings)}, and nnU-Net reads one format per data set: save them in one before "
            "'annotate import'"
        )
    if count > 1:
        for case, files in found.items():
            shapes = {"x".join(map(str, VolumeFile(file).axial.shape)) for file in files}
            if len(shapes) > 1:
                raise ValueError(
                    f"{files[0]} and the other files whose names begin with {case} are no channels of one case, since "
                    f"they have {' and '.join(sorted(shapes))} voxels: if each is a case, add _0000 to the names of "
                    "all files"
                )
    if count > len(found):
        case, files = next(iter(found.items()))
        yield (
            f"{files[0].name} to {files[-1].name} are taken for {count} channels of one case, {case}: if each is a "
            "case, add _0000 to the names of all files"
        )


def labels_in(folder: Path, cases: Collection[str] = ()) -> dict[str, VolumeFile]:
    """The label maps of a folder by the name of their case.

    3D Slicer's ``case.seg.nrrd`` is of ``case``; ``case_0000.nii.gz``, named as its image, too, if there is no case
    of the longer name.

    Args:
        folder: Of label maps, or a raw data set of nnU-Net, whose ``labelsTr`` are taken.
        cases: Names that are known.

    Raises:
        ValueError: If there are none, or one case has two files.
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
    """Segmentations beside their images would be counted as volumes."""
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
        more = f"; so it is with {some(twice[1:])}" if twice[1:] else ""
        raise ValueError(
            f"{folder} has two files of one case: {' and '.join(of_first)}{more}. Keep one of them, since which one "
            "counts is not known"
        )
