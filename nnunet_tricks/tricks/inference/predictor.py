"""nnU-Net's predictor with other views, other weights of windows, and maps of uncertainty."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import Tensor

from nnunet_tricks.tricks.inference.averaging import mean_over_views
from nnunet_tricks.tricks.inference.uncertainty import uncertainty_maps
from nnunet_tricks.tricks.inference.view_sets import PatchGeometry, ViewSet, view_set

AUTO = 0
"""As many views at once as the device's memory takes."""


class ViewPredictor(nnUNetPredictor):
    """Predicts the views of a set for each window, in place of nnU-Net's mirroring.

    Attributes:
        tta: Name of the set of views.
        average: ``logits`` or ``probabilities``; that of the set if empty.
        batch: Views that the network gets at once; ``AUTO`` tries all, and halves them when memory runs out.
        uncertainty: Whether maps are put behind the logits.
        seconds: Time of each case.
    """

    def __init__(
        self, *, tta: str, average: str = "", batch: int = AUTO, uncertainty: bool = False, **settings: Any
    ) -> None:
        """Take the settings; the others are nnU-Net's."""
        super().__init__(use_mirroring=False, **settings)
        self.tta = tta
        self.average = average
        self.batch = batch
        self.uncertainty = uncertainty
        self.seconds: list[float] = []
        self._set: ViewSet | None = None
        self.list_of_parameters: Any = None

    @property
    def view_set(self) -> ViewSet:
        """The views of the model that was loaded."""
        if self._set is None:
            self._set = view_set(self.tta, self._patch(), average=self.average)
            if self.batch == AUTO:
                self.batch = len(self._set.views) if self.device.type == "cuda" else 1
        return self._set

    @property
    def regions(self) -> bool:
        """Whether the model's outputs are regions."""
        return bool(self.label_manager.has_regions)

    @property
    def files_of_case(self) -> tuple[int, ...]:
        """Numbers of files that an image may have: one for each channel, or one colour picture with all of them."""
        channels = len(self.dataset_json.get("channel_names", self.dataset_json.get("modality", {})))
        return (1, channels) if self.plans_manager.image_reader_writer_class is NaturalImage2DIO else (channels,)

    def _patch(self) -> PatchGeometry:
        size = tuple(int(side) for side in self.configuration_manager.patch_size)
        edges: Sequence[float] = self.configuration_manager.spacing
        return PatchGeometry(size, tuple(map(float, edges[-len(size) :])), tuple(self.allowed_mirroring_axes or ()))

    @torch.inference_mode()
    def _internal_maybe_mirror_and_predict(self, x: Tensor) -> Tensor:
        views = self.view_set
        while True:
            try:
                return mean_over_views(
                    self.network, x, views.views, average=views.average, regions=self.regions, batch=self.batch
                )
            except torch.cuda.OutOfMemoryError:
                if self.batch == 1:
                    raise
            self.batch = max(1, self.batch // 2)
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def predict_logits_from_preprocessed_data(self, data: Tensor) -> Tensor:
        """The mean logits of the folds' models, and behind them the maps, if they are wanted."""
        begin = time.perf_counter()
        logits = (
            self._logits_and_maps(data) if self.uncertainty else super().predict_logits_from_preprocessed_data(data)
        )
        self.seconds.append(time.perf_counter() - begin)
        return logits

    def _logits_and_maps(self, data: Tensor) -> Tensor:
        parameters: list[dict[str, Tensor]] = list(self.list_of_parameters or [])
        members: list[Tensor] = []
        try:
            for each in parameters:
                self.list_of_parameters = [each]
                members.append(super().predict_logits_from_preprocessed_data(data))
        finally:
            self.list_of_parameters = parameters
        mean = members[0].clone()
        for member in members[1:]:
            mean += member
        mean /= len(members)
        maps = uncertainty_maps(members, regions=self.regions)
        return torch.cat([mean, torch.stack([each.to(mean) for each in maps.values()])])
