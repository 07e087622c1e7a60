"""What an experiment does with trained models: views at prediction, ensembles of runs, post-processing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nnunet_tricks.catalogue import after_training
from nnunet_tricks.experiment.arm import Arm

JOIN = " + "
"""Between the parts of a setting, as in ``TTA + EnsembleAverage``."""

AVERAGE, VOTE = "EnsembleAverage", "EnsembleVote"
USUAL = "TTA_mirror"
"""What nnU-Net's own prediction does. An average needs its probabilities, which nnU-Net does not keep."""


@dataclass(frozen=True, kw_only=True)
class InferenceSetting:
    """What is done with the trained models of one arm.

    Attributes:
        label: Name in the file.
        arm: Arm whose models it is done with.
        views: Trick ``TTA`` with its parameters; empty for nnU-Net's own prediction.
        ensemble: ``EnsembleAverage`` or ``EnsembleVote``; empty if each run stands for itself.
        steps: Steps of post-processing, as ``postprocess --steps`` takes them.

    Examples:
        >>> baseline = Arm(label="baseline", name="Mine")
        >>> setting = read_setting("TTA + EnsembleVote + kidney:KeepLargest_count2", [baseline])
        >>> setting.trainer((1, 2, 3))
        'Mine+TTA+EnsembleVote_of3+kidney-KeepLargest_count2'
    """

    label: str
    arm: Arm
    views: str = ""
    ensemble: str = ""
    steps: tuple[str, ...] = ()

    @property
    def member_views(self) -> str:
        """Trick ``TTA`` of each model's prediction; empty where nnU-Net's own files will do."""
        return self.views or (USUAL if self.ensemble == AVERAGE else "")

    def trainer(self, runs: Sequence[int]) -> str:
        """Name in place of a trainer's, for the folder of the results.

        Args:
            runs: Run, or runs of an ensemble, whose models it is done with.
        """
        return after_training.named(self.arm.trainer(runs[0]), *self._parts(runs), *self.steps)

    def before_steps(self, runs: Sequence[int]) -> str:
        """The same, for the results before post-processing."""
        return after_training.named(self.arm.trainer(runs[0]), *self._parts(runs))

    def member(self, run: int) -> str:
        """The same, for the prediction of one model."""
        return after_training.named(self.arm.trainer(run), *filter(None, [self.member_views]))

    def _parts(self, runs: Sequence[int]) -> list[str]:
        parts = [self.views] if self.views else []
        if self.ensemble:
            counted = list(runs) == list(range(1, len(runs) + 1))
            number = f"of{len(runs)}" if counted else f"runs{'x'.join(map(str, runs))}"
            parts.append(f"{self.ensemble}_{number}")
        return parts


def read_setting(text: str, arms: Sequence[Arm]) -> InferenceSetting:
    """Read a setting.

    Args:
        text: Tricks for trained models, joined by ``+``, after the label of the arm whose models they are done with;
            without a label it is the baseline.
        arms: Arms of the comparison, the baseline first.

    Raises:
        ValueError: If it names something else, or names it in an order in which it cannot be done.
    """
    words = re.split(r"\s+\+\s+", text.strip())
    count = next((place for place, word in enumerate(words) if _info_name(word)), len(words))
    label = JOIN.join(words[:count])
    arm = next((arm for arm in arms if arm.label == label), None) if label else arms[0]
    if count == len(words):
        after_training.read(words[-1].rpartition(":")[2])
    if arm is None:
        labels = ", ".join(arm.label for arm in arms)
        raise ValueError(f"'{label}' in '{text}' is neither a trick for trained models nor a way to train: {labels}")
    order = ("TTA", "Ensemble", "")
    places = []
    parts: dict[str, list[str]] = {kind: [] for kind in order}
    for word in words[count:]:
        place, _, token = word.rpartition(":")
        trick = after_training.read(token)
        if trick.info.name in after_training.LEARNED:
            raise ValueError(
                f"'{word}' needs weights that 'ensemble --learn' finds: an experiment takes {AVERAGE}, {VOTE}"
            )
        kind = next(kind for kind in order if trick.info.name.startswith(kind))
        if place and kind:
            raise ValueError(f"'{word}' names classes, and only post-processing is done to some classes")
        parts[kind].append(f"{place}:{trick}" if place else str(trick))
        places.append(order.index(kind))
    if places != sorted(places) or any(len(parts[kind]) > 1 for kind in order[:2]):
        raise ValueError(f"'{text}' must name at most one TTA, then at most one ensemble, then post-processing")
    return InferenceSetting(
        label=text,
        arm=arm,
        views="".join(parts["TTA"]),
        ensemble="".join(parts["Ensemble"]),
        steps=tuple(parts[""]),
    )


def _info_name(word: str) -> str:
    info = after_training.info_of(word.rpartition(":")[2])
    return info.name if info else ""
