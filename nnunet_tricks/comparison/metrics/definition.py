"""A metric: its name, its definition, and its values where a mask is empty."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nnunet_tricks.comparison.metrics.pair import MaskPair

Better = Literal["higher", "lower", "zero"]
Empty = float | Literal["formula", "diagonal", "diagonal in pixels"]
UNDEFINED = math.nan


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number for one class of one case.

    Attributes:
        name: Name in tables.
        group: Family that selects the metric, such as ``overlap``.
        definition: Definition in words and symbols. P is the prediction, G the truth; TP, FP, FN and TN count voxels.
        unit: Unit of the value. mm and mL become px where image files hold no spacing; mL becomes mm^2 in 2D images.
        better: Direction: which values are better; ``zero`` where both signs occur.
        function: Function that computes the value where both masks have voxels.
        both_empty: Value where both masks are empty.
        missed: Value where only the truth has voxels.
        invented: Value where only the prediction has voxels.
        tolerance: Distance that counts as none, for metrics that have one.
        share: Whether every value lies between 0 and 1.
    """

    name: str
    group: str
    definition: str
    unit: str
    better: Better
    function: Callable[[MaskPair], float]
    both_empty: Empty = UNDEFINED
    missed: Empty = 0.0
    invented: Empty = 0.0
    tolerance: float | None = None
    share: bool = False

    def __call__(self, pair: MaskPair) -> float:
        """Compute the metric for two masks.

        Returns:
            The value. NaN where the metric is undefined, which is never the same as a bad value.
        """
        if pair.predicted and pair.true:
            return float(self.function(pair))
        value = self.missed if pair.true else self.invented if pair.predicted else self.both_empty
        if value == "formula":
            return float(self.function(pair))
        if isinstance(value, str):
            return pair.diagonal(pair.ones if value == "diagonal in pixels" else pair.spacing)
        return value

    def unit_for(self, pair: MaskPair) -> str:
        """Unit of the values for these masks, which may have no spacing or only two dimensions."""
        return {"mm": pair.unit, "mL": pair.size_unit}.get(self.unit, self.unit)

    @property
    def when_empty(self) -> str:
        """Values for empty masks, in words.

        Examples:
            >>> Metric(name="x", group="g", definition="", unit="1", better="higher", function=float).when_empty
            'both empty: undefined; only the truth has voxels: 0; only the prediction has: 0'
        """
        return "; ".join(f"{masks}: {value}" for masks, value in self.empty_values.items())

    @property
    def empty_values(self) -> dict[str, str]:
        """Values in words, for both masks empty, for an empty prediction and for an empty truth."""
        values = {
            "both empty": self.both_empty,
            "only the truth has voxels": self.missed,
            "only the prediction has": self.invented,
        }
        return {masks: _in_words(value) for masks, value in values.items()}


def _in_words(value: Empty) -> str:
    if value == "formula":
        return "as the formula says"
    if isinstance(value, str):
        return f"the image's {value}"
    return "undefined" if math.isnan(value) else f"{value:g}"
