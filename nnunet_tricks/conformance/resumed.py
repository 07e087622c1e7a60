"""A training that is interrupted after one epoch, and the same training without interruption.

Both get the same batches and random numbers, so only what a checkpoint forgets can make a difference.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.checks import equal, require
from nnunet_tricks.nnunet.sandbox import seed_everything


class Batches:
    """A loader that keeps the batches of the last epoch, or replays those of another training.

    Attributes:
        last: Batches of the last epoch.
        drawn: Batches that the loader itself made for that epoch.
    """

    def __init__(self, loader: Any, given: list[dict[str, Any]]) -> None:
        """Wrap a loader; ``given`` replaces its first batches."""
        self.loader = loader
        self.given = list(given)
        self.last: list[dict[str, Any]] = []
        self.drawn: list[dict[str, Any]] = []

    def __next__(self) -> dict[str, Any]:
        """The next batch; the seed is set, so that later random numbers do not depend on how it was drawn."""
        own = next(self.loader)
        batch: dict[str, Any] = self.given.pop(0) if self.given else own
        self.drawn.append(own)
        self.last.append(deepcopy(batch))
        seed_everything(len(self.last))
        return deepcopy(batch)

    def __iter__(self) -> Batches:
        """Return the loader itself."""
        return self

    def __getattr__(self, name: str) -> Any:
        """Forward other attributes to the loader."""
        return getattr(self.loader, name)


class Recorded:
    """The batches of two epochs of a training, so that another training can get the same.

    Attributes:
        epochs: Number of epochs that were started.
        loaders: Loaders of training and validation.
    """

    def __init__(self, trainer: nnUNetTrainer, *, keep: Path | None = None, like: Recorded | None = None) -> None:
        """Record a trainer that has not started yet.

        Args:
            trainer: The trainer.
            keep: File for a checkpoint after the first epoch; None for none.
            like: Training whose batches it gets; None for its own.
        """
        self.epochs = 0
        self.loaders: list[Batches] = []
        start, begin, end = trainer.on_train_start, trainer.on_epoch_start, trainer.on_epoch_end

        def on_train_start() -> None:
            start()
            given = [loader.last for loader in like.loaders] if like else [[], []]
            self.loaders = [
                Batches(loader, batches)
                for loader, batches in zip((trainer.dataloader_train, trainer.dataloader_val), given, strict=True)
            ]
            trainer.dataloader_train, trainer.dataloader_val = self.loaders

        def on_epoch_start() -> None:
            begin()
            self.epochs += 1
            for loader in self.loaders:
                loader.last.clear()
                loader.drawn.clear()
            seed_everything(0)

        def on_epoch_end() -> None:
            end()
            if keep and self.epochs == 1:
                # As nnU-Net does at the end of a training.
                trainer.current_epoch -= 1
                trainer.save_checkpoint(str(keep))
                trainer.current_epoch += 1

        trainer.on_train_start, trainer.on_epoch_start, trainer.on_epoch_end = (
            on_train_start,
            on_epoch_start,
            on_epoch_end,
        )

    def require_same_draws(self, other: Recorded) -> None:
        """Require that the loaders themselves made the same batches of the last epoch as those of ``other``."""
        for what, mine, theirs in zip(("training", "validation"), self.loaders, other.loaders, strict=True):
            same = len(mine.drawn) == len(theirs.drawn) and all(
                equal(batch["data"], expected["data"]) for batch, expected in zip(mine.drawn, theirs.drawn, strict=True)
            )
            require(same, f"the {what} patches of epoch 1 after --c differ from those without interruption")
