"""Finding a plans file, and adding configurations to it without ever leaving half a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from nnunet_tricks.utilities.files import write_atomically

DEFAULT_PLANS = "nnUNetPlans"
VARIABLE = "nnUNet_preprocessed"

RESERVED = ("dataset", "dataset_fingerprint", "splits_final")
"""Other files of nnU-Net beside the plans."""

PRETRAINED = "pretrain_info"
"""Key with which nnU-Net says which weights a training begins with."""

NEEDED = (
    "data_identifier",
    "batch_size",
    "patch_size",
    "median_image_size_in_voxels",
    "spacing",
    "normalization_schemes",
    "resampling_fn_data",
    "resampling_fn_seg",
)
"""What each configuration has, by itself or inherited."""

NO_RESAMPLING = "no_resampling_hack"
"""nnU-Net's resampling function that leaves voxels as they are."""

RESIZE = "nnunet_tricks_resize"
"""Our resampling function, to one image size."""

NOT_TO_ONE_SPACING = (NO_RESAMPLING, RESIZE)
"""Resampling functions after which voxel sizes differ from case to case."""

Plans = dict[str, Any]


def find(dataset: str, *, plans_name: str = DEFAULT_PLANS, preprocessed: Path | None = None) -> Path:
    """The plans file of a data set.

    Args:
        dataset: Number or full name, as nnU-Net's ``-d``.
        plans_name: The file's stem, as nnU-Net's ``-p``.
        preprocessed: Folder of the preprocessed data sets; that of ``nnUNet_preprocessed`` if not given.

    Raises:
        ValueError: If there is no such data set, more than one, or no such plans file.
    """
    if preprocessed is None:
        variable = os.environ.get(VARIABLE)
        if not variable:
            raise ValueError(f"{VARIABLE} is not set: 'export {VARIABLE}=FOLDER' with your folder")
        preprocessed = Path(variable)
    start = f"Dataset{int(dataset):03d}_" if dataset.isdecimal() else dataset
    folders = sorted(
        folder
        for folder in preprocessed.glob("Dataset*")
        if folder.is_dir() and (folder.name.startswith(start) if dataset.isdecimal() else folder.name == dataset)
    )
    if not folders:
        raise ValueError(
            f"data set '{dataset}' is not in {preprocessed}: first run 'nnUNetv2_plan_and_preprocess -d {dataset}'"
        )
    if len(folders) > 1:
        raise ValueError(
            f"data set {dataset} is ambiguous in {preprocessed}: {', '.join(folder.name for folder in folders)}; "
            "give the full name"
        )
    file = folders[0] / f"{plans_name}.json"
    if not file.is_file():
        stems = [path.stem for path in sorted(folders[0].glob("*.json")) if is_plans(path)]
        raise ValueError(
            f"{folders[0]} has no {plans_name}.json: "
            + (f"its plans are {', '.join(stems)}, choose with -p" if stems else "first run 'nnUNetv2_plan_experiment'")
        )
    return file


def read(file: Path) -> Plans:
    """Content of a plans file.

    Raises:
        ValueError: If the file is not a plans file.
    """
    try:
        plans = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON ({error}): plan anew with 'nnUNetv2_plan_experiment'") from error
    if not isinstance(plans, dict) or not isinstance(plans.get("configurations"), dict):
        raise ValueError(f"{file} is not a plans file of nnU-Net v2: it has no 'configurations'")
    for name, configuration in plans["configurations"].items():
        if not isinstance(configuration, dict):
            raise ValueError(f"{file} is not a plans file of nnU-Net v2: its configuration '{name}' has no settings")
    refuse_pretrained(plans, file)
    return plans


def refuse_pretrained(plans: Mapping[str, Any], file: Path | str) -> None:
    """Refuse plans that name pretrained weights: no trainer here loads them, and all would train from scratch.

    Args:
        plans: Content of the plans file.
        file: File, for messages.

    Raises:
        ValueError: If they do.
    """
    configurations = plans.get("configurations")
    below = list(configurations.values()) if isinstance(configurations, Mapping) else []
    if any(isinstance(part, Mapping) and part.get(PRETRAINED) for part in (plans, *below)):
        raise ValueError(
            f"{file} has '{PRETRAINED}': these plans are for fine-tuning pretrained weights, which cannot be loaded "
            "here yet, so the network would be trained from scratch without a word; take plans without it"
        )


def read_object(file: Path, *keys: str) -> dict[str, Any]:
    """Content of another JSON file of the data set.

    Args:
        file: File to read.
        keys: Keys that it must have.

    Raises:
        ValueError: If it is broken, or lacks a key.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON ({error})") from error
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            raise ValueError(f"{file} is incomplete: it has no '{key}'")
    return dict(content)


def check_complete(file: Path, plans: Plans, names: Iterable[str]) -> None:
    """Refuse plans in which something is missing that nnU-Net writes.

    Args:
        file: File, for messages.
        plans: Content of it.
        names: Names of the configurations to look at.

    Raises:
        ValueError: With the file and the key.
    """
    if "plans_name" not in plans:
        raise ValueError(f"{file} is incomplete: it has no 'plans_name'")
    for name in names:
        resolved = resolve(plans, name)
        for key in NEEDED:
            if resolved.get(key) in (None, []):
                raise ValueError(f"{file} is incomplete: its configuration '{name}' has no '{key}'")
        if min(resolved["spacing"]) <= 0:
            raise ValueError(
                f"{file}: 'spacing' of configuration '{name}' is {resolved['spacing']}, and must be above 0 along each "
                "axis"
            )


def check_plans_name(name: str) -> None:
    """Refuse names of plans whose file nnU-Net uses for something else.

    Raises:
        ValueError: If it is.
    """
    if name.casefold() in RESERVED:
        files = ", ".join(f"{reserved}.json" for reserved in RESERVED)
        raise ValueError(
            f"plans cannot be called '{name}': nnU-Net has files {files} beside them, choose another name with --name"
        )


def ancestry(plans: Mapping[str, Any], name: str) -> list[str]:
    """A configuration and all that it inherits from, the nearest first.

    Raises:
        ValueError: As ``resolve``.
    """
    configurations = plans["configurations"]
    chain: list[str] = []
    current: str | None = name
    while current is not None:
        if current in chain:
            raise ValueError(f"configurations inherit in a circle: {' from '.join([*chain, current])}")
        if current not in configurations:
            close = get_close_matches(current, configurations, n=1)
            raise ValueError(
                f"configuration '{current}' is not in the plans, which have {', '.join(configurations) or 'none'}"
                + (f"; did you mean '{close[0]}'?" if close else "")
            )
        chain.append(current)
        current = configurations[current].get("inherits_from")
    return chain


def resolve(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration with all that it inherits, as nnU-Net's ``PlansManager`` resolves it.

    Raises:
        ValueError: If it, or a configuration from which it inherits, does not exist, or they inherit in a circle.

    Examples:
        >>> large = {"patch_size": [8], "batch_size": 2}
        >>> plans = {"configurations": {"a": large, "b": {"inherits_from": "a", "batch_size": 9}}}
        >>> resolve(plans, "b")
        {'patch_size': [8], 'batch_size': 9, 'inherits_from': 'a'}
    """
    resolved: dict[str, Any] = {}
    for ancestor in reversed(ancestry(plans, name)):
        resolved.update(deepcopy(plans["configurations"][ancestor]))
    return resolved


def resolve_source(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """As ``resolve``, for a configuration from which a new one is to inherit.

    Raises:
        ValueError: As ``resolve``, or if it is the second stage of a cascade.
    """
    resolved = resolve(plans, name)
    if first := resolved.get("previous_stage"):
        second = plans["configurations"].get(first, {}).get("next_stage")
        raise ValueError(
            f"configuration '{name}' is the second stage of a cascade, of which no other can be made: it would train "
            f"on predictions of '{first}' under its own name, and '{first}' makes them for {second} only"
        )
    return resolved


def add(
    file: Path, name: str, configuration: Mapping[str, Any], *, dry_run: bool = False
) -> Literal["added", "unchanged"]:
    """Add a configuration to a plans file, as ``add_all``."""
    return add_all(file, {name: configuration}, dry_run=dry_run)[name]


def add_all(
    file: Path, wanted: Mapping[str, Mapping[str, Any]], *, dry_run: bool = False
) -> dict[str, Literal["added", "unchanged"]]:
    """Add configurations to a plans file, all or none; everything else in it stays as it is.

    Args:
        file: The plans file.
        wanted: Names and contents of the new configurations.
        dry_run: Only say what would happen.

    Returns:
        For each name ``unchanged`` if it was there already.

    Raises:
        ValueError: If another configuration has the name.
    """
    plans = read(file)
    outcomes: dict[str, Literal["added", "unchanged"]] = {}
    for name, configuration in wanted.items():
        present = plans["configurations"].get(name)
        outcomes[name] = "unchanged" if present == configuration else "added"
        if present not in (None, configuration):
            changed = sorted(key for key in {*present, *configuration} if present.get(key) != configuration.get(key))
            raise ValueError(
                f"{file} has another configuration '{name}' (it differs in {', '.join(changed)}), and models may have "
                "been trained with it: choose another name with --name"
            )
        plans["configurations"][name] = dict(configuration)
    if not dry_run and "added" in outcomes.values():
        write_atomically(file, json.dumps(plans, indent=4))
    return outcomes


def write_new(file: Path, plans: Plans, *, dry_run: bool = False) -> Literal["added", "unchanged"]:
    """Write a plans file that is not there yet.

    Args:
        file: File to write.
        plans: Content of it.
        dry_run: Only say what would happen.

    Returns:
        ``unchanged`` if it was there already; configurations that it has beyond these stay.

    Raises:
        ValueError: If another plans file has the name.
    """
    if not file.exists():
        if not dry_run:
            write_atomically(file, json.dumps(plans, indent=4))
        return "added"
    present = read(file)
    same_names = {name: present["configurations"].get(name) for name in plans["configurations"]}
    if {**present, "configurations": same_names} != plans:
        raise ValueError(
            f"{file} is there already with other content, and models may have been trained with it: choose another "
            "name with --name"
        )
    return "unchanged"


def is_plans(file: Path) -> bool:
    """Whether a file is a plans file that can be used here."""
    try:
        read(file)
    except (ValueError, OSError):
        return False
    return True
