"""GANAug: with probability ``p`` a training patch is a synthetic one, image and mask.

Pairs are drawn before the training: 'nnunet-tricks ganaug train' trains a pix2pix on the training cases of the fold,
and 'nnunet-tricks ganaug sample' draws images for new masks. A patch of a pair is drawn as nnU-Net draws one of a case,
and augmented as any other. So levels of deep supervision, regions and the ignore label are nnU-Net's own. In a cascade
the first stage counts as right about a synthetic pair.

Zhang D. et al. (the trick paper, GANAug) train with p 0.2. Their program replaces the image alone in 3D, beside the
label of another one; here image and mask always belong together.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2 import paths
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from nnunet_tricks.training.network_sizes import is_small
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.preconditions import training_cases
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.synthesis.place import GanPlace
from nnunet_tricks.tricks.synthesis.synthetic_patches import SyntheticPatches

UNTRAINED_PAIRS = 4
"""Pairs that the conformance harness draws with an untrained generator."""


class nnUNetTrainerGANAug(TrickTrainer):
    """nnU-Net that also trains on synthetic pairs."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse tricks that hide labels, since the GAN has seen them."""
        super().check_planned(planned)
        hiding = [t.info.name for t in cls.trainer_name.tricks for hook in t.info.hooks if hook.startswith("labels")]
        if hiding:
            raise ValueError(
                f"GANAug takes masks of whole cases, and {hiding[0]} trains on a part of the labels: take one of them"
            )

    @classmethod
    def check_fresh(cls, planned: Planned) -> None:
        """Refuse a training without synthetic pairs, or with pairs of other training cases."""
        super().check_fresh(planned)
        if planned.fold is not None and not is_small():
            folder = Path(os.fspath(paths.nnUNet_preprocessed)) / planned.plans.dataset_name
            training = training_cases(folder / "splits_final.json", planned.fold)
            cls._place(planned, folder, planned.fold).require_pairs(training)

    @classmethod
    def _place(cls, planned: Planned, folder: Path, fold: int | str) -> GanPlace:
        named = planned.plans.plans["configurations"]
        identifier = planned.configuration.data_identifier
        # A configuration does not know its own name. Those with the same images share a GAN.
        alike = (name for name in named if planned.plans.get_configuration(name).data_identifier == identifier)
        name = next(alike, "")
        return GanPlace.of(folder, planned.plans.dataset_name, name, fold, planned.plans.plans_name, identifier)

    def training_loader(self, loader: Any) -> Any:
        """nnU-Net's loader, some of whose patches are synthetic.

        Raises:
            ValueError: If the pairs are gone, or were drawn by a GAN that has seen other cases.
        """
        loader = super().training_loader(loader)
        planned = Planned.of(self.plans_manager.plans, self.configuration_name, self.dataset_json, fold=self.fold)
        place = self._place(planned, Path(self.preprocessed_dataset_folder_base), self.fold)
        if is_small() and place.pairs() is None:
            draw_untrained(place)
        facts = place.require_pairs(self.do_split()[0])
        kind = infer_dataset_class(os.fspath(place.samples))
        p, ignore = self.parameters["GANAug"].p, self.label_manager.ignore_label
        self.synthetic_pairs = f"{facts.pairs} pairs, seed {facts.seed}, of the GAN with sha256 {facts.gan}"
        self._log_plainly(f"synthetic patches with probability {p:g}: {self.synthetic_pairs}")
        pairs = kind(os.fspath(place.samples))
        loader.transforms = ComposeTransforms([SyntheticPatches(loader, pairs, p=p, ignore=ignore), loader.transforms])
        return loader


def draw_untrained(place: GanPlace) -> None:
    """Draw pairs with an untrained generator, for the harness, which looks at what a trainer does with some.

    Args:
        place: Place of the fold's GAN.
    """
    from nnunet_tricks.tricks.synthesis.cases import FoldCases
    from nnunet_tricks.tricks.synthesis.sampling import Sampling
    from nnunet_tricks.tricks.synthesis.training import Pix2Pix, facts_of

    cases = FoldCases.of(place.dataset, place.configuration, place.fold, place.plans)
    device = torch.device("cpu")
    untrained = Pix2Pix(facts_of(cases, steps=0, width=2), device)
    untrained.save(place)
    place.note_gan(untrained.noted())
    for _ in Sampling(cases, pairs=UNTRAINED_PAIRS, seed=0, device=device, replace=False).run():
        pass
