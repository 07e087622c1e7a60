"""What a metric is: its name, its definition, and what it does where a mask is empty."""

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
        name: As it stands in tables.
        group: The family that it can be asked for with.
        definition: In words and symbols; P is the prediction, G the truth, TP, FP, FN and TN count voxels.
        unit: Of the value; mm and mL become px where image files hold no spacing, mL in images mm^2.
        better: Which values are better; ``zero`` where both signs occur.
        function: Computes it where both masks have voxels.
        both_empty: The value where neither has.
        missed: The value where only the truth has voxels.
        invented: The value where only the prediction has.
        tolerance: Distance that counts as none, for those metrics that have one.
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

    def __call__(self, pair: MaskPair) -> float:
        """Compute it.

        Returns:
            NaN where it is not defined, which is never the same as a bad value.
        """
        if pair.predicted and pair.there:
            return float(self.function(pair))
        value = self.missed if pair.there else self.invented if pair.predicted else self.both_empty
        if value == "formula":
            return float(self.function(pair))
        if isinstance(value, str):
            return pair.diagonal(pair.ones if value == "diagonal in pixels" else pair.spacing)
        return value

    def unit_for(self, pair: MaskPair) -> str:
        """The unit of its values for this pair, which may have no spacing or no depth."""
        return {"mm": pair.unit, "mL": pair.size_unit}.get(self.unit, self.unit)

    @property
    def when_empty(self) -> str:
        """What it does for empty masks, in words.

        Examples:
            >>> Metric(name="x", group="g", definition="", unit="1", better="higher", function=float).when_empty
            'both empty: undefined; only the truth has voxels: 0; only the prediction has: 0'
        """
        cases = {
            "both empty": self.both_empty,
            "only the truth has voxels": self.missed,
            "only the prediction has": self.invented,
        }
        return "; ".join(f"{what}: {_in_words(value)}" for what, value in cases.items())


def _in_words(value: Empty) -> str:
    if value == "formula":
        return "as the formula says"
    if isinstance(value, str):
        return f"the image's {value}"
    return "undefined" if math.isnan(value) else f"{value:g}"
