"""Training on label maps as they were annotated, in a data set of ``annotate grow``: the control of its added labels.

``annotate grow`` puts label maps with added labels beside the old ones, and its folds train on the former. This trainer
takes the old ones, and leaves out images that had no label. So it trains as on the old data set, on the same cases and
the same plans, and both ways can be compared within one data set. Validation cases have no added labels anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nnunetv2.paths

from nnunet_tricks.annotation.raw_data import MANIFEST, read_manifest
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import TrickTrainer


def before_growing(cases: Sequence[str], entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Cases whose label maps with added labels are replaced by the old ones.

    Args:
        cases: Names of cases.
        entries: What the manifest of the data set says about each case.

    Examples:
        >>> entries = {"a_grown0": {"grown_from": "a"}, "a": {}, "b": {}, "new_grown0": {"grown_from": "new"}}
        >>> before_growing(["a_grown0", "b", "new_grown0"], entries)
        ['a', 'b']
    """
    olds = [str(entries.get(case, {}).get("grown_from", case)) for case in cases]
    return [old for case, old in zip(cases, olds, strict=True) if old == case or old in entries]


class nnUNetTrainerAsAnnotated(TrickTrainer):
    """nnU-Net without the labels that ``annotate grow`` has added."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse data sets in which no old label map is left."""
        super().check_planned(planned)
        _entries(planned.plans.dataset_name)

    def do_split(self) -> tuple[list[str], list[str]]:
        """nnU-Net's split, with the old label maps of its training cases.

        Returns:
            Names of the training and of the validation cases.
        """
        training, validation = super().do_split()
        return before_growing(training, _entries(self.plans_manager.dataset_name)), validation

    def _notes(self) -> Iterator[str]:
        yield from super()._notes()
        grown, old = super().do_split()[0], self.do_split()[0]
        if grown == old:
            yield f"AsAnnotated changes nothing: 'annotate grow' has added no labels for fold {self.fold}"
            return
        left_out = len(grown) - len(old)
        images = f", and {left_out} images without one are left out" if left_out else ""
        self._log_plainly(
            f"AsAnnotated: {len(set(grown) - set(old))} of {len(grown)} training cases have added labels. "
            f"Their old label maps are used{images}"
        )


def _entries(dataset: str) -> Mapping[str, Mapping[str, Any]]:
    """What the manifest of a data set says about its cases; nothing where it has none, so that nothing was grown.

    Raises:
        ValueError: If the data set is one for a last training, which has no old label maps.
    """
    raw = nnunetv2.paths.nnUNet_raw
    if not raw or not (Path(raw) / dataset / MANIFEST).is_file():
        return {}
    entries: dict[str, dict[str, Any]] = read_manifest(Folders.of_environment(), dataset)["cases"]
    if any(entry.get("grown_from") == case for case, entry in entries.items()):
        raise ValueError(
            f"{dataset} was made by 'annotate grow --final' and has no old label maps, which AsAnnotated trains on: "
            "train on the data set that it was made from"
        )
    return entries
