"""The folds of the new data set, which are scored on what the old ones were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnunet_tricks.annotation.raw_data import RawData
from nnunet_tricks.tricks.semisupervised.growing.cases import version_of
from nnunet_tricks.tricks.semisupervised.growing.protocol import ALL, Labeller
from nnunet_tricks.tricks.semisupervised.growing.source import GrowSource


def new_splits(
    source: GrowSource, members: Mapping[str, Sequence[Labeller]], data: RawData
) -> list[dict[str, list[str]]]:
    """The old folds, whose training cases are replaced by what was made for them.

    A fold of all cases has nothing left to be scored on, and says so.

    Args:
        source: The old data set.
        members: From each fold to its ensemble.
        data: The new data set.
    """
    if ALL in members:
        return [{"train": sorted(data.entries), "val": []} for _ in source.splits]
    folds = []
    for number, parts in enumerate(source.splits):
        fold = str(number)
        names = [version_of(case, fold) for case in (*parts["train"], *source.unlabelled)]
        training = [
            version if version in data.entries else case
            for version, case in zip(names, (*parts["train"], *source.unlabelled), strict=True)
        ]
        folds.append({"train": [case for case in training if case in data.entries], "val": list(parts["val"])})
    return folds
