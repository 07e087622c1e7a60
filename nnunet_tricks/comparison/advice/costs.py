"""What a trick costs: by what it changes, by what benchmarks measured, and by what rows of the ledger took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.comparison.ledger.rows import LedgerRow

Value = TypeVar("Value", str, float)

COSTS = {
    "postprocessing": "no training: it is done with finished predictions",
    "inference": "no training: it is done with trained models",
    "network.backbone": "another network",
    "network": "another network: see its page for time and memory",
    "loss": "the time of the loss, a small part of a step in most networks",
    "sampling.size": "less time: the first patches are small",
    "sampling": "nothing: only the choice of patches differs",
    "supervision": "little time, and memory where outputs are enlarged",
    "augmentation": "the time of its transforms in the loading processes",
    "mirroring": "less time: prediction has one view instead of four in 2D or eight in 3D",
}
"""What a trick costs by what it changes, the heaviest first."""

OWN = {
    "NoDeepSupervision": "slightly less time and memory: only the full output has a loss",
    "SizeBalancedSampling": "nothing, once the objects of all cases have been found and stored",
    "SparseSlices": "nothing: only the choice of patches and what counts in them differ",
    "MeanTeacher": "a training step takes 1.3 times as long, and checkpoints have 1.5 times the size",
    "DA5": "its transforms take longer than the usual ones, in the loading processes: look whether the GPU waits",
}
"""Costs that differ from those of other tricks that change the same."""

LOSS_TIMES = {
    "CCDice": 1.3,
    "Blob": 2.6,
    "ClDiceCE": 19.0,
    "DiceFocal": 1.3,
    "DiceOHEM": 1.6,
    "DiceWCE": 1.1,
    "DistanceCE": 0.6,
    "SkeletonRecall": 1.1,
    "TverskyCE": 1.0,
}
"""Time of a loss and its gradient, as multiples of nnU-Net's own, on a CPU with 3D logits (``benchmarks/``)."""

MAP_TIMES = {"Blob": 0.03, "CCDice": 1.7, "DistanceCE": 0.7, "SkeletonRecall": 1.8}
"""Time of the maps that a loss needs, as multiples of nnU-Net's augmentation of the same patch."""

STEP_TIMES = {"EfficientNetLite0UNet": 0.4, "IFEEntropy": 1.1}
"""Time of a training step, as multiples of one with the planned network, on a CPU."""

HEAVY = 5.0
"""Multiple of the time of nnU-Net's loss from which on a loss is no small part of a step."""


def cost_of(infos: Sequence[TrickInfo], rows: Sequence[LedgerRow]) -> str:
    """What a trick costs, in words.

    Args:
        infos: What the catalogue says of each trick in the name.
        rows: Rows of the ledger. Those with a base of their own do not count: their time is relative to that base.

    Examples:
        >>> from nnunet_tricks.catalogue import CATALOGUE
        >>> cost_of([info for info in CATALOGUE if info.name == "ClDiceCE"], ())
        "a loss that takes 19 times as long as nnU-Net's own (on a CPU), and slows the training"
    """
    hooks = {hook for info in infos for hook in info.hooks} | {
        hook.partition(".")[0] for info in infos for hook in info.hooks
    }
    names = [info.name for info in infos]
    words = [_listed(OWN, names) or next((text for hook, text in COSTS.items() if hook in hooks), "unknown")]
    loss, maps, step = (_listed(times, names) for times in (LOSS_TIMES, MAP_TIMES, STEP_TIMES))
    if loss:
        part = "and slows the training" if loss >= HEAVY else "a small part of a step in most networks"
        times = "as long" if loss == 1 else f"{loss:.2g} times as long"
        words = [f"a loss that takes {times} as nnU-Net's own (on a CPU), {part}"]
    if step:
        other = words if "network.backbone" in hooks else []
        words = [*other, f"a training step takes {step:.2g} times as long (on a CPU)"]
    if maps:
        words.append(f"its maps take {maps:.2g} times as long as nnU-Net's augmentation, in the loading processes")
    if any(map(has_weights, infos)):
        words.append("weights are downloaded once")
    known = sorted(row.cost for row in rows if row.cost is not None and not row.base)
    if known and not infos[0].command:
        between = f"{known[0]:.2g}" if len(known) == 1 else f"{known[0]:.2g} to {known[-1]:.2g}"
        words.append(f"{between} times the baseline's time in the ledger")
    return "; ".join(words)


def has_weights(info: TrickInfo) -> bool:
    """Whether a trick begins with weights of others."""
    return "weights.start" in info.hooks


def _listed(table: Mapping[str, Value], names: Sequence[str]) -> Value | None:
    return next((table[name] for name in names if name in table), None)
