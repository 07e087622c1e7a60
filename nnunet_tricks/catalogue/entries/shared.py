"""What entries share."""

from __future__ import annotations

from collections.abc import Mapping

from nnunet_tricks.catalogue.info import Measurement, Parameter
from nnunet_tricks.catalogue.papers import cited

PRETRAINING = "pre-training model"
MODEL = "model implementation"
PREPROCESSING = "data pre-processing"
AUGMENTATION = "data augmentation"
TABLE_1 = "Zhang D. et al., table 1"
TABLE_2 = "Zhang D. et al., table 2"
TABLE_3 = "Zhang D. et al., table 3"
TABLE_4 = "Zhang D. et al., table 4"
TABLE_5 = "Zhang D. et al., table 5"
TABLE_6 = "Zhang D. et al., table 6"
TABLE_7 = "Zhang D. et al., table 7"
TABLE_8 = "Zhang D. et al., table 8"
TABLE_9 = "Zhang D. et al., table 9"
BASELINES = {"ISIC 2018": 86.89, "CoNIC": 77.23, "KiTS19 kidney": 92.50, "KiTS19 tumour": 29.63, "LiTS": 86.11}
"""Dice of the trick paper's baseline on each data set, the same in all of its tables."""


def tables_7_and_8(
    row: str, *, isic: float, conic: float, kidney: float, tumour: float, lits: float
) -> tuple[Measurement, ...]:
    """Changes of Dice that the trick paper prints in a row of its tables 7 and 8.

    Args:
        row: Name of the trick in the paper.
        isic: Points of Dice on ISIC 2018.
        conic: Points of Dice on CoNIC.
        kidney: Points of Dice for the kidney of KiTS19.
        tumour: Points of Dice for the tumour of KiTS19.
        lits: Points of Dice on LiTS.
    """
    pictures = _measured(row, TABLE_7, {"ISIC 2018": isic, "CoNIC": conic})
    return pictures + tables_7_and_8_volumes(row, kidney=kidney, tumour=tumour, lits=lits)


def tables_5_and_6(
    row: str, *, isic: float, conic: float, kidney: float, tumour: float, lits: float
) -> tuple[Measurement, ...]:
    """As ``tables_7_and_8``, for a row of augmentation; LiTS, the last, is in table 6, which spells it in capitals."""
    others = {"ISIC 2018": isic, "CoNIC": conic, "KiTS19 kidney": kidney, "KiTS19 tumour": tumour}
    return _measured(row, TABLE_5, others) + _measured(row.upper(), TABLE_6, {"LiTS": lits})


def table_1_pictures(row: str, *, isic: float, conic: float) -> tuple[Measurement, ...]:
    """As ``tables_7_and_8``, for a row of pretrained weights in 2D."""
    return _measured(row, TABLE_1, {"ISIC 2018": isic, "CoNIC": conic})


def tables_1_and_2_volumes(row: str, *, kidney: float, tumour: float, lits: float) -> tuple[Measurement, ...]:
    """As ``tables_7_and_8``, for a row of pretrained weights in 3D."""
    return _volumes(row, TABLE_1, TABLE_2, kidney=kidney, tumour=tumour, lits=lits)


def tables_3_and_4(row: str, *, kidney: float, tumour: float, lits: float) -> tuple[Measurement, ...]:
    """As ``tables_7_and_8``, for a row of data pre-processing."""
    return _volumes(row, TABLE_3, TABLE_4, kidney=kidney, tumour=tumour, lits=lits)


def table_9(row: str, *, isic: float, conic: float) -> tuple[Measurement, ...]:
    """As ``tables_7_and_8``, for a row of transformers."""
    return _measured(row, TABLE_9, {"ISIC 2018": isic, "CoNIC": conic})


def tables_7_and_8_volumes(row: str, *, kidney: float, tumour: float, lits: float) -> tuple[Measurement, ...]:
    """As ``tables_7_and_8``, for a row without images in 2D."""
    return _volumes(row, TABLE_7, TABLE_8, kidney=kidney, tumour=tumour, lits=lits)


def _volumes(row: str, kits: str, other: str, *, kidney: float, tumour: float, lits: float) -> tuple[Measurement, ...]:
    of_kits = {"KiTS19 kidney": kidney, "KiTS19 tumour": tumour}
    return _measured(row, kits, of_kits) + _measured(row, other, {"LiTS": lits})


def _measured(row: str, table: str, deltas: Mapping[str, float]) -> tuple[Measurement, ...]:
    return tuple(
        Measurement(source=table, row=row, dataset=dataset, baseline=BASELINES[dataset], delta=delta)
        for dataset, delta in deltas.items()
    )


def mediseg(what: str, *, excludes: tuple[str, ...] = ()) -> Parameter:
    """The flag for what the trick paper's published code computes.

    Args:
        what: Words for how that differs from the mathematics.
        excludes: Parameters that it does not have.
    """
    return Parameter(
        name="mediseg",
        default=False,
        help=f"compute it as the trick paper's published code does: {what}",
        excludes=excludes,
    )


def class_balance(default: float = 0.0) -> Parameter:
    """Class balance by the effective number of samples."""
    return Parameter(
        name="cb",
        default=default,
        high=1,
        help="classes weigh (1 - cb) / (1 - cb^n), n voxels in the training fold: 0 all alike, 1 inverse frequency",
        paper=cited("cui2019class"),
    )


CB = class_balance()
