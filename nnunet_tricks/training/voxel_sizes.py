"""Voxel sizes of preprocessed images: as planned, or those of each case where plans do not resample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

from nnunet_tricks.nnunet.plans_file import NOT_TO_ONE_SPACING


def as_planned(configuration: ConfigurationManager) -> bool:
    """Whether voxels of all preprocessed images have the planned edges."""
    return configuration.configuration["resampling_fn_data"] not in NOT_TO_ONE_SPACING


def edges_of_case(
    properties: Mapping[str, Any], shape: Sequence[int], transposed: Sequence[int]
) -> tuple[float, float, float]:
    """Edges of the voxels of one preprocessed case in mm.

    Args:
        properties: Properties that nnU-Net's preprocessing stored with the case.
        shape: Shape of the preprocessed image, without channels.
        transposed: ``transpose_forward`` of the plans.

    Examples:
        >>> stored = {"spacing": [1, 1, 5], "shape_after_cropping_and_before_resampling": (20, 100, 80)}
        >>> edges_of_case(stored, (20, 50, 80), [2, 0, 1])
        (5.0, 2.0, 1.0)
    """
    raw = [float(properties["spacing"][axis]) for axis in transposed]
    sides = properties["shape_after_cropping_and_before_resampling"]
    z, y, x = (edge * before / now for edge, before, now in zip(raw, sides, shape, strict=True))
    return z, y, x


class CurrentEdges:
    """The voxel's edges of the case that was loaded last in this process.

    nnU-Net's loader loads a case and then transforms its patch; transforms get the patch alone.

    Attributes:
        edges: Edges in mm, in the order of the preprocessed axes.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        """Start with the edges that hold before a case is loaded."""
        self.edges = tuple(float(edge) for edge in edges)


class MeasuredCases:
    """A data set of nnU-Net's loader that records the voxel edges of each case that it loads.

    Attributes:
        cases: nnU-Net's data set, or another that stands for it.
        identifiers: Names of its cases.
        current: Edges of the case that was loaded last.
    """

    def __init__(self, cases: Any, current: CurrentEdges, transposed: Sequence[int]) -> None:
        """Wrap the data set; ``transposed`` is ``transpose_forward`` of the plans."""
        self.cases, self.current, self.transposed = cases, current, tuple(transposed)
        self.identifiers = cases.identifiers

    def load_case(self, identifier: str) -> tuple[Any, ...]:
        """Load a case as nnU-Net does, and record its voxel edges."""
        image, *rest, properties = self.cases.load_case(identifier)
        self.current.edges = edges_of_case(properties, image.shape[1:], self.transposed)
        return (image, *rest, properties)
