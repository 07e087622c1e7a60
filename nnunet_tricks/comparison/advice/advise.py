"""From figures to advice: tricks in order, each with reasons, papers, the ledger and the cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from nnunet_tricks import __version__
from nnunet_tricks.catalogue import after_training
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.catalogue.naming import PREFIX, parse
from nnunet_tricks.comparison.advice.costs import cost_of, has_weights
from nnunet_tricks.comparison.advice.figures import DataFigures
from nnunet_tricks.comparison.advice.rules import ONLY_2D, RULES, AdviceRule, AdvisedReason, spoken_for
from nnunet_tricks.comparison.ledger.rows import DECIDED, Ledger, LedgerRow, name_of

FORMAT = 1

LISTED = 3
"""Rows of the ledger that are listed for a trick, beside those that decide; of more, it is said how many there are."""


@dataclass(frozen=True, kw_only=True)
class AdvisedTrick:
    """A trick that is worth trying.

    Attributes:
        trick: Trick as it stands in trainers' names, or of trained models.
        classes: Classes that a step of post-processing is for; empty for each class, and for what is trained.
        reasons: Reasons, the strongest first.
        papers: What papers printed for it.
        rows: Rows of the ledger: those of the data set first, then those that decide.
        cost: Words on what it costs.
        after_training: Whether it is done with trained models.
        strength: Strength of all reasons, for the order.
    """

    trick: str
    classes: tuple[str, ...]
    reasons: tuple[AdvisedReason, ...]
    papers: tuple[str, ...]
    rows: tuple[LedgerRow, ...]
    cost: str
    after_training: bool
    strength: float

    @property
    def command(self) -> str:
        """Line that tries it."""
        if self.after_training:
            return after_training.example(after_training.read(self.trick), self.classes)
        return f"-tr {PREFIX}{self.trick}"

    @property
    def steps(self) -> tuple[str, ...]:
        """A trick for trained models as experiments name it, once for each class that it is for."""
        setting = str(after_training.read(self.trick))
        return tuple(f"{place}:{setting}" for place in self.classes) or (setting,)

    @property
    def ledger_words(self) -> tuple[str, ...]:
        """What the ledger says, a few words for each row."""
        listed = [row for place, row in enumerate(self.rows) if place < LISTED or row.word in DECIDED]
        words = [
            f"{name_of(row.data, row.base)}: {row.word}, {row.interval} (runs: {row.runs[1]}, epochs: {row.epochs})"
            for row in listed
        ]
        more = len(self.rows) - len(listed)
        rest = (
            f"{more} more row{'' if more == 1 else 's'}: nnunet-tricks show {self.rows[0].tricks[-1]}" if more else ""
        )
        return (*words, rest) if rest else tuple(words)


@dataclass(frozen=True, kw_only=True)
class Advice:
    """Advice for one data set.

    Attributes:
        figures: Figures that it is based on.
        tricks: Tricks worth trying, in order.
        silent: Names of the rules that said nothing.
        made: Time at which it was made, in ISO 8601.
    """

    figures: DataFigures
    tricks: tuple[AdvisedTrick, ...]
    silent: tuple[str, ...]
    made: str

    @property
    def data(self) -> dict[str, Any]:
        """The advice for JSON."""
        return {
            "format": FORMAT,
            "version": __version__,
            "made": self.made,
            "dataset": self.figures.dataset,
            "figures": self.figures.data,
            "advice": [
                {
                    "trick": advised.trick,
                    "strength": round(advised.strength, 3),
                    "reasons": [reason.text for reason in advised.reasons],
                    "papers": list(advised.papers),
                    "ledger": list(advised.ledger_words),
                    "cost": advised.cost,
                    "command": advised.command,
                }
                for advised in self.tricks
            ],
            "considered": list(spoken_for()),
            "silent_rules": list(self.silent),
        }


def advise(figures: DataFigures, ledger: Ledger, *, rules: Sequence[AdviceRule] = RULES, made: str = "") -> Advice:
    """Tricks that are worth trying first.

    The order is by strength: that of the strongest reason, and a little for each further one. Of the tricks that one
    rule speaks for, the first comes first.

    Args:
        figures: Figures of the data set.
        ledger: Rows of what came out so far.
        rules: Rules to apply.
        made: Time at which it was made, in ISO 8601; now if empty.
    """
    reasons: dict[str, list[AdvisedReason]] = {}
    silent = []
    for rule in rules:
        reason = rule.find(figures)
        if reason is None:
            silent.append(rule.name)
            continue
        for place, name in enumerate(rule.tricks):
            trick = f"{name}_{reason.parameters}" if reason.parameters else name
            if figures.dimension == 2 or name not in ONLY_2D:
                weaker = replace(reason, strength=reason.strength * 0.9**place)
                reasons.setdefault(trick, []).append(weaker)
    tricks = [_advised(trick, found, figures, ledger) for trick, found in reasons.items()]
    tricks.sort(key=lambda advised: -advised.strength)
    moment = made or datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Advice(figures=figures, tricks=tuple(tricks), silent=tuple(silent), made=moment)


def _advised(trick: str, reasons: Sequence[AdvisedReason], figures: DataFigures, ledger: Ledger) -> AdvisedTrick:
    ordered = sorted(reasons, key=lambda reason: -reason.strength)
    infos = infos_of(trick)
    # Of a network with weights, the papers' and the ledger's figures are those of the weights.
    told = next(filter(has_weights, infos), infos[0])
    names = {info.name for info in infos}
    own = figures.dataset.partition("_")[2] or figures.dataset
    rows = tuple(row for row in ledger.of_trick(told.name) if row.tricks and set(row.tricks) <= names)
    return AdvisedTrick(
        trick=trick,
        classes=ordered[0].classes,
        reasons=tuple(ordered),
        papers=tuple(
            f"{measured.dataset}: Dice {measured.delta:+.2f} points ({measured.row}, {measured.source})"
            for measured in told.measured
        ),
        rows=tuple(
            sorted(
                rows,
                key=lambda row: (row.dataset != own, row.word not in DECIDED, row.dimension != figures.dimension),
            )
        ),
        cost=cost_of(infos, rows),
        after_training=bool(told.command),
        strength=min(1.0, ordered[0].strength + 0.05 * (len(ordered) - 1)),
    )


def infos_of(trick: str) -> tuple[TrickInfo, ...]:
    """What the catalogue says of a trick, or of each of several in one name.

    Examples:
        >>> [info.name for info in infos_of("EfficientNetLite0UNet_PretrainedImageNet1k")]
        ['EfficientNetLite0UNet', 'PretrainedImageNet1k']
        >>> [info.name for info in infos_of("KeepLargest")]
        ['KeepLargest']
    """
    info = after_training.info_of(trick)
    return (info,) if info else tuple(token.info for token in parse(f"{PREFIX}{trick}").tricks)
