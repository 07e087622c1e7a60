"""From figures to advice: tricks in order, each with reasons, papers, the ledger and the cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from nnunet_tricks import __version__
from nnunet_tricks.catalogue import after_training
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.catalogue.naming import PREFIX, parse
from nnunet_tricks.comparison.advice.figures import DataFigures
from nnunet_tricks.comparison.advice.rules import ONLY_2D, RULES, AdviceRule, AdvisedReason, spoken_for
from nnunet_tricks.comparison.ledger.rows import Ledger, LedgerRow

FORMAT = 1

COSTS = {
    "postprocessing": "no training: it is done with finished predictions",
    "inference": "no training: it is done with trained models",
    "network": "another network: see its page for time and memory",
    "loss": "the time of the loss, which is a small part of a step in most networks",
    "sampling.size": "less time: the first patches are small",
    "sampling": "nothing: only the choice of patches differs",
    "supervision": "little time, and memory where outputs are enlarged",
    "augmentation": "the time of its transforms in the loading processes",
    "mirroring": "less time: prediction has a single view instead of four or eight",
}
"""What a trick costs by what it changes, the heaviest first."""

TARGETS = "maps are computed in the loading processes"
WEIGHTS = "weights are downloaded once"

LISTED = 3
"""Rows of the ledger that are listed for a trick; of more, it is said how many there are."""


@dataclass(frozen=True, kw_only=True)
class AdvisedTrick:
    """A trick that is worth trying.

    Attributes:
        trick: Trick as it stands in trainers' names, or of trained models.
        reasons: Reasons, the strongest first.
        papers: What papers printed for it.
        rows: Rows of the ledger.
        cost: Words on what it costs.
        after_training: Whether it is done with trained models.
        strength: Strength of all reasons, for the order.
        others: Further tricks that the strongest rule speaks for.
    """

    trick: str
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
            return after_training.example(after_training.read(self.trick))
        return f"-tr {PREFIX}{self.trick}"

    @property
    def ledger_words(self) -> tuple[str, ...]:
        """What the ledger says, a few words for each row."""
        words = [
            f"{row.data}: {row.word}, {row.interval} (runs: {row.runs[1]}, epochs: {row.epochs})"
            for row in self.rows[:LISTED]
        ]
        more = len(self.rows) - LISTED
        return (*words, *([f"{more} more rows: nnunet-tricks show {self.rows[0].tricks[-1]}"] if more > 0 else []))


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
        for place, trick in enumerate(rule.tricks):
            if figures.dimension == 2 or trick not in ONLY_2D:
                weaker = AdvisedReason(reason.text, reason.strength * 0.9**place)
                reasons.setdefault(trick, []).append(weaker)
    tricks = [_advised(trick, found, figures, ledger) for trick, found in reasons.items()]
    tricks.sort(key=lambda advised: -advised.strength)
    moment = made or datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Advice(figures=figures, tricks=tuple(tricks), silent=tuple(silent), made=moment)


def _advised(trick: str, reasons: Sequence[AdvisedReason], figures: DataFigures, ledger: Ledger) -> AdvisedTrick:
    ordered = sorted(reasons, key=lambda reason: -reason.strength)
    infos = infos_of(trick)
    # Of a network with weights, the papers' and the ledger's figures are those of the weights.
    told = infos[-1]
    names = {info.name for info in infos}
    rows = tuple(row for row in ledger.of_trick(told.name) if row.tricks and set(row.tricks) <= names)
    return AdvisedTrick(
        trick=trick,
        reasons=tuple(ordered),
        papers=tuple(
            f"{measured.dataset}: Dice {measured.delta:+.2f} points ({measured.row}, {measured.source})"
            for measured in told.measured
        ),
        rows=tuple(sorted(rows, key=lambda row: row.dimension != figures.dimension)),
        cost=_cost(infos, rows),
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


def _cost(infos: Sequence[TrickInfo], rows: Sequence[LedgerRow]) -> str:
    known = sorted(row.cost for row in rows if row.cost is not None)
    hooks = {hook for info in infos for hook in info.hooks} | {
        hook.partition(".")[0] for info in infos for hook in info.hooks
    }
    words = next((text for hook, text in COSTS.items() if hook in hooks), "unknown")
    for hook, text in (("targets", TARGETS), ("weights", WEIGHTS)):
        words += f"; {text}" if hook in hooks else ""
    if not known or infos[0].command:
        return words
    between = f"{known[0]:.2g}" if len(known) == 1 else f"{known[0]:.2g} to {known[-1]:.2g}"
    return f"{words}; {between} times the baseline's in the ledger"
