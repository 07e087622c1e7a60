"""Was the advice any good? Tricks that were named against those that were not. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.resources import files
from math import comb
from pathlib import Path
from typing import Any

from nnunet_tricks.comparison.ledger.cells import chosen
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
        older: Number of rows whose experiment was locked before the advice was made; they do not count.
        p: Chance that so many of the tricks that gained are among the advised ones, if advice were drawn by lot
            (Fisher's exact test, one-sided); None where it cannot be computed.
    """

    dataset: str
    made: str
    tried: tuple[ScoredTrick, ...]
    untried: tuple[str, ...]
    older: int
    p: float | None

    def count(self, word: str, *, advised: bool) -> int:
        """Number of tried tricks with a verdict."""
        return sum(trick.word == word and trick.advised == advised for trick in self.tried)


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
    names = {frozenset(_names(trick)) for trick in advised}
    rows = [row for row in ledger.rows if row.dataset.casefold() == dataset.casefold()]
    reports = ledger.by_id
    newer = [row for row in rows if _time(reports[row.report].locked_at) >= _time(advice["made"])]
    by_name: dict[str, list[LedgerRow]] = {}
    for row in newer:
        by_name.setdefault(row.name, []).append(row)
    tried = tuple(
        ScoredTrick(name, frozenset(row.tricks) in names, row.word, row.difference, row.gain)
        for name, row in ((name, chosen(of_name)) for name, of_name in by_name.items())
    )
    known = {frozenset(row.tricks) for row in newer}
    untried = tuple(sorted(trick for trick in advised if frozenset(_names(trick)) not in known))
    return AdviceScore(dataset, str(advice["made"]), tried, untried, len(rows) - len(newer), _fisher(tried))


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
    if score.older:
        lines.append(
            f"{score.older} rows of the ledger are of experiments that were locked before the advice was made. They "
            "do not count: whoever made the rules may have known them."
        )
    if not score.tried:
        lines.append("No trick was tried on it since.")
    for advised, title in ((True, "advised"), (False, "not advised")):
        own = [trick for trick in score.tried if trick.advised == advised]
        if own:
            words = ", ".join(
                f"{score.count(word, advised=advised)} {word}"
                for word in ("helps", "within noise", "undecided", "hurts")
                if score.count(word, advised=advised)
            )
            better = sum(trick.gain > 0 for trick in own)
            lines.append(f"{len(own)} tricks that were {title}: {words}; {better} of them gained at all.")
    if score.p is not None:
        lines.append(f"If advice were drawn by lot, it would be as good in {100 * score.p:.0f} of 100 cases.")
    if score.untried:
        lines.append(f"Advised and not tried: {', '.join(score.untried)}.")
    return lines


def as_data(scores: Iterable[AdviceScore]) -> list[dict[str, Any]]:
    """The scores for JSON."""
    return [asdict(score) for score in scores]


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' says no time zone")
    return moment
