r"""Progressive Growing of Patch Size: training begins with small patches, which grow to the planned size.

One axis of the patch grows at a time, by the product of the network's strides. It is the axis whose next side is
shortest. A training of E epochs with S sizes has $\lfloor E / S \rfloor$ epochs for each, and the last one also has the
remainder. Learning rate, loss, number of steps and validation stay nnU-Net's. So do plans and prediction: validation
patches and the windows of prediction have the planned size from the first epoch on.

``efficient`` keeps the number of patches in a batch. As small patches take less time, the training takes less.
``performance`` keeps the number of voxels: a batch of patches with v of the V voxels of a planned one has
$\lfloor B V / v \rfloor$ of them, at most ``cap``. The papers have no such limit. With patches of 40 x 56 x 40, nine to
a batch, theirs would begin with 787.

Fischer et al., "Progressive Growing of Patch Size: Resource-Efficient Curriculum Learning for Dense Prediction Tasks",
MICCAI 2024, and "Progressive Growing of Patch Size: Curriculum Learning for Accelerated and Improved Medical Image
Segmentation", 2025 (arXiv 2510.23241). The order is that of the second paper. The first one lets axes grow in turn,
which is ``turns``. Where this differs from the second paper:

- Its first patch has one voxel in the deepest stage, which a norm layer cannot normalise; its program switches torch's
  check off. Here, as in the first paper, there are two. No side begins below 8 voxels, as nnU-Net's blur needs some.
- Half of its patches are centred on foreground at any batch size. Here it is the share that nnU-Net's own rule gives
  the planned batch. That is half of them for batches of two, and ``Oversample_fraction0p5_fixed`` makes it half of any.
- Its program cuts all patches of a large batch out of as few cases as the planned batch has. Here each patch has a case
  of its own, as nnU-Net draws it.

The stage follows from the epoch alone, so a training that is continued has the patches it would have had. Whether
patches are augmented slice by slice, how far they are turned and along which axes they are mirrored is decided by the
planned size. With shared randomness, patches are those of the baseline in the last stage only, since before that they
have other sizes. A training with fewer epochs than sizes leaves some sizes out: one epoch has planned patches.
"""

from __future__ import annotations

from math import ceil, lcm, prod
from typing import Any

from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import distributed

from nnunet_tricks.training.network_sizes import is_small
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import MakeTransforms, TrickTrainer
from nnunet_tricks.tricks.augmentation.trainer import AugmentationTrainer
from nnunet_tricks.tricks.sampling.loader import PatchesDrawn, draw_patches, loader_of
from nnunet_tricks.tricks.sampling.patch_stages import (
    PatchStage,
    Size,
    growing_sizes,
    in_words,
    larger_batch,
    share_of_process,
    stage_at,
    stages_of,
)

PERFORMANCE = "performance"
SMALLEST_SCALES = (0.85, 0.7)
"""Scales for which nnU-Net's trainers load larger patches than they train with; the second one is that of DA5."""


OF_OTHER_CASES = ("CopyPaste", "FourierMix", "GANAug")
"""Tricks that are put into the loader once, for patches of the planned size."""


class nnUNetTrainerGrowingPatch(TrickTrainer):
    """nnU-Net whose training patches grow to the planned size."""

    _batches: Any = None
    """What makes the training batches; None before the training starts."""
    _asked: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    """Arguments with which nnU-Net asked for its transforms, but for the size of the patch."""
    _loaded: Size = ()
    """Size of the patches that nnU-Net would load for planned ones."""
    _current: PatchStage | None = None

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse patches that cannot grow, and tricks that do not bear it.

        Raises:
            ValueError: With the reason.
        """
        super().check_planned(planned)
        patch = tuple(planned.configuration.patch_size)
        for trick in cls.trainer_name.tricks:
            if "stopping" in trick.info.hooks:
                raise ValueError(
                    f"{trick.info.name} cannot be combined with GrowingPatch: the training could end before its "
                    "patches have the planned size"
                )
            if trick.info.name in OF_OTHER_CASES:
                raise ValueError(
                    f"{trick.info.name} cannot be combined with GrowingPatch: it takes what it puts into patches from "
                    "other cases in the planned size"
                )
        sizes = cls._sizes(planned.configuration)
        if len(sizes) < 2:
            raise ValueError(
                f"GrowingPatch changes nothing here: {in_words(sizes[0])} is the smallest patch that this network can "
                "be trained with, and the planned one; plan a larger patch with 'nnunet-tricks plan --patch' or take "
                "a trainer without GrowingPatch"
            )
        turned = [size for size in sizes if len(size) == 3 and size[0] in size[1:]]
        if turned and patch[0] not in patch[1:] and any(trick.info.name == "DA5" for trick in cls.trainer_name.tricks):
            raise ValueError(
                f"DA5 cannot be combined with GrowingPatch for patches of {in_words(patch)}: it turns patches whose "
                f"sides are equal, and those of {in_words(turned[0])}, on the way, would be turned out of their slices"
            )
        if note := too_few(len(sizes), cls.trainer_name.epochs):
            print(note)

    @property
    def stages(self) -> tuple[PatchStage, ...]:
        """Sizes of training patches over the epochs; debug.json has them, too."""
        settings, configuration = self.parameters["GrowingPatch"], self.configuration_manager
        sizes, planned = self._sizes(configuration), int(configuration.batch_size)
        batches = [planned] * len(sizes)
        if settings.mode == PERFORMANCE:
            processes, _ = self._processes()
            batches = [larger_batch(size, sizes[-1], planned, settings.cap, processes=processes) for size in sizes]
        return stages_of(sizes, batches, max(self.num_epochs, 1))

    @property
    def training_patch_size(self) -> Size:
        """Size of training patches in the current epoch."""
        return stage_at(self.stages, self.current_epoch).size

    def on_train_start(self) -> None:
        """Start the training, and write its stages into the log."""
        super().on_train_start()
        stages = self.stages
        voxels = sum(
            (after - stage.first) * prod(stage.size) * stage.batch
            for stage, after in zip(stages, [*(s.first for s in stages[1:]), self.num_epochs], strict=True)
        )
        planned = prod(stages[-1].size) * int(self.configuration_manager.batch_size)
        if note := too_few(len(self._sizes(self.configuration_manager)), self.num_epochs):
            self._log_plainly(f"WARNING: {note}")
        self._log_plainly(
            f"GrowingPatch: {len(stages)} stages with {voxels / planned / self.num_epochs:.0%} of the voxels of a "
            "training with planned patches"
        )
        for stage in stages:
            self._log_plainly(f"  {stage}")

    def on_train_epoch_start(self) -> None:
        """Start an epoch, with larger patches where a stage begins."""
        super().on_train_epoch_start()
        if self._batches is not None and self._current != stage_at(self.stages, self.current_epoch):
            self._grow()

    def get_dataloaders(self) -> Any:
        """nnU-Net's loaders; the one for training can be restarted."""
        loaders = super().get_dataloaders()
        self._batches = loaders[0]
        return loaders

    def training_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """Transforms for patches of the current size."""
        inner = super().training_transforms(make)

        def made(_: Any, *arguments: Any, **settings: Any) -> Any:
            self._asked = arguments, settings
            return inner(self.training_patch_size, *arguments, **settings)

        return made

    def training_loader(self, loader: Any) -> Any:
        """nnU-Net's loader, for patches of the current size."""
        loader = super().training_loader(loader)
        self._loaded = tuple(map(int, loader.patch_size))[-len(self.configuration_manager.patch_size) :]
        self._draw_from(loader)
        return loader

    def _grow(self) -> None:
        """Let the loader draw patches of the current size; its processes end, and new ones start."""
        if hasattr(self._batches, "_finish"):
            self._batches._finish()
        loader = loader_of(self._batches)
        if isinstance(self, AugmentationTrainer):
            self.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        make = self.sooner(self.training_transforms(self.get_training_transforms))
        arguments, settings = self._asked
        loader.transforms = make(self.training_patch_size, *arguments, **settings)
        self._draw_from(loader)
        if self.trainer_name.shared:
            loader.begin_at(self.current_epoch * self.num_iterations_per_epoch)
        next(self._batches)  # as nnU-Net starts its loaders
        self._log_plainly(f"GrowingPatch: {self._current}")

    def _draw_from(self, loader: Any) -> None:
        stage, planned = stage_at(self.stages, self.current_epoch), int(self.configuration_manager.batch_size)
        batch, fraction = self.batch_size, self.oversample_foreground_percent
        if stage.batch != planned:
            anywhere = round(planned * (1 - self.foreground_of_all)) / planned
            batch, on_foreground = share_of_process(stage.batch, anywhere, *self._processes())
            fraction = fraction if self.probabilistic_oversampling else on_foreground / batch
        draw_patches(loader, PatchesDrawn(stage.size, self._size_to_load(stage.size), batch, fraction))
        self._current = stage

    def _processes(self) -> tuple[int, int]:
        """How many processes train, and which of them this one is."""
        return (distributed.get_world_size(), distributed.get_rank()) if self.is_ddp else (1, 0)

    def _size_to_load(self, size: Size) -> Size:
        if isinstance(self, AugmentationTrainer):
            return tuple(self.recipe.loaded_size)
        rotation, *_, by_slices = self._asked[0][:4]
        return size_to_load(size, self._sizes(self.configuration_manager)[-1], self._loaded, rotation, by_slices)

    @classmethod
    def _sizes(cls, configuration: ConfigurationManager) -> tuple[Size, ...]:
        """All sizes of training patches, for the network of the name.

        Raises:
            ValueError: If the network takes no other size than the planned one, or grows by steps that do not lead
                to it.
        """
        patch = tuple(map(int, configuration.patch_size))
        steps = [prod(strides) for strides in zip(*configuration.pool_op_kernel_sizes, strict=True)]
        networks = [trick.info for trick in cls.trainer_name.tricks if "network.backbone" in trick.info.hooks]
        for info in networks:
            if getattr(cls, "fixed_size", False):
                raise ValueError(
                    f"{info.name} cannot be combined with GrowingPatch: it learns where things are in a patch of one "
                    "size"
                )
            steps = [lcm(step, info.multiple) for step in steps]
        if any(side % step for side, step in zip(patch, steps, strict=True)):
            multiple = in_words([step * ceil(side / step) for side, step in zip(patch, steps, strict=True)])
            raise ValueError(
                f"GrowingPatch grows patches in steps of {in_words(steps)} voxels, which are the strides of the "
                f"network, and the planned patch of {in_words(patch)} is no multiple of them: plan one such as "
                f"{multiple} with 'nnunet-tricks plan --patch'"
            )
        sizes = growing_sizes(patch, steps, in_turn=cls.parameters["GrowingPatch"].turns)
        least = 1 if is_small() else max((info.minimum for info in networks), default=1)
        return tuple(size for size in sizes if max(size) >= least or size == patch)


def size_to_load(size: Size, patch: Size, loaded: Size, rotation: Any, by_slices: bool) -> Size:
    """Size of the patches that nnU-Net loads, so that those of a size can be turned and shrunk.

    Args:
        size: Size of the patches that the network gets.
        patch: Planned size.
        loaded: What nnU-Net loads for the planned size, which says by which of its rules.
        rotation: Angles in radians, from and to.
        by_slices: Whether slices of the first axis are warped alike, in their plane.

    Returns:
        The same as nnU-Net's. If its rule is not known, in proportion to what it loads for the planned size.

    Examples:
        >>> size_to_load((8, 8), (32, 32), (32, 32), (-0.5, 0.5), False)
        (8, 8)
        >>> size_to_load((16, 8), (32, 32), (51, 37), (-0.5236, 0.5236), False)
        (21, 9)
    """
    if size == patch or loaded == patch:
        return loaded if size == patch else size
    for scale in SMALLEST_SCALES:
        if _by_rule(patch, rotation, by_slices, scale) == loaded:
            return _by_rule(size, rotation, by_slices, scale)
    return tuple(ceil(side * more / planned) for side, more, planned in zip(size, loaded, patch, strict=True))


def _by_rule(size: Size, rotation: Any, by_slices: bool, scale: float) -> Size:
    sides = tuple(map(int, get_patch_size(size, rotation, rotation, rotation, (scale, 1.0))))
    return (size[0], *sides[1:]) if by_slices else sides


def too_few(sizes: int, epochs: int) -> str:
    """A sentence on a training with fewer epochs than sizes; empty if it has enough.

    Examples:
        >>> too_few(9, 1000)
        ''
        >>> too_few(9, 5)
        'GrowingPatch has 9 sizes of patches, and the training has 5 epochs: some sizes are left out'
        >>> too_few(9, 1)
        'GrowingPatch changes nothing in a training of 1 epoch: all of its patches have the planned size'
    """
    if epochs >= sizes:
        return ""
    if epochs < 2:
        return "GrowingPatch changes nothing in a training of 1 epoch: all of its patches have the planned size"
    return f"GrowingPatch has {sizes} sizes of patches, and the training has {epochs} epochs: some sizes are left out"
