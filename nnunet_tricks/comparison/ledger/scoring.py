"""Was the advice any good? Tricks that were named against those that were not. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.resources import files
from math import comb
from pathlib import Path
from typing import Any

from nnunet_tricks.comparison.ledger.cells import of_data_set
from nnunet_tricks.comparison.ledger.rows import Ledger, LedgerRow

STORED = "advice.json"
"""Advice that was made before the experiments of the ledger, installed beside the rows."""


@dataclass(frozen=True)
class ScoredTrick:
    """A trick that was tried, and whether it had been advised.

    Attributes:
        trick: Trick and base, as the ledger names it.
        advised: Whether the advice named it.
        word: Verdict.
        difference: Difference to the baseline.
        gain: The same, positive where the trick is better.
    """

    trick: str
    advised: bool
    word: str
    difference: float | None
    gain: float


@dataclass(frozen=True)
class AdviceScore:
    """Score of one piece of advice.

    Attributes:
        dataset: Data set without its number.
        made: Time at which the advice was made.
        tried: Tricks that were tried after that.
        untried: Advised tricks that nobody has tried.
        before: Tricks of experiments that were locked before the advice was made; they do not count.
        p: Chance that so many of the tricks that gained are among the advised ones, if advice were drawn by lot
            (Fisher's exact test, one-sided); None where it cannot be computed.
    """

    dataset: str
    made: str
    tried: tuple[ScoredTrick, ...]
    untried: tuple[str, ...]
    before: tuple[ScoredTrick, ...]
    p: float | None


def read_advice(places: Sequence[Path] | None) -> list[dict[str, Any]]:
    """Read advice.

    Args:
        places: Files of ``advise --json``; None for the advice of this package.

    Raises:
        ValueError: If a file is none.
    """
    if places is None:
        text = files("nnunet_tricks.comparison.ledger").joinpath(STORED).read_text(encoding="utf-8")
        return [dict(advice) for advice in json.loads(text)["advice"]]
    advices = []
    for place in places:
        try:
            content = json.loads(place.read_text(encoding="utf-8"))
            if not {"dataset", "made", "advice"} <= set(content):
                raise ValueError("it lacks 'dataset', 'made' or 'advice'")
            _time(content["made"])
            if not all(isinstance(entry, dict) and isinstance(entry.get("trick"), str) for entry in content["advice"]):
                raise ValueError("'advice' has entries without a 'trick'")
        except FileNotFoundError:
            raise ValueError(f"{place} is not there") from None
        except (ValueError, TypeError) as error:
            raise ValueError(f"{place} was not written by 'nnunet-tricks advise --json': {error}") from None
        advices.append(content)
    return advices


def scores_of(advices: Iterable[Mapping[str, Any]], ledger: Ledger) -> list[AdviceScore]:
    """Score advice by the rows of the same data set whose experiments were locked after it."""
    return [_score(advice, ledger) for advice in advices]


def _score(advice: Mapping[str, Any], ledger: Ledger) -> AdviceScore:
    dataset = str(advice["dataset"]).partition("_")[2] or str(advice["dataset"])
    advised = {str(entry["trick"]) for entry in advice["advice"]}
    # Advice is for nnU-Net's default.
    rows = [row for row in ledger.rows if row.dataset.casefold() == dataset.casefold() and not row.is_bare]
    reports = ledger.by_id
    newer = [row for row in rows if _time(reports[row.report].locked_at) >= _time(advice["made"])]
    tried = _tried(newer, advised)
    untried = tuple(sorted(trick for trick in advised if not any(_is_of(row, trick) for row in newer)))
    before = _tried([row for row in rows if row not in newer], advised)
    return AdviceScore(dataset, str(advice["made"]), tried, untried, before, _fisher(tried))


def _tried(rows: Iterable[LedgerRow], advised: Iterable[str]) -> tuple[ScoredTrick, ...]:
    by_name: dict[str, list[LedgerRow]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    return tuple(
        ScoredTrick(name, any(_is_of(row, trick) for trick in advised), row.word, row.difference, row.gain)
        for name, row in ((name, of_data_set(of_name)) for name, of_name in by_name.items())
    )


def _is_of(row: LedgerRow, trick: str) -> bool:
    """Whether a row tried an advised trick.

    Part of the trick may be in the row's baseline, too: a network whose weights were tried against the same network.
    """
    names, added = set(_names(trick)), set(row.tricks)
    base = {name for word in row.base for name in _names(word)}
    return bool(added) and added <= names <= added | base


def _names(trick: str) -> list[str]:
    """Names of tricks in a name, without parameters: those begin with a small letter."""
    return [token for token in trick.split("_") if token[:1].isupper()]


def _fisher(tried: Sequence[ScoredTrick]) -> float | None:
    """Fisher's exact test of whether advised tricks gained more often than others.

    Examples:
        >>> good = ScoredTrick("A", True, "helps", 0.1, 0.1)
        >>> bad = ScoredTrick("B", False, "hurts", -0.1, -0.1)
        >>> _fisher([good, good, bad, bad])
        0.16666666666666666
    """
    advised = sum(trick.advised for trick in tried)
    gained = sum(trick.gain > 0 for trick in tried)
    both = sum(trick.advised and trick.gain > 0 for trick in tried)
    total = len(tried)
    if not 0 < advised < total:
        return None
    ways = sum(
        comb(gained, count) * comb(total - gained, advised - count)
        for count in range(both, min(advised, gained) + 1)
        if advised - count <= total - gained
    )
    return ways / comb(total, advised)


def sentences(score: AdviceScore) -> list[str]:
    """The score in words; the first sentence is a title."""
    lines = [f"{score.dataset}, advice of {score.made}"]
    if not score.tried:
        lines.append(
            "No score yet. It needs an experiment on this data set that is locked after the advice, has run, and is in "
            "the ledger."
        )
    lines += _counted(score.tried, score.p)
    if score.untried:
        lines.append(f"Advised and not tried since: {', '.join(score.untried)}.")
    if score.before:
        known = [f"{trick.trick} {trick.word}" for trick in score.before if trick.advised]
        lines.append(
            f"{len(score.before)} tricks were tried in experiments that were locked before the advice. They do not "
            "count, since whoever made the rules may have known them. Advised ones among them: "
            f"{', '.join(known) or 'none'}."
        )
    return lines


def overall(scores: Sequence[AdviceScore]) -> list[str]:
    """All scores together in words; empty for fewer than two data sets with tricks that were tried."""
    scored = [score for score in scores if score.tried]
    if len({score.dataset.casefold() for score in scored}) < 2:
        return []
    tried = tuple(trick for score in scored for trick in score.tried)
    return [f"All {len(scored)} together", *_counted(tried, _fisher(tried))]


def _counted(tried: Sequence[ScoredTrick], p: float | None) -> Iterator[str]:
    for advised, title in ((True, "advised"), (False, "not advised")):
        own = [trick for trick in tried if trick.advised == advised]
        if own:
            words = ", ".join(
                f"{count} {word}"
                for word in ("helps", "within noise", "undecided", "hurts")
                if (count := sum(trick.word == word for trick in own))
            )
            better = sum(trick.gain > 0 for trick in own)
            yield f"Tried and {title}: {len(own)} trick{'' if len(own) == 1 else 's'}, {better} gained ({words})."
    if p is not None:
        yield f"Advice drawn by lot would be at least as good in {100 * p:.0f} of 100 draws (Fisher's exact test)."


def as_data(scores: Iterable[AdviceScore]) -> list[dict[str, Any]]:
    """The scores for JSON."""
    return [asdict(score) for score in scores]


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' says no time zone")
    return moment
