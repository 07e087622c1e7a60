"""Ways to train, and groups of them that can be compared: plain values without any paths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from nnunet_tricks.catalogue import after_training
from nnunet_tricks.catalogue.naming import IllegalName, model_folder, parse


@dataclass(frozen=True)
class Method:
    """One way to train.

    Attributes:
        trainer: Class name of the first run's trainer.
        plans: Stem of the plans file.
        configuration: Name of nnU-Net's configuration.
        runs: Numbers of the repetitions.
        folds: Names of the folds, of all runs together.
    """

    trainer: str
    plans: str
    configuration: str
    runs: tuple[int, ...] = ()
    folds: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the folder in which nnU-Net puts the first run."""
        return model_folder(self.trainer, self.plans, self.configuration)


@dataclass(frozen=True)
class Group:
    """Methods that can be compared with each other.

    Attributes:
        dataset: Full name of the data set.
        part: Part of the data: ``validation``, ``test`` or the like.
        methods: All methods, the baseline first.
    """

    dataset: str
    part: str
    methods: tuple[Method, ...]

    @property
    def baseline(self) -> Method:
        """The method that all others are compared with."""
        return self.methods[0]

    @property
    def folds(self) -> tuple[str, ...]:
        """Names of the folds, of all methods together."""
        return tuple(sorted({fold for method in self.methods for fold in method.folds}))

    def short(self, method: Method) -> str:
        """A method's name without what is the same for all.

        Plans and configuration are left out where they do not differ.
        """
        parts = [method.trainer]
        for attribute in ("plans", "configuration"):
            if len({getattr(other, attribute) for other in self.methods}) > 1:
                parts.append(getattr(method, attribute))
        return " ".join(parts)


def without_run(trainer: str) -> str:
    """The name of a trainer's first run.

    Examples:
        >>> without_run("nnUNetTrainer_5epochs_run3"), without_run("MyTrainer_run3")
        ('nnUNetTrainer_5epochs', 'MyTrainer_run3')
        >>> without_run("nnUNetTrainer_run3+TTA_mirror")
        'nnUNetTrainer+TTA_mirror'
    """
    return _without_run(trainer)


@lru_cache(maxsize=4096)
def _without_run(trainer: str) -> str:
    own, mark, settings = trainer.partition(after_training.MARK)
    try:
        return str(replace(parse(own), run=1)) + mark + settings
    except IllegalName:
        return trainer
