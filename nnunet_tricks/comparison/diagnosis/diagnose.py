"""What is likely wrong with trainings: symptoms of the curves, joined to faults of labels and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.comparison.diagnosis import curves, data, labels, loading, training
from nnunet_tricks.comparison.diagnosis.curves import LEAST
from nnunet_tricks.comparison.diagnosis.data import FoldData
from nnunet_tricks.comparison.diagnosis.finding import WORST_FIRST, Finding
from nnunet_tricks.comparison.diagnosis.symptom import Symptom
from nnunet_tricks.comparison.diagnosis.training import Training


@dataclass(frozen=True)
class Diagnosis:
    """What was found in one training.

    Attributes:
        training: The training.
        findings: Faults, the most certain first.
        notes: Sentences on what could not be looked at, and how far the training is.
    """

    training: Training
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def data(self) -> dict[str, Any]:
        """The same for programs."""
        epochs = self.training.epochs
        return {
            "folder": str(self.training.folder),
            "fold": self.training.fold,
            "source": self.training.source,
            "epochs": len(epochs),
            "planned_epochs": self.training.planned_epochs,
            "finished": self.training.finished,
            "findings": [finding.data for finding in self.findings],
            "notes": list(self.notes),
        }


def diagnose(
    folder: Path, folds: Sequence[str] = (), *, variables: Mapping[str, str], with_data: bool = True
) -> list[Diagnosis]:
    """Look at the trainings of a model folder.

    Args:
        folder: Model folder, or one of its folds.
        folds: Folds to look at; every fold that is there if not given.
        variables: The environment, which says where preprocessed data are.
        with_data: Whether to look at the preprocessed data.

    Raises:
        ValueError: If it is no model folder, a fold is not there, or nothing tells how a training went.
    """
    return [_of_fold(fold, variables, with_data) for fold in training.folds_of(folder, folds)]


def _of_fold(folder: Path, variables: Mapping[str, str], with_data: bool) -> Diagnosis:
    trained = training.read(folder)
    found = data.read(trained, variables) if with_data else "the preprocessed data were not looked at (--no-data)"
    fold_data = None if isinstance(found, str) else found
    faults = [*labels.faults(trained, fold_data), *loading.faults(trained)]
    findings = joined(faults, list(curves.symptoms(trained, fold_data)))
    return Diagnosis(trained, tuple(findings), tuple(_notes(trained, found)))


def joined(faults: Sequence[Finding], symptoms: Sequence[Symptom]) -> list[Finding]:
    """Faults with the symptoms that they explain, and a likely cause of each symptom that none explains.

    Args:
        faults: Faults of labels and settings.
        symptoms: What is seen in the curves.

    Returns:
        The most certain first.
    """
    findings = list(faults)
    for symptom in symptoms:
        explaining = [place for place, finding in enumerate(findings) if _explains(finding, symptom)]
        for place in explaining[:1]:
            findings[place] = findings[place].explaining(symptom.words, symptom.seen, symptom.epoch)
        if not explaining and (new := symptom.otherwise()) is not None:
            findings.append(new)
    return sorted(findings, key=lambda finding: WORST_FIRST.index(finding.certainty))


def _explains(finding: Finding, symptom: Symptom) -> bool:
    same = not finding.classes or not symptom.classes or bool({*finding.classes} & {*symptom.classes})
    return finding.cause in symptom.causes and same


def _notes(trained: Training, found: FoldData | str | None) -> list[str]:
    epochs, planned = len(trained.epochs), trained.planned_epochs
    notes = []
    if not epochs:
        begun = trained.log.begun
        notes.append(
            f"{trained.source} has no finished epoch"
            + (f", epoch {begun} began and did not end" if begun is not None else "")
            + ": the error that ended it stands in the output of nnUNetv2_train, not in the log"
        )
    elif epochs < LEAST:
        notes.append(f"the log has {_epochs(epochs)}, and curves say little before the {LEAST}th")
    if not trained.finished:
        done = f"{epochs} of {_epochs(planned)}" if planned else _epochs(epochs)
        notes.append(f"the training is not finished: {done}, it runs or has been stopped")
    if isinstance(found, str):
        notes.append(found)
    elif isinstance(found, FoldData) and len(found.training) < found.training_total:
        read, total = len(found.training), found.training_total
        notes.append(f"{read} of {total} training cases were read")
    return notes


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"
