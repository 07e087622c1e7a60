"""The trainer that tricks with an entry of the store build on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from nnunet_tricks.catalogue.naming import combine
from nnunet_tricks.training.network_sizes import is_small
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.tricks.network.architecture.timm_unet import NAMED
from nnunet_tricks.tricks.pretraining.given import Given
from nnunet_tricks.tricks.pretraining.start import PretrainedTrainer
from nnunet_tricks.tricks.pretraining.weights import adapting, matching
from nnunet_tricks.tricks.pretraining.weights.encoder import GENESIS, PLANNED, Encoder, of_network
from nnunet_tricks.tricks.pretraining.weights.matching import Match
from nnunet_tricks.tricks.pretraining.weights.sources import IMAGENET, SOURCES, known
from nnunet_tricks.tricks.pretraining.weights.store import Store, StoredWeights

_NETWORKS = {
    **NAMED,
    "vit_base_patch16_224": "ViTB16",
    "vit_base_patch32_224": "ViTB32",
    "vit_large_patch16_224": "ViTL16",
    "vit_large_patch32_224": "ViTL32",
    GENESIS: GENESIS,
}
"""Networks for examples, by the architecture of their encoder."""


def example(entry: StoredWeights) -> str:
    """A trainer that starts from an entry of the store."""
    trick = entry.name if known(entry.name) else f"Pretrained_{entry.name}"
    if entry.architecture == PLANNED:
        return str(combine(trick))
    return str(combine(_NETWORKS.get(entry.architecture, f"TimmUNet_{entry.architecture}"), trick))


class WeightsTrainer(PretrainedTrainer):
    """A trainer whose encoder starts from an entry of the store; everything else stays nnU-Net's.

    The entry is read when a training begins. What continues, validates or predicts needs no store.

    Attributes:
        weights_trick: Name of the trick in the catalogue.
    """

    has_own_weights = True
    weights_trick: ClassVar[str]

    @classmethod
    def entry_name(cls) -> str:
        """Name of the entry in the store."""
        return cls.weights_trick

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse networks that cannot take the weights."""
        super().check_planned(planned)
        network = cls.planned_network(planned)
        if network is not None:
            cls._check_encoder(of_network(network))

    @classmethod
    def check_fresh(cls, planned: Planned) -> None:
        """Refuse a training that has two beginnings, or whose weights are missing, changed, or of another shape."""
        if planned.call and planned.call.pretrained_weights:
            cls._refuse_two_beginnings()
        super().check_fresh(planned)
        network = cls.planned_network(planned)
        encoder = of_network(network) if network is not None else None
        if encoder and not is_small():
            cls._matched(encoder)

    @classmethod
    def _refuse_two_beginnings(cls) -> None:
        trick = cls.weights_trick
        raise ValueError(
            f"{trick} and -pretrained_weights are two beginnings of one training: take one of them, and a trainer "
            f"without {trick} for -pretrained_weights"
        )

    @classmethod
    def _check_encoder(cls, encoder: Encoder | None) -> None:
        trick = cls.weights_trick
        published = [source.architecture for source in SOURCES if source.name == trick]
        network = next((_NETWORKS[name] for name in published if name in _NETWORKS), "ResNet50UNet")
        advice = f"beside it, as in nnUNetTrainer{network}_{trick} ('nnunet-tricks list --hook network')"
        if encoder is None:
            raise ValueError(
                f"{trick} is for networks with an encoder that has published weights, and the network of "
                f"{cls.__name__} has none: put such a network {advice}"
            )
        if encoder.architecture == PLANNED and published and PLANNED not in published:
            raise ValueError(
                f"{trick} has weights of {', '.join(published)}, and nnU-Net's planned network is none of these: put "
                f"a network {advice}"
            )

    def begin(self, file: Given | None) -> None:
        """Load the entry.

        Raises:
            ValueError: If ``-pretrained_weights`` has loaded another file, or the entry is not as it was added or does
                not fit.
        """
        if file:
            self._refuse_two_beginnings()
        super().begin(file)
        encoder = of_network(self.network)
        self._check_encoder(encoder)
        if encoder is None:
            return
        entry, matched = self._matched(encoder)
        adapting.put(matched.weights, encoder)
        self.pretrained = f"{entry.described}; {matched.counts} taken"
        for line in (*matched.lines(), *self._weights_notes(entry, encoder)):
            self.print_to_log_file(f"{self.weights_trick}: {line}", add_timestamp=False)

    @classmethod
    def _matched(cls, encoder: Encoder) -> tuple[StoredWeights, Match]:
        """The entry of the store, and what of an encoder is in it.

        Raises:
            ValueError: If there is no entry, it has changed, or holds less than ``matching.LEAST`` of the encoder.
        """
        entry, weights = cls._entry(encoder)
        matched = matching.match(weights, encoder)
        matching.require(matched, weights, encoder, f"{entry.name} for {entry.architecture}")
        cls.check_match(encoder.architecture, matched)
        return entry, matched

    @classmethod
    def _entry(cls, encoder: Encoder) -> tuple[StoredWeights, dict[str, Tensor]]:
        """The entry of the store and its tensors."""
        if is_small():
            # Nobody has weights for the small networks of the harness. It checks what a trainer does with some.
            weights = {name: torch.rand_like(tensor) * 0.1 for name, tensor in encoder.tensors.items()}
            entry = StoredWeights(
                name=cls.entry_name(),
                architecture=encoder.architecture,
                sha256="none",
                tensors=len(weights),
                matched=f"{len(weights)} tensors",
                source="random numbers",
                source_sha256="none",
                licence="none",
            )
            return entry, weights
        store = Store.usual()
        entry = store.require(cls.entry_name(), encoder.architecture)
        return entry, store.weights(entry)

    def _weights_notes(self, entry: StoredWeights, encoder: Encoder) -> Iterator[str]:
        yield f"licence {entry.licence_note}"
        stem = encoder.tensors.get(encoder.stem)
        if entry.mean and stem is not None and stem.ndim == 4 and not self._normalizes_as(entry):
            scheme = ", ".join(dict.fromkeys(self.configuration_manager.normalization_schemes))
            mean, std = (" ".join(f"{value:g}" for value in values) for values in (entry.mean, entry.std))
            advice = (
                "; 'nnunet-tricks plan --normalization imagenet' plans for it"
                if (entry.mean, entry.std) == IMAGENET
                else ""
            )
            yield (
                f"WARNING: these weights know colours from 0 to 1 with mean {mean} and std {std} taken out, and the "
                f"plans normalise by {scheme}{advice}"
            )

    def _normalizes_as(self, entry: StoredWeights) -> bool:
        """Whether the plans take the same means and deviations out of colours from 0 to 255."""
        schemes = self.configuration_manager.normalization_schemes
        plans: dict[str, Any] = self.plans_manager.plans
        properties = plans.get("foreground_intensity_properties_per_channel", {})
        if len(schemes) != len(entry.mean) or set(schemes) != {"CTNormalization"}:
            return False
        return all(
            abs(properties.get(str(channel), {}).get(key, 0) / 255 - value) < 1e-3
            for key, values in (("mean", entry.mean), ("std", entry.std))
            for channel, value in enumerate(values)
        )
