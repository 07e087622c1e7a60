"""One conversion from beginning to end."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

from dataset_conversion import destination, duplicates, metadata, report
from dataset_conversion.errors import ConversionError, Refused
from dataset_conversion.find import walk
from dataset_conversion.lock import NumberLock
from dataset_conversion.model import TRAIN, Case, DataSet, Plan, Record, Settings, Unused
from dataset_conversion.progress import progress
from dataset_conversion.registry import load
from dataset_conversion.schemes import make_splits
from dataset_conversion.source_file import hash_of
from dataset_conversion.staging import Staging, Workplace, dump_json, write_atomically


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for."""

    data_set: DataSet
    sources: Sequence[Path]
    settings: Settings
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
    quiet: bool = False


@dataclass(kw_only=True)
class Outcome:
    """What came of it."""

    folder: Path
    summary: dict[str, Any] = field(default_factory=dict)
    refused: int = 0


def run(request: Request) -> Outcome:
    """Convert a data set.

    Raises:
        ConversionError: If nothing can be converted, or something is in the way.
    """
    name = destination.checked_name(request.number, request.folder_name)
    if request.dry_run:
        return _run(request, name)
    with NumberLock(request.raw, request.number, name):
        return _run(request, name)


def _run(request: Request, name: str) -> Outcome:
    data_set = request.data_set
    staging = Staging(request.raw, name)
    if request.resume and staging.final.exists() and not staging.data.exists():
        return _already_complete(staging)
    destination.data_set_name(request.raw, request.number, request.folder_name)
    plan = data_set.plan(request.sources, request.settings)
    settings = replace(request.settings, file_ending=plan.file_ending)
    plan = _without_excluded(plan, data_set, request.exclude)
    plan = replace(plan, cases=metadata.apply(plan.cases, request.metadata))
    _check_cases(plan, data_set, request.sources)
    estimate = _estimate(data_set, plan, settings, request)
    if request.dry_run:
        summary = report.dry_summary(name, data_set, settings, plan, estimate)
        return Outcome(
            folder=staging.final, summary=summary, refused=sum(one.status == "refused" for one in plan.unused)
        )
    if estimate["free_bytes"] < estimate["written_bytes"]:
        raise ConversionError(
            f"{request.raw} has {estimate['free_bytes'] / 1e9:.1f} GB free and about "
            f"{estimate['written_bytes'] / 1e9:.1f} GB are needed; make room or give another folder with --raw"
        )
    done = _open_staging(staging, request, settings, plan)
    if not request.quiet:
        print(report.opening(name, plan, estimate, len(done)), file=sys.stderr)
    records = list(done.values())
    waiting = [case for case in plan.cases if case.id not in done]
    work = Workplace(root=staging.data, settings=settings, sources=tuple(request.sources))
    for record in progress(
        _converted(data_set.name, waiting, work, request.workers),
        total=len(plan.cases),
        done=len(done),
        quiet=request.quiet,
    ):
        staging.note(record)
        records.append(record)
    records.sort(key=lambda record: record.id)
    summary = _complete(staging, request, settings, plan, records)
    return Outcome(folder=staging.final, summary=summary, refused=summary["refused"])


def convert_one(data_set_name: str, case: Case, work: Workplace) -> Record:
    """Convert one case; a refusal becomes part of its record."""
    record = Record(
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
    except (OSError, ConversionError):
        # Readers turn theirs into refusals: this one comes from writing, and the next case would have it too.
        raise
    except MemoryError as error:
        raise ConversionError(f"not enough memory for {case.id}; --resume with fewer --workers") from error
    except Refused as refusal:
        for relative in record.outputs:
            (work.root / relative).unlink(missing_ok=True)
        record.outputs = {}
        record.fingerprint = ""
        record.status = "refused"
        record.reason = str(refusal)
        for file in record.files:
            file.sha256 = file.sha256 or hash_of(case.label if file.role == "label" and case.label else case.image)
    except Exception as error:
        raise ConversionError(
            f"{case.id} makes the converter fail ({type(error).__name__}: {error}), which is a bug; "
            f"--exclude {case.id} goes around it"
        ) from error
    return record


def _converted(name: str, cases: Sequence[Case], work: Workplace, workers: int) -> Iterator[Record]:
    if workers <= 1 or len(cases) <= 1:
        for case in cases:
            yield convert_one(name, case, work)
        return
    # Spawned, not forked: the parent has threads (hashing, the progress bar), and a fork would copy their locks.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(cases)), mp_context=context, initializer=_end_with_parent)
    try:
        for future in as_completed([pool.submit(convert_one, name, case, work) for case in cases]):
            yield future.result()
    except BrokenProcessPool as error:
        raise ConversionError(
            "a process was ended from outside, mostly for lack of memory; --resume with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker as soon as its parent is gone.

    A kill reaches the parent only, and releases its lock: a worker that finished its case would write into the folder
    of the next conversion.
    """
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            connection.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _without_excluded(plan: Plan, data_set: DataSet, exclude: Sequence[str]) -> Plan:
    reasons: dict[str, str] = {}
    known = {case.id for case in plan.cases} | {unused.id for unused in plan.unused}
    for word in exclude:
        if word == "none":
            continue
        if word in data_set.exclusions:
            reasons.update(data_set.exclusions[word])
        elif word in known:
            reasons[word] = "excluded by the user"
        else:
            presets = ", ".join(("none", *data_set.exclusions))
            raise ConversionError(f"--exclude takes a case id or one of {presets}; got {word!r}")
    if not reasons:
        return plan
    excluded = [
        Unused(id=case.id, path=case.image.name, status="excluded", reason=reasons[case.id])
        for case in plan.cases
        if case.id in reasons
    ]
    extra = {**plan.extra, "excluded": dict(sorted(reasons.items()))}
    cases = [case for case in plan.cases if case.id not in reasons]
    return replace(plan, cases=cases, unused=[*plan.unused, *excluded], extra=extra)


def _check_cases(plan: Plan, data_set: DataSet, sources: Sequence[Path]) -> None:
    if not any(case.part == TRAIN for case in plan.cases):
        first = f" ({plan.unused[0].path}: {plan.unused[0].reason})" if plan.unused else _hint(sources)
        raise ConversionError(
            f"no pair of image and label of {data_set.title} found in "
            f"{', '.join(str(source) for source in sources)}{first}"
        )
    seen: dict[str, str] = {}
    for case in plan.cases:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", case.id):
            raise ConversionError(f"case id {case.id!r} holds characters that file names should not have")
        # Some file systems do not tell capitals from small letters.
        if case.id.lower() in seen:
            raise ConversionError(f"two cases would be called {case.id!r} and {seen[case.id.lower()]!r}")
        seen[case.id.lower()] = case.id


def _hint(sources: Sequence[Path]) -> str:
    """What the folders hold instead, where that says what to do."""
    kinds = {
        "archives, which must be unpacked first": (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar"),
        "DICOM files, which must be made into NIfTI first (dcm2niix does that)": (".dcm", ".ima"),
    }
    for what, endings in kinds.items():
        first = next(walk(sources, endings), None)
        if first is not None:
            return f"; there are {what}: {first.relative}"
    return ""


def _estimate(data_set: DataSet, plan: Plan, settings: Settings, request: Request) -> dict[str, float]:
    files = {file for case in plan.cases for file in (case.image, case.label) if file is not None}
    sizes = {file: file.stat() for file in files}
    read = sum(stat.st_size for stat in sizes.values())
    place = next(folder for folder in (request.raw, *request.raw.absolute().parents) if folder.exists())
    written = data_set.output_bytes(plan, settings)
    if not data_set.file_endings:
        device = place.stat().st_dev
        copied = settings.link == "copy" or (
            settings.link == "hard" and any(s.st_dev != device for s in sizes.values())
        )
        written += sum(sizes[image].st_size for image in {case.image for case in plan.cases}) if copied else 0
    return {
        "read_bytes": read,
        "written_bytes": written,
        "free_bytes": shutil.disk_usage(place).free,
        "seconds": read / 1e6 / data_set.megabytes_per_second / request.workers,
    }


def _open_staging(staging: Staging, request: Request, settings: Settings, plan: Plan) -> dict[str, Record]:
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
            f"{staging.folder} holds a conversion that was not finished; --resume goes on with it, --restart "
            f"begins anew"
        )
    return staging.resume(job)


def _state_of(plan: Plan) -> list[list[Any]]:
    """Every source file with size and time of change, so that a resumed conversion notices an exchanged file."""
    files = sorted({file for case in plan.cases for file in (case.image, case.label) if file is not None})
    stats = [(str(file), file.stat()) for file in files]
    described = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
    return [
        *described,
        [[case.id, case.part, case.group, case.modality, case.structure, case.site, case.index] for case in plan.cases],
    ]


def _complete(
    staging: Staging, request: Request, settings: Settings, plan: Plan, records: Sequence[Record]
) -> dict[str, Any]:
    data_set = request.data_set
    converted = [record for record in records if record.status == "converted"]
    training = [record for record in converted if record.part == TRAIN]
    if not training:
        first = next(record for record in records if record.status == "refused" and record.part == TRAIN)
        raise ConversionError(f"every training case was refused; the first, {first.id}: {first.reason}")
    for folder in ("imagesTr", "labelsTr"):
        (staging.data / folder).mkdir(exist_ok=True)
    found = duplicates.search(converted)
    groups = duplicates.groups(converted, found)
    splits = make_splits(training, groups, settings)
    warnings = [*plan.warnings, *splits.warnings, *duplicates.warnings(converted, groups, found)]
    warnings += [f"{record.id}: {warning}" for record in converted for warning in record.warnings]
    in_the_way = destination.splits_in_the_way(staging.final.name, splits.folds)
    write = {
        "cases.csv": report.cases_csv(converted, groups, settings.task),
        "conversion_report.json": dump_json(
            report.full_report(staging.final.name, data_set, settings, plan, records, warnings, splits, found)
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


def _already_complete(staging: Staging) -> Outcome:
    if staging.exists:
        staging.discard()
    try:
        content: Mapping[str, Any] = json.loads((staging.final / "conversion_report.json").read_text())
        summary = dict(content["summary"])
    except (OSError, ValueError, KeyError) as error:
        raise ConversionError(
            f"{staging.final} exists and was not made by this command; choose another number"
        ) from error
    return Outcome(folder=staging.final, summary={**summary, "folder": str(staging.final)}, refused=summary["refused"])
