"""What the trick paper printed for inference and post-processing."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import BASELINES
from nnunet_tricks.catalogue.info import Measurement

INFERENCE = "model inference"
POSTPROCESSING = "result post-processing"


def tables_10_and_11(
    row: str, *, isic: float, conic: float, kidney: float, tumour: float, lits: float
) -> tuple[Measurement, ...]:
    """Printed changes of Dice in a row of model inference; LiTS, the last, is in table 11."""
    return _measured(row, 10, isic=isic, conic=conic, kidney=kidney, tumour=tumour, lits=lits)


def tables_12_and_13(
    row: str, *, isic: float, kidney: float, tumour: float, lits: float, conic: float | None = None
) -> tuple[Measurement, ...]:
    """Printed changes of Dice in a row of result post-processing; LiTS, the last, is in table 13."""
    return _measured(row, 12, isic=isic, conic=conic, kidney=kidney, tumour=tumour, lits=lits)


def _measured(
    row: str, table: int, *, isic: float, conic: float | None, kidney: float, tumour: float, lits: float
) -> tuple[Measurement, ...]:
    deltas = {"ISIC 2018": isic, "CoNIC": conic, "KiTS19 kidney": kidney, "KiTS19 tumour": tumour, "LiTS": lits}
    return tuple(
        Measurement(
            source=f"Zhang D. et al., table {table + (dataset == 'LiTS')}",
            row=row,
            dataset=dataset,
            baseline=BASELINES[dataset],
            delta=delta,
        )
        for dataset, delta in deltas.items()
        if delta is not None
    )
