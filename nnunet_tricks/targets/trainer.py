"""A trainer whose loss reads maps beside the truth."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from nnunet_tricks.targets.maps import AppendMaps, Layout, MapOfMask, WithMaps
from nnunet_tricks.trainer import LossTrainer


class MappedLossTrainer(LossTrainer):
    """A trainer that has a map made for each foreground class or region, in the workers that augment.

    The maps travel as further channels of the target at full size, and are taken off again before nnU-Net sees it. The
    loss finds them as ``Prediction.maps`` at full size, and ``None`` at the lower levels of deep supervision.

    """

    @property
    @abstractmethod
    def map_of_mask(self) -> MapOfMask:
        """What to make of each mask: a function of a module, since workers pickle it."""

    @property
    def layout(self) -> Layout:
        """What the target's channels are."""
        return Layout(
            classes=len(self.class_names) - (0 if self.has_regions else 1),
            regions=self.has_regions,
            ignore=self.label_manager.ignore_label is not None,
        )

    def get_dataloaders(self) -> Any:
        """nnU-Net's loaders, whose last transform appends the maps."""
        append = AppendMaps(self.map_of_mask, self.layout, self.configuration_manager.spacing)
        names = ("get_training_transforms", "get_validation_transforms")
        # nnU-Net asks the trainer for its transforms while it starts the workers.
        for name in names:
            setattr(self, name, WithMaps(getattr(self, name), append))
        try:
            return super().get_dataloaders()
        finally:
            for name in names:
                delattr(self, name)

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step on a target without maps, which the loss has by then."""
        return super().train_step(self._without_maps(batch))

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """As ``train_step``."""
        return super().validation_step(self._without_maps(batch))

    def _without_maps(self, batch: dict[str, Any]) -> dict[str, Any]:
        levels = batch["target"] if isinstance(batch["target"], list) else [batch["target"]]
        full, self.criterion.maps = self.layout.split(levels[0].to(self.device, non_blocking=True))
        return {**batch, "target": [full, *levels[1:]] if isinstance(batch["target"], list) else full}
