"""Records of a conversion for people and programs: summary, report, table of cases, ``dataset.json``.

None of them holds times, host names or absolute paths, so that the same sources give the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dataset_conversion.duplicates import Duplicate
from dataset_conversion.model import TEST, TRAIN, CaseRecord, ConversionPlan, ConversionSettings, DataSet, LabelTask
from dataset_conversion.room import Estimate, size_text
from dataset_conversion.schemes import Splits


def count(number: int, noun: str) -> str:
    """Write a number with its noun.

    Examples:
        >>> count(1, "case"), count(2, "case")
        ('1 case', '2 cases')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def dataset_json(
    data_set: DataSet, settings: ConversionSettings, plan: ConversionPlan, training: int
) -> dict[str, Any]:
    """Content of the file that nnU-Net reads."""
    content: dict[str, Any] = {
        "channel_names": dict(data_set.channel_names),
        "labels": settings.task.dataset_labels(),
        "numTraining": training,
        "file_ending": settings.file_ending,
        "overwrite_image_reader_writer": data_set.reader,
    }
    if settings.task.regions_class_order:
        content["regions_class_order"] = list(settings.task.regions_class_order)
    return {
        **content,
        "name": data_set.title,
        "task": settings.task.name,
        "description": settings.task.summary,
        "reference": data_set.reference,
        "licence": data_set.licence,
        "split": settings.split,
        "converter": f"dataset_conversion {data_set.name}",
        **plan.extra,
    }


def cases_csv(records: Sequence[CaseRecord], groups: Mapping[str, str], task: LabelTask) -> str:
    """Content of ``cases.csv``: one line for each written case."""
    names = task.value_names()
    means = sorted({key for record in records for key in record.means})
    columns = ["id", "part", "source", "label_source", "group", "modality", "structure", "site", "size", "spacing"]
    columns += [f"voxels_{name}" for name in ("background", *names.values())] + [
        f"mean_{names[int(key)]}" for key in means
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for record in records:
        paths = {file.role: file.path for file in record.files}
        row: list[Any] = [record.id, record.part, paths.get("image", ""), paths.get("label", ""), groups[record.id]]
        row += [record.modality, record.structure, record.site]
        row += ["x".join(map(str, record.size)), "x".join(f"{edge:g}" for edge in record.spacing)]
        # A case without a label has no counts, which is not the same as counts of zero.
        row += [record.voxels.get(str(value), 0) if record.voxels else "" for value in (0, *names)]
        row += [record.means.get(key, "") for key in means]
        writer.writerow(row)
    return text.getvalue()


def numbers(plan: ConversionPlan, records: Sequence[CaseRecord]) -> dict[str, int]:
    """Number of cases by what became of them."""
    unused = Counter(file.status for file in plan.unused)
    converted = [record for record in records if record.status == "converted"]
    return {
        "training": sum(record.part == TRAIN for record in converted),
        "test": sum(record.part == TEST for record in converted),
        "refused": len(records) - len(converted) + unused["refused"],
        "excluded": unused["excluded"],
        "orphans": unused["orphan"],
        "ignored": unused["ignored"],
    }


def refusals(plan: ConversionPlan, records: Sequence[CaseRecord]) -> list[dict[str, str]]:
    """List every case that should have been converted and was not."""
    planned = [file for file in plan.unused if file.status == "refused"]
    return [{"id": file.id, "file": file.path, "reason": file.reason} for file in planned] + [
        {"id": record.id, "file": record.files[-1].path if record.files else "", "reason": record.reason}
        for record in records
        if record.status == "refused"
    ]


def ignored(plan: ConversionPlan) -> list[str]:
    """List the reasons why files were ignored, with the number of files and the first of them."""
    reasons: dict[str, list[str]] = {}
    for file in plan.unused:
        if file.status == "ignored":
            reasons.setdefault(file.reason, []).append(file.path)
    return [
        f"{count(len(paths), 'file')}{', such as' if len(paths) > 1 else ':'} {paths[0]}: {reason}"
        for reason, paths in reasons.items()
    ]


def full_report(
    name: str,
    data_set: DataSet,
    settings: ConversionSettings,
    plan: ConversionPlan,
    records: Sequence[CaseRecord],
    warnings: Sequence[str],
    splits: Splits,
    duplicates: Sequence[Duplicate],
) -> dict[str, Any]:
    """Content of ``conversion_report.json``: every file, what was done to it and why."""
    return {
        "data_set": name,
        "source": data_set.title,
        "task": settings.task.name,
        "split": {"scheme": settings.split, "folds": len(splits.folds), "seed": settings.seed},
        "options": {key: str(value) for key, value in sorted(settings.options.items())},
        "summary": numbers(plan, records),
        "warnings": list(warnings),
        "refused": refusals(plan, records),
        "unused": [asdict(file) for file in plan.unused],
        "duplicates": [asdict(pair) for pair in duplicates],
        "cases": [_case(record) for record in records],
    }


def summary(
    folder: Path,
    data_set: DataSet,
    settings: ConversionSettings,
    plan: ConversionPlan,
    records: Sequence[CaseRecord],
    warnings: Sequence[str],
    splits: Splits,
) -> dict[str, Any]:
    """Summary that ``--json`` prints."""
    actions = Counter(
        f"{file.role}s: {file.action}"
        for record in records
        if record.status == "converted"
        for file in record.files
        if file.action
    )
    notes = Counter(
        f"{file.role}: {note}"
        for record in records
        if record.status == "converted"
        for file in record.files
        for note in file.notes
    )
    return {
        "data_set": data_set.name,
        "folder": str(folder),
        "task": settings.task.name,
        **numbers(plan, records),
        "folds": len(splits.folds),
        "split": settings.split,
        "actions": dict(sorted(actions.items())),
        "fixed": dict(sorted(notes.items())),
        "warnings": list(warnings),
        "refusals": refusals(plan, records),
        "orphan_files": [file.path for file in plan.unused if file.status == "orphan"],
        "ignored_files": ignored(plan),
    }


def dry_summary(
    name: str, data_set: DataSet, settings: ConversionSettings, plan: ConversionPlan, estimated: Estimate
) -> dict[str, Any]:
    """Summary that ``--dry-run`` prints: what would be done, by names alone."""
    unused = Counter(file.status for file in plan.unused)
    return {
        "data_set": data_set.name,
        "dry_run": True,
        "name": name,
        "task": settings.task.name,
        "training": sum(case.part == TRAIN for case in plan.cases),
        "test": sum(case.part == TEST for case in plan.cases),
        "refused": unused["refused"],
        "excluded": unused["excluded"],
        "orphans": unused["orphan"],
        "ignored": unused["ignored"],
        "groups": len({case.group or case.id for case in plan.cases}),
        "split": settings.split,
        "read_bytes": estimated.read_bytes,
        "written_bytes": estimated.written_bytes,
        "seconds": round(estimated.seconds, 1),
        "warnings": list(plan.warnings),
        "refusals": refusals(plan, []),
        "orphan_files": [file.path for file in plan.unused if file.status == "orphan"],
        "ignored_files": ignored(plan),
    }


def opening(name: str, plan: ConversionPlan, estimated: Estimate, done: int) -> str:
    """First line on the terminal."""
    seconds = estimated.seconds
    time = (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )
    again = f", {done} of them done before" if done else ""
    return (
        f"{name}: {count(len(plan.cases), 'case')}{again}; reads {size_text(estimated.read_bytes)}, "
        f"writes about {size_text(estimated.written_bytes)}, takes about {time}"
    )


def text(content: Mapping[str, Any], limit: int = 12) -> str:
    """Write the summary for people."""
    lines = []
    cases = f"{count(content['training'], 'training case')}, {count(content['test'], 'test case')}"
    others = ", ".join(
        f"{content[key]} {key}" for key in ("refused", "excluded", "orphans", "ignored") if content.get(key)
    )
    lines.append(f"{content.get('folder') or content.get('name')}: {cases}{'; ' + others if others else ''}")
    if content.get("dry_run"):
        lines.append(
            f"  dry run: would read {size_text(content['read_bytes'])} and write about "
            f"{size_text(content['written_bytes'])} in about {content['seconds']:.0f} s; nothing was written"
        )
    elif "folds" in content:
        lines.append(f"  task {content['task']}, split {content['split']} ({count(content['folds'], 'fold')})")
    for title, key in (("done", "actions"), ("fixed", "fixed")):
        for what, number in list(content.get(key, {}).items())[:limit]:
            lines.append(f"  {title}: {what} ({number})")
    refused = [f"{refusal['id']}: {refusal['reason']}" for refusal in content.get("refusals", [])]
    # A dry run writes no report.
    where = "with --json" if content.get("dry_run") else "in conversion_report.json"
    lines += _some("refused", refused, limit, where)
    lines += _some("orphan", content.get("orphan_files", []), limit, where)
    lines += _some("ignored", content.get("ignored_files", []), limit, where)
    lines += _some("note", content.get("warnings", []), limit, where)
    return "\n".join(lines)


def _some(title: str, lines: Sequence[str], limit: int, where: str) -> list[str]:
    shown = [f"  {title}: {line}" for line in lines[:limit]]
    hidden = len(lines) - len(shown)
    return [*shown, f"  {title}: {hidden} more {where}"] if hidden > 0 else shown


def _case(record: CaseRecord) -> dict[str, Any]:
    """A record without what only the conversion itself needs."""
    content = asdict(record)
    del content["fingerprint"], content["pixels_sha256"]
    return {key: value for key, value in content.items() if value not in ("", [], {})}
