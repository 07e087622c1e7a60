"""batchgeneratorsv2's spatial transform, bit for bit, with label maps sampled in a fraction of the time.

What draws random numbers and what touches images is inherited. Label maps and patches that are not known to be sampled
alike go to the inherited code, too.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from torch import Tensor

from nnunet_tricks.training.resampling.label_sampler import Rule, sample_labels
from nnunet_tricks.training.resampling.lattice import affine_grid, is_reproduced, is_transposed
from nnunet_tricks.training.resampling.swap import in_place_of

SETTINGS = frozenset(
    {
        *("patch_size", "patch_center_dist_from_border", "random_crop", "center_deformation", "align_corners"),
        *("p_elastic_deform", "elastic_deform_scale", "elastic_deform_magnitude"),
        *("p_rotation", "rotation", "p_rot_per_axis", "p_scaling", "scaling"),
        *("p_synchronize_scaling_across_axes", "p_synchronize_def_scale_across_axes"),
        *("mode_image", "padding_mode_image", "padding_value_image"),
        *("mode_seg", "border_mode_seg", "padding_value_seg", "bg_style_seg_sampling", "seg_tiebreak", "_grid_cache"),
    }
)
"""Attributes of batchgeneratorsv2's transform whose meaning is known here."""

WHOLE_NUMBERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

MOST = 1 << 24
"""Labels below which float32 holds each whole number: batchgeneratorsv2 looks for the nearest voxel in float32."""


class ExactSpatialTransform(SpatialTransform):
    """What the transforms of several releases of batchgeneratorsv2 share.

    Attributes:
        releases: The releases whose label maps it reproduces, for the log.
    """

    releases: ClassVar[str]
    patch_size: Any

    @classmethod
    def in_place_of(cls, transform: SpatialTransform) -> ExactSpatialTransform | None:
        """A transform with the same settings; ``None`` for settings with which label maps are not sampled alike.

        Args:
            transform: batchgeneratorsv2's own, and of no subclass.
        """
        settings = vars(transform)
        if type(transform) is not SpatialTransform or not settings.keys() <= SETTINGS:
            return None
        made = in_place_of(transform, cls)
        return made if made._settings_are_known() else None

    def _settings_are_known(self) -> bool:
        return (
            self.mode_seg == "bilinear"
            and self.border_mode_seg in ("zeros", "constant")
            and not self.align_corners
            and _is_whole(self._padding)
        )

    @property
    def _padding(self) -> float:
        return self.padding_value_seg if self.border_mode_seg == "constant" else 0

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:
        """What is drawn, and the points of the patch."""
        patch = tuple(int(side) for side in self.patch_size)
        transposed = is_transposed()
        if transposed is None or self.p_elastic_deform > 0 or not is_reproduced(patch):
            drawn: dict[str, Any] = super().get_parameters(**data_dict)
            return drawn
        size, self.patch_size = self.patch_size, (1,) * len(patch)
        try:
            # The same draws for a patch of one point.
            drawn = super().get_parameters(**data_dict)
        finally:
            self.patch_size = size
        if drawn["grid"] is not None:
            matrix = torch.from_numpy(drawn["affine"].T if transposed else drawn["affine"]).float()
            centre, source = drawn["center_location_in_pixels"], data_dict["image"].shape[1:]
            drawn["grid"] = affine_grid(patch, matrix, centre, source)
        return drawn

    def _apply_to_segmentation(self, segmentation: Tensor, **params: Any) -> Tensor:
        grid = params["grid"]
        if grid is None or not self._is_known(segmentation, grid):
            return super()._apply_to_segmentation(segmentation, **params)
        return self._sampled(segmentation, grid, affine=params["elastic_offsets"] is None)

    def _is_known(self, segmentation: Tensor, grid: Tensor) -> bool:
        if segmentation.dtype not in WHOLE_NUMBERS or segmentation.device.type != "cpu" or not segmentation.numel():
            return False
        if grid.dtype != torch.float32 or grid.ndim not in (3, 4) or segmentation.ndim != grid.ndim:
            return False
        limits = torch.iinfo(segmentation.dtype)
        if not limits.min <= self._padding <= limits.max or abs(self._padding) >= MOST:
            return False
        if limits.max >= MOST:
            low, high = torch.aminmax(segmentation)
            if low <= -MOST or high >= MOST:
                return False
        # As a number: torch is many times as fast at it as at asking each point.
        return bool(torch.isfinite(grid.sum()))

    @abstractmethod
    def _sampled(self, segmentation: Tensor, grid: Tensor, *, affine: bool) -> Tensor:
        """The label map at the points of the grid."""


class PaddedSpatialTransform(ExactSpatialTransform):
    """That of batchgeneratorsv2 0.3.6: what lies outside an image counts as voxels with the label of the padding."""

    releases = "0.3.6"

    def _settings_are_known(self) -> bool:
        return super()._settings_are_known() and self.seg_tiebreak in ("nearest", "lowest", "highest")

    def _sampled(self, segmentation: Tensor, grid: Tensor, *, affine: bool) -> Tensor:
        reached = self._may_reach_outside(grid, segmentation.shape[1:])
        padding = int(self._padding) if reached else None
        return sample_labels(segmentation, grid, Rule(self.seg_tiebreak), padding=padding, affine=affine)


class MaskedSpatialTransform(ExactSpatialTransform):
    """That of batchgeneratorsv2 0.3.2 to 0.3.5: points outside the image get the label of the padding afterwards."""

    releases = "0.3.2 to 0.3.5"

    def _settings_are_known(self) -> bool:
        return super()._settings_are_known() and not self.bg_style_seg_sampling

    def _sampled(self, segmentation: Tensor, grid: Tensor, *, affine: bool) -> Tensor:
        rule = Rule("lowest", halves=False)
        labels = sample_labels(segmentation, grid, rule, padding=None, affine=affine)
        if self._requires_constant_padding_fixup(self.border_mode_seg, self.padding_value_seg):
            outside = self._compute_out_of_bounds_mask(grid, segmentation.shape[1:])
            labels.masked_fill_(outside[None], self.padding_value_seg)
        return labels


def _is_whole(number: object) -> bool:
    return isinstance(number, int | float) and float(number).is_integer()
