"""The methods paragraph and the papers to cite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from nnunet_tricks.catalogue import after_training
from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.catalogue.papers import Paper, cited
from nnunet_tricks.comparison.lengths import STOPPING
from nnunet_tricks.comparison.report.facts import Facts, ReportQuestion
from nnunet_tricks.comparison.report.view import SectionView

NNUNET = "isensee2021nnunet"


def methods(view: SectionView, facts: Facts, *, cite: bool = False) -> str:
    """A paragraph for a paper's methods.

    Args:
        view: Section that the paragraph is about.
        facts: Facts of the report.
        cite: Whether papers are cited by their keys, as LaTeX does.
    """
    statistics, section = view.statistics, view.section
    baseline = section.ways[0]
    nnunet = f"nnU-Net {facts.versions.get('nnunetv2', '')}".strip() + (f"~\\cite{{{NNUNET}}}" if cite else "")
    tricks = [view.names[method.name] + _citation(method.trainer, cite) for method in section.ways[1:]]
    folds = f"fold {section.folds[0]}" if len(section.folds) == 1 else f"folds {_listed(section.folds)}"
    sentences = [
        f"We trained {nnunet} on {section.dataset.partition('_')[2] or section.dataset} in the configuration "
        f"{baseline.configuration}{_epochs(view)}, {folds}, without ({baseline.trainer}) and with "
        f"{_listed(tricks)}; all else was the same.",
        _runs(view),
        f"{_listed(section.metrics)} were measured for each case and class"
        + (", as defined in the documentation of nnunet_tricks" if not cite else "")
        + f"; the primary outcome was {statistics.metric} ({statistics.label}).",
        _statistics(view),
        lock(facts.question),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def lock(question: ReportQuestion) -> str:
    """What is known of the lock, and what should have been compared but is not finished."""
    return " ".join(filter(None, [question.lock, question.left_out]))


def papers(views: Iterable[SectionView]) -> list[Paper]:
    """nnU-Net's paper, and those of the tricks."""
    every = [cited(NNUNET)]
    for view in views:
        for method in view.section.ways:
            every += _papers(method.trainer)
    return list(dict.fromkeys(every))


def _papers(trainer: str) -> list[Paper]:
    own, *settings = trainer.split(after_training.MARK)
    papers = [paper for setting in settings for paper in after_training.papers(setting)]
    with suppress(IllegalName):
        return [*(paper for trick in parse(own).tricks for paper in trick.papers), *papers]
    return papers


def _citation(trainer: str, cite: bool) -> str:
    keys = ",".join(dict.fromkeys(paper.key for paper in _papers(trainer)))
    return f"~\\cite{{{keys}}}" if cite and keys else ""


def _epochs(view: SectionView) -> str:
    lengths, may_stop = set(), False
    for method in view.section.ways:
        with suppress(IllegalName):
            name = parse(method.trainer)
            lengths.add(name.epochs)
            may_stop = may_stop or any(STOPPING in trick.info.hooks for trick in name.tricks)
    return f" for {'at most ' if may_stop else ''}{lengths.pop()} epochs" if len(lengths) == 1 else ""


def _runs(view: SectionView) -> str:
    baseline, *tricks = view.section.ways
    counts = {len(trick.runs) for trick in tricks}
    if len(baseline.runs) == 1 and counts == {1}:
        return "Each was trained once, so the run-to-run variation of training is unknown."
    times = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    sentence = f"The baseline was trained {len(baseline.runs)} times and each trick {times} times on every fold"
    return f"{sentence}{_shared(view)}."


def _shared(view: SectionView) -> str:
    """Whether baseline and tricks began alike, which their names say."""
    for method in view.section.ways:
        try:
            if not parse(method.trainer).shared:
                return ""
        except IllegalName:
            return ""
    return "; in each run all began with the same weights and saw the same patches and augmentations"


def _statistics(view: SectionView) -> str:
    statistics = view.statistics
    has_runs = any(statistics.primary(trick).has_runs for trick in statistics.tricks)
    units = f"groups of cases ({view.section.grouped_by})" if view.section.grouped_by else "cases"
    variation = (
        f"include the variation of {units} and of reruns"
        if has_runs
        else f"include the variation of {units}, not that of retraining"
    )
    return (
        f"Differences are paired by case; their 95 % intervals, from {statistics.draws} bootstrap draws stratified by "
        f"fold, {variation}. P values are corrected by Holm's method over {len(statistics.tricks)} "
        f"{'trick' if len(statistics.tricks) == 1 else 'tricks'}."
    )


def _listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    Examples:
        >>> _listed(["a"]), _listed(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
