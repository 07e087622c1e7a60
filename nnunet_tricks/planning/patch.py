"""Another patch size as one more configuration of a plans file; it reads the same preprocessed data.

D. Zhang et al., "Deep Learning for Medical Image Segmentation: Tricks, Challenges and Future Directions", section
3.2.1, compares cubes of 32 to 192 voxels. A network that fits one size may not fit another: the patch
decides how often each axis can be pooled, and so how deep the network is. nnU-Net's own rule is used here too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import prod
from typing import Any

from nnunet_tricks.nnunet.plans_file import resolve, resolve_source
from nnunet_tricks.planning.small import BLOCKS, MIN_EDGE, MIN_STAGES

MOST_FEATURES = {2: 16, 3: 10}
"""nnU-Net has 32 features at first, and 512 (2D) or 320 (3D) at most: so many times the first."""

SWEEP = (32, 64, 96, 128, 160, 192)
"""Edges of the paper's patches."""


def patch_configuration(
    plans: Mapping[str, Any], source: str, patch_size: Sequence[int], *, batch_size: int | None = None
) -> dict[str, Any]:
    """A configuration with another patch size, and the network that nnU-Net would plan for that patch.

    Strides and kernels are those of nnU-Net's own rule for this patch and spacing. Features double from stage to stage
    up to the largest number that ``source`` has, or nnU-Net's largest where ``source`` is not deep enough to have one.
    Stages beyond those of ``source`` have as many convolutions or blocks as its last one. All else is inherited.

    Args:
        plans: Content of a plans file.
        source: The configuration to start from.
        patch_size: Patch in voxels, in the order of the plans.
        batch_size: Batch size; that of ``source`` if not given, so that one thing differs.

    Returns:
        What to put into the plans file.

    Raises:
        ValueError: If there is no such configuration, it is the second stage of a cascade, its network is not one that
            nnU-Net plans, or the patch cannot be pooled as the rule says.
    """
    resolved = resolve_source(plans, source)
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch size must be at least 1, not {batch_size}")
    changed = {"inherits_from": source, **fitted(resolved, source, patch_size)}
    if batch_size is not None:
        changed["batch_size"] = batch_size
    if resolved.get("next_stage"):
        # Else its validation would also predict for the cascade of another first stage.
        changed["next_stage"] = None
    return changed


def fitted(resolved: Mapping[str, Any], name: str, patch_size: Sequence[int]) -> dict[str, Any]:
    """Patch size and architecture of a configuration with another patch.

    Args:
        resolved: The configuration with all that it inherits; stays as it is.
        name: Name of it, for messages.
        patch_size: Patch in voxels, in the order of the plans.

    Raises:
        ValueError: As ``patch_configuration``.
    """
    architecture = _architecture(resolved, name)
    planned = resolved["patch_size"]
    if len(patch_size) != len(planned):
        raise ValueError(
            f"patch size {list(patch_size)} has {len(patch_size)} axes, the configuration's {len(planned)}"
        )
    if min(patch_size) < 1:
        raise ValueError(f"patch size {list(patch_size)} must be at least 1 voxel along each axis")
    kwargs = architecture["arch_kwargs"]
    strides, kernels = _topology(resolved["spacing"], patch_size)
    stages = len(strides)
    blocks = BLOCKS[_network(architecture)]
    kwargs |= {
        "n_stages": stages,
        "strides": strides,
        "kernel_sizes": kernels,
        "features_per_stage": _features(kwargs["features_per_stage"], stages, len(planned)),
        blocks: _longer(kwargs[blocks], stages),
        "n_conv_per_stage_decoder": _longer(kwargs["n_conv_per_stage_decoder"], stages - 1),
    }
    return {"patch_size": list(patch_size), "architecture": architecture}


def roomy(spacing: Sequence[float], patch_size: Sequence[int]) -> list[int]:
    """The smallest patch that nnU-Net's rule can pool and this one fits into.

    Args:
        spacing: Spacing in millimetres, in the order of the plans.
        patch_size: Patch in voxels.

    Examples:
        >>> roomy([1.0, 1.0], [200, 200])
        [224, 224]
    """
    return _pooled(spacing, patch_size)[0]


def default_name(source: str, patch_size: Sequence[int]) -> str:
    """What a configuration with another patch is called.

    Examples:
        >>> default_name("3d_fullres", [96, 96, 96]), default_name("3d_fullres", [32, 160, 160])
        ('3d_fullres_patch96', '3d_fullres_patch32x160x160')
    """
    edges = [str(edge) for edge in patch_size]
    return f"{source}_patch{edges[0] if len(set(edges)) == 1 else 'x'.join(edges)}"


def _architecture(resolved: Mapping[str, Any], source: str) -> dict[str, Any]:
    architecture = deepcopy(resolved.get("architecture"))
    if not isinstance(architecture, dict):
        raise ValueError(
            f"configuration '{source}' names no architecture (plans of an old nnU-Net): plan anew with "
            "'nnUNetv2_plan_experiment'"
        )
    if _network(architecture) not in BLOCKS:
        raise ValueError(
            f"configuration '{source}' has the network '{_network(architecture)}', and the depth of only "
            f"{' and '.join(BLOCKS)} is known to follow from the patch: choose another one with --from"
        )
    return architecture


def _network(architecture: Mapping[str, Any]) -> str:
    return str(architecture.get("network_class_name", "")).rpartition(".")[2]


def _topology(spacing: Sequence[float], patch_size: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
    """Strides and kernels of each stage."""
    fitting, strides, kernels = _pooled(spacing, patch_size)
    if len(strides) < MIN_STAGES:
        raise ValueError(
            f"a patch of {list(patch_size)} is too small: nnU-Net would pool it {len(strides) - 1} times, and at least "
            f"{MIN_STAGES - 1} are needed for deep supervision"
        )
    if fitting != list(patch_size):
        by = [prod(axis) for axis in zip(*strides, strict=True)]
        below = [edge // step * step for edge, step in zip(patch_size, by, strict=True)]
        nearest = [str(size) for size in (below, fitting) if _can_be(spacing, size)]
        hint = {0: "", 1: ": the nearest is ", 2: ": the nearest are "}[len(nearest)] + " and ".join(nearest)
        raise ValueError(f"a patch of {list(patch_size)} cannot be pooled as nnU-Net would pool it, by {by}{hint}")
    return strides, kernels


def _can_be(spacing: Sequence[float], patch_size: Sequence[int]) -> bool:
    fitting, strides, _ = _pooled(spacing, patch_size)
    return len(strides) >= MIN_STAGES and fitting == list(patch_size)


def _pooled(spacing: Sequence[float], patch_size: Sequence[int]) -> tuple[list[int], list[list[int]], list[list[int]]]:
    """By nnU-Net's rule: the patch filled up so that it can be pooled, then strides and kernels of each stage."""
    from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

    _, strides, kernels, fitting, _ = get_pool_and_conv_props(spacing, patch_size, MIN_EDGE, 999999)
    return (
        [int(edge) for edge in fitting],
        [[int(by) for by in axes] for axes in strides],
        [[int(edge) for edge in axes] for axes in kernels],
    )


def _features(planned: Any, stages: int, dimensions: int) -> list[int]:
    """Doubled from stage to stage up to a largest number."""
    planned = list(planned) if isinstance(planned, list | tuple) else [planned]
    first, largest = planned[0], max(planned)
    if largest == first * 2 ** (len(planned) - 1):  # it may go on doubling
        largest = max(largest, first * MOST_FEATURES[dimensions])
    return [min(first * 2**stage, largest) for stage in range(stages)]


def _longer(values: Any, stages: int) -> list[int]:
    """As many values as there are stages; the last one goes on."""
    values = list(values) if isinstance(values, list | tuple) else [values]
    return [*values, *[values[-1]] * stages][:stages]


def padding_note(plans: Mapping[str, Any], source: str, patch_size: Sequence[int]) -> str:
    """A sentence where a patch is larger than images usually are, else nothing.

    Args:
        plans: Content of a plans file.
        source: The configuration whose images they are.
        patch_size: Patch in voxels, in the order of the plans.
    """
    median = resolve(plans, source).get("median_image_size_in_voxels") or []
    if all(edge <= size for edge, size in zip(patch_size, median, strict=False)):
        return ""
    inside = prod(min(edge, size) for edge, size in zip(patch_size, median, strict=False)) / prod(patch_size)
    return (
        f"patch {'x'.join(map(str, patch_size))} is larger than the median image "
        f"({'x'.join(f'{size:.4g}' for size in median)}): nnU-Net fills up with zeros, {100 * (1 - inside):.0f} % of a "
        "median patch"
    )
