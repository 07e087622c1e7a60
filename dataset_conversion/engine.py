"""One conversion from beginning to end."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

from dataset_conversion import destination, duplicates, leftovers, metadata, report, room, selection
from dataset_conversion.errors import ConversionError, Refused
from dataset_conversion.files_on_disk import state_of
from dataset_conversion.lock import NumberLock
from dataset_conversion.model import TRAIN, CaseRecord, ConversionPlan, ConversionSettings, DataSet, PlannedCase
from dataset_conversion.progress import progress
from dataset_conversion.registry import load
from dataset_conversion.schemes import make_splits
from dataset_conversion.source_file import hash_of
from dataset_conversion.staging import Staging, Workplace, dump_json, write_atomically


@dataclass(frozen=True, kw_only=True)
class ConversionRequest:
    """The user's choices: what to convert, where to, and how to go about it."""

    data_set: DataSet
    sources: Sequence[Path]
    settings: ConversionSettings
    raw: Path
    number: int
    folder_name: str
    exclude: Sequence[str] = ()
    metadata: Path | None = None
    workers: int = 1
    dry_run: bool = False
    resume: bool = False
    restart: bool = False
    preview: bool = False
    space_check: bool = True
    quiet: bool = False


@dataclass(kw_only=True)
class ConversionResult:
    """The finished data set, or what a dry run says of it."""

    folder: Path
    summary: dict[str, Any] = field(default_factory=dict)
    refused: int = 0


def run(request: ConversionRequest) -> ConversionResult:
    """Convert a data set.

    Raises:
        ConversionError: If nothing can be converted, or something is in the way.
    """
    name = destination.checked_name(request.number, request.folder_name)
    if request.dry_run:
        return _run(request, name)
    with NumberLock(request.raw, request.number, name):
        return _run(request, name)


def _run(request: ConversionRequest, name: str) -> ConversionResult:
    data_set = request.data_set
    staging = Staging(request.raw, name)
    if request.resume and staging.final.exists() and not staging.data.exists():
        return _already_complete(staging)
    destination.data_set_name(request.raw, request.number, request.folder_name)
    plan = data_set.plan(request.sources, request.settings)
    unreadable, ignored = leftovers.of(plan, request.sources)
    plan = replace(plan, unused=[*plan.unused, *unreadable])
    settings = replace(request.settings, file_ending=plan.file_ending)
    plan = selection.without_bad_names(plan, settings.file_ending)
    plan = selection.without_excluded(plan, data_set, request.exclude)
    cases, notes = metadata.apply(plan.cases, request.metadata)
    plan = replace(plan, cases=cases, warnings=[*plan.warnings, *notes])
    selection.check_some_training_case(plan, data_set, request.sources)
    plan = replace(plan, unused=[*plan.unused, *ignored])
    before = staging.done_before() if request.resume else set()
    estimated = room.estimate(data_set, plan, settings, request.raw, done=before, workers=request.workers)
    if request.dry_run:
        summary = report.dry_summary(name, data_set, settings, plan, estimated)
        return ConversionResult(
            folder=staging.final, summary=summary, refused=sum(file.status == "refused" for file in plan.unused)
        )
    if request.space_check:
        room.check_room(estimated, request.raw, staging.own_bytes() if request.restart else 0)
    done = _open_staging(staging, request, settings, plan)
    if not request.quiet:
        print(report.opening(name, plan, estimated, len(done)), file=sys.stderr)
    records = list(done.values())
    waiting = [case for case in plan.cases if case.id not in done]
    work = Workplace(root=staging.data, settings=settings, sources=tuple(request.sources))
    for record in progress(
        _converted(data_set.name, waiting, work, request.workers),
        total=len(plan.cases),
        done=len(done),
        quiet=request.quiet,
    ):
        if record.status == "refused":
            _check_sources_are_there(request.sources)
        staging.note(record)
        records.append(record)
    records.sort(key=lambda record: record.id)
    summary = _complete(staging, request, settings, plan, records)
    return ConversionResult(folder=staging.final, summary=summary, refused=summary["refused"])


def _check_sources_are_there(sources: Sequence[Path]) -> None:
    """Stop if a source disk was unplugged: all remaining cases would be refused, and half a data set would be left."""
    for source in sources:
        if not source.is_dir():
            raise ConversionError(
                f"source folder {str(source)!r} is gone; bring it back, then --resume continues from here"
            )


def convert_case(data_set_name: str, case: PlannedCase, work: Workplace) -> CaseRecord:
    """Convert one case; a refusal becomes part of its record."""
    record = CaseRecord(
        id=case.id,
        part=case.part,
        fold_part=case.fold_part,
        group=case.group,
        modality=case.modality,
        structure=case.structure,
        site=case.site,
    )
    try:
        load(data_set_name).convert(case, record, work)
    except ConversionError:
        # An error of writing would hit the next case, too.
        raise
    except MemoryError as error:
        raise ConversionError(f"not enough memory for {case.id}; --resume with fewer --workers") from error
    except Refused as refusal:
        _refuse(record, case, work, str(refusal))
    # Files are damaged in more ways than anybody foresees. None of them may stop the other cases.
    except Exception as error:
        # System errors name a path; reports hold no absolute paths.
        what = error.strerror if isinstance(error, OSError) else error
        _refuse(record, case, work, f"cannot be read ({type(error).__name__}: {what})")
    return record


def _refuse(record: CaseRecord, case: PlannedCase, work: Workplace, reason: str) -> None:
    for relative in record.outputs:
        (work.root / relative).unlink(missing_ok=True)
    record.outputs = {}
    record.fingerprint = ""
    record.status = "refused"
    record.reason = reason
    for file in record.files:
        file.sha256 = file.sha256 or hash_of(case.label if file.role == "label" and case.label else case.image)


def _converted(name: str, cases: Sequence[PlannedCase], work: Workplace, workers: int) -> Iterator[CaseRecord]:
    if workers <= 1 or len(cases) <= 1:
        for case in cases:
            yield convert_case(name, case, work)
        return
    # Spawned, not forked: the parent has threads (hashing, the progress bar), and a fork would copy their locks.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(cases)), mp_context=context, initializer=_end_with_parent)
    try:
        for future in as_completed([pool.submit(convert_case, name, case, work) for case in cases]):
            yield future.result()
    except BrokenProcessPool as error:
        raise ConversionError(
            "a process was killed from outside, usually for lack of memory; --resume with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker as soon as its parent is gone.

    A kill reaches only the parent and releases its lock. A worker that finished its case would then write into the
    folder of the next conversion.
    """
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            connection.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _open_staging(
    staging: Staging, request: ConversionRequest, settings: ConversionSettings, plan: ConversionPlan
) -> dict[str, CaseRecord]:
    job = {
        "data set": request.data_set.name,
        "sources": [str(source.resolve()) for source in request.sources],
        "task": settings.task.name,
        "split": [settings.split, settings.folds, settings.seed],
        "link": settings.link,
        "file ending": settings.file_ending,
        "options": {key: str(value) for key, value in settings.options.items()},
        "exclude": list(request.exclude),
        "set of source files": _state_of(plan),
    }
    if staging.exists and request.restart:
        staging.discard()
    if not staging.exists:
        staging.begin(job)
        return {}
    if not request.resume:
        raise ConversionError(
            f"{staging.folder} holds a conversion that was not finished; --resume continues it, --restart begins again"
        )
    return staging.resume(job)


def _state_of(plan: ConversionPlan) -> list[list[Any]]:
    """List source files with size and time of change, so that a resumed conversion notices an exchanged file."""
    files = sorted({file for case in plan.cases for file in (case.image, case.label) if file is not None})
    states = [(str(file), state_of(file)) for file in files]
    # Whatever is not a file, or is missing, is refused later.
    described = [[name, state.st_size, state.st_mtime_ns] if state else [name] for name, state in states]
    return [
        *described,
        [[case.id, case.part, case.group, case.modality, case.structure, case.site, case.index] for case in plan.cases],
    ]


def _complete(
    staging: Staging,
    request: ConversionRequest,
    settings: ConversionSettings,
    plan: ConversionPlan,
    records: Sequence[CaseRecord],
) -> dict[str, Any]:
    data_set = request.data_set
    converted = [record for record in records if record.status == "converted"]
    training = [record for record in converted if record.part == TRAIN]
    if not training:
        first = next(record for record in records if record.status == "refused" and record.part == TRAIN)
        raise ConversionError(f"every training case was refused; the first, {first.id}: {first.reason}")
    for folder in ("imagesTr", "labelsTr"):
        (staging.data / folder).mkdir(exist_ok=True)
    pairs = duplicates.search(converted)
    groups = duplicates.groups(converted, pairs)
    splits = make_splits(training, groups, settings)
    warnings = [*plan.warnings, *splits.warnings, *duplicates.warnings(converted, groups, pairs)]
    warnings += [f"{record.id}: {warning}" for record in converted for warning in record.warnings]
    in_the_way = destination.splits_in_the_way(staging.final.name, splits.folds)
    write = {
        "cases.csv": report.cases_csv(converted, groups, settings.task),
        "conversion_report.json": dump_json(
            report.full_report(staging.final.name, data_set, settings, plan, records, warnings, splits, pairs)
        ),
    }
    if splits.folds:
        write["splits_final.json"] = dump_json(splits.folds)
    if splits.tests:
        write["splits_test.json"] = dump_json({str(fold): ids for fold, ids in enumerate(splits.tests)})
    for file_name, contents in write.items():
        write_atomically(staging.data / file_name, contents)
    if request.preview:
        from dataset_conversion.preview import preview

        write_atomically(staging.data / "preview.png", preview(staging.data, converted, settings))
    described = report.dataset_json(data_set, settings, plan, len(training))
    write_atomically(staging.data / "dataset.json", dump_json(described))
    staging.finish({path: size for record in converted for path, size in record.outputs.items()})
    extra = [in_the_way] if in_the_way else []
    return report.summary(staging.final, data_set, settings, plan, records, [*warnings, *extra], splits)


def _already_complete(staging: Staging) -> ConversionResult:
    if staging.exists:
        staging.discard()
    try:
        content: Mapping[str, Any] = json.loads((staging.final / "conversion_report.json").read_text())
        summary = dict(content["summary"])
        refused = int(summary["refused"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConversionError(
            f"{staging.final} exists and was not made by this command; choose another number"
        ) from error
    return ConversionResult(folder=staging.final, summary={**summary, "folder": str(staging.final)}, refused=refused)
