"""nnU-Net on those training cases that are annotated for all classes: the control of ``PartialLabels``.

Cases that lack a class are left out of the training. So a comparison with ``PartialLabels`` says what they are worth,
and a comparison with plain nnU-Net what it costs to take their missing class for background. Validation cases stay.
"""

from __future__ import annotations

from collections.abc import Iterator

from nnunet_tricks.nnunet.annotated_classes import FILE
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.partial.table import table_of


class nnUNetTrainerCompleteCases(TrickTrainer):
    """nnU-Net that leaves out training cases which lack a class."""

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
            raise ValueError(
                f"CompleteCases leaves no training case in fold {self.fold}: in {FILE} each lacks a class. "
                "PartialLabels can train on such cases"
            )
        return complete, validation

    def _notes(self) -> Iterator[str]:
        yield from super()._notes()
        cases = len(super().do_split()[0])
        left_out = cases - len(self.do_split()[0])
        if left_out:
            self._log_plainly(f"CompleteCases: {left_out} of {cases} training cases lack a class and are left out")
        else:
            yield f"CompleteCases changes nothing: no training case lacks a class in {FILE}"
