"""How many patches are centred on foreground: nnU-Net takes a third, or what rounding makes of it.

A patch that is oversampled is centred on a voxel of a random foreground class of its case; the others lie anywhere.
With ``bernoulli``, as in the trick paper's published code, each patch is oversampled with probability ``fraction``.
``fixed`` is nnU-Net's rule: the last patches of each batch are oversampled. At a batch size of 2 a fraction of 0.30
means one of two. The published code takes a random voxel of all labelled ones, so that large structures get more
patches. nnU-Net draws the class first, and so does this trick.

With ``size`` cases are drawn in proportion to their voxels, so that all regions of all images are seen equally often.
nnU-Net draws each case equally often. Zhang D. et al. 2022, section 3.2.2. Validation patches are drawn with the same
fraction, as in nnU-Net's own trainers of this kind, and their cases uniformly.

With ``empty`` that share of the training patches comes from cases without any foreground, whatever part of the cases
they are. nnU-Net draws them as any other case, and no patch of theirs can be centred on foreground: where h of the
cases are empty, only ``fraction`` (1 - h) of all patches are centred on foreground. With ``empty`` h nothing changes.
Where there is an ignore label, a case is empty if nothing that is annotated is foreground.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.sampling.foreground import foreground, planned_foreground
from nnunet_tricks.tricks.sampling.loader import cases_of

AS_THEY_COME = 1
"""Value of ``empty`` with which cases without foreground are drawn as any others."""


class nnUNetTrainerOversample(TrickTrainer):
    """nnU-Net with another fraction of patches that are centred on foreground."""

    @classmethod
    def check_fresh(cls, planned: Planned) -> None:
        """Refuse a share of empty cases where all training cases are empty, or none is."""
        super().check_fresh(planned)
        if cls.parameters["Oversample"].empty != AS_THEY_COME:
            cases = planned_foreground(planned)
            if cases:
                _refuse_unless_mixed([bool(classes) for classes in cases.values()], planned.plans.dataset_name)

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
        """nnU-Net's loader, which draws cases by their size or foreground where the name says so."""
        loader = super().training_loader(loader)
        settings = self.parameters["Oversample"]
        if settings.cases == "uniform" and settings.empty == AS_THEY_COME:
            return loader
        weights = np.ones(len(loader.indices))
        if settings.cases == "size":
            images = (cases_of(loader).load_case(case)[0] for case in loader.indices)
            weights = np.array([np.prod(image.shape[1:]) for image in images], float)
        if settings.empty != AS_THEY_COME:
            weights = self._with_share(loader, weights / weights.sum(), settings.empty)
        loader.sampling_probabilities = weights / weights.sum()
        return loader

    def _with_share(self, loader: Any, weights: NDArray[np.float64], share: float) -> NDArray[np.float64]:
        """Weights of which cases without foreground have a share together."""
        properties = (cases_of(loader).load_case(case)[-1] for case in loader.indices)
        key = loader.annotated_classes_key
        has = np.array([bool(foreground(case["class_locations"], key)) for case in properties])
        _refuse_unless_mixed(has.tolist(), self.plans_manager.dataset_name)
        before = weights[~has].sum()
        self.print_to_log_file(
            f"{(~has).sum()} of {len(has)} training cases have no foreground: {share:.1%} of the patches come from "
            f"them, {before:.1%} without 'empty'; {self._centred * (1 - share):.1%} of the patches are centred on "
            f"foreground, {self._centred * (1 - before):.1%} without",
            add_timestamp=False,
        )
        return np.where(has, weights * (1 - share) / (1 - before), weights * share / before)

    @property
    def _centred(self) -> float:
        """Share of the patches that are centred on foreground where their case has some."""
        if self.probabilistic_oversampling:
            return float(self.oversample_foreground_percent)
        return 1 - round(self.batch_size * (1 - self.oversample_foreground_percent)) / self.batch_size


def _refuse_unless_mixed(has_foreground: Sequence[bool], dataset_name: str) -> None:
    if all(has_foreground) or not any(has_foreground):
        which = "all" if all(has_foreground) else "none"
        raise ValueError(
            f"'empty' of Oversample sets the share of patches from cases without foreground, and {which} of the "
            f"{len(has_foreground)} training cases of {dataset_name} have foreground: leave it out"
        )
