"""Does a trick gain as much in 3D as in 2D? The interaction of trick and dimension, over the same cases.

A trick that gains on one data set in 2D and loses on another in 3D may do so because of the data. Where ``2d`` and
``3d_fullres`` are trained on the same folds, the cases are the same, and each case has a difference of differences:
(trick - baseline in 3D) - (trick - baseline in 2D). Its errors from cases and trainings are those of any other contrast
of four methods, see ``components``. It is 0 if the trick gains the same in both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_tricks.comparison.statistics.bootstrap import DRAWS, signs, weights
from nnunet_tricks.comparison.statistics.components import LEAST_FREEDOM, contrast
from nnunet_tricks.comparison.statistics.effects import MEAN, Resampling, effects_of
from nnunet_tricks.comparison.statistics.model import ALPHA, UNDECIDED, WITHIN_NOISE, Effect
from nnunet_tricks.comparison.statistics.noise import noise_floor
from nnunet_tricks.comparison.statistics.values import MethodKey, Values, values_of
from nnunet_tricks.comparison.table import MetricRow
from nnunet_tricks.comparison.undefined import better_of

MORE_IN_3D, LESS_IN_3D = "more in 3D", "less in 3D"
DIMENSION_WORDS = (MORE_IN_3D, LESS_IN_3D, WITHIN_NOISE, UNDECIDED)

FLAT, VOLUME = "2d", "3d"
"""How nnU-Net's configurations of each dimension begin, and ours that are derived from them."""


@dataclass(frozen=True)
class DimensionPair:
    """The same question in both dimensions.

    Attributes:
        flat: Methods of the 2D configuration, the baseline first.
        volume: Methods of the 3D configuration, the baseline first.
    """

    flat: tuple[MethodKey, ...]
    volume: tuple[MethodKey, ...]

    @property
    def common(self) -> tuple[tuple[MethodKey, MethodKey], ...]:
        """Methods that were trained in both dimensions, in 2D and 3D, without the baselines."""
        volumes = {trainer: (trainer, plans, configuration) for trainer, plans, configuration in self.volume[1:]}
        return tuple((method, volumes[method[0]]) for method in self.flat[1:] if method[0] in volumes)


@dataclass(frozen=True, kw_only=True)
class DimensionEffect:
    """Interaction of one trick, or of the mean of several, with the dimension.

    Attributes:
        trick: Trainer of the trick; empty for the mean of all tricks.
        flat: Difference to the baseline in 2D.
        volume: Difference to the baseline in 3D.
        effect: Difference in 3D minus difference in 2D, with its interval.
        word: One of ``DIMENSION_WORDS``.
        why: Sentence that gives the reason.
    """

    trick: str
    flat: float
    volume: float
    effect: Effect
    word: str
    why: str


def dimension_of(configuration: str) -> int:
    """Number of axes of a configuration's patches by its name; 0 where the name does not tell.

    Examples:
        >>> dimension_of("2d"), dimension_of("3d_fullres_tiny"), dimension_of("mine")
        (2, 3, 0)
    """
    name = configuration.lower()
    return 2 if name.startswith(FLAT) else 3 if name.startswith(VOLUME) else 0


def by_dimension(
    rows: Sequence[MetricRow],
    pair: DimensionPair,
    *,
    groups: Mapping[str, str] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[DimensionEffect, ...]:
    """Interaction of each trick with the dimension; the mean of all tricks comes last where there are several.

    Holm's correction is over the tricks. The mean is one question of its own: do tricks gain less in 3D?

    Args:
        rows: Rows of one metric, data set and part, with the methods of both dimensions.
        pair: Methods of both dimensions.
        groups: Group of each case, such as its patient; None if each case stands for itself.
        seed: Seed of all random draws.
        draws: Number of draws of the bootstrap.

    Raises:
        ValueError: If the rows do not fit together, or a method has none.
    """
    if not pair.common:
        return ()
    (values,) = values_of(rows, groups).values()
    places = {method: place for place, method in enumerate(values.methods)}
    absent = [method[0] for method in (*pair.flat, *pair.volume) if method not in places]
    if absent:
        raise ValueError(f"there are no rows of {', '.join(absent)}")
    flat, volume = places[pair.flat[0]], places[pair.volume[0]]
    contrasts = [
        {places[in_volume]: 1.0, volume: -1.0, places[in_flat]: -1.0, flat: 1.0} for in_flat, in_volume in pair.common
    ]
    generator = np.random.default_rng(seed)
    drawn, exact = signs(len(values.cases.group_names), draws, generator)
    resampling = Resampling(weights(values.cases, draws, generator), drawn, exact)
    label = MEAN if len(values.labels) > 1 else values.labels[0]
    of_tricks = [effects[label] for effects in effects_of(values, contrasts, resampling, better_of(values.metric))]
    judge = _Judge(values, flat, volume, label)
    effects = [
        judge.judged(in_flat[0], single, effect)
        for (in_flat, _), single, effect in zip(pair.common, contrasts, of_tricks, strict=True)
    ]
    if len(contrasts) > 1:
        mean = {
            place: sum(single.get(place, 0.0) for single in contrasts) / len(contrasts)
            for place in dict.fromkeys(place for single in contrasts for place in single)
        }
        (overall,) = effects_of(values, [mean], resampling, better_of(values.metric))
        effects.append(judge.judged("", mean, overall[label]))
    return tuple(effects)


@dataclass(frozen=True)
class _Judge:
    """What all verdicts of a pair share."""

    values: Values
    flat: int
    volume: int
    label: str

    @property
    def noise(self) -> float:
        """Limit within which the differences of two pairs of trainings agree, one pair in each dimension."""
        floors = [noise_floor(self.values, place)[self.label] for place in (self.flat, self.volume)]
        return math.hypot(*(floor.repeatability for floor in floors))

    def judged(self, trick: str, weights_of: Mapping[int, float], effect: Effect) -> DimensionEffect:
        """The effect with its word."""
        volume = {place: weight for place, weight in weights_of.items() if self._is_in_volume(place)}
        flat = {place: -weight for place, weight in weights_of.items() if not self._is_in_volume(place)}
        at = -1 if len(self.values.labels) > 1 else 0
        in_flat, in_volume = (float(contrast(self.values, half).value[at]) for half in (flat, volume))
        word, why = self._word(weights_of, effect, at)
        return DimensionEffect(trick=trick, flat=in_flat, volume=in_volume, effect=effect, word=word, why=why)

    def _is_in_volume(self, place: int) -> bool:
        return self.values.methods[place][2] == self.values.methods[self.volume][2]

    def _word(self, weights_of: Mapping[int, float], effect: Effect, at: int) -> tuple[str, str]:
        sign = {"higher": 1.0, "lower": -1.0}.get(effect.better, 0.0)
        if not sign or not math.isfinite(effect.difference) or effect.infinite or effect.unexplained:
            return UNDECIDED, f"{effect.metric} allows no verdict here: it has no mean, or no side that is better."
        if not effect.has_runs or min(len(self.values.runs[place]) for place in (self.flat, self.volume)) < 2:
            return UNDECIDED, "A baseline was trained once, so it is unknown how much repeated trainings differ."
        if float(contrast(self.values, weights_of).freedom_runs[at]) < LEAST_FREEDOM:
            return UNDECIDED, "One rerun on one fold says too little about how trainings differ."
        amount = f"{effect.difference:+.3f} [{effect.interval.low:+.3f}, {effect.interval.high:+.3f}]"
        over = f"over {effect.cases} cases in both dimensions"
        if 0.0 not in effect.interval and effect.p.holm < ALPHA:
            more = sign * effect.difference > 0
            return (
                MORE_IN_3D if more else LESS_IN_3D,
                f"Gain in 3D less gain in 2D: {amount} {over}, p = {effect.p.holm:.2g} over all tricks.",
            )
        limit = self.noise
        if -limit <= effect.interval.low and effect.interval.high <= limit:
            return (
                WITHIN_NOISE,
                f"Gain in 3D less gain in 2D: {amount} {over} lies within the noise of both baselines ({limit:.3f}).",
            )
        return (
            UNDECIDED,
            f"Gain in 3D less gain in 2D: {amount} {over} leaves open whether the trick gains more in 2D or in 3D.",
        )
