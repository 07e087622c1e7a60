"""The cases of the new data set: old ones as they are, and those with added labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_tricks.annotation.raw_data import RawData, sha256
from nnunet_tricks.tricks.inference.members import read_labels
from nnunet_tricks.tricks.semisupervised.growing.label_maps import GrownLabel
from nnunet_tricks.tricks.semisupervised.growing.protocol import ALL, Labeller
from nnunet_tricks.tricks.semisupervised.growing.report import GrowReport
from nnunet_tricks.tricks.semisupervised.growing.settings import GrowSettings
from nnunet_tricks.tricks.semisupervised.growing.source import GrowSource
from nnunet_tricks.utilities.progress import shown


def version_of(case: str, fold: str) -> str:
    """Name of a case with the labels that were made for a fold.

    Examples:
        >>> version_of("liver_1", "0"), version_of("liver_1", "all")
        ('liver_1_grown0', 'liver_1')
    """
    return case if fold == ALL else f"{case}_grown{fold}"


def link_cases(data: RawData, source: GrowSource, known: Mapping[str, Any], *, whole: bool) -> None:
    """Link cases as they are.

    Args:
        data: The new data set.
        source: The old one.
        known: What its manifest says about its cases.
        whole: Whether only cases are linked that are annotated everywhere.
    """
    for case, files in shown(source.cases.items(), "Linking cases", len(source.cases)):
        if files.label is not None and not (whole and case in source.partly):
            entry = known.get(case, {"annotation": "as it was"})
            images, label = data.link_images(case, files.images), data.link_label(case, files.label)
            data.entries[case] = {**entry, "images_sha256": images, "label_sha256": label}


def write_labels(
    data: RawData,
    source: GrowSource,
    members: Mapping[str, Sequence[Labeller]],
    predictions: Mapping[Labeller, Path],
    make: Callable[[str, Sequence[Path]], GrownLabel],
    settings: GrowSettings,
    report: GrowReport,
) -> None:
    """Write the label maps of all folds, and note in the report what was kept.

    Args:
        data: The new data set.
        source: The old one.
        members: From each fold to its ensemble.
        predictions: From each member to the folder of its probabilities.
        make: Function from a case and folders of probabilities to its label map.
        settings: What decides the labels.
        report: Report that is written into.
    """
    predicted, kept = (dict.fromkeys(range(source.ignore), 0) for _ in range(2))
    for fold, group in members.items():
        targets = source.targets(fold)
        for case in shown(targets, f"Keeping what is certain, fold {fold}", len(targets)):
            made = make(case, [predictions[member] for member in group])
            version, shows = version_of(case, fold), any(made.kept[value] for value in made.kept if value)
            if not shows and case in source.unlabelled and not settings.keep_empty:
                report.left_out.append(version)
                continue
            if not shows:
                report.empty.append(version)
            for value in predicted:
                predicted[value] += made.predicted[value]
                kept[value] += made.kept[value]
            data.entries[version] = _entry(data, source, case, fold, group, made, version)
    report.kept = _shares(source, predicted, kept)


def _entry(
    data: RawData,
    source: GrowSource,
    case: str,
    fold: str,
    group: Sequence[Labeller],
    made: GrownLabel,
    version: str,
) -> dict[str, Any]:
    files = source.files(case)

    def write(target: Path) -> None:
        source.reader.write_seg(made.array, str(target), made.properties)
        if not np.array_equal(read_labels(source.reader, target)[0], made.array):
            raise OSError(f"{target} was read back differently. Is the disk full, or a quota reached?")

    return {
        "annotation": "grown",
        "grown_from": case,
        "fold": fold,
        "members": [str(member) for member in group],
        "images_sha256": data.link_images(version, files.images),
        **({"source_label_sha256": sha256(files.label)} if files.label else {}),
        "label_sha256": data.label_by(version, write),
        "voxels": int(made.array.size),
        "unknown": sum(made.predicted.values()),
        "still_unknown": int((made.array == source.ignore).sum()),
        "kept": _shares(source, made.predicted, made.kept),
    }


def _shares(source: GrowSource, predicted: Mapping[int, int], kept: Mapping[int, int]) -> dict[str, float | None]:
    """Share that is kept of the voxels predicted as each label; None where none was."""
    names = {
        value if not isinstance(value, (list, tuple)) else value[0]: name
        for name, value in source.description["labels"].items()
        if not isinstance(value, (list, tuple)) or len(value) == 1
    }
    return {
        names.get(value, f"label {value}"): round(kept[value] / predicted[value], 4) if predicted[value] else None
        for value in predicted
    }
