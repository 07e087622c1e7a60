"""Variants of plans that need their own preprocessed data: resampling off, other spacing, size or normalisation.

Each is a plans file of its own with its own data identifiers, so nothing that is preprocessed already is touched. All
names in it are nnU-Net's, so stock nnU-Net preprocesses, trains and predicts with it; only images of one size need a
function of ours, and their plans say so.

D. Zhang et al., "Deep Learning for Medical Image Segmentation: Tricks, Challenges and Future Directions", section
3.2.3. Its "without resampling" can be read in two ways. Its text says that images are still interpolated so that voxels
mean the same distance, which is what nnU-Net does anyway. Its numbers (Dice of 0.35) fit voxels that are left as they
are, which is ``NoResampling``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from nnunet_tricks.nnunet.plans_file import NO_RESAMPLING, Plans, ancestry
from nnunet_tricks.planning.geometry import (
    check_resampled,
    give_shape,
    give_spacing,
    shape_of,
    spacing_of,
)

CT_WINDOW = (-79.0, 304.0)
"""The paper's, in Hounsfield units."""

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
"""Mean and standard deviation of red, green and blue, each from 0 to 1."""

CROPPED = 0.75
"""nnU-Net's planner leaves voxels outside the mask at zero where cropping keeps less than this share of an image."""

Edit = Callable[[Plans, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Variant:
    """A change of plans.

    Attributes:
        name: Part of the names of plans and planners.
        summary: Line about what it does to the images.
        edit: Changes plans in place; its second argument is nnU-Net's fingerprint of the data set.
    """

    name: str
    summary: str
    edit: Edit

    def apply(self, plans: Plans, fingerprint: Mapping[str, Any]) -> None:
        """Edit plans.

        Args:
            plans: Changed in place.
            fingerprint: nnU-Net's, of the data set.

        Raises:
            ValueError: If the variant does not suit the data set or these plans, or would change nothing.
        """
        before = deepcopy(plans)
        self.edit(plans, fingerprint)
        if plans == before:
            raise ValueError(f"variant '{self.name}' would change nothing: these plans are so already")


def _no_resampling(plans: Plans, fingerprint: Mapping[str, Any]) -> None:
    check_resampled(plans)
    configurations = plans["configurations"]
    # Of lower resolution in name only, and a cascade of two equals. What inherits from them goes with them.
    gone = {name for name, each in configurations.items() if name == "3d_lowres" or each.get("previous_stage")}
    left = {name: each for name, each in configurations.items() if gone.isdisjoint(ancestry(plans, name))}
    if not left:
        raise ValueError(f"all configurations of these plans ({', '.join(configurations)}) are stages of a cascade")
    plans["configurations"] = left
    for name, configuration in plans["configurations"].items():
        if "inherits_from" in configuration:
            continue
        for what in ("data", "seg", "probabilities"):
            configuration[f"resampling_fn_{what}"] = NO_RESAMPLING
            configuration[f"resampling_fn_{what}_kwargs"] = {}
        if configuration.get("next_stage"):
            raise ValueError(f"configuration '{name}' is the first stage of a cascade, which needs resampling")


def _normalization(scheme: str, *, masked: bool = False) -> Edit:
    def edit(plans: Plans, fingerprint: Mapping[str, Any]) -> None:
        mask = masked and float(fingerprint["median_relative_size_after_cropping"]) < CROPPED
        before = _schemes(plans)
        if all(schemes == [scheme] * len(schemes) for schemes in before):
            raise ValueError(f"these plans have {scheme} in all channels already: this variant would change nothing")
        for configuration in _own(plans, "normalization_schemes"):
            channels = len(configuration["normalization_schemes"])
            configuration["normalization_schemes"] = [scheme] * channels
            configuration["use_mask_for_norm"] = [mask] * channels

    return edit


def _ct_window(plans: Plans, fingerprint: Mapping[str, Any]) -> None:
    named = sorted(
        {at for schemes in _schemes(plans) for at, scheme in enumerate(schemes) if scheme == "CTNormalization"}
    )
    properties = _intensities(plans, named)
    channels = [channel for channel in named if not _is_colour(properties[str(channel)])]
    if not channels:
        raise ValueError(
            "no channel of these plans is CT: a window in Hounsfield units needs a channel that dataset.json calls 'CT'"
        )
    for channel in channels:
        properties[str(channel)]["percentile_00_5"], properties[str(channel)]["percentile_99_5"] = CT_WINDOW


def _imagenet(plans: Plans, fingerprint: Mapping[str, Any]) -> None:
    for schemes in _schemes(plans):
        if len(schemes) != len(IMAGENET["mean"]):
            raise ValueError(f"ImageNet's mean and std are of 3 colours, and the images have {len(schemes)} channel(s)")
    properties = _intensities(plans, range(len(IMAGENET["mean"])))
    if any(properties[str(channel)]["max"] > 255 or properties[str(channel)]["min"] < 0 for channel in range(3)):
        raise ValueError("ImageNet's mean and std are of colours from 0 to 255, and these images go beyond")
    for channel, colour in enumerate(_colours()):
        properties[str(channel)] |= colour
    for configuration in _own(plans, "normalization_schemes"):
        configuration["normalization_schemes"] = ["CTNormalization"] * 3
        configuration["use_mask_for_norm"] = [False] * 3


def _intensities(plans: Plans, channels: Iterable[int]) -> dict[str, dict[str, float]]:
    """What the fingerprint found, at least in these channels."""
    key = "foreground_intensity_properties_per_channel"
    properties: dict[str, dict[str, float]] = plans.get(key, {})
    if missing := [str(channel) for channel in channels if not properties.get(str(channel))]:
        raise ValueError(f"the plans are incomplete: '{key}' has no channel {', '.join(missing)}")
    return properties


def _colours() -> list[dict[str, float]]:
    """Settings for red, green and blue. nnU-Net's CT scheme is: clip, subtract a mean, divide by a std."""
    return [
        {"percentile_00_5": 0.0, "percentile_99_5": 255.0, "mean": 255 * mean, "std": 255 * std}
        for mean, std in zip(IMAGENET["mean"], IMAGENET["std"], strict=True)
    ]


def _is_colour(properties: Mapping[str, float]) -> bool:
    """Whether a channel has nnU-Net's CT scheme for ImageNet's numbers."""
    return any(properties.items() >= colour.items() for colour in _colours())


VARIANTS = (
    Variant("NoResampling", "voxels stay as they are, whatever their spacing; no low-resolution stage", _no_resampling),
    Variant("NoIntensityNorm", "intensities stay as they are", _normalization("NoNormalization")),
    Variant("MinMax", "each image from 0 to 1", _normalization("RescaleTo01Normalization")),
    Variant(
        "ZScore", "each image to mean 0 and standard deviation 1", _normalization("ZScoreNormalization", masked=True)
    ),
    Variant(
        "CTWindow",
        f"CT clipped to {CT_WINDOW[0]:g} to {CT_WINDOW[1]:g} HU, then mean and std of the training set's foreground",
        _ct_window,
    ),
    Variant("ImageNet", "8-bit colours with ImageNet's mean and std", _imagenet),
)
"""All variants without numbers."""


EXAMPLES = ("Spacing3p22x1p62x1p62", "Resize200x200")
"""Variants with numbers of one's own."""


def find(name: str) -> Variant:
    """The variant of a name: one of ``VARIANTS``, ``Spacing3p22x1p62x1p62``, ``Resize200x200``.

    Raises:
        ValueError: If there is none, or the numbers are out of range or not written as names write them.
    """
    for variant in VARIANTS:
        if variant.name == name:
            return variant
    if spacing := spacing_of(name):
        millimetres = " x ".join(f"{value:.15g}" for value in spacing)
        return Variant(name, f"images resampled to {millimetres} mm", lambda plans, _: give_spacing(plans, spacing))
    if shape := shape_of(name):
        voxels = " x ".join(map(str, shape))
        return Variant(name, f"images resampled to {voxels} voxels", lambda plans, _: give_shape(plans, shape))
    known = ", ".join([*(variant.name for variant in VARIANTS), *EXAMPLES])
    raise ValueError(f"variant '{name}' is not known: there are {known}, the last two with numbers of your own")


def plans_name(base: str, variants: list[str]) -> str:
    """What plans with these variants are called.

    Examples:
        >>> plans_name("nnUNetPlans", ["NoResampling", "MinMax"])
        'nnUNetPlansNoResamplingMinMax'
    """
    return base + "".join(variants)


def varied(plans: Plans, variants: list[str], fingerprint: Mapping[str, Any], name: str) -> Plans:
    """Plans with variants, under another name and with data identifiers of their own.

    Args:
        plans: Content of a plans file; stays as it is.
        variants: Names.
        fingerprint: nnU-Net's, of the data set.
        name: Name of the new plans.

    Raises:
        ValueError: If a variant does not suit the data set or these plans, or would change nothing.
    """
    changed = deepcopy(plans)
    changed["plans_name"] = name
    for variant in variants:
        find(variant).apply(changed, fingerprint)
    for configuration in _own(changed, "data_identifier"):
        identifier = str(configuration["data_identifier"])
        base = str(plans["plans_name"])
        rest = identifier.removeprefix(base) if identifier.startswith(base) else f"_{identifier}"
        configuration["data_identifier"] = f"{name}{rest}"
    return changed


def _own(plans: Plans, key: str) -> list[dict[str, Any]]:
    """The configurations that say something themselves."""
    return [configuration for configuration in plans["configurations"].values() if key in configuration]


def _schemes(plans: Plans) -> list[list[str]]:
    return [configuration["normalization_schemes"] for configuration in _own(plans, "normalization_schemes")]
