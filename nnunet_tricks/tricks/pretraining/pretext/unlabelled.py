"""Images without labels, preprocessed beside a data set, and drawn with its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

SUFFIX = "_unlabelled"
"""End of the name of the folder beside nnU-Net's own."""


class JoinedDataset:
    """Cases of a data set and images without labels, as nnU-Net's loader reads them.

    Attributes:
        identifiers: Names of all of them; with labels and without.
    """

    def __init__(self, labelled: Any, unlabelled: Any) -> None:
        """Join two of nnU-Net's data sets."""
        self.parts = {
            **dict.fromkeys(labelled.identifiers, labelled),
            **dict.fromkeys(unlabelled.identifiers, unlabelled),
        }
        self.identifiers = sorted(self.parts)

    def load_case(self, identifier: str) -> Any:
        """An image with its properties, and label maps that nobody looks at."""
        return self.parts[identifier].load_case(identifier)


def folder_beside(preprocessed: str | Path) -> Path:
    """The folder of images without labels beside one of nnU-Net's preprocessed folders.

    Examples:
        >>> folder_beside("preprocessed/Dataset501_Hippocampus/nnUNetPlans_2d").name
        'nnUNetPlans_2d_unlabelled'
    """
    return Path(preprocessed).with_name(f"{Path(preprocessed).name}{SUFFIX}")


def dataset_beside(preprocessed: str | Path, dataset_class: Any) -> Any | None:
    """The images without labels beside a preprocessed folder; None if there are none.

    Args:
        preprocessed: nnU-Net's folder of a configuration.
        dataset_class: nnU-Net's class for its files.
    """
    folder = folder_beside(preprocessed)
    dataset = dataset_class(str(folder)) if folder.is_dir() else None
    return dataset if dataset is not None and dataset.identifiers else None


def joined(labelled: Any, unlabelled: Any) -> JoinedDataset:
    """Cases of a fold and images without labels.

    Raises:
        ValueError: If two have one name.
    """
    require_other_names(labelled.identifiers, unlabelled.identifiers)
    return JoinedDataset(labelled, unlabelled)


def require_other_names(labelled: Sequence[str], unlabelled: Sequence[str]) -> None:
    """Refuse images without labels that are called like cases of the data set.

    Raises:
        ValueError: With one of them.
    """
    if same := sorted(set(labelled) & set(unlabelled)):
        raise ValueError(
            f"{same[0]} is both a case with a label and an image without one ({len(same)} such names): take images of "
            "labelled cases out of imagesUn, give the others names of their own, and run nnunet-tricks pretext prepare "
            "again"
        )
