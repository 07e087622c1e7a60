"""From a report to rows of the ledger: verified, locked before its results, and not there yet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_tricks.catalogue import after_training
from nnunet_tricks.catalogue.naming import IllegalName, Trick, parse
from nnunet_tricks.comparison.dimension_tables import ALL_TRICKS, dimension_comparisons
from nnunet_tricks.comparison.ledger.rows import Ledger, LedgerInteraction, LedgerReport, LedgerRow
from nnunet_tricks.comparison.report.facts import Facts
from nnunet_tricks.comparison.report.render import CASES, FACTS, digest, rows_in
from nnunet_tricks.comparison.report.verify import verify
from nnunet_tricks.comparison.report.view import SectionView, views
from nnunet_tricks.comparison.statistics.dimension import dimension_of
from nnunet_tricks.comparison.statistics.model import TrickResult
from nnunet_tricks.experiment.frozen import ENDING, Frozen
from nnunet_tricks.experiment.spec import Comparison, Experiment, read_experiment
from nnunet_tricks.utilities.wording import some

DIGITS = 6
"""Decimal places of stored numbers: more than any table shows, fewer than machines differ by."""

SPECS = (".yaml", ".yml")


def added(ledger: Ledger, report: Path, root: Path, *, replace: bool = False) -> Ledger:
    """The ledger with the rows of one more report.

    Args:
        ledger: The ledger so far.
        report: Folder of the report, or a file in it.
        root: Folder of the checkout; the report must lie below it.
        replace: Whether rows of an earlier report of the same experiment file are taken out first.

    Raises:
        ValueError: If the report cannot be verified, was not locked before its results, or is in the ledger already.
    """
    new = rows_from(report, root)
    (source,) = new.reports
    for known in ledger.reports:
        if replace and source.question_sha256 == known.question_sha256 and source.locked_at == known.locked_at:
            ledger = ledger.without(known.id)
        elif known.cases_sha256 == source.cases_sha256:
            raise ValueError(f"{source.id} has the table of {known.id}, which is in the ledger already")
        elif known.question_sha256 == source.question_sha256 and known.locked_at == source.locked_at:
            raise ValueError(
                f"{source.id} answers the same locked file as {known.id}: add --replace to put its rows in their place"
            )
        elif known.id == source.id:
            raise ValueError(f"{source.id} is the name of another report in the ledger: give the folder another name")
    return ledger.joined(new)


def rows_from(report: Path, root: Path) -> Ledger:
    """What one report says, after it was verified.

    Args:
        report: Folder of the report, or a file in it.
        root: Folder of the checkout; the report must lie below it.

    Raises:
        ValueError: If the report cannot be verified or was not locked before its results.
    """
    if not report.exists():
        raise ValueError(f"{report} is not there")
    folder = report if report.is_dir() else report.parent
    name = _name(folder, root)
    bad = [check for check in verify(folder) if check.checked and not check.good]
    if bad:
        raise ValueError(
            f"{folder} cannot be verified: {some([f'{check.file} {check.words}' for check in bad], '; ')}. Only a "
            "report that 'nnunet-tricks verify' makes again has rows in the ledger"
        )
    cases, text = ((folder / file).read_text(encoding="utf-8") for file in (CASES, FACTS))
    facts = Facts.of_json(text)
    lock, experiment = _locked(folder, facts)
    source = LedgerReport(
        id=name,
        experiment=experiment.name,
        locked_at=lock.locked_at,
        cases_sha256=digest(cases),
        question_sha256=lock.sha256,
        left_out=facts.question.left_out,
        versions=dict(facts.versions),
    )
    sections = views(rows_in(cases), facts)
    rows = [row for view in sections for row in _rows(name, view, experiment)]
    return Ledger((source,), tuple(rows), tuple(_interactions(name, sections)))


def _name(folder: Path, root: Path) -> str:
    try:
        return folder.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        raise ValueError(
            f"{folder} lies outside {root}: copy experiment file, lock and report there, for example into "
            "experiments/NAME/, so that others find the report by the same path"
        ) from None


def _locked(folder: Path, facts: Facts) -> tuple[Frozen, Experiment]:
    """The lock of the report's experiment, and the experiment.

    Raises:
        ValueError: If there is none, it is younger than a result, or it is the lock of another text.
    """
    question = facts.question
    if not question.spec:
        raise ValueError(
            f"{folder} compares folders. The ledger takes reports of experiment files, which are locked before their "
            "results: nnunet-tricks run FILE --lock"
        )
    if not question.locked:
        raise ValueError(f"{folder} cannot be added: {question.lock} A lock must be older than every result")
    for place in sorted(folder.parent.glob(f"*{ENDING}")):
        stem = place.name.removesuffix(ENDING)
        spec = next((file for end in SPECS if (file := folder.parent / f"{stem}{end}").is_file()), None)
        lock = Frozen.read(spec) if spec else None
        if spec and lock and _unix(lock.text) == _unix(question.spec) == _unix(spec.read_text(encoding="utf-8")):
            if lock.locked_at not in question.lock:
                raise ValueError(
                    f"{place} is of {lock.locked_at}, and the report says otherwise: {question.lock} The file was "
                    "locked again after the report"
                )
            return lock, read_experiment(spec)
    raise ValueError(
        f"{folder.parent} has no experiment file with a lock that has the report's question: put FILE.yaml and "
        f"FILE{ENDING} beside the folder of the report"
    )


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _rows(report: str, view: SectionView, experiment: Experiment) -> Iterator[LedgerRow]:
    statistics, section = view.table.statistics, view.section
    comparison = next((known for known in experiment.comparisons if known.name == section.name), None)
    baseline = section.ways[0]
    keys = {(way.trainer, way.configuration, way.plans) for way in section.ways}
    patterns: dict[str, list[str]] = {}
    for answer in view.patterns:
        if answer.has_pattern:
            patterns.setdefault(answer.question.trick, []).append(answer.sentence)
    for trick, way in zip(statistics.tricks, section.ways[1:], strict=True):
        effect = statistics.primary(trick)
        names = _difference(baseline.trainer, way.trainer)
        also = [
            value
            for value, reference, place in (
                (way.configuration, baseline.configuration, 1),
                (way.plans, baseline.plans, 2),
            )
            if value != reference and len({key[place] for key in keys}) > 1
        ]
        yield LedgerRow(
            report=report,
            comparison=section.name,
            dataset=_dataset(section.dataset),
            dimension=dimension_of(way.configuration),
            part=section.part,
            trick=names.named(also),
            tricks=tuple(
                dict.fromkeys(
                    [
                        *(added.info.name for added in names.added),
                        *(info.name for word in names.settings if (info := after_training.info_of(word))),
                    ]
                )
            ),
            base=tuple(map(str, names.base)),
            without=tuple(map(str, names.left_out)),
            trainer=way.trainer,
            baseline=baseline.trainer,
            configuration=way.configuration,
            size=_size(way.trainer, way.configuration, comparison),
            epochs=_epochs(way.trainer),
            metric=statistics.metric,
            direction=effect.better,
            label=statistics.label,
            of_baseline=_stored(statistics.baseline.means[statistics.label][statistics.metric]),
            difference=_stored(effect.difference),
            low=_stored(effect.interval.low),
            high=_stored(effect.interval.high),
            p=_stored(effect.p.holm),
            word=trick.verdict.word,
            noise=_stored(statistics.noise_floor.repeatability),
            runs=_runs(len(statistics.baseline.runs), trick),
            folds=len(section.folds),
            cases=effect.cases,
            better=effect.wins,
            worse=effect.losses,
            cost=_stored(trick.cost.time),
            where=tuple(patterns.get(view.names[trick.name], ())),
        )


def _runs(of_baseline: int, trick: TrickResult) -> tuple[int, int]:
    """Numbers of runs. An ensemble of five models is one result."""
    return of_baseline, len(trick.runs)


@dataclass(frozen=True)
class _TrickDifference:
    """How a trainer differs from its baseline.

    Attributes:
        added: Tricks that only the trainer has.
        left_out: Tricks that only the baseline has.
        base: Tricks that both have.
        settings: What was done with its trained models.
    """

    added: tuple[Trick, ...]
    left_out: tuple[Trick, ...]
    base: tuple[Trick, ...]
    settings: tuple[str, ...]

    def named(self, also: Sequence[str] = ()) -> str:
        """Name of the difference in the ledger.

        Args:
            also: Plans and configuration, where they differ too.
        """
        added = " + ".join([*map(str, self.added), *self.settings, *also])
        return added or f"without {', '.join(map(str, self.left_out))}"


def _difference(baseline: str, trainer: str) -> _TrickDifference:
    own, _, settings = trainer.partition(after_training.MARK)
    try:
        base, tricks = parse(baseline).tricks, parse(own).tricks
    except IllegalName as error:
        raise ValueError(
            f"{trainer} against {baseline}: the ledger's rows name tricks of this package, and one of the trainers is "
            f"somebody else's ({error})"
        ) from None
    return _TrickDifference(
        tuple(trick for trick in tricks if trick not in base),
        tuple(trick for trick in base if trick not in tricks),
        tuple(trick for trick in base if trick in tricks),
        tuple(filter(None, settings.split(after_training.MARK))),
    )


def _interactions(report: str, sections: Sequence[SectionView]) -> Iterator[LedgerInteraction]:
    for comparison in dimension_comparisons(view.compared for view in sections):
        baseline = next(view.section.ways[0].trainer for view in sections if view.section.dataset == comparison.dataset)
        for dimension in comparison.effects:
            effect = dimension.effect
            trick = _difference(baseline, dimension.trick).named() if dimension.trick else ALL_TRICKS
            yield LedgerInteraction(
                report=report,
                dataset=_dataset(comparison.dataset),
                trick=trick,
                in_2d=_stored(dimension.flat),
                in_3d=_stored(dimension.volume),
                difference=_stored(effect.difference),
                low=_stored(effect.interval.low),
                high=_stored(effect.interval.high),
                p=_stored(effect.p.holm),
                word=dimension.word,
            )


def _dataset(name: str) -> str:
    """A data set without its number, which differs from machine to machine.

    Examples:
        >>> _dataset("Dataset501_Hippocampus")
        'Hippocampus'
    """
    return name.partition("_")[2] or name


def _epochs(trainer: str) -> int:
    return parse(after_training.trained(trainer)).epochs


def _size(trainer: str, configuration: str, comparison: Comparison | None) -> str:
    """Size of a training in words.

    Examples:
        >>> _size("nnUNetTrainer_5epochs", "2d", None)
        "5 epochs, nnU-Net's own 2d"
    """
    epochs = _epochs(trainer)
    length = f"{epochs} epoch{'' if epochs == 1 else 's'}"
    planned = comparison.small.get(configuration) if comparison else None
    if planned is None:
        return f"{length}, nnU-Net's own {configuration}"
    patch = f", patch {'x'.join(map(str, planned.patch))}" if planned.patch else ""
    network = ", small network" if planned.small else ""
    return f"{length}{patch}{network} ({configuration} from {planned.source})"


def _stored(value: float) -> float | None:
    return round(value, DIGITS) + 0.0 if math.isfinite(value) else None
