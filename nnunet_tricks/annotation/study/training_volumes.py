"""The training volumes of a fold, with the number of their slices."""

from __future__ import annotations

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.annotation.labels import IGNORE
from nnunet_tricks.annotation.split import fold_of
from nnunet_tricks.annotation.study.costs import SliceCounts, volumes_in
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.utilities.wording import some


def training_volumes(
    folders: Folders, dataset: str, plans: str, configuration: str, fold: int | str
) -> dict[str, SliceCounts]:
    """Count the slices of preprocessed training cases.

    Args:
        folders: nnU-Net's folders.
        dataset: Full name of the data set.
        plans: Name of the plans.
        configuration: Name of a configuration of these plans.
        fold: Number of the fold, or ``all``.

    Raises:
        ValueError: If plans, configuration or preprocessed cases are missing.
    """
    home = folders.preprocessed / dataset
    file = home / f"{plans}.json"
    if not file.is_file():
        raise ValueError(f"{file} does not exist: plan and preprocess the data set first, with all labels")
    manager = PlansManager(str(file))
    if configuration not in manager.available_configurations:
        raise ValueError(f"configuration '{configuration}' is not in {file}")
    folder = home / manager.get_configuration(configuration).data_identifier
    if not folder.is_dir():
        raise ValueError(f"{folder} does not exist: preprocess configuration '{configuration}' first")
    preprocessed = sorted(case_file.stem for case_file in folder.glob("*.pkl"))
    cases = preprocessed if fold == "all" else fold_of(folders, dataset, preprocessed, int(fold))["train"]
    missing = sorted({*cases} - {*preprocessed})
    if missing:
        raise ValueError(f"{folder} lacks {some(missing)}, which the split names: preprocess the data set again")
    ignore = folders.description(dataset)["labels"].get(IGNORE)
    return volumes_in(folder, cases, manager.transpose_forward, ignore)
