"""The check of a raw data set, from ``dataset.json`` to the last voxel."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from dataset_conversion.check import description as descriptions
from dataset_conversion.check import inventory, leaks
from dataset_conversion.check.case_report import CaseReport
from dataset_conversion.check.description import Description
from dataset_conversion.check.finding import CheckFinding, as_summary, fault
from dataset_conversion.check.inventory import RawCase
from dataset_conversion.check.tiff_stacks import with_reader
from dataset_conversion.errors import ConversionError, Refused
from dataset_conversion.model import TEST, TRAIN
from dataset_conversion.progress import progress


def check(
    folder: Path, *, workers: int = 1, quiet: bool = False, changed: Callable[[Path], Sequence[str]] = lambda folder: ()
) -> dict[str, Any]:
    """Check a raw data set, and write nothing.

    Args:
        folder: Folder such as ``nnUNet_raw/DatasetXXX_Name``.
        workers: Number of processes.
        quiet: Show no progress.
        changed: Function that names the files of a folder that differ from what was recorded, a sentence each.

    Returns:
        The summary that ``--json`` prints: number of cases, faults and notes, and each finding.

    Raises:
        ConversionError: If there is no such folder.
    """
    if not folder.is_dir():
        raise ConversionError(f"raw data set {str(folder)!r} is not a folder")
    description, findings = descriptions.read(folder)
    if description is None:
        return as_summary(str(folder), 0, 0, findings)
    description = with_reader(description, folder)
    cases, file_findings = inventory.take(folder, description)
    findings += file_findings
    readable = [case for case in cases if case.images]
    reports = list(
        progress(
            _checked(readable, description, folder, workers),
            total=len(readable),
            quiet=quiet,
            verb="checked",
        )
    )
    reports.sort(key=lambda report: (report.part != TRAIN, report.id))
    for report in reports:
        findings += report.findings
    findings += _mixed_types(reports)
    findings += leaks.find(folder, reports)
    findings += [fault("changed", folder.name, sentence) for sentence in changed(folder)]
    counts = Counter(case.part for case in cases)
    return as_summary(str(folder), counts[TRAIN], counts[TEST], findings)


def check_case(case: RawCase, description: Description, folder: Path) -> CaseReport:
    """Check the files of one case. An unforeseen failure of a reader is a finding, too."""
    try:
        if description.is_volumes:
            from dataset_conversion.check.volumes import check_volumes

            return check_volumes(case, description, folder)
        from dataset_conversion.check.pictures import check_pictures

        return check_pictures(case, description, folder)
    except Exception as error:  # A damaged file can make a reader fail in any way; the other cases still count.
        file = min(case.images.values())
        name = file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)
        reason = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
        says = f"or another file of this case cannot be read ({reason})"
        return CaseReport(id=case.id, part=case.part, file=name, findings=[fault("damaged", name, says, case.id)])


def _checked(cases: Sequence[RawCase], description: Description, folder: Path, workers: int) -> Iterator[CaseReport]:
    if workers <= 1 or len(cases) <= 1:
        for case in cases:
            yield check_case(case, description, folder)
        return
    pool = ProcessPoolExecutor(min(workers, len(cases)), mp_context=multiprocessing.get_context("spawn"))
    try:
        for future in as_completed([pool.submit(check_case, case, description, folder) for case in cases]):
            yield future.result()
    except BrokenProcessPool as error:
        raise ConversionError(
            "a process was killed from outside, usually for lack of memory; try again with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _mixed_types(reports: Sequence[CaseReport]) -> list[CheckFinding]:
    """Find pictures of 8 bits beside others of 16 bits: nnU-Net reads 0 to 255 and 0 to 65535 as they are."""
    kinds = Counter(report.kind for report in reports if report.kind in ("uint8", "uint16", "bool"))
    if len(kinds) < 2:
        return []
    usual = kinds.most_common(1)[0][0]
    return [
        fault("values", report.file, f"holds {report.kind} values; {kinds[usual]} other cases hold {usual}", report.id)
        for report in reports
        if report.kind in kinds and report.kind != usual
    ]
