"""How much a conversion reads and writes, and whether the disk has room for it. Standard library only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from dataset_conversion.errors import ConversionError
from dataset_conversion.files_on_disk import size_of, state_of
from dataset_conversion.model import ConversionPlan, ConversionSettings, DataSet, PlannedCase


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Estimated cost of a conversion, from names and headers.

    Attributes:
        read_bytes: Bytes of the source files that remain to be read.
        written_bytes: Bytes that will be written; rather too many than too few.
        free_bytes: Free bytes on the disk of the raw data sets.
        seconds: Duration in seconds.
    """

    read_bytes: int
    written_bytes: int
    free_bytes: int
    seconds: float


def estimate(
    data_set: DataSet,
    plan: ConversionPlan,
    settings: ConversionSettings,
    raw: Path,
    *,
    done: Collection[str],
    workers: int,
) -> Estimate:
    """Estimate the rest of a conversion.

    Args:
        data_set: The converter.
        plan: All cases.
        settings: The user's choices.
        raw: Folder of the raw data sets, which need not exist.
        done: Cases that an earlier run has written.
        workers: Number of processes.
    """
    waiting = [case for case in plan.cases if case.id not in done]
    part = len(waiting) / max(len(plan.cases), 1)
    files = {file for case in waiting for file in (case.image, case.label) if file is not None}
    read = sum(map(size_of, files))
    if len({case.image for case in plan.cases}) < len(plan.cases):
        # Each of many cases in one file has its share of it.
        read = int(sum(size_of(file) for file in files) * part)
        written = data_set.output_bytes(plan, settings) * part
    else:
        written = data_set.output_bytes(replace(plan, cases=waiting), settings)
    place = next(folder for folder in (raw, *raw.absolute().parents) if folder.exists())
    if not data_set.file_endings:
        written += copied_bytes(waiting, settings.link, place)
    return Estimate(
        read_bytes=read,
        written_bytes=int(written),
        free_bytes=shutil.disk_usage(place).free,
        seconds=read / 1e6 / data_set.megabytes_per_second / workers,
    )


def copied_bytes(cases: Collection[PlannedCase], link: str, place: Path) -> int:
    """Bytes of the images that will be copied into a folder instead of linked."""
    if link == "symbolic":
        return 0
    device = place.stat().st_dev
    total = 0
    for image in {case.image for case in cases}:
        state = state_of(image)
        if state and (link == "copy" or state.st_dev != device or not _may_be_linked(image, state)):
            total += state.st_size
    return total


def check_room(estimated: Estimate, raw: Path, to_be_removed: int = 0) -> None:
    """Refuse a conversion that the disk cannot hold.

    Args:
        estimated: Estimate of the conversion.
        raw: Folder of the raw data sets.
        to_be_removed: Bytes that the conversion removes first.

    Raises:
        ConversionError: With both figures, and what to do.
    """
    free = estimated.free_bytes + to_be_removed
    if free < estimated.written_bytes:
        raise ConversionError(
            f"{raw} has {size_text(free)} free and about {size_text(estimated.written_bytes)} are needed; make room, "
            f"give another folder with --raw, or say --no-space-check if you know that it is enough"
        )


def size_text(size: float) -> str:
    """Write a number of bytes for people.

    Examples:
        >>> size_text(950), size_text(2_340_000), size_text(61_800_000_000)
        ('950 bytes', '2.3 MB', '61.8 GB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size:.0f} bytes"


def _may_be_linked(path: Path, state: os.stat_result) -> bool:
    """Whether a file may be hard-linked: Linux allows it for files of other users only if they are writable."""
    if not hasattr(os, "geteuid") or os.geteuid() in (0, state.st_uid):
        return True
    return os.access(path, os.R_OK | os.W_OK)
