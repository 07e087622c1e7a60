"""From an experiment to its cells, in the order in which they should run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, TypeVar

from nnunet_tricks.experiment.arm import Arm
from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.entry import SpecError
from nnunet_tricks.experiment.inference import AVERAGE, InferenceSetting
from nnunet_tricks.experiment.inference_cells import Ensemble, Postprocess, PredictViews
from nnunet_tricks.experiment.nnunet_cells import (
    AddConfiguration,
    Evaluate,
    MakePlans,
    Predict,
    Preprocess,
    Pretrain,
    Train,
    planner_of,
)
from nnunet_tricks.experiment.spec import AddedConfiguration, Comparison, Experiment
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import Folders, is_json, read_json
from nnunet_tricks.nnunet.model import CASCADE, FIRST_STAGE, Model
from nnunet_tricks.nnunet.parts import Part
from nnunet_tricks.nnunet.plans_file import Plans, refuse_pretrained, resolve

PLANNED = ("2d", "3d_fullres", "3d_lowres", CASCADE)
"""The configurations that nnU-Net plans itself."""

SMALL = "_small"
PATCH = re.compile(r"(.+)_patch(\d+(?:x\d+)*)")
"""The names that ``nnunet-tricks plan --patch`` gives its configurations."""

Anything = TypeVar("Anything")
DEFAULT_FOLDS = 5
AFTER_MEMBERS = 1000
"""Step within a rank that comes after the predictions of all runs."""


@dataclass(frozen=True)
class MissingTricks:
    """A way to train that cannot run, because a trick does not exist yet.

    Attributes:
        comparison: Name of the comparison.
        arm: Label in the file.
        tricks: Tricks that do not exist.
    """

    comparison: str
    arm: str
    tricks: tuple[str, ...]


@dataclass(frozen=True)
class ComparedModel:
    """One model of a comparison.

    Attributes:
        comparison: The comparison.
        arm: The way in which it is trained.
        run: Number of the run, from 1.
        model: The model and its files.
    """

    comparison: Comparison
    arm: Arm
    run: int
    model: Model

    def parts(self) -> list[Part]:
        """The parts of the data on which it is judged."""
        model = self.model
        return [Part(model.folders, model.dataset, name, model.fold) for name in self.comparison.parts]


@dataclass(frozen=True)
class InferredResult:
    """What is done with the models of one fold, and where its results stand.

    Attributes:
        comparison: The comparison.
        setting: What is done.
        models: Trained models: several for an ensemble, else one.
    """

    comparison: Comparison
    setting: InferenceSetting
    models: tuple[ComparedModel, ...]

    @property
    def runs(self) -> tuple[int, ...]:
        """Numbers of the runs."""
        return tuple(compared.run for compared in self.models)

    @property
    def result(self) -> Model:
        """The place of the results, as that of a model."""
        return self.placed(self.setting.trainer(self.runs))

    def placed(self, name: str) -> Model:
        """A place that stands beside the models.

        Args:
            name: Name in place of the trainer's.
        """
        return replace(self.models[0].model, trainer=name)


def missing(experiment: Experiment) -> list[MissingTricks]:
    """Every way to train that cannot run yet."""
    return [
        MissingTricks(comparison.name, arm.label, arm.missing)
        for comparison in experiment.comparisons
        for arm in comparison.arms
        if arm.missing
    ]


@dataclass(frozen=True)
class Axes:
    """What the models of a comparison differ in, each axis in the order of the file.

    Attributes:
        arms: Ways to train, the baseline first.
        datasets: Full names.
        configurations: Names within the plans.
        plans: Stems of plans files.
        folds: As nnU-Net's command takes them.
    """

    arms: tuple[Arm, ...]
    datasets: tuple[str, ...]
    configurations: tuple[str, ...]
    plans: tuple[str, ...]
    folds: tuple[str, ...]

    @classmethod
    def of(cls, comparison: Comparison, folders: Folders) -> Axes:
        """The axes of a comparison, checked against the data.

        Raises:
            SpecError: If a data set, a fold or the label of a region is not there.
        """
        names = tuple(_full_name(comparison, dataset, folders) for dataset in comparison.datasets)
        for name in names:
            _check_folds(comparison, name, folders)
            _check_regions(comparison, name, folders)
        return cls(comparison.arms, names, comparison.configurations, comparison.plans, comparison.folds)

    def points(self) -> Iterator[tuple[Arm, str, str, str, str]]:
        """Every combination that can be trained: arm, data set, configuration, plans, fold."""
        arms = [arm for arm in self.arms if not arm.missing]
        return product(arms, self.datasets, self.configurations, self.plans, self.folds)

    def rank(self, arm: Arm, model: Model, run: int) -> tuple[int, ...]:
        """The place of a model in the order of training; lower ranks come first.

        The baseline and the first trick go through all runs, data sets and folds before the second trick begins: so
        there is something to look at early.
        """
        number = self.arms.index(arm)
        return (
            max(number, 1),
            run,
            self.datasets.index(model.dataset),
            self.configurations.index(model.configuration),
            self.plans.index(model.plans),
            self.folds.index(model.fold),
            number,
        )


def trained(experiment: Experiment, folders: Folders) -> Iterator[tuple[tuple[int, ...], ComparedModel]]:
    """Every model of an experiment that can be trained, with its rank.

    Raises:
        SpecError: If a data set, a fold or the label of a region is not there.
    """
    for comparison in experiment.comparisons:
        if all(arm.missing for arm in comparison.arms):
            continue
        axes = Axes.of(comparison, folders)
        for arm, dataset, configuration, plans, fold in axes.points():
            for run in comparison.runs_of(arm):
                model = Model(folders, dataset, arm.trainer(run), plans, configuration, fold)
                yield axes.rank(arm, model, run), ComparedModel(comparison, arm, run, model)


def inferred(experiment: Experiment, folders: Folders) -> Iterator[tuple[tuple[int, ...], InferredResult]]:
    """Everything that is done with the trained models of an experiment, with its rank.

    Raises:
        SpecError: If a data set, a fold or the label of a region is not there.
    """
    for comparison in experiment.comparisons:
        settings = [setting for setting in comparison.inference if not setting.arm.missing]
        if not settings:
            continue
        axes = Axes.of(comparison, folders)
        points = product(settings, axes.datasets, axes.configurations, axes.plans, axes.folds)
        for setting, dataset, configuration, plans, fold in points:
            for runs in comparison.run_groups(setting):
                models = tuple(
                    ComparedModel(
                        comparison,
                        setting.arm,
                        run,
                        Model(folders, dataset, setting.arm.trainer(run), plans, configuration, fold),
                    )
                    for run in runs
                )
                # Behind all trainings of the comparison.
                after = max(len(comparison.arms), 2) + comparison.inference.index(setting)
                rank = (after, *axes.rank(setting.arm, models[-1].model, runs[-1])[1:])
                yield rank, InferredResult(comparison, setting, models)


def make(experiment: Experiment, folders: Folders, *, device: str = "cuda") -> list[Cell]:
    """All cells that can run, each once, lowest rank first.

    Args:
        experiment: What to do.
        folders: nnU-Net's folders.
        device: nnU-Net's ``-device``.

    Raises:
        SpecError: If a data set, a configuration, a fold or a test part is not there.
    """
    maker = _Maker(folders, device)
    for rank, compared in trained(experiment, folders):
        maker.add(rank, compared)
    for rank, result in inferred(experiment, folders):
        maker.infer(rank, result)
    return sorted(maker.cells.values(), key=lambda cell: cell.rank)


@dataclass
class _Maker:
    """Collects cells. A cell that is needed several times exists once, with its lowest rank."""

    folders: Folders
    device: str
    cells: dict[str, Cell] = field(default_factory=dict)
    last_edit: dict[str, str] = field(default_factory=dict)

    def add(self, rank: tuple[int, ...], compared: ComparedModel) -> None:
        """Collect the cells of one model."""
        model, comparison = compared.model, compared.comparison
        prepared = self._prepare(rank, comparison, model)
        prepared = (*prepared, *self._pretrain(rank, model, prepared))
        train = self._keep(
            Train(
                **self._named(f"{model.name}/train", rank, 2),
                model=model,
                device=self.device,
                after=(*prepared, *self._first_stages(comparison, model)),
            )
        )
        for part in compared.parts():
            if part.name == "validation" and comparison.checkpoint == "final":
                continue
            _with_line(comparison, "on", part.check)
            self._predict(rank, model, part, comparison.checkpoint, train)

    def infer(self, rank: tuple[int, ...], wanted: InferredResult) -> None:
        """Collect the cells of what is done with trained models."""
        comparison, setting = wanted.comparison, wanted.setting
        for part in wanted.models[0].parts():
            place: dict[str, Any] = {"part": part, "checkpoint": comparison.checkpoint}
            word = _word(part, comparison.checkpoint)
            members = [self._member(rank, wanted, compared, place, step) for step, compared in enumerate(wanted.models)]
            model, last = members[0]
            if setting.ensemble:
                model = wanted.placed(setting.before_steps(wanted.runs))
                last = self._keep(
                    Ensemble(
                        **self._named(f"{model.name}/ensemble_{word}", rank, AFTER_MEMBERS),
                        **place,
                        model=model,
                        members=tuple(source.predictions(part.name, comparison.checkpoint) for source, _ in members),
                        method=setting.ensemble,
                        after=tuple(key for _, key in members),
                    )
                )
            if setting.steps:
                source = model.predictions(part.name, comparison.checkpoint)
                model = wanted.result
                last = self._keep(
                    Postprocess(
                        **self._named(f"{model.name}/postprocess_{word}", rank, AFTER_MEMBERS + 1),
                        **place,
                        model=model,
                        source=source,
                        steps=setting.steps,
                        after=(last,),
                    )
                )
            named = self._named(f"{model.name}/evaluate_{word}", rank, AFTER_MEMBERS + 2)
            self._keep(Evaluate(**named, **place, model=model, device=self.device, after=(last,)))

    def _member(
        self, rank: tuple[int, ...], wanted: InferredResult, compared: ComparedModel, place: dict[str, Any], step: int
    ) -> tuple[Model, str]:
        """The place of a model's predictions, and the key of the cell that makes them."""
        setting, source = wanted.setting, compared.model
        word = _word(place["part"], place["checkpoint"])
        if not setting.member_views:
            is_validation = word == "validation"
            return source, f"{source.name}/train" if is_validation else f"{source.name}/predict_{word}"
        model = wanted.placed(setting.member(compared.run))
        first = [f"{source.first_stage.name}/predict_{word}"] if source.first_stage and word != "validation" else []
        cell = PredictViews(
            **self._named(f"{model.name}/predict_{word}", rank, step),
            **place,
            model=model,
            source=source,
            views=setting.member_views,
            probabilities=setting.ensemble == AVERAGE,
            device=self.device,
            after=(f"{source.name}/train", *first),
        )
        return model, self._keep(cell)

    def _predict(self, rank: tuple[int, ...], model: Model, part: Part, checkpoint: str, train: str) -> None:
        word = _word(part, checkpoint)
        first = [f"{model.first_stage.name}/predict_{word}"] if model.first_stage else []
        what: dict[str, Any] = {"model": model, "part": part, "checkpoint": checkpoint, "device": self.device}
        named = self._named(f"{model.name}/predict_{word}", rank, 3)
        predict = self._keep(Predict(**named, **what, after=(train, *first)))
        named = self._named(f"{model.name}/evaluate_{word}", rank, 4)
        self._keep(Evaluate(**named, **what, after=(predict,)))

    def _prepare(self, rank: tuple[int, ...], comparison: Comparison, model: Model) -> tuple[str, ...]:
        """Collect the cells of plans, added configuration and preprocessed data; returns their keys."""
        where: dict[str, Any] = {"folders": self.folders, "dataset": model.dataset, "plans": model.plans}
        stem = f"{model.dataset}/{model.plans}"
        file = self.folders.preprocessed / model.dataset / f"{model.plans}.json"
        plans: Plans | None = read_json(file) if is_json(file) else None
        if plans is not None:
            _with_line(comparison, "plans", refuse_pretrained, plans, file)
        if plans is None and not planner_of(model.plans):
            raise comparison.lines.get("plans", comparison.lines["datasets"]).error(
                f"{file} does not exist, and no known planner makes it: plan it first"
            )
        plan = self._keep(MakePlans(**self._named(f"{stem}/plan", rank, 0), **where))
        added = _added(comparison, model.configuration, plans)
        source = added.source if added else model.configuration
        before = [plan]
        if added:
            key = f"{stem}/add_{model.configuration}"
            # One after the other: each writes the whole file.
            edited = self.last_edit.get(stem, plan)
            before.append(
                self._keep(
                    AddConfiguration(
                        **self._named(key, rank, 1),
                        **where,
                        configuration=model.configuration,
                        added=added,
                        after=(edited,) if edited != key else (plan,),
                    )
                )
            )
            self.last_edit[stem] = key
        root = _root(plans, source)
        key = f"{stem}/preprocess_{root}"
        before.append(self._keep(Preprocess(**self._named(key, rank, 1), **where, configuration=root, after=(plan,))))
        return tuple(before)

    def _pretrain(self, rank: tuple[int, ...], model: Model, prepared: tuple[str, ...]) -> tuple[str, ...]:
        """Collect the cell of the training without labels that a model starts from, if it does; returns its key.

        Several trainers, and all runs, start from the same one.
        """
        if not (pretext := model.pretext):
            return ()
        named = self._named(f"{pretext.name}/train", rank, 1)
        return (self._keep(Pretrain(**named, model=pretext, device=self.device, after=prepared)),)

    def _first_stages(self, comparison: Comparison, model: Model) -> tuple[str, ...]:
        """A cascade reads the first stage's predictions of all training cases, and so needs all its folds."""
        if not model.first_stage:
            return ()
        if FIRST_STAGE not in comparison.configurations or len(comparison.folds) < DEFAULT_FOLDS:
            raise comparison.lines["configurations"].error(
                f"{CASCADE} needs {FIRST_STAGE} in 'configurations' and all folds: it reads the first stage's "
                "predictions, which each fold makes for its validation cases"
            )
        return tuple(f"{replace(model.first_stage, fold=fold).name}/train" for fold in comparison.folds)

    def _named(self, key: str, rank: tuple[int, ...], step: int) -> dict[str, Any]:
        return {"key": key, "states": self.folders.state, "rank": (*rank, step)}

    def _keep(self, cell: Cell) -> str:
        known = self.cells.get(cell.key)
        if isinstance(known, PredictViews) and isinstance(cell, PredictViews):
            probabilities = known.probabilities or cell.probabilities
            known, cell = replace(known, probabilities=probabilities), replace(cell, probabilities=probabilities)
            self.cells[cell.key] = known
        if known is None or cell.rank < known.rank:
            self.cells[cell.key] = cell if known is None else replace(known, rank=cell.rank)
        return cell.key


def _word(part: Part, checkpoint: str) -> str:
    """The end of the keys of what is done on a part of the data."""
    return part.name if checkpoint == "final" else f"{part.name}_{checkpoint}"


def _full_name(comparison: Comparison, dataset: str, folders: Folders) -> str:
    return _with_line(comparison, "datasets", folders.dataset, dataset)


def _check_folds(comparison: Comparison, dataset: str, folders: Folders) -> None:
    """Refuse folds that the split does not have: nnU-Net would train them on a random split and only log it."""
    splits = _with_line(comparison, "datasets", folders.splits, dataset)
    count = len(splits) if splits is not None else DEFAULT_FOLDS
    for fold in comparison.folds:
        if fold == "all":
            if "validation" in comparison.parts:
                raise comparison.lines["folds"].error("fold 'all' trains on every case, so it needs 'on: test'")
        elif int(fold) >= count:
            line = comparison.lines.get("folds", comparison.lines["datasets"])
            raise line.error(f"the split of {dataset} has folds 0 to {count - 1}, got fold {fold}")


def _check_regions(comparison: Comparison, dataset: str, folders: Folders) -> None:
    """Refuse labels that do not exist; otherwise this would be noticed after days of training."""
    if comparison.regions:
        classes = _with_line(comparison, "datasets", lambda: Classes.of(folders.description(dataset)))
        _with_line(comparison, "regions", classes.with_regions, comparison.region_words)


def _added(comparison: Comparison, configuration: str, plans: Plans | None) -> AddedConfiguration | None:
    """How to add a configuration to the plans; ``None`` if nnU-Net plans it or it is there already."""
    line = comparison.lines["configurations"]
    if configuration in comparison.small:
        small = comparison.small[configuration]
        planned = plans["configurations"].get(configuration) if plans else None
        if planned and small.patch and list(small.patch) != list(planned.get("patch_size", small.patch)):
            raise comparison.lines["small"].error(
                f"the plans already have a '{configuration}' with patch {planned['patch_size']}: choose another name"
            )
        return small
    if plans and configuration in plans["configurations"]:
        return None
    if configuration in PLANNED:
        if plans:
            raise line.error(
                f"nnU-Net planned no {configuration} for this data set, only {', '.join(plans['configurations'])}"
            )
        return None
    if configuration.endswith(SMALL):
        return AddedConfiguration(configuration[: -len(SMALL)])
    if patch := PATCH.fullmatch(configuration):
        return AddedConfiguration(patch[1], tuple(map(int, patch[2].split("x"))), small=False)
    raise line.error(f"nnU-Net plans no '{configuration}': say under 'small' which configuration it comes from")


def _root(plans: Plans | None, configuration: str) -> str:
    """The configuration whose preprocessed data it reads.

    nnU-Net's preprocessing deletes existing data, so shared data must be made under one name only.
    """
    if plans is None or configuration not in plans["configurations"]:
        return "3d_fullres" if configuration == CASCADE else configuration
    identifier = resolve(plans, configuration).get("data_identifier")
    for name, content in plans["configurations"].items():
        if "inherits_from" not in content and content.get("data_identifier") == identifier:
            return str(name)
    return configuration


def _with_line(comparison: Comparison, key: str, function: Callable[..., Anything], *arguments: Any) -> Anything:
    """Call ``function``; its errors are raised again with the file's line of ``key``."""
    try:
        return function(*arguments)
    except SpecError:
        raise
    except (ValueError, OSError) as error:
        raise comparison.lines.get(key, comparison.lines["datasets"]).error(str(error)) from error
