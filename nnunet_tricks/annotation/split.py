"""Folds of a data set, even before nnU-Net's first training has written them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnunet_tricks.nnunet.folders import Case, Folders
from nnunet_tricks.utilities.wording import some

_FOLDS = 5
"""Number of folds in the split that nnU-Net makes."""


def fold_of(folders: Folders, dataset: str, cases: Sequence[str], fold: int) -> dict[str, list[str]]:
    """Training and validation cases of a fold, from the split file or as nnU-Net would choose them.

    Args:
        folders: nnU-Net's folders.
        dataset: Full name of the data set.
        cases: Cases of the data set, in alphabetical order.
        fold: Number of the fold.

    Raises:
        ValueError: If the split has no such fold, or there are too few cases for nnU-Net to make one.
    """
    splits = folders.splits(dataset)
    if splits is None:
        if len(cases) < _FOLDS:
            raise ValueError(
                f"{dataset} has no splits_final.json, and nnU-Net makes none of {len(cases)} cases, since it needs "
                f"{_FOLDS} folds: write the file yourself"
            )
        from nnunetv2.utilities.crossval_split import generate_crossval_split

        splits = [
            {part: [str(case) for case in made[part]] for part in ("train", "val")}
            for made in generate_crossval_split([*cases])
        ]
    if not 0 <= fold < len(splits):
        raise ValueError(f"fold must be from 0 to {len(splits) - 1}, got {fold}: the split of {dataset} has no other")
    return splits[fold]


def labelled_fold(folders: Folders, dataset: str, cases: Mapping[str, Case], fold: int) -> dict[str, list[str]]:
    """As ``fold_of``, where each of its cases needs an image and a label.

    Args:
        folders: nnU-Net's folders.
        dataset: Full name of the data set.
        cases: Its cases with their files.
        fold: Number of the fold.

    Raises:
        ValueError: Also if a case of the fold lacks one of both.
    """
    split = fold_of(folders, dataset, sorted(cases), fold)
    missing = [case for case in [*split["train"], *split["val"]] if case not in cases or cases[case].label is None]
    if missing:
        raise ValueError(f"{dataset} has no image or label of {some(missing)}, which its split names")
    return split
