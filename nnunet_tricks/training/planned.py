"""What is known about a training before it starts, from name, plans and data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from nnunetv2.utilities.label_handling.label_handling import LabelManager, determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import distributed

from nnunet_tricks.nnunet.training_call import TrainingCall


@dataclass(frozen=True)
class Planned:
    """A configuration of plans, and the data set that they are for.

    Attributes:
        plans: nnU-Net's reader of the plans.
        configuration: Configuration of the training.
        labels: Meaning of the labels.
        dataset_json: Content of dataset.json.
        call: Call of nnU-Net's training; ``None`` where somebody else makes the trainer.
        fold: Fold of the split, ``"all"``, or ``None`` where it is not known.
    """

    plans: PlansManager
    configuration: ConfigurationManager
    labels: LabelManager
    dataset_json: dict[str, Any]
    call: TrainingCall | None = None
    fold: int | str | None = None

    @classmethod
    def of(
        cls,
        plans: dict[str, Any],
        configuration: str,
        dataset_json: dict[str, Any],
        call: TrainingCall | None = None,
        fold: int | str | None = None,
    ) -> Planned:
        """Collect the arguments that nnU-Net gives to a trainer."""
        manager = PlansManager(plans)
        return cls(
            manager,
            manager.get_configuration(configuration),
            manager.get_label_manager(dataset_json),
            dataset_json,
            call,
            fold,
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the network's channels stand for: background and labels, or regions."""
        return class_names(self.dataset_json, regions=bool(self.labels.has_regions))

    @property
    def batch_size(self) -> int:
        """Patches of a batch; where several GPUs share it, the fewest that one of them gets."""
        sharing = distributed.is_available() and distributed.is_initialized()
        return int(self.configuration.batch_size) // (distributed.get_world_size() if sharing else 1)

    @property
    def channels(self) -> tuple[int, int]:
        """Numbers of channels of the network's input and output."""
        heads = int(self.labels.num_segmentation_heads)
        return int(determine_num_input_channels(self.plans, self.configuration, self.dataset_json)), heads


def class_names(dataset_json: dict[str, Any], *, regions: bool) -> tuple[str, ...]:
    """What the channels of a network stand for.

    Args:
        dataset_json: Content of dataset.json.
        regions: Whether it predicts overlapping regions.

    Examples:
        >>> class_names({"labels": {"background": 0, "tumour": 2, "organ": 1, "ignore": 3}}, regions=False)
        ('background', 'organ', 'tumour')
    """
    # nnU-Net takes a single label as a list, too.
    labels = dataset_json["labels"].items()
    names: dict[str, list[int]] = {str(n): np.unique(values).tolist() for n, values in labels if n != "ignore"}
    if regions:
        return tuple(name for name, values in names.items() if values != [0])
    return tuple(sorted(names, key=names.__getitem__))
