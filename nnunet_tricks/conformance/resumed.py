"""A training that is interrupted after one epoch, beside the same training that is not.

Both get the same batches and the same random numbers, so that only what a checkpoint forgets can differ.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.conformance.checks import equal, require
from nnunet_tricks.nnunet.sandbox import seed_everything


class Batches:
    """A loader whose batches of the last epoch are kept, or are those of another training.

    Attributes:
        last: The batches of the last epoch.
        drawn: The batches that the loader itself made for it.
    """

    def __init__(self, loader: Any, given: list[dict[str, Any]]) -> None:
        """Take a loader, and what to hand out in place of its first batches."""
        self.loader = loader
        self.given = list(given)
        self.last: list[dict[str, Any]] = []
        self.drawn: list[dict[str, Any]] = []

    def __next__(self) -> dict[str, Any]:
        """A batch; what is random from here on does not depend on how it was drawn."""
        own = next(self.loader)
        batch: dict[str, Any] = self.given.pop(0) if self.given else own
        self.drawn.append(own)
        self.last.append(deepcopy(batch))
        seed_everything(len(self.last))
        return deepcopy(batch)

    def __iter__(self) -> Batches:
        """Itself."""
        return self

    def __getattr__(self, name: str) -> Any:
        """As the loader."""
        return getattr(self.loader, name)


class Recorded:
    """What two epochs of a training saw, so that another one can see the same.

    Attributes:
        training: Batches of the last epoch.
        validation: The same of validation.
        epochs: How many were begun.
    """

    def __init__(self, trainer: nnUNetTrainer, *, keep: Path | None = None, like: Recorded | None = None) -> None:
        """Listen to a trainer, before it starts.

        Args:
            trainer: The trainer.
            keep: Where to save a checkpoint once the first epoch is over.
            like: The training whose batches it gets.
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
            require(same, f"the {what} patches of epoch 1 after --c are others than without interruption")
