"""How many patches are centred on foreground: nnU-Net takes a third, or what rounding makes of it.

A patch that is oversampled is centred on a voxel of a random foreground class of its case; the others lie anywhere.
With ``bernoulli``, as in the trick paper's published code, each patch is oversampled with probability ``fraction``.
``fixed`` is nnU-Net's rule: the last patches of each batch are oversampled. At a batch size of 2 a fraction of 0.30
means one of two. The published code takes a random voxel of all labelled ones, so that large structures get more
patches. nnU-Net draws the class first, and so does this trick.

With ``size`` cases are drawn in proportion to their voxels, so that all regions of all images are seen equally often.
nnU-Net draws each case equally often. Zhang D. et al. 2022, section 3.2.2. Validation patches are drawn with the same
fraction, as in nnU-Net's own trainers of this kind, and their cases uniformly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.sampling.loader import cases_of


class nnUNetTrainerOversample(TrickTrainer):
    """nnU-Net with another fraction of patches that are centred on foreground."""

    def _set_batch_size_and_oversample(self) -> None:
        settings = self.parameters["Oversample"]
        self.oversample_foreground_percent = settings.fraction
        self.probabilistic_oversampling = settings.rule == "bernoulli"
        # With several GPUs, nnU-Net turns the fraction into that of the process, by its own rule.
        super()._set_batch_size_and_oversample()
        if self.probabilistic_oversampling:
            self.oversample_foreground_percent = settings.fraction
            return
        anywhere = round(self.batch_size * (1 - self.oversample_foreground_percent))
        self.print_to_log_file(
            f"{self.batch_size - anywhere} of the {self.batch_size} patches of a batch are centred on foreground",
            add_timestamp=False,
        )

    def training_loader(self, loader: Any) -> Any:
        """nnU-Net's loader, which draws cases by their size where the name says so."""
        loader = super().training_loader(loader)
        if self.parameters["Oversample"].cases == "size":
            images = (cases_of(loader).load_case(case)[0] for case in loader.indices)
            voxels = np.array([np.prod(image.shape[1:]) for image in images], float)
            loader.sampling_probabilities = voxels / voxels.sum()
        return loader
