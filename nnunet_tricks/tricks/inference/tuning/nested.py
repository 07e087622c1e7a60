"""What a setting is worth, measured on folds that did not choose it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nnunet_tricks.comparison.statistics.multiple import holm

Floats = npt.NDArray[np.float64]

LEVEL = 0.05
"""Largest probability with which a setting without effect is called a gain."""

DRAWS = 9_999


@dataclass(frozen=True)
class Choice:
    """A setting that was chosen, and what that is worth.

    Attributes:
        chosen: Position of the candidate that all cases together choose.
        by_fold: That of each fold, chosen by the others.
        naive: Mean gain of ``chosen``, measured on the cases that chose it.
        gain: Mean gain on folds that did not choose.
        p: Probability that any candidate gains as clearly on the cases that chose it, if none had an effect.
        gains: The honest gain of each case, in the order of the cases.
    """

    chosen: int
    by_fold: Mapping[str, int]
    naive: float
    gain: float
    p: float
    gains: Floats

    @property
    def optimism(self) -> float:
        """By how much the naive estimate exceeds the honest one."""
        return self.naive - self.gain


def nested_choice(values: Floats, usual: int, folds: Sequence[str], *, seed: int = 0) -> Choice:
    """Choose a candidate on all folds but one, and measure it on that one, for each fold.

    Args:
        values: (cases, candidates), such as Dice; larger is better.
        usual: Position of what is done without a choice. It is chosen unless another one is better on average.
        folds: The fold of each case; at least two.
        seed: Seed of the permutations.

    Raises:
        ValueError: If there is only one fold: then nothing can be measured on cases that did not choose.

    Examples:
        >>> values = np.tile([0.5, 0.6], (20, 1))
        >>> choice = nested_choice(values, 0, ["0", "1"] * 10)
        >>> choice.chosen, round(choice.gain, 3), choice.p < 0.05
        (1, 0.1, True)
    """
    names = check_folds(folds)
    of = np.array(folds)
    chosen = _best(values, usual)
    by_fold = {name: _best(values[of != name], usual) for name in names}
    positions = np.array([by_fold[name] for name in folds])
    rows = np.arange(len(values))
    gains = values[rows, positions] - values[rows, usual]
    naive = float((values[:, chosen] - values[:, usual]).mean())
    p = chance(values - values[:, [usual]], chosen, seed=seed)
    return Choice(chosen, by_fold, naive, float(gains.mean()), p, gains)


def check_folds(folds: Sequence[str]) -> list[str]:
    """The folds that there are.

    Args:
        folds: The fold of each case.

    Raises:
        ValueError: If there is only one.
    """
    names = sorted(set(folds))
    if len(names) < 2:
        raise ValueError(f"all cases are of fold {names[0] if names else '-'}: tuning needs at least two folds")
    return names


def surviving(choices: Sequence[Choice]) -> list[bool]:
    """Which choices gain on folds that did not choose, and more than chance would among all of them (Holm).

    Without any effect, at least one survives with a probability of at most ``LEVEL``.

    Examples:
        >>> gain, chance_only = np.tile([0.5, 0.6], (20, 1)), np.tile([[0.5, 0.6], [0.5, 0.4]], (10, 1))
        >>> surviving([nested_choice(values, 0, ["0", "1"] * 10) for values in (gain, chance_only)])
        [True, False]
    """
    adjusted = holm([choice.p for choice in choices])
    return [bool(choice.gain > 0 and p < LEVEL) for choice, p in zip(choices, adjusted, strict=True)]


def _best(values: Floats, usual: int) -> int:
    means = values.mean(0)
    best = int(means.argmax())
    return best if means[best] > means[usual] + 1e-12 else usual


def chance(gains: Floats, chosen: int, *, seed: int = 0) -> float:
    """Probability that any of several candidates gains as clearly as the chosen one, if none has an effect.

    A candidate is as clear as its mean gain is large against the root mean square of its gains. Without an effect each
    case's gains could as well have the other sign, those of all candidates together. The clearest candidate of such
    draws is compared with the chosen one, so that trying many candidates is paid for. The gains on folds that did not
    choose cannot be tested by themselves: folds mostly choose alike, so a lucky candidate is lucky in all of them.

    Westfall and Young, "Resampling-based multiple testing", Wiley 1993.

    Args:
        gains: (cases, candidates), against what is done without a choice.
        chosen: Position of the chosen candidate.
        seed: Seed of the draws.

    Examples:
        >>> chance(np.zeros((10, 2)), 0)
        1.0
        >>> chance(np.full((6, 1), 0.1), 0) < 0.05 < chance(np.full((4, 1), 0.1), 0)
        True
    """
    if gains[:, chosen].mean() <= 0:
        return 1.0
    changed = gains[np.any(gains != 0, 1)]
    clear = changed / np.maximum(np.sqrt((changed**2).sum(0)), 1e-12)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (DRAWS, len(changed)))
    as_clear = np.count_nonzero((signs @ clear).max(1) >= clear[:, chosen].sum() - 1e-9)
    return (int(as_clear) + 1) / (DRAWS + 1)
