"""nnU-Net on those training cases that are annotated for all classes: the control of ``PartialLabels``.

Cases that lack a class are left out of the training. So a comparison with ``PartialLabels`` says what they are worth,
and a comparison with plain nnU-Net what it costs to take their missing class for background. Validation cases stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nnunetv2.paths

from nnunet_tricks.nnunet.annotated_classes import FILE
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.preconditions import training_cases
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.partial.table import table_of


class nnUNetTrainerCompleteCases(TrickTrainer):
    """nnU-Net that leaves out training cases which lack a class."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse a table that is wrong, and folds of which each training case lacks a class."""
        super().check_planned(planned)
        table = table_of(planned.plans.dataset_name, planned.dataset_json)
        split = Path(nnunetv2.paths.nnUNet_preprocessed) / planned.plans.dataset_name / "splits_final.json"
        cases = training_cases(split, planned.fold)
        if table and cases and all(table.lacking(case) for case in cases):
            raise ValueError(_no_case(planned.fold))

    def do_split(self) -> tuple[list[str], list[str]]:
        """nnU-Net's split, without training cases that lack a class.

        Returns:
            Names of the training and of the validation cases.

        Raises:
            ValueError: If each training case lacks a class.
        """
        training, validation = super().do_split()
        table = table_of(self.plans_manager.dataset_name, self.dataset_json)
        complete = [case for case in training if table is None or not table.lacking(case)]
        if not complete:
            raise ValueError(_no_case(self.fold))
        return complete, validation

    def _notes(self) -> Iterator[str]:
        yield from super()._notes()
        cases = len(super().do_split()[0])
        left_out = cases - len(self.do_split()[0])
        if left_out:
            self._log_plainly(f"CompleteCases: {left_out} of {cases} training cases lack a class and are left out")
        else:
            yield f"CompleteCases changes nothing: no training case lacks a class in {FILE}"


def _no_case(fold: int | str | None) -> str:
    return (
        f"CompleteCases leaves no training case in fold {fold}: in {FILE} each lacks a class. PartialLabels can train "
        "on such cases"
    )
