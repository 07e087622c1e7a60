"""Images of another spacing or size, as edits of plans.

D. Zhang et al., "Deep Learning for Medical Image Segmentation: Tricks, Challenges and Future Directions", resize ISIC
2018 and CoNIC to 200 x 200 pixels, and resample KiTS19 to 3.22 x 1.62 x 1.62 mm.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from nnunet_tricks.nnunet.plans_file import NOT_TO_ONE_SPACING, RESIZE, Plans
from nnunet_tricks.planning.patch import fitted, roomy

_SPACING = re.compile(r"Spacing(\d+(?:p\d+)?(?:x\d+(?:p\d+)?){1,2})")
_RESIZE = re.compile(r"Resize([1-9]\d*(?:x[1-9]\d*){1,2})")
RESAMPLED = ("data", "seg")
"""Predictions are resampled to the size of the image by nnU-Net's own function."""
SPACINGS = (0.0001, 10_000.0)
"""Millimetres that a name can hold."""


def spacing_name(spacing: Sequence[float]) -> str:
    """Part of the names of plans and planners.

    Examples:
        >>> spacing_name([3.22, 1.62, 1.62])
        'Spacing3p22x1p62x1p62'
    """
    return f"Spacing{'x'.join(f'{value:.15g}'.replace('.', 'p') for value in spacing)}"


def resize_name(shape: Sequence[int]) -> str:
    """Part of the names of plans and planners.

    Examples:
        >>> resize_name([200, 200])
        'Resize200x200'
    """
    return f"Resize{'x'.join(map(str, shape))}"


def spacing_of(name: str) -> list[float] | None:
    """Spacing in millimetres from the name of a planner.

    Raises:
        ValueError: If they are out of range, or ``spacing_name`` writes them otherwise.

    Examples:
        >>> spacing_of("Spacing3p22x1p62x1p62")
        [3.22, 1.62, 1.62]
    """
    match = _SPACING.fullmatch(name)
    if not match:
        return None
    spacing = [float(value.replace("p", ".")) for value in match[1].split("x")]
    check_spacing(spacing)
    if name != spacing_name(spacing):
        raise ValueError(f"'{name}' is written '{spacing_name(spacing)}', since plans have one name each")
    return spacing


def check_spacing(spacing: Sequence[float]) -> None:
    """Refuse millimetres that cannot be a spacing of voxels.

    Raises:
        ValueError: If one is out of range.
    """
    least, most = SPACINGS
    if not all(least <= value <= most for value in spacing):
        raise ValueError(
            f"spacing {' '.join(f'{value:g}' for value in spacing)} must be from {least:g} to {most:g} mm along each "
            "axis"
        )


def check_resampled(plans: Plans) -> None:
    """Refuse plans that already set the voxel grid, other than by a spacing.

    Raises:
        ValueError: If they do.
    """
    for name, configuration in plans["configurations"].items():
        for what in RESAMPLED:
            function = configuration.get(f"resampling_fn_{what}")
            if function in NOT_TO_ONE_SPACING:
                raise ValueError(
                    f"configuration '{name}' of these plans has '{function}' as resampling_fn_{what} already: with "
                    "--no-resampling, --spacing or --resize on top they would change nothing, or not what their name "
                    "says; start with -p from plans that have none of these"
                )


def shape_of(name: str) -> list[int] | None:
    """Voxels that a name says.

    Examples:
        >>> shape_of("Resize200x200")
        [200, 200]
    """
    match = _RESIZE.fullmatch(name)
    return [int(value) for value in match[1].split("x")] if match else None


def give_spacing(plans: Plans, spacing: Sequence[float]) -> None:
    """Have all images resampled to a spacing; the network is what nnU-Net plans for it and the patch.

    Args:
        plans: Changed in place; configurations with other axes, of low resolution and those that inherit go.
        spacing: Spacing in millimetres, in the order of the plans.

    Raises:
        ValueError: If a spacing is out of range, no configuration has these axes, or images are not resampled to a
            spacing.
    """
    check_spacing(spacing)
    for name, configuration in _of_axes(plans, len(spacing)):
        before = deepcopy(configuration)
        scale = [old / new for old, new in zip(before["spacing"], spacing, strict=True)]
        median = [size * by for size, by in zip(before["median_image_size_in_voxels"], scale, strict=True)]
        configuration["spacing"] = list(spacing)
        configuration["median_image_size_in_voxels"] = median
        _refit(plans, name, before["patch_size"])


def give_shape(plans: Plans, shape: Sequence[int]) -> None:
    """Have all images resampled to one size; the patch is that size where it is not larger than the planned one.

    Args:
        plans: Changed in place; configurations with other axes, of low resolution and those that inherit go.
        shape: Size in voxels, in the order of the plans.

    Raises:
        ValueError: If no configuration has these axes, or images are not resampled to a spacing.
    """
    for name, configuration in _of_axes(plans, len(shape)):
        before = deepcopy(configuration)
        sizes = zip(before["spacing"], before["median_image_size_in_voxels"], shape, strict=True)
        configuration["spacing"] = [float(old * median / new) for old, median, new in sizes]
        configuration["median_image_size_in_voxels"] = [float(edge) for edge in shape]
        for what in RESAMPLED:
            function, settings = f"resampling_fn_{what}", f"resampling_fn_{what}_kwargs"
            configuration[settings] = {**before[settings], "shape": list(shape), "resample": before[function]}
            configuration[function] = RESIZE
        _refit(plans, name, [min(pair) for pair in zip(before["patch_size"], shape, strict=True)])
    plans["needs"] = "nnunet_tricks, for its resampling function: pip install nnunet_tricks && nnunet-tricks link"


def _of_axes(plans: Plans, axes: int) -> list[tuple[str, dict[str, Any]]]:
    """The configurations that stay. What inherits from them has a network for the old spacing, and goes."""
    check_resampled(plans)
    own = {
        name: configuration
        for name, configuration in plans["configurations"].items()
        if "inherits_from" not in configuration
    }
    kept = {
        name: configuration
        for name, configuration in own.items()
        if len(configuration["patch_size"]) == axes and name != "3d_lowres"
    }
    if not kept:
        axes_found = " or ".join(sorted({str(len(configuration["patch_size"])) for configuration in own.values()}))
        raise ValueError(f"{axes} numbers were given, and the configurations of these plans have {axes_found} axes")
    for configuration in kept.values():
        configuration.pop("next_stage", None)
    plans["configurations"] = kept
    return list(kept.items())


def _refit(plans: Plans, name: str, patch_size: Sequence[int]) -> None:
    configuration = plans["configurations"][name]
    configuration |= fitted(configuration, name, roomy(configuration["spacing"], patch_size))
