"""Names for readers: what differs between the methods, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_tricks.catalogue.naming import PREFIX

BASELINE = "baseline"


def display(names: Sequence[str]) -> dict[str, str]:
    """Short names of methods, the baseline first.

    The prefix and the last words that all share are left out, unless two methods would then have the same name.

    Args:
        names: Names of trainers, perhaps with plans and configuration.

    Examples:
        >>> display(["nnUNetTrainer_5epochs", "nnUNetTrainerTversky_5epochs", "nnUNetTrainerCE_5epochs"])
        {'nnUNetTrainer_5epochs': 'baseline', 'nnUNetTrainerTversky_5epochs': 'Tversky', ...}
        >>> display(["nnUNetTrainerDiceCE_lr0p1", "nnUNetTrainerDiceCE"])["nnUNetTrainerDiceCE_lr0p1"]
        'DiceCE_lr0p1'
    """
    words = [name.removeprefix(PREFIX).split("_") for name in names]
    shared = 0
    while all(len(parts) > shared for parts in words) and len({parts[-1 - shared] for parts in words}) == 1:
        shared += 1
    short = ["_".join(parts[: len(parts) - shared]) for parts in words]
    if not short[0]:
        short[0] = BASELINE
    whole = len(set(short)) < len(short) or not all(short)
    return dict(zip(names, names if whole else short, strict=True))
