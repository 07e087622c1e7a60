"""``nnunet-tricks split``: the folds of a data set, by patient and even in labels, where nnU-Net reads them."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnunet_tricks.comparison.folds.division import CaseProperties
    from nnunet_tricks.comparison.folds.evenness import Evenness
    from nnunet_tricks.comparison.folds.making import MadeSplit
    from nnunet_tricks.comparison.folds.split_file import SplitFiles

LABELS = "labels"
"""Word of ``--stratify`` for the classes of the label maps."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Divide the cases of a data set into folds: cases of a patient stay together, and each fold has its share of "
        "every class or scanner. Writes splits_final.json where nnU-Net reads it, before the first training, and says "
        "how even the folds are. Without options the split is nnU-Net's own. A split under which something was trained "
        "is never changed."
    )
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="number or full name of the data set, as nnU-Net's -d")
    add("--group", metavar="COLUMN", default="", help="column of cases.csv whose cases stay together, such as patient")
    add(
        "--group-pattern",
        metavar="REGEX",
        default="",
        help="the same from names of cases: a regular expression such as '^(p[0-9]+)_'",
    )
    add("--cases", type=Path, metavar="FILE", help="cases.csv, if it is not in the raw data set")
    add(
        "--stratify",
        nargs="+",
        default=[],
        metavar="COLUMN|labels",
        help="what each fold should have its share of: columns of cases.csv, or labels for classes and their volumes",
    )
    add("--folds", type=int, metavar="N", help="number of folds (default: 5)")
    add("--test", type=float, default=0, metavar="SHARE", help="share of the cases for a test part, such as 0.2")
    add("--validation-set", type=Path, metavar="FILE", help="a single fold, validated on the cases that FILE names")
    add("--seed", type=int, default=12345, help="seed of what is left to chance (default: %(default)s, nnU-Net's)")
    add("--existing", action="store_true", help="make no split: say how even the present one is, and find leaks")
    add("--replace", action="store_true", help="replace another split, which is kept under another name")
    add("--no-labels", dest="labels", action="store_false", help="do not read the label maps for the report")
    add("--dry-run", action="store_true", help="write nothing")
    add("--json", action="store_true", help="print the result as JSON")


@dataclass(frozen=True)
class KnownCases:
    """What is known of a data set's cases.

    Attributes:
        dividing: Cases with the groups and properties that folds should be even in.
        reported: Cases with everything that the report counts.
        table: Path of ``cases.csv``.
    """

    dividing: CaseProperties
    reported: CaseProperties
    table: Path


def run(arguments: argparse.Namespace) -> int:
    """Make the split, or read it, and say how even it is."""
    from nnunet_tricks.comparison.folds.evenness import evenness
    from nnunet_tricks.comparison.folds.making import SplitRequest, make_split, named_cases
    from nnunet_tricks.comparison.folds.split_file import SplitFiles
    from nnunet_tricks.nnunet.folders import Folders

    _check(arguments)
    folders = Folders.of_environment()
    files = SplitFiles(folders, folders.dataset(arguments.dataset))
    request = SplitRequest(
        folds=5 if arguments.folds is None else arguments.folds,
        seed=arguments.seed,
        test=arguments.test,
        validation=named_cases(arguments.validation_set) if arguments.validation_set else None,
    )
    request.check()
    known = _known(arguments, files)
    split = _present(files, known.reported) if arguments.existing else make_split(known.dividing, request)
    even = evenness(split.folds, known.reported, test=split.test)
    written, state = [], "present"
    if not arguments.existing:
        state = "new" if files.check(split.folds, split.test, replace=arguments.replace) else "unchanged"
        if state == "new" and not arguments.dry_run:
            written = files.write(split.folds, split.test, _note(arguments, known.table))
    _say(arguments, files, split, even, state=state, written=written)
    return 1 if arguments.existing and _has_leaks(split, known) else 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that would have no effect."""
    making = {
        "--folds": arguments.folds is not None,
        "--test": bool(arguments.test),
        "--validation-set": arguments.validation_set is not None,
        "--replace": arguments.replace,
        "--dry-run": arguments.dry_run,
    }
    given = [option for option, is_given in making.items() if is_given]
    if arguments.existing and given:
        raise ValueError(f"--existing makes no split, so {given[0]} has no effect: leave one of them out")
    if arguments.folds is not None and arguments.validation_set:
        raise ValueError("--folds and --validation-set exclude each other: a validation set makes a single fold")
    if LABELS in arguments.stratify and not arguments.labels:
        raise ValueError("--stratify labels needs the label maps, which --no-labels leaves out")


def _known(arguments: argparse.Namespace, files: SplitFiles) -> KnownCases:
    from nnunet_tricks.comparison.folds.division import CaseProperties
    from nnunet_tricks.comparison.folds.making import groups_of, strata_of

    maps = _label_maps(files)
    names = tuple(sorted(maps))
    table = arguments.cases or files.folders.raw / files.dataset / "cases.csv"
    groups = groups_of(names, column=arguments.group, pattern=arguments.group_pattern, table=table)
    strata: dict[str, list[float]] = {}
    for column in arguments.stratify:
        if column != LABELS:
            strata |= strata_of(names, column, table)
    labels = _labels(files, maps, names, read_only=arguments.dry_run) if arguments.labels else {}
    dividing = strata | (labels if LABELS in arguments.stratify else {})
    return KnownCases(CaseProperties(names, groups, dividing), CaseProperties(names, groups, strata | labels), table)


def _label_maps(files: SplitFiles) -> dict[str, Path]:
    """The label map of each training case."""
    from nnunet_tricks.comparison.folders import labels_in

    folders, dataset = files.folders, files.dataset
    if (folders.raw / dataset / "dataset.json").is_file():
        raw = folders.cases(dataset, "Tr")
        maps = {case: case_files.label for case, case_files in raw.items() if case_files.label}
    else:
        ending = folders.description(dataset)["file_ending"]
        maps = labels_in(folders.preprocessed / dataset / "gt_segmentations", ending)
    if not maps:
        raise ValueError(f"{dataset} has no training cases with labels in {folders.raw / dataset}")
    return maps


def _labels(
    files: SplitFiles, maps: dict[str, Path], names: tuple[str, ...], *, read_only: bool
) -> dict[str, list[float]]:
    """Which case has which class, and its volume."""
    from nnunet_tricks.comparison.folds.labels import FILE, measure
    from nnunet_tricks.nnunet.classes import Classes

    volumes = measure(maps, files.folders.preprocessed / files.dataset / FILE, read_only=read_only)
    unit, factor = ("ml", 1e-3) if volumes.unit == "mm3" else (volumes.unit, 1.0)
    properties: dict[str, list[float]] = {}
    for name, amounts in volumes.of_classes(Classes.of(files.folders.description(files.dataset)), names).items():
        properties[f"cases with {name}"] = [float(amount > 0) for amount in amounts]
        properties[f"{name} [{unit}]"] = [amount * factor for amount in amounts]
    return properties


def _present(files: SplitFiles, cases: CaseProperties) -> MadeSplit:
    """The split that is there."""
    from nnunet_tricks.comparison.folds.making import MadeSplit
    from nnunet_tricks.utilities.wording import some

    folds = files.folders.splits(files.dataset)
    if folds is None:
        raise ValueError(f"{files.file} is not there: nnU-Net makes it with the first training, 'split' without it")
    test = sorted({case for held in files.test_part().values() for case in held})
    unknown = sorted({case for fold in folds for part in ("train", "val") for case in fold[part]} - {*cases.names})
    if unknown:
        raise ValueError(f"{files.file} names {len(unknown)} cases that the data set does not have: {some(unknown)}")
    return MadeSplit(tuple(folds), tuple(test))


def _has_leaks(split: MadeSplit, known: KnownCases) -> bool:
    from nnunet_tricks.comparison.folds.evenness import leaks

    return any(leaks(split.folds, known.reported, test=split.test))


def _note(arguments: argparse.Namespace, table: Path) -> dict[str, Any]:
    """How a split was made, for those who find it later."""
    import hashlib

    from nnunet_tricks import __version__

    by_table = arguments.group or any(column != LABELS for column in arguments.stratify)
    options = ("group", "group_pattern", "stratify", "folds", "test", "seed")
    return {
        "made_by": f"nnunet_tricks {__version__}",
        **{option: getattr(arguments, option) for option in options},
        "validation_set": arguments.validation_set and arguments.validation_set.name,
        "cases_csv_sha256": hashlib.sha256(table.read_bytes()).hexdigest() if by_table else None,
    }


def _say(
    arguments: argparse.Namespace,
    files: SplitFiles,
    split: MadeSplit,
    even: Evenness,
    *,
    state: str,
    written: list[Path],
) -> None:
    if arguments.json:
        report = {
            "dataset": files.dataset,
            "file": str(files.file),
            "state": state,
            "dry_run": arguments.dry_run,
            "written": [str(file) for file in written],
            "folds": [{part: len(fold[part]) for part in ("train", "val")} for fold in split.folds],
            "test": len(split.test),
            "evenness": even.data,
        }
        print(json.dumps(report, indent=1))
        return
    from nnunet_tricks.comparison import drawing

    console = drawing.console()
    drawing.draw(console, even.table)
    for warning in even.warnings:
        drawing.say(console, f"WARNING: {warning}")
    if split.test:
        drawing.say(console, "Planning and fold 'all' of nnU-Net still see the cases of the test part.")
    if state == "unchanged":
        drawing.say(console, f"{files.file} has this split already.")
    elif arguments.dry_run:
        drawing.say(console, f"Dry run: {files.file} would be written")
    for file in written:
        drawing.say(console, f"Written: {file}")
