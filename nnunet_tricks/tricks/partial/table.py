"""The table ``annotated.json`` of the data set that is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nnunetv2.paths

from nnunet_tricks.nnunet import annotated_classes
from nnunet_tricks.nnunet.annotated_classes import AnnotatedClasses


def folders_of(dataset: str) -> tuple[Path | None, Path]:
    """The raw folder of a data set, ``None`` where nnUNet_raw is not set, and the preprocessed one."""
    raw = nnunetv2.paths.nnUNet_raw
    return Path(raw) / dataset if raw else None, Path(nnunetv2.paths.nnUNet_preprocessed) / dataset


def table_of(dataset: str, dataset_json: Mapping[str, Any]) -> AnnotatedClasses | None:
    """The table of a data set; ``None`` where it has none, so that all its cases are annotated for all classes.

    Args:
        dataset: Name of the data set's folder.
        dataset_json: Content of ``dataset.json``.

    Raises:
        ValueError: If the table is wrong.
    """
    return annotated_classes.find(*folders_of(dataset), dataset_json)
