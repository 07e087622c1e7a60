"""Settings with which images without labels were preprocessed, since plans can change and keep their name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunet_tricks.nnunet.folders import is_json, read_json
from nnunet_tricks.utilities.files import write_atomically

FILE = "preprocessed_with.json"
"""File beside the images."""

DECISIVE = (
    "spacing",
    "normalization_schemes",
    "use_mask_for_norm",
    "preprocessor_name",
    "resampling_fn_data",
    "resampling_fn_data_kwargs",
)
"""Settings of a configuration that decide what a preprocessed image looks like."""

INTENSITIES = "foreground_intensity_properties_per_channel"


def settings_of(plans: PlansManager, configuration: ConfigurationManager) -> dict[str, Any]:
    """What decides how images are preprocessed, as JSON holds it.

    Args:
        plans: Reader of the plans.
        configuration: Configuration of them.
    """
    content = {key: configuration.configuration.get(key) for key in DECISIVE}
    content["transpose_forward"] = plans.plans.get("transpose_forward")
    if "CTNormalization" in configuration.normalization_schemes:
        content[INTENSITIES] = plans.plans.get(INTENSITIES)
    settings: dict[str, Any] = json.loads(json.dumps(content))
    return settings


def write(folder: Path, settings: dict[str, Any]) -> None:
    """Note the settings beside the images."""
    write_atomically(folder / FILE, json.dumps(settings, indent=2))


def differing(folder: Path, settings: dict[str, Any]) -> list[str]:
    """Names of the settings that differ from those that the images were preprocessed with.

    Args:
        folder: Folder of the images.
        settings: Present settings.
    """
    before = read_json(folder / FILE) if is_json(folder / FILE) else {}
    return [key for key, value in settings.items() if before.get(key) != value]
