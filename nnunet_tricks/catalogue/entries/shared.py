"""What entries share."""

from __future__ import annotations

from nnunet_tricks.catalogue.info import Measurement, Parameter
from nnunet_tricks.catalogue.papers import cited

MODEL = "model implementation"
PREPROCESSING = "data pre-processing"
AUGMENTATION = "data augmentation"
TABLE_3 = "Zhang D. et al., table 3"
TABLE_4 = "Zhang D. et al., table 4"
TABLE_5 = "Zhang D. et al., table 5"
TABLE_6 = "Zhang D. et al., table 6"
TABLE_7 = "Zhang D. et al., table 7"
TABLE_8 = "Zhang D. et al., table 8"
BASELINES = {
    "ISIC 2018": (TABLE_7, 86.89),
    "CoNIC": (TABLE_7, 77.23),
    "KiTS19 kidney": (TABLE_7, 92.50),
    "KiTS19 tumour": (TABLE_7, 29.63),
    "LiTS": (TABLE_8, 86.11),
}
"""Where the trick paper prints model implementation, and Dice of its baseline there."""


def tables_7_and_8(row: str, **deltas: float) -> tuple[Measurement, ...]:
    """Printed changes of Dice in a row of the trick paper's tables 7 and 8, for the data sets of ``BASELINES``."""
    return tuple(
        Measurement(source=source, row=row, dataset=dataset, baseline=baseline, delta=delta)
        for (dataset, (source, baseline)), delta in zip(BASELINES.items(), deltas.values(), strict=True)
    )


def tables_5_and_6(letter: str, **deltas: float) -> tuple[Measurement, ...]:
    """As ``tables_7_and_8``, for GTAug-A or GTAug-B; LiTS, the last, is in table 6, which spells the row otherwise."""
    return tuple(
        Measurement(
            source=TABLE_6 if dataset == "LiTS" else TABLE_5,
            row=f"GTAUG-{letter}" if dataset == "LiTS" else f"GTAug-{letter}",
            dataset=dataset,
            baseline=baseline,
            delta=delta,
        )
        for (dataset, (_, baseline)), delta in zip(BASELINES.items(), deltas.values(), strict=True)
    )


def tables_3_and_4(row: str, *, kidney: float, tumour: float, lits: float) -> tuple[Measurement, ...]:
    """As ``tables_7_and_8``, for a row of data pre-processing."""
    return _volumes(row, TABLE_3, TABLE_4, kidney=kidney, tumour=tumour, lits=lits)


def tables_7_and_8_volumes(row: str, *, kidney: float, tumour: float, lits: float) -> tuple[Measurement, ...]:
    """As ``tables_7_and_8``, for a row without images in 2D."""
    return _volumes(row, TABLE_7, TABLE_8, kidney=kidney, tumour=tumour, lits=lits)


def _volumes(row: str, kits: str, other: str, *, kidney: float, tumour: float, lits: float) -> tuple[Measurement, ...]:
    deltas = {"KiTS19 kidney": (kits, kidney), "KiTS19 tumour": (kits, tumour), "LiTS": (other, lits)}
    return tuple(
        Measurement(source=source, row=row, dataset=dataset, baseline=BASELINES[dataset][1], delta=delta)
        for dataset, (source, delta) in deltas.items()
    )


def mediseg(what: str, *, excludes: tuple[str, ...] = ()) -> Parameter:
    """The flag for what the trick paper's published code computes.

    Args:
        what: How that differs from the mathematics.
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
