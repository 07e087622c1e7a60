"""The methods paragraph and the papers to cite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.catalogue.papers import Paper, cited
from nnunet_tricks.comparison.report.facts import Facts
from nnunet_tricks.comparison.report.view import View
from nnunet_tricks.comparison.statistics.model import Statistics

NNUNET = "isensee2021nnunet"


def methods(view: View, facts: Facts, *, cite: bool = False) -> str:
    """A paragraph for a paper's methods.

    Args:
        view: What it is about.
        facts: How it was made.
        cite: Whether papers are cited as LaTeX does, by their keys.
    """
    found, section = view.found, view.section
    ways = section.ways
    nnunet = f"nnU-Net {facts.versions.get('nnunetv2', '')}".strip() + (f"~\\cite{{{NNUNET}}}" if cite else "")
    tricks = [view.names[way.name] + _citation(way.trainer, cite) for way in ways[1:]]
    folds = f"fold {section.folds[0]}" if len(section.folds) == 1 else f"folds {_listed(section.folds)}"
    sentences = [
        f"We trained {nnunet} on {section.dataset.partition('_')[2] or section.dataset} in the configuration "
        f"{ways[0].configuration}{_epochs(view)}, {folds}, without ({ways[0].trainer}) and with "
        f"{_listed(tricks)}; all else was the same.",
        _runs(view),
        f"{_listed(section.metrics)} were measured for each case and class"
        + (", as defined in the documentation of nnunet_tricks" if not cite else "")
        + f"; the primary outcome was {found.metric} ({found.label}).",
        _statistics(view, found),
        facts.question.lock,
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def papers(views: Iterable[View]) -> list[Paper]:
    """nnU-Net's, and those of the tricks."""
    found = [cited(NNUNET)]
    for view in views:
        for way in view.section.ways:
            found += _papers(way.trainer)
    return list(dict.fromkeys(found))


def _papers(trainer: str) -> list[Paper]:
    with suppress(IllegalName):
        return [paper for trick in parse(trainer).tricks for paper in trick.papers]
    return []


def _citation(trainer: str, cite: bool) -> str:
    keys = ",".join(dict.fromkeys(paper.key for paper in _papers(trainer)))
    return f"~\\cite{{{keys}}}" if cite and keys else ""


def _epochs(view: View) -> str:
    lengths = set()
    for way in view.section.ways:
        with suppress(IllegalName):
            lengths.add(parse(way.trainer).epochs)
    return f" for {lengths.pop()} epochs" if len(lengths) == 1 else ""


def _runs(view: View) -> str:
    ways = view.section.ways
    counts = {len(way.runs) for way in ways[1:]}
    if len(ways[0].runs) == 1 and counts == {1}:
        return "Each was trained once, so the run-to-run variation of training is not known."
    of_tricks = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    how = f"The baseline was trained {len(ways[0].runs)} times and each trick {of_tricks} times on every fold"
    return f"{how}{_shared(view)}."


def _shared(view: View) -> str:
    """Whether baseline and tricks began alike, which their names say."""
    for way in view.section.ways:
        try:
            if not parse(way.trainer).shared:
                return ""
        except IllegalName:
            return ""
    return "; in each run all began with the same weights and saw the same patches and augmentations"


def _statistics(view: View, found: Statistics) -> str:
    has_runs = any(found.primary(trick).has_runs for trick in found.tricks)
    drawn = f"groups of cases ({view.section.grouped_by})" if view.section.grouped_by else "cases"
    what = (
        f"include the variation of {drawn} and of reruns"
        if has_runs
        else f"include the variation of {drawn}, not that of training anew"
    )
    return (
        f"Differences are paired by case; their 95 % intervals, from {found.draws} bootstrap draws stratified by fold, "
        f"{what}. P values are corrected by Holm's method over {len(found.tricks)} "
        f"{'trick' if len(found.tricks) == 1 else 'tricks'}."
    )


def _listed(words: Sequence[str]) -> str:
    """As a sentence lists them.

    Examples:
        >>> _listed(["a"]), _listed(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
