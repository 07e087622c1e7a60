"""How stock nnU-Net's prediction gets neighbouring slices: by the preprocessor of the configuration that it holds.

Its sliding window shows one slice at a time, so a network cannot look at others. But before that, the configuration
that prediction has read names the preprocessor, in worker processes too. The trainer's class gets that configuration
when it builds the network, and sets its class to one whose preprocessor appends the neighbours. Plans, files and
nnU-Net's modules stay as they are.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

from nnunet_tricks.tricks.network.slices.neighbours import with_neighbours

SLICES = "nnunet_tricks_neighbours"
"""Attribute of the configuration with the number of neighbours on each side."""


class ConfigurationWithNeighbours(ConfigurationManager):
    """nnU-Net's configuration, whose preprocessor appends neighbouring slices."""

    @property
    def preprocessor_class(self) -> Any:
        """Makes the preprocessor of the plans, with neighbours after it."""
        return partial(NeighbourPreprocessor, super().preprocessor_class, getattr(self, SLICES))


def give_neighbours(configuration: ConfigurationManager, slices: int) -> None:
    """Let whoever preprocesses images by a configuration append neighbouring slices.

    Args:
        configuration: nnU-Net's reader of the configuration, which is changed; not what it reads.
        slices: Number of neighbours on each side.
    """
    configuration.__class__ = ConfigurationWithNeighbours
    setattr(configuration, SLICES, slices)


class NeighbourPreprocessor:
    """A preprocessor of nnU-Net's; after it, each slice has its neighbours as channels.

    Attributes:
        preprocessor: Preprocessor of the plans.
        slices: Number of neighbours on each side.
    """

    def __init__(self, kind: Any, slices: int, verbose: bool = True) -> None:
        """Make the preprocessor of the plans."""
        self.preprocessor = kind(verbose=verbose)
        self.slices = slices

    def run_case(self, *arguments: Any, **settings: Any) -> Any:
        """Read and preprocess images as nnU-Net does, then append."""
        return self._appended(*self.preprocessor.run_case(*arguments, **settings))

    def run_case_npy(self, *arguments: Any, **settings: Any) -> Any:
        """Preprocess an array as nnU-Net does, then append."""
        return self._appended(*self.preprocessor.run_case_npy(*arguments, **settings))

    def _appended(self, image: Any, *rest: Any) -> tuple[Any, ...]:
        return (with_neighbours(image, self.slices), *rest)
