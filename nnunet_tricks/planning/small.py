"""A light network as one more configuration of a plans file: for laptops, continuous integration and pilot studies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import prod
from typing import Any

from nnunet_tricks.nnunet.plans_file import resolve_source

THINNER = 4
"""Times fewer features in every stage than nnU-Net planned."""

VOXELS = {2: 192**2, 3: 48**3}
"""A patch has at most so many by default, by number of dimensions."""

MIN_EDGE = 4
"""nnU-Net's own rule: no axis is pooled to fewer voxels than that."""

MIN_STAGES = 3
"""With fewer, nnU-Net's weights of deep supervision, which leave out the last level, sum to zero."""

BLOCKS = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
"""The networks that nnU-Net plans, and what they call the depth of a stage."""


def small_configuration(
    plans: Mapping[str, Any],
    source: str,
    *,
    patch_size: Sequence[int] | None = None,
    voxels: Mapping[int, int] = VOXELS,
) -> dict[str, Any]:
    """The small version of a configuration; it reads the same preprocessed data.

    A quarter of the features, one convolution or block per stage, batches of two at most, a smaller patch, and no more
    stages than that patch allows. All else is inherited.

    Args:
        plans: Content of a plans file.
        source: The configuration to start from.
        patch_size: Patch in voxels, in the order of the plans; if not given, the one of ``source``, cut in its
            proportions.
        voxels: A patch that is cut has at most so many, by number of dimensions.

    Returns:
        What to put into the plans file.

    Raises:
        ValueError: If there is no such configuration, it is the second stage of a cascade, its network is not one of
            ``BLOCKS``, or the patch does not fit it.
    """
    resolved = resolve_source(plans, source)
    architecture = deepcopy(resolved.get("architecture"))
    if not isinstance(architecture, dict):
        raise ValueError(
            f"configuration '{source}' names no architecture (plans of an old nnU-Net): plan anew with "
            "'nnUNetv2_plan_experiment'"
        )
    network = str(architecture.get("network_class_name", "")).rpartition(".")[2]
    if network not in BLOCKS:
        raise ValueError(
            f"configuration '{source}' has the network '{network}', and only {' and '.join(BLOCKS)} can be made small: "
            "choose another one with --from"
        )
    kwargs = architecture["arch_kwargs"]
    patch, stages = _fit(resolved["patch_size"], kwargs["strides"], patch_size, voxels[len(resolved["patch_size"])])
    kwargs |= {
        "n_stages": stages,
        "features_per_stage": [max(features // THINNER, 4) for features in _list(kwargs["features_per_stage"], stages)],
        "kernel_sizes": kwargs["kernel_sizes"][:stages],
        "strides": kwargs["strides"][:stages],
        BLOCKS[network]: [1] * stages,
        "n_conv_per_stage_decoder": [1] * (stages - 1),
    }
    small = {
        "inherits_from": source,
        "batch_size": min(resolved["batch_size"], 2),
        "patch_size": patch,
        "architecture": architecture,
    }
    if resolved.get("next_stage"):
        # Else its validation would also predict for the full-size cascade, into a folder that nobody reads.
        small["next_stage"] = None
    return small


def check_name(name: str) -> str:
    """A configuration's name that nnU-Net can use in folder names.

    Raises:
        ValueError: If it cannot.

    Examples:
        >>> check_name("3d_fullres_small")
        '3d_fullres_small'
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or "__" in name:
        raise ValueError(
            f"configuration name '{name}' will not do: letters, digits, '.', '-' and single '_', since nnU-Net takes "
            "its folders' names apart at '__'"
        )
    return name


def _fit(
    planned: Sequence[int], strides: Sequence[Sequence[int]], wanted: Sequence[int] | None, voxels: int
) -> tuple[list[int], int]:
    """A patch, and how many stages of the network it can feed."""
    if wanted is not None and len(wanted) != len(planned):
        raise ValueError(f"patch size {list(wanted)} has {len(wanted)} axes, the configuration's has {len(planned)}")
    nearest = "the network has too few stages"
    for stages in range(len(strides), MIN_STAGES - 1, -1):
        steps = [prod(axis) for axis in zip(*_list(strides, stages), strict=True)]
        least = [MIN_EDGE * step if step > 1 else 1 for step in steps]
        patch = [edge // step * step for edge, step in zip(wanted or planned, steps, strict=True)]
        if any(edge < low for edge, low in zip(patch, least, strict=True)):
            nearest = f"the smallest that can be is {least}"
        elif wanted is None:
            if shrunk := _shrink(patch, steps, least, voxels):
                return shrunk, stages
        elif patch == list(wanted):
            return patch, stages
        else:
            nearest = f"the nearest smaller that can be is {patch}"
    raise ValueError(f"a patch of {list(wanted or planned)} does not suit strides {list(strides)}: {nearest}")


def _shrink(patch: Sequence[int], steps: Sequence[int], least: Sequence[int], voxels: int) -> list[int] | None:
    """The patch cut to so many voxels, in its proportions as far as they can be kept; None if it cannot be so small."""
    shrunk = list(patch)
    while prod(shrunk) > voxels:
        free = [axis for axis in range(len(patch)) if shrunk[axis] - steps[axis] >= least[axis]]
        if not free:
            return None
        axis = max(free, key=lambda axis: (shrunk[axis] / patch[axis], shrunk[axis]))
        shrunk[axis] -= steps[axis]
    return shrunk


def _list(values: Any, stages: int) -> list[Any]:
    """The first stages' values; nnU-Net's networks also take one number for all."""
    return list(values[:stages]) if isinstance(values, list | tuple) else [values] * stages
