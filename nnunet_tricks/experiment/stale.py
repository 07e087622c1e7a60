"""Whether existing models were trained on what is there now: the same cases, plans and labels.

nnU-Net stores only a copy of its plans. The checksum of the split is in the cells' records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.local import LOCK
from nnunet_tricks.experiment.lock import is_held
from nnunet_tricks.experiment.nnunet_cells import Predict, Train
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.experiment.split import Split, kept, told_counts
from nnunet_tricks.nnunet.folders import is_json, read_json
from nnunet_tricks.nnunet.model import Model
from nnunet_tricks.nnunet.plans_file import resolve
from nnunet_tricks.utilities.wording import some

SHARED = ("transpose_forward", "image_reader_writer", "foreground_intensity_properties_per_channel")
"""Keys of plans outside of the configurations that change the images."""


def check(cells: Iterable[Cell]) -> None:
    """Refuse to go on if finished or started work does not match the data of now.

    Args:
        cells: All cells of an experiment.

    Raises:
        ValueError: If something does not match; the message names models and differences.
    """
    faults = [fault for cell in cells for fault in _faults(cell)]
    if faults:
        raise ValueError(
            f"{some(faults, '; ')}. Nothing was started: restore the former data, or move the folders of these models "
            "away and train them again"
        )


def note(cells: Iterable[Cell]) -> None:
    """Record the split of existing trainings whose split is not recorded yet, so that a later change is noticed.

    Args:
        cells: All cells of an experiment, checked.
    """
    for cell in cells:
        if not isinstance(cell, Train) or not cell.continues or is_held(cell.folder / LOCK):
            continue
        record, now = Record.read(cell.folder), _now(cell.model)
        if now is not None and not record.split:
            with suppress(OSError):  # a full disk is reported when something starts
                cell.folder.mkdir(parents=True, exist_ok=True)
                now.keep(cell.kept_splits)
                record.with_split(now.digest).written(cell.folder)


def split_fault(model: Model, record: Record, splits: Path) -> str:
    """How the split that a model was trained on differs from the present one; empty if it does not, as far as known.

    Args:
        model: The model.
        record: Record of its training.
        splits: Folder of stored splits.
    """
    now = _now(model)
    if now is None:
        return ""
    if record.split:
        if record.split == now.digest:
            return ""
        known = kept(splits, record.split)
        difference = known.difference(now) if known else "its checksum differs"
        where = f"; the former split: {splits / record.split}.json" if known else ""
        return f"{model.name} was trained on another split than the split file has now: {difference}{where}"
    told = told_counts(model.folder)
    if told and told != (len(now.train), len(now.val)):
        return (
            f"{model.name} was trained on {told[0]} and validated on {told[1]} cases, the split file now has "
            f"{len(now.train)} and {len(now.val)}"
        )
    return _validation_fault(model, now)


def relevant(plans: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """The part of its plans that a model has used; other configurations may have been added since."""
    return {key: plans.get(key) for key in SHARED} | resolve(plans, configuration)


def _faults(cell: Cell) -> Iterator[str]:
    if isinstance(cell, Train) and cell.continues:
        yield from filter(None, [split_fault(cell.model, Record.read(cell.folder), cell.kept_splits)])
        yield from _plans_faults(cell.model)
    elif isinstance(cell, Predict) and cell.is_begun() and (strays := cell.strays):
        yield (
            f"{cell.model.predictions(cell.part.name, cell.checkpoint)} has predictions of cases that are not in the "
            f"{cell.part.name} part now: {some(strays)}"
        )


def _now(model: Model) -> Split | None:
    return Split.of(model.folders.splits(model.dataset), model.fold)


def _validation_fault(model: Model, now: Split) -> str:
    """The same, told by the cases that were predicted at the end of the training."""
    if not model.is_validated:
        return ""
    summary = read_json(model.validation / "summary.json")
    cases = summary.get("metric_per_case") if isinstance(summary, dict) else None
    ending = model.folders.description(model.dataset)["file_ending"]
    validated = {Path(str(case.get("prediction_file", ""))).name.removesuffix(ending) for case in cases or ()}
    if not validated or validated == set(now.val):
        return ""
    gone, new = sorted(validated - set(now.val)), sorted(set(now.val) - validated)
    told = [f"{some(gone)} no longer in val"] * bool(gone) + [f"{some(new)} new in val"] * bool(new)
    return f"{model.name} was validated on other cases than the split file has now: {'; '.join(told)}"


def _plans_faults(model: Model) -> Iterator[str]:
    here = model.folders.preprocessed / model.dataset
    before, now = model.folder.parent / "plans.json", here / f"{model.plans}.json"
    with suppress(KeyError, TypeError):
        if is_json(before) and is_json(now):
            old, new = read_json(before), read_json(now)
            if model.configuration in old["configurations"] and model.configuration in new["configurations"]:
                used, wanted = relevant(old, model.configuration), relevant(new, model.configuration)
                differing = sorted(key for key in used.keys() | wanted if used.get(key) != wanted.get(key))
                if differing:
                    yield f"{model.name} was trained with other plans than {now} has now: {some(differing)}"
    before = model.folder.parent / "dataset.json"
    with suppress(KeyError, TypeError, OSError, ValueError):
        if read_json(before)["labels"] != model.folders.description(model.dataset)["labels"]:
            yield f"{model.name} was trained with other labels than dataset.json of {model.dataset} has now"
