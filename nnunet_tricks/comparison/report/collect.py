"""Gather what a report needs while models, images and logs are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.comparison import traits
from nnunet_tricks.comparison.compare import Table
from nnunet_tricks.comparison.curves import curve
from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.comparison.methods import Group, Method
from nnunet_tricks.comparison.report.facts import Facts, Question, Section, Shown, Training, Way
from nnunet_tricks.comparison.report.pictures import picture
from nnunet_tricks.comparison.statistics.analyse import analyse
from nnunet_tricks.comparison.statistics.effects import MEAN
from nnunet_tricks.comparison.statistics.model import CaseDifference, Effect
from nnunet_tricks.comparison.table import Row
from nnunet_tricks.comparison.undefined import best_of
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import STATE, Case, Folders
from nnunet_tricks.nnunet.parts import Part

EACH = 2
"""So many cases that a trick helped most are shown, and so many that it hurt most."""


@dataclass(frozen=True)
class Compared:
    """What ``compare`` found of one data set, part and configuration.

    Attributes:
        name: Of the comparison; empty for the only one of an experiment.
        tables: One, or one for each subgroup.
        classes: In what was measured.
        column: That cases were sorted by; empty if they were not.
        grouped_by: Column that says which cases belong together; empty if none does.
    """

    name: str
    tables: tuple[Table, ...]
    classes: Classes
    column: str = ""
    grouped_by: str = ""


def gathered(
    tables: Sequence[Table], regions: Sequence[str], *, name: str = "", column: str = "", grouped_by: str = ""
) -> list[Compared]:
    """Tables by what they compare.

    Args:
        tables: Of one call of ``compare``.
        regions: As it was called with.
        name: Of the comparison.
        column: That cases were sorted by.
        grouped_by: That says which cases belong together.
    """
    found: dict[int, list[Table]] = {}
    for table in tables:
        found.setdefault(id(table.group), []).append(table)
    made = []
    for own in found.values():
        classes = Classes.of(own[0].group.baseline.predictions[0].description)
        classes = classes.with_regions(regions) if regions else classes
        made.append(Compared(name, tuple(own), classes, column, grouped_by))
    return made


def collect(compared: Sequence[Compared], question: Question) -> tuple[list[Row], Facts]:
    """The long table and all else.

    Args:
        compared: What a report is about.
        question: What was asked.

    Raises:
        ValueError: If there is nothing to compare, an image is broken, or the same name stands for two regions.
    """
    for one in compared:
        group = one.tables[0].group
        if len(group.methods) < 2:
            raise ValueError(f"a report needs two methods at least, and {group.dataset} has {group.baseline.name} only")
    asked = compared[0].tables[0].asked
    sections = tuple(map(_section, compared))
    facts = Facts(question=question, sections=sections, draws=asked.draws, seed=asked.seed)
    return _rows(compared), facts


def _rows(compared: Sequence[Compared]) -> list[Row]:
    """Every number once: comparisons of one experiment share their baseline."""
    rows: dict[tuple[Any, ...], Row] = {}
    for one in compared:
        for table in one.tables:
            for row in table.cases:
                model = (row.dataset, row.configuration, row.plans, row.trainer, row.fold, row.part)
                key = (*model, row.case, row.label, row.metric)
                known = rows.setdefault(key, row)
                if known != row and known.value == known.value:
                    raise ValueError(
                        f"{row.label} stands for two regions of {row.dataset}: report these comparisons one by one"
                    )
    return list(rows.values())


def _section(compared: Compared) -> Section:
    first = compared.tables[0]
    group, asked = first.group, first.asked
    rows = [row for table in compared.tables for row in table.cases]
    subgroups = {row.case: table.subgroup.partition(" = ")[2] for table in compared.tables for row in table.cases}
    cases = _cases(group)
    return Section(
        name=compared.name,
        dataset=group.dataset,
        part=group.part,
        folds=group.folds,
        classes=tuple(compared.classes.values),
        metrics=tuple(next(iter(first.rows[0].scores.values()))),
        ways=tuple(_way(compared, place, method) for place, method in enumerate(group.methods)),
        notes=tuple(dict.fromkeys(note for table in compared.tables for note in table.notes)),
        folds_there=asked.folds_there,
        column=compared.column,
        subgroups=subgroups if compared.column else {},
        grouped_by=compared.grouped_by,
        groups=dict(asked.groups or {}),
        traits=_traits(group, cases, compared.classes),
        shown=tuple(_shown(group, rows, asked, cases, compared.classes)),
    )


def _way(compared: Compared, place: int, method: Method) -> Way:
    first = compared.tables[0]
    row = first.rows[place]
    collapsed = dict.fromkeys(word for table in compared.tables for word in table.rows[place].collapsed)
    return Way(
        name=first.group.short(method),
        trainer=method.trainer,
        plans=method.plans,
        configuration=method.configuration,
        runs=method.runs,
        collapsed=tuple(collapsed),
        seconds=row.cost.epoch,
        memory=row.cost.memory,
        device_memory=row.cost.device_memory,
        trainings=tuple(
            Training(fold=one.fold, run=one.run, epochs=tuple(curve(one.fold_folder))) for one in method.predictions
        ),
    )


def _cases(group: Group) -> dict[str, Case]:
    """Raw images of every case, as far as they are still there."""
    folders, found = Folders.of_environment(), {}
    if not (folders.raw / group.dataset).is_dir():
        return {}
    for one in group.baseline.predictions:
        part = Part(folders, group.dataset, "test" if one.on_test else "validation", one.fold)
        found.update(folders.cases(group.dataset, part.source))
    return found


def _traits(group: Group, cases: Mapping[str, Case], classes: Classes) -> dict[str, Any]:
    """Measured once for a data set, beside the logs of its trainings."""
    truths = {files.case: files.truth for one in group.baseline.predictions for files in one.files()}
    sources = [
        traits.Source(case, truth, cases[case].images if case in cases else ()) for case, truth in truths.items()
    ]
    model = group.baseline.predictions[0].model
    return traits.measure(sources, classes, model.parent.parent / STATE / group.dataset / "traits.json")


def _shown(
    group: Group, rows: Sequence[Row], asked: Any, cases: Mapping[str, Case], classes: Classes
) -> Iterator[Shown]:
    """Pictures of the cases that each trick helped and hurt most."""
    found = analyse(rows, asked)
    channels = group.baseline.predictions[0].description.get("channel_names", {})
    ct = str(next(iter(channels.values()), "")).lower() == "ct"
    methods = {group.short(method): method for method in group.methods}
    for trick in found.tricks:
        effect = found.primary(trick)
        for one in chosen(effect):
            if one.case not in cases:
                continue
            baseline = _nearest(group.baseline, rows, effect, one, one.baseline)
            with_trick = _nearest(methods[trick.name], rows, effect, one, one.trick)
            files = {file.case: file for file in baseline.files()}[one.case]
            drawn = picture(
                cases[one.case].images,
                files.truth,
                files.prediction,
                with_trick.folder / files.prediction.name,
                classes,
                ct=ct,
            )
            yield Shown(trick=trick.name, case=one.case, runs=(baseline.run, with_trick.run), picture=drawn)


def chosen(effect: Effect) -> list[CaseDifference]:
    """The cases that are shown: those that gained most, then those that lost most."""
    ranked = effect.ranked()
    best, worst = ranked[:EACH], ranked[max(EACH, len(ranked) - EACH) :]
    return [*best, *reversed(worst)]


def _nearest(method: Method, rows: Sequence[Row], effect: Effect, case: CaseDifference, mean: float) -> Predictions:
    """The prediction whose value is nearest to the mean over runs."""
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.case == case.case and row.metric == effect.metric and effect.label in (row.label, MEAN):
            values.setdefault((f"{row.trainer}__{row.plans}__{row.configuration}", row.fold), []).append(row.value)

    def distance(one: Predictions) -> float:
        # Who predicts nothing where nothing is has the best value there: see ``undefined``.
        best = best_of(effect.metric)
        defined = [value if value == value else best for value in values[one.model.name, one.fold]]
        return abs(sum(defined) / len(defined) - mean) if defined else float("inf")

    own = [one for one in method.predictions if (one.model.name, one.fold) in values]
    return min(own, key=distance)


def of_spec(file: Path) -> Question:
    """What an experiment file asks, and whether it was locked before the trainings."""
    from nnunet_tricks.experiment.frozen import state_of
    from nnunet_tricks.experiment.spec import read_experiment

    experiment, state = read_experiment(file), state_of(file, Folders.of_environment())
    return Question(
        name=experiment.name,
        description=experiment.description,
        spec=file.read_text(encoding="utf-8"),
        locked=state.holds,
        lock=state.sentence,
    )


def of_folders(tables: Sequence[Table]) -> Question:
    """What is asked where folders are compared."""
    return Question(
        name=", ".join(dict.fromkeys(table.group.dataset for table in tables)),
        lock="There is no experiment file, so nothing says what was asked before the trainings.",
    )
