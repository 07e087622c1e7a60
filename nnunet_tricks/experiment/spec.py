"""The content of an experiment file, checked.

A file is a mapping of keys. With ``comparisons`` it has several comparisons: a list of such mappings. Each adds its own
keys to the file's others. A file without it is a single comparison.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from nnunet_tricks.catalogue import EVERYTHING, after_training
from nnunet_tricks.catalogue.naming import MAX_LENGTH, PREFIX, IllegalName
from nnunet_tricks.experiment.arm import Arm, of_trainer, of_tricks
from nnunet_tricks.experiment.design import BASELINE, DESIGNS
from nnunet_tricks.experiment.entry import Entry, SpecError, read
from nnunet_tricks.experiment.inference import InferenceSetting, read_setting
from nnunet_tricks.experiment.keys import FILE_KEYS, KEYS
from nnunet_tricks.experiment.printed import Printed, read_printed
from nnunet_tricks.nnunet.plans_file import DEFAULT_PLANS
from nnunet_tricks.planning.small import check_name

PARTS = ("validation", "test")
CHECKPOINTS = ("final", "best")
FOLDS = ("0", "1", "2", "3", "4")
MOST_RUNS = 1000
ENOUGH = 3
"""Runs of the baseline that are enough to judge differences, even on one fold."""

LEAST_FREEDOM = 2
"""Degrees of freedom of trainings that ``compare`` needs for a verdict."""


@dataclass(frozen=True)
class AddedConfiguration:
    """A configuration that is added to the plans.

    Attributes:
        source: Configuration that it is derived from.
        patch: Patch size in voxels, one number for all axes or one for each; empty for the default.
        small: Whether the network is small.
    """

    source: str
    patch: tuple[int, ...] = ()
    small: bool = True


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Trainers against their baseline, on the same data.

    Attributes:
        name: Name in tables; empty for the only comparison of a file.
        lines: Entry of each key, so that errors which only the data show can name the line.
        datasets: Numbers or full names.
        configurations: Names of nnU-Net's configurations or of added ones.
        plans: Stems of plans files.
        small: Configurations to add, by name.
        arms: Ways to train: the baseline, then the others in the file's order.
        folds: Folds as nnU-Net's command takes them.
        runs: Numbers of the runs, from 1.
        baseline_runs: Numbers of the baseline's runs. One more of them serves every trick.
        parts: ``validation``, ``test``.
        checkpoint: ``final`` or ``best``.
        regions: Unions of labels to evaluate, by name, as ``evaluate --regions`` takes them.
        inference: Settings for the trained models, each a row of its own.
        printed: Numbers that a paper printed for the same comparison; None if there are none.
    """

    name: str
    lines: Mapping[str, Entry]
    datasets: tuple[str, ...]
    configurations: tuple[str, ...]
    plans: tuple[str, ...]
    small: Mapping[str, AddedConfiguration]
    arms: tuple[Arm, ...]
    folds: tuple[str, ...]
    runs: tuple[int, ...]
    baseline_runs: tuple[int, ...]
    parts: tuple[str, ...]
    checkpoint: str
    regions: Mapping[str, str]
    inference: tuple[InferenceSetting, ...]
    printed: Printed | None

    @property
    def baseline(self) -> Arm:
        """The arm with which all others are compared."""
        return self.arms[0]

    def runs_of(self, arm: Arm) -> tuple[int, ...]:
        """The numbers of an arm's runs."""
        return self.baseline_runs if arm is self.baseline else self.runs

    def run_groups(self, setting: InferenceSetting) -> tuple[tuple[int, ...], ...]:
        """Runs whose models a setting is done with: all together for an ensemble, else each by itself."""
        runs = self.runs_of(setting.arm)
        return (runs,) if setting.ensemble else tuple((run,) for run in runs)

    @property
    def ways(self) -> dict[str, tuple[str, str, str]]:
        """Trainer, configuration and plans of everything that is compared, by the label of a row.

        The label is the arm's or the setting's. If there are several configurations or plans, what differs from the
        first follows after a comma; then the baseline's own label is left out: ``3d_fullres_patch32``.
        """
        rows = {arm.label: arm.name for arm in self.arms}
        rows |= {setting.label: setting.trainer(self.runs_of(setting.arm)) for setting in self.inference}
        return ways(rows, self.configurations, self.plans)

    @property
    def region_words(self) -> list[str]:
        """The regions as ``evaluate --regions`` takes them."""
        return [f"{name}={labels}" for name, labels in self.regions.items()]

    @property
    def undecided(self) -> str:
        """Why every verdict of ``compare`` must be ``undecided``, and what to write; empty if it need not."""
        if len(self.arms) + len(self.inference) < 2 or self._freedom >= LEAST_FREEDOM:
            return ""
        times = {1: "once", 2: "twice"}[len(self.baseline_runs)]
        where = "" if len(self.baseline_runs) == 1 else ", on a single fold"
        places = len(self.datasets) * len(self.configurations) * len(self.plans) * len(self.folds)
        trainings = (ENOUGH - len(self.baseline_runs)) * places
        named = f"{self.name}: " if self.name else ""
        if not self.baseline.ours:
            what = f"{self.baseline.name} is not ours and has one run only, so use nnUNetTrainer"
        elif self._is_shared and len(self.runs) < ENOUGH:
            what = f"write 'runs: {ENOUGH}'"
        else:
            what = f"write 'baseline_runs: {ENOUGH}', which is {trainings} more trainings for all tricks together"
        return (
            f"{named}the baseline is trained {times}{where}, which does not show how much reruns differ: every "
            f"verdict of 'compare' will be 'undecided'; {what}"
        )

    @property
    def _is_shared(self) -> bool:
        return (
            len(self.baseline_runs) > 1
            and len(self.runs) > 1
            and all(arm.ours and arm.ours.shared for arm in self.arms)
        )

    @property
    def _freedom(self) -> int:
        """Degrees of freedom of trainings, as ``compare`` counts them; 0 if the baseline has no rerun."""
        baseline, trick = len(self.baseline_runs), len(self.runs)
        if len(self.arms) < 2:
            # Settings are done with the baseline's own models, so that each run is compared with itself.
            return len(self.folds) * (baseline - 1)
        if baseline < 2:
            return 0
        return len(self.folds) * (min(baseline, trick) - 1 if self._is_shared else baseline + trick - 2)

    @property
    def missing(self) -> tuple[str, ...]:
        """Tricks that do not exist yet."""
        return tuple(dict.fromkeys(trick for arm in self.arms for trick in arm.missing))


def ways(
    rows: Mapping[str, str], configurations: Sequence[str], plans: Sequence[str]
) -> dict[str, tuple[str, str, str]]:
    """Trainer, configuration and plans of each way to train, by its label; see ``Comparison.ways``.

    Args:
        rows: Trainers by label, that of the baseline first.
        configurations: Names of the configurations.
        plans: Stems of plans files.
    """
    named_ways = {}
    first = next(iter(rows))
    for (label, trainer), configuration, of_plans in product(rows.items(), configurations, plans):
        differs = [configuration] * (configuration != configurations[0]) + [of_plans] * (of_plans != plans[0])
        named = [] if differs and label == first else [label]
        named_ways[", ".join([*named, *differs])] = (trainer, configuration, of_plans)
    return named_ways


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """An experiment file.

    Attributes:
        file: Path of the file.
        name: Name in the file, or the name of the file.
        description: Description by its author.
        needs: Names of tricks that do not exist yet.
        comparisons: Comparisons, at least one.
    """

    file: Path
    name: str
    description: str
    needs: tuple[str, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user before it runs."""
        notes = [arm.note for comparison in self.comparisons for arm in comparison.arms if arm.note]
        return tuple(dict.fromkeys(notes))

    @property
    def undecided(self) -> tuple[str, ...]:
        """Sentences about comparisons that will stay ``undecided``; see ``Comparison.undecided``."""
        return tuple(filter(None, (comparison.undecided for comparison in self.comparisons)))


def read_experiment(file: Path) -> Experiment:
    """Read an experiment file, and check what can be checked without the data.

    Raises:
        SpecError: If something in it is wrong; the message names file and line.
        OSError: If the file cannot be read.
    """
    fields = read(file).fields((*FILE_KEYS, *KEYS))
    needs = _needs(fields)
    top = {key: entry for key, entry in fields.items() if key in KEYS}
    if "comparisons" not in fields:
        comparisons: Sequence[Comparison] = [_comparison(file, "", top, needs, 1)]
    else:
        comparisons = _comparisons(file, fields["comparisons"], top, needs)
    experiment = Experiment(
        file=file,
        name=_name(fields["name"]) if "name" in fields else re.sub(r"[^\w.-]", "_", file.stem),
        description=fields["description"].text().strip() if "description" in fields else "",
        needs=tuple(needs),
        comparisons=tuple(comparisons),
    )
    _refuse_idle_needs(experiment, needs)
    return experiment


def _comparisons(file: Path, entry: Entry, top: Mapping[str, Entry], needs: Mapping[str, Entry]) -> list[Comparison]:
    comparisons: list[Comparison] = []
    for item in entry.items():
        own = item.fields(("name", *KEYS))
        if "name" not in own:
            raise item.error("each of 'comparisons' needs a 'name'")
        name = own.pop("name").text()
        if name in [comparison.name for comparison in comparisons]:
            raise item.error(f"two of 'comparisons' have the name '{name}'")
        # A comparison with trainers or tricks of its own replaces everything that the file says about them.
        replaced = ("design", "trainers", "tricks") if {"trainers", "tricks"} & set(own) else ()
        merged = {key: value for key, value in top.items() if key not in replaced} | own
        comparisons.append(_comparison(file, name, merged, needs, item.line))
    return comparisons


def _comparison(
    file: Path, name: str, fields: Mapping[str, Entry], needs: Mapping[str, Entry], line: int
) -> Comparison:
    here = Entry(file, line, name or "the file", None)
    for key in ("datasets", "configurations"):
        if key not in fields:
            raise here.error(f"{here.what} needs '{key}'")
    arms = _arms(here, fields, needs)
    configurations = _list(fields, "configurations", _plain_name)
    runs = _runs(fields, "runs", arms) or (1,)
    plans = _list(fields, "plans", _plain_name) or (DEFAULT_PLANS,)
    comparison = Comparison(
        name=name,
        lines=dict(fields),
        datasets=_list(fields, "datasets", _dataset),
        configurations=configurations,
        plans=plans,
        small=_small(fields, configurations),
        arms=arms,
        folds=_list(fields, "folds", _fold) or FOLDS,
        runs=runs,
        baseline_runs=_runs(fields, "baseline_runs", arms[:1]) or runs,
        parts=_list(fields, "on", lambda entry: entry.choice(PARTS)) or PARTS[:1],
        checkpoint=fields["checkpoint"].choice(CHECKPOINTS) if "checkpoint" in fields else CHECKPOINTS[0],
        regions=_regions(fields),
        inference=_inference(fields, arms),
        printed=None,
    )
    _check_inference(comparison)
    return replace(comparison, printed=_printed(file, fields, list(comparison.ways), needs))


def _inference(fields: Mapping[str, Entry], arms: Sequence[Arm]) -> tuple[InferenceSetting, ...]:
    settings: list[InferenceSetting] = []
    for entry in fields["inference"].items() if "inference" in fields else []:
        try:
            setting = read_setting(entry.text(), arms)
        except SpecError:
            raise
        except ValueError as error:
            raise entry.error(str(error)) from error
        if any(replace(other, label="") == replace(setting, label="") for other in settings):
            raise entry.error(f"'{setting.label}' stands twice in 'inference'")
        settings.append(setting)
    return tuple(settings)


def _check_inference(comparison: Comparison) -> None:
    """Refuse ensembles of a single run, and settings whose folders could not be told apart."""
    folders: dict[str, str] = {}
    for setting in comparison.inference:
        line, runs = comparison.lines["inference"], comparison.runs_of(setting.arm)
        if setting.ensemble and len(runs) < 2:
            key = "baseline_runs" if setting.arm is comparison.baseline else "runs"
            raise line.error(f"'{setting.label}' needs several runs of {setting.arm.name}: write '{key}: 5'")
        name = setting.trainer(runs)
        if len(name) > MAX_LENGTH:
            raise line.error(
                f"'{setting.label}' makes a folder with a name of {len(name)} characters, at most {MAX_LENGTH} fit"
            )
        if other := folders.get(name.casefold()):
            raise line.error(f"'{setting.label}' and '{other}' would share the folder {name}")
        folders[name.casefold()] = setting.label


def _arms(here: Entry, fields: Mapping[str, Entry], needs: Mapping[str, Entry]) -> tuple[Arm, ...]:
    default = "list" if "trainers" in fields else "add-one"
    design = fields["design"].choice(("list", *DESIGNS)) if "design" in fields else default
    wanted, other = ("trainers", "tricks") if design == "list" else ("tricks", "trainers")
    if wanted not in fields:
        raise fields.get("design", here).error(f"design '{design}' needs '{wanted}'")
    if other in fields:
        raise fields[other].error(f"design '{design}' takes '{wanted}', not '{other}'")
    settings: dict[str, Any] = {
        "epochs": fields["epochs"].whole(least=1) if "epochs" in fields else None,
        "needs": needs,
        "shared": "shared_randomness" in fields and fields["shared_randomness"].flag(),
    }
    arms = _listed(fields, settings) if design == "list" else _designed(design, fields, settings)
    names = [arm.name for arm in arms]
    for twice in (name for name in names if names.count(name) > 1):
        raise fields[wanted].error(f"'{wanted}' would train {twice} twice: name it once")
    if len(arms) < 2 and wanted == "tricks":
        raise fields[wanted].error("a comparison needs at least two ways to train, got one")
    return tuple(arms)


def _listed(fields: Mapping[str, Entry], settings: Mapping[str, Any]) -> list[Arm]:
    arms = []
    for entry in fields["trainers"].items():
        name = entry.text()
        arms.append(_or_line(entry, of_trainer, name, name, **settings))
    if "baseline" in fields:
        entry = fields["baseline"]
        baseline = _or_line(entry, of_trainer, entry.text(), entry.text(), **settings)
        arms = [baseline, *(arm for arm in arms if arm.name != baseline.name)]
    first = arms[0]
    return [Arm(label=BASELINE, name=first.name, ours=first.ours, missing=first.missing, note=first.note), *arms[1:]]


def _designed(design: str, fields: Mapping[str, Entry], settings: Mapping[str, Any]) -> list[Arm]:
    entry = fields["tricks"]
    factors = [tuple(trick.text() for trick in factor.items()) for factor in entry.items()]
    lines = {trick.text(): trick for factor in entry.items() for trick in factor.items()}
    if design != "factorial" and any(len(factor) > 1 for factor in factors):
        raise entry.error(f"alternatives in brackets are for design 'factorial', this is '{design}'")
    bare = fields["baseline"].text() if "baseline" in fields else PREFIX
    if "baseline" in fields:
        _or_line(fields["baseline"], of_tricks, BASELINE, [bare], **settings)
    # Each trick by itself first, so that an error names its own line.
    for trick, line in lines.items():
        _or_line(line, of_tricks, trick, [trick], **{**settings, "epochs": None})
    return [
        _or_line(lines.get(label, entry), of_tricks, label, [bare, *tricks], **settings)
        for label, tricks in DESIGNS[design](factors)
    ]


def _or_line(entry: Entry, make: Callable[..., Arm], *arguments: Any, **settings: Any) -> Arm:
    """Call ``make``; its errors are raised again with the line of ``entry``."""
    try:
        return make(*arguments, **settings)
    except IllegalName as error:
        if any(after_training.info_of(word) for word in error.name.removeprefix(PREFIX).split("_") if word):
            raise entry.error(f"{error} List what is done with trained models under 'inference'.") from error
        raise entry.error(f"{error} List a trick that does not exist yet under 'needs'.") from error
    except ValueError as error:
        raise entry.error(str(error)) from error


def _list(fields: Mapping[str, Entry], key: str, convert: Callable[[Entry], str]) -> tuple[str, ...]:
    """The values of a key, each once; empty if the key is missing."""
    if key not in fields:
        return ()
    values: list[str] = []
    for entry in fields[key].items():
        value = convert(entry)
        if value in values:
            raise entry.error(f"'{value}' appears twice in '{key}'")
        values.append(value)
    return tuple(values)


def _dataset(entry: Entry) -> str:
    word = entry.text()
    if not re.fullmatch(r"\d{1,3}|Dataset\d{3}_[\w.-]+", word) or "__" in word or not word.strip("0"):
        raise entry.error(f"'{word}' is not a data set: give its number, or its full name such as Dataset501_Name")
    return str(int(word)) if word.isdecimal() else word


def _plain_name(entry: Entry) -> str:
    try:
        return check_name(entry.text())
    except SpecError:
        raise
    except ValueError as error:
        raise entry.error(str(error).replace("configuration name", entry.what)) from error


def _fold(entry: Entry) -> str:
    if entry.value == "all":
        return "all"
    return str(entry.whole(least=0))


def _runs(fields: Mapping[str, Entry], key: str, arms: Sequence[Arm]) -> tuple[int, ...]:
    """The runs under a key; empty if the key is missing."""
    if key not in fields:
        return ()
    entry = fields[key]
    if isinstance(entry.value, list):
        runs = tuple(int(word) for word in _list(fields, key, lambda item: str(item.whole(least=1))))
    else:
        count = entry.whole(least=1)
        if count > MOST_RUNS:
            raise entry.error(f"'{key}' must be at most {MOST_RUNS}, got {count}")
        runs = tuple(range(1, count + 1))
    foreign = [arm.name for arm in arms if not arm.ours and not arm.missing]
    if runs != (1,) and foreign:
        raise entry.error(
            f"{foreign[0]} is not ours and can have one run only: nnU-Net's folders are named after the trainer, and "
            "only our names contain the number of a run"
        )
    return runs


def _small(fields: Mapping[str, Entry], configurations: Sequence[str]) -> dict[str, AddedConfiguration]:
    if "small" not in fields:
        return {}
    added = {}
    for name, entry in fields["small"].fields().items():
        _plain_name(Entry(entry.file, entry.line, "name", name))
        if name not in configurations:
            raise entry.error(f"'small' defines '{name}', but 'configurations' does not list it")
        settings = entry.fields(("from", "patch"))
        if "from" not in settings:
            raise entry.error(f"'{name}' needs 'from': the configuration to derive it from")
        patch = tuple(item.whole(least=1) for item in settings["patch"].items()) if "patch" in settings else ()
        added[name] = AddedConfiguration(_plain_name(settings["from"]), patch)
    return added


def _regions(fields: Mapping[str, Entry]) -> dict[str, str]:
    if "regions" not in fields:
        return {}
    regions = {}
    for name, entry in fields["regions"].fields().items():
        labels = "+".join(item.text() for item in entry.items())
        if not re.fullmatch(r"\d+(\+\d+)*", labels):
            raise entry.error(f"region '{name}' must be a union of labels such as 1+2, got '{labels}'")
        regions[name] = labels
    return regions


def _printed(
    file: Path, fields: Mapping[str, Entry], named: Sequence[str], needs: Mapping[str, Entry]
) -> Printed | None:
    if "published" not in fields:
        return None
    return read_printed(file, fields["published"], named, list(needs))


def _name(entry: Entry) -> str:
    name = entry.text()
    if not re.fullmatch(r"[\w.-]+", name):
        raise entry.error(f"name '{name}' must consist of letters, digits, '.', '-' and '_', as it names files")
    return name


def _needs(fields: Mapping[str, Entry]) -> dict[str, Entry]:
    existing = {info.name for info in EVERYTHING}
    needs: dict[str, Entry] = {}
    for entry in fields["needs"].items() if "needs" in fields else []:
        name = entry.text()
        if name in existing:
            raise entry.error(f"{name} exists: take it out of 'needs'")
        if not re.fullmatch(r"[A-Z]\w*", name):
            raise entry.error(f"'{name}' is not a name of a trick: letters and digits, a capital first")
        needs[name] = entry
    return needs


def _refuse_idle_needs(experiment: Experiment, needs: Mapping[str, Entry]) -> None:
    """Refuse a name under ``needs`` that nothing in the file uses: it is a typing error."""
    used = {trick for comparison in experiment.comparisons for trick in comparison.missing}
    used |= {
        label for comparison in experiment.comparisons if comparison.printed for label in comparison.printed.labels
    }
    for name, entry in needs.items():
        if name not in used:
            raise entry.error(f"nothing in the file uses {name}: take it out of 'needs'")
