"""A fault that was found, in the words of those who meet it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Certainty = Literal["certain", "likely", "possible"]


@dataclass(frozen=True)
class Finding:
    """A fault of a training.

    Attributes:
        cause: Short name of what is wrong.
        symptom: What users say when they meet it; empty where nothing is to be seen in the log yet.
        certainty: ``certain`` where it was read or counted, ``likely`` where it was measured and fits, ``possible``
            where nothing better is known.
        seen: Sentences on what was seen.
        advice: Sentences on what to try.
        tricks: Names of tricks to try, without ``nnUNetTrainer``.
        classes: Classes that it is about; empty for all.
        epoch: Epoch in which it began, if it began in one.
    """

    cause: str
    symptom: str
    certainty: Certainty
    seen: tuple[str, ...]
    advice: tuple[str, ...]
    tricks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    epoch: int | None = None

    def explaining(self, symptom: str, seen: Sequence[str], epoch: int | None = None) -> Finding:
        """The same, as the cause of what else was seen.

        Args:
            symptom: What users say.
            seen: Sentences on it.
            epoch: Epoch in which it began.
        """
        new = tuple(sentence for sentence in seen if sentence not in self.seen)
        began = self.epoch if self.epoch is not None else epoch
        return replace(self, symptom=self.symptom or symptom, seen=self.seen + new, epoch=began)

    @property
    def data(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)


WORST_FIRST: tuple[Certainty, ...] = ("certain", "likely", "possible")
