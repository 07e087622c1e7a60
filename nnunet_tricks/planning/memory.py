"""GPU memory of a configuration, by the rule with which nnU-Net's planner chooses patch and batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REFERENCE_GB = 8
REFERENCE = {2: (85_000_000, 12), 3: (560_000_000, 2)}
"""Feature-map voxels of a patch that take so many GB in a batch of that size, by number of dimensions.

They are the numbers of nnU-Net's ``ExperimentPlanner``.
"""


def estimated_gigabytes(resolved: Mapping[str, Any], channels: int, labels: int) -> float:
    """Estimated memory of a training step; nnU-Net's rule is right to some tens of percent.

    Args:
        resolved: A configuration with all that it inherits.
        channels: Number of channels of the images.
        labels: Number of labels, background included.
    """
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    architecture = resolved["architecture"]
    network = get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        channels,
        labels,
        allow_init=False,
    )
    patch = resolved["patch_size"]
    reference, batch = REFERENCE[len(patch)]
    voxels = float(network.compute_conv_feature_map_size(patch))
    return REFERENCE_GB * voxels / reference * resolved["batch_size"] / batch
