"""What all our trainers share, and the only place that knows the inside of nnU-Net's trainer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn

from nnunet_tricks import __version__
from nnunet_tricks.catalogue.naming import IllegalName, TrainerName, ensemble_note, parse
from nnunet_tricks.nnunet import patches
from nnunet_tricks.nnunet.training_call import training_call
from nnunet_tricks.training import class_balance, declared_labels, given_weights, preconditions, voxel_counts
from nnunet_tricks.training.class_balance import VoxelCounts
from nnunet_tricks.training.criterion import Criterion, DecisionWeights, Loss
from nnunet_tricks.training.planned import Planned, class_names
from nnunet_tricks.training.resampling.exact_augmentation import WithExactLabels

MakeTransforms = Callable[..., ComposeTransforms]
"""What nnU-Net's ``get_training_transforms`` and ``get_validation_transforms`` are."""


class TrickTrainer(nnUNetTrainer):
    """nnU-Net's trainer, set up by its own class name; without any trick it is nnU-Net's bit for bit.

    Attributes:
        trainer_name: Reading of the class name; a subclass with a name of its own inherits its parent's.
        segments: Whether it trains a network that segments; False for tasks without labels.
        has_side_outputs: Whether the network has outputs of several sizes, without which there is no deep supervision.
        foreground_of_all: Fraction of the patches of a batch that is centred on foreground, on all GPUs together.
        parameters: Settings of each trick in the name, ``self.parameters["Tversky"].alpha``; also in debug.json.
        nnunet_tricks_version: Version of this package, for debug.json.
        nnunetv2_version: Version of nnU-Net, which debug.json says nowhere else; so for the packages it trains with.
    """

    trainer_name: ClassVar[TrainerName] = TrainerName()
    segments: ClassVar[bool] = True
    has_side_outputs: ClassVar[bool] = True
    parameters: ClassVar[dict[str, SimpleNamespace]] = {}
    _planned: ClassVar[tuple[Planned, nn.Module | None] | None] = None
    """The network that was asked for last: all tricks of a name look at the same one."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Read the class name."""
        super().__init_subclass__(**kwargs)
        with suppress(IllegalName):
            cls.trainer_name = parse(cls.__name__)
            cls.parameters = {trick.info.name: SimpleNamespace(**trick.settings) for trick in cls.trainer_name.switched}

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008, nnU-Net's default
    ) -> None:
        """Build nnU-Net's trainer, then set what the name says.

        Args:
            plans: Content of the plans file.
            configuration: One of its configurations.
            fold: Fold of the split, or ``"all"``.
            dataset_json: Content of dataset.json.
            device: Device to train on.

        Raises:
            ValueError: If the training could not work, or not as asked; see ``preconditions.check`` and
                ``declared_labels.check_consecutive``. Nothing has been written then.
        """
        preconditions.check(type(self).__name__, plans, configuration, fold)
        manager = PlansManager(plans).get_label_manager(dataset_json)
        declared_labels.check_consecutive(manager, plans["dataset_name"])
        planned = Planned.of(plans, configuration, dataset_json, training_call(), fold)
        preconditions.check_networks(self.trainer_name, planned)
        self.check_planned(planned)
        anew = planned.call is not None and planned.call.anew
        # Without --c nnU-Net trains anew over whatever is there; with it, but without a checkpoint, as well.
        if anew or not preconditions.has_checkpoint(type(self).__name__, plans, configuration, fold):
            self.check_fresh(planned)
        super().__init__(plans, configuration, fold, dataset_json, device)
        labels: LabelManager = self.plans_manager.get_label_manager(self.dataset_json)
        self.label_manager = self.training_labels(labels)
        self.num_epochs = self.trainer_name.epochs
        if not self.has_side_outputs:
            self.enable_deep_supervision = False  # nnU-Net's weights of a single output are not numbers
        self.nnunet_tricks_version = __version__
        self.nnunetv2_version = version("nnunetv2")
        self.batchgeneratorsv2_version = version("batchgeneratorsv2")
        self.dynamic_network_architectures_version = version("dynamic_network_architectures")

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse what could not be trained, as far as name, plans and data set tell; no folder is made by then.

        Args:
            planned: Plans, configuration and labels.

        Raises:
            ValueError: If settings do not fit each other, the plans or the data set.
        """
        builders = (base for base in cls.__mro__ if "build_network_architecture" in vars(base))
        if next(builders).__module__.startswith("nnunet_tricks."):
            cls.planned_network(planned)

    @classmethod
    def planned_network(cls, planned: Planned) -> nn.Module | None:
        """The network of plans and name, without values where that is possible; None if it cannot be built."""
        if cls._planned is None or cls._planned[0] is not planned:
            from nnunet_tricks.training.without_values import without_values

            cls._planned = planned, None
            arguments = (planned.plans, planned.configuration, *planned.channels, True)
            with suppress(RuntimeError):
                cls._planned = planned, without_values(lambda: cls.build_network_architecture(*arguments))
        return cls._planned[1]

    @classmethod
    def check_fresh(cls, planned: Planned) -> None:
        """As ``check_planned``, for what only a new training needs: not asked where there is a checkpoint.

        Args:
            planned: Plans, configuration, labels, and the file of ``-pretrained_weights``.

        Raises:
            ValueError: If a new training could not begin.
        """
        file = planned.call.pretrained_weights if planned.call else None
        network = cls.planned_network(planned) if file else None
        if file and network is not None:
            theirs: tuple[int, ...] = ()
            with suppress(ValueError):  # other files than nnU-Net's say nothing of patches
                theirs = given_weights.patch_size(file)
            if theirs:
                cls.check_given_patch(theirs, tuple(planned.configuration.patch_size), file)
            cls.check_given(file, network, planned)

    @classmethod
    def check_given_patch(cls, theirs: tuple[int, ...], mine: tuple[int, ...], file: Path) -> None:
        """Refuse a file of ``-pretrained_weights`` that was trained with patches which this network cannot take over.

        Args:
            theirs: Size of its patches.
            mine: Size of the patches of the plans.
            file: The file.

        Raises:
            ValueError: With the plans that fit.
        """

    @classmethod
    def check_given(cls, file: Path, network: nn.Module, planned: Planned) -> None:
        """Refuse a file of ``-pretrained_weights`` that would not be loaded.

        Args:
            file: The file.
            network: The network that it is for, without values.
            planned: Plans, configuration and labels.

        Raises:
            ValueError: If it is no checkpoint of nnU-Net, or of another network.
        """
        weights = given_weights.read(file)[given_weights.WEIGHTS]
        given_weights.check(file, cls.adapted_weights(weights, network), network)

    @classmethod
    def adapted_weights(cls, weights: Mapping[str, Any], network: nn.Module) -> Mapping[str, Any]:
        """Weights of a checkpoint in the shapes that the network has, where a trick takes others than nnU-Net does.

        Args:
            weights: Tensors by name.
            network: The network that they are for, without values.
        """
        return weights

    @classmethod
    def input_channels(cls, channels: int) -> int:
        """Number of channels that the network gets.

        Args:
            channels: Number of channels of the preprocessed image, and of the first stage of a cascade.
        """
        return channels

    @property
    def batch_dice(self) -> bool:
        """Whether nnU-Net planned to compute overlap over the batch as if it were one image."""
        return bool(self.configuration_manager.batch_dice)

    @property
    def training_patch_size(self) -> tuple[int, ...]:
        """Voxels of training patches along each axis, as the network gets them."""
        return tuple(int(side) for side in self.configuration_manager.patch_size)

    def initialize(self) -> None:
        """Build network and loss; weights come from the same seed as another trainer's where the name says so."""
        if not self.trainer_name.shared or self.was_initialized:
            super().initialize()
            return
        from nnunet_tricks.training.shared_randomness import seeded

        with seeded(*self._shares, "weights"):
            super().initialize()

    def on_train_start(self) -> None:
        """Say what is trained, and begin once the labels of all cases are known to be those of dataset.json.

        Raises:
            ValueError: If a case has another label.
        """
        if not self.was_initialized:
            self.initialize()
        # Only now, as a subclass may have set another length in its own constructor.
        self.print_to_log_file(f"nnunet_tricks {__version__}: {self._summary()}", add_timestamp=False)
        for line in self._notes():
            self.print_to_log_file(f"WARNING: {line}", add_timestamp=False)
        self._check_labels()
        super().on_train_start()

    def _set_batch_size_and_oversample(self) -> None:
        # With several GPUs, nnU-Net puts the fraction of this process in its place.
        self.foreground_of_all = self.oversample_foreground_percent
        super()._set_batch_size_and_oversample()

    def training_labels(self, manager: LabelManager) -> LabelManager:
        """What labels mean while the network trains, for tricks that change it; prediction knows nothing of it.

        Args:
            manager: nnU-Net's, of dataset.json, as it is without the trick.

        Returns:
            As it is with it.
        """
        return manager

    def training_voxels(self) -> dict[int, int]:
        """Voxels of each label in the preprocessed training cases of this fold, for what is balanced by classes."""
        cases, _ = self.do_split()
        dataset = self.dataset_class(self.preprocessed_dataset_folder, cases)
        return voxel_counts.count(dataset, cases, log=self.print_to_log_file)

    def class_voxels(self, classes: Sequence[Any]) -> tuple[list[int], int]:
        """Voxels of classes in the training cases of this fold, and of all that is annotated there.

        Args:
            classes: All classes of the data set, background among them, or all regions: a label, or several.
        """
        labels = self.training_voxels()
        labels.pop(self.label_manager.ignore_label, None)
        return voxel_counts.of_classes(labels, classes), sum(labels.values())

    def _check_labels(self) -> None:
        folder, (training, validation) = self.preprocessed_dataset_folder, self.do_split()
        # In "all" they are the same.
        cases = list(dict.fromkeys([*training, *validation]))
        dataset = infer_dataset_class(folder)(folder, cases)
        voxels = voxel_counts.by_case(dataset, cases, log=self.print_to_log_file)
        # As dataset.json has them, whatever labels mean while the network trains.
        manager = self.plans_manager.get_label_manager(self.dataset_json)
        declared_labels.check_cases(voxels, manager, self.plans_manager.dataset_name)

    def training_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """How training patches are transformed, for tricks that change it.

        Args:
            make: Makes the transforms as they are without the trick.

        Returns:
            Makes them with it, from the same arguments.
        """
        return make

    def validation_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """As ``training_transforms``, for validation patches."""
        return make

    def sooner(self, make: MakeTransforms) -> MakeTransforms:
        """How the same training patches are made in less time, whatever tricks there are.

        Args:
            make: Makes the transforms of all tricks.

        Returns:
            Makes some whose result is the same.
        """
        return WithExactLabels(make, self._log_plainly)

    def training_loader(self, loader: Any) -> Any:
        """How training patches are drawn, for tricks that change it.

        Args:
            loader: nnU-Net's ``nnUNetDataLoader`` as it is without the trick, before its processes start.

        Returns:
            What to draw with; ``loader`` itself may be changed.
        """
        return loader

    def validation_loader(self, loader: Any) -> Any:
        """As ``training_loader``, for validation patches."""
        return loader

    def get_dataloaders(self) -> Any:
        """nnU-Net's loaders of transformed patches; they draw what another trainer's draw where the name says so."""
        with self._own_transforms(), patches.loaders(self._make_loader, processes=self._loading_processes()):
            return super().get_dataloaders()

    @contextmanager
    def _own_transforms(self) -> Iterator[None]:
        # nnU-Net asks the trainer for its transforms while it starts the workers, and the two are static methods.
        training = self.training_transforms(self.get_training_transforms)
        makers = {
            "get_training_transforms": self.sooner(training),
            "get_validation_transforms": self.validation_transforms(self.get_validation_transforms),
        }
        for name, make in makers.items():
            setattr(self, name, make)
        try:
            yield
        finally:
            for name in makers:
                delattr(self, name)

    def _log_plainly(self, line: str) -> None:
        self.print_to_log_file(line, add_timestamp=False)

    def _make_loader(self, part: str, stock: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
        if self.trainer_name.shared:
            from nnunet_tricks.training.shared_randomness import SharedLoader

            steps = self.num_iterations_per_epoch if part == patches.TRAINING else self.num_val_iterations_per_epoch
            first = self.current_epoch * steps
            loader: Any = SharedLoader(*arguments, words=(*self._shares, part), first=first, **settings)
        else:
            loader = stock(*arguments, **settings)
        return self.training_loader(loader) if part == patches.TRAINING else self.validation_loader(loader)

    def _loading_processes(self) -> type | None:
        if not self.trainer_name.shared:
            return None
        from nnunet_tricks.training.shared_randomness import InOrder

        return InOrder

    @property
    def _shares(self) -> tuple[object, ...]:
        """What makes the randomness of a training the same as another's."""
        rank = self.local_rank if self.is_ddp else 0
        return self.plans_manager.dataset_name, str(self.fold), self.trainer_name.run, rank

    def _notes(self) -> Iterator[str]:
        """What somebody who chose this name should know before it has trained for days."""
        dimensions = len(self.configuration_manager.patch_size)
        for trick in self.trainer_name.tricks:
            if trick.info.base and trick.info.dimensions not in (0, dimensions):
                yield (
                    f"{trick.info.name} is how the paper trained in {trick.info.dimensions}D, and "
                    f"{self.configuration_name} is {dimensions}D"
                )
        note = ensemble_note(type(self).__name__, self.plans_manager.plans_name, self.configuration_name)
        if note:
            yield note

    def _summary(self) -> str:
        tricks = (
            f"{trick.info.name} ({', '.join(f'{key} {value}' for key, value in trick.in_effect.items())})"
            if trick.in_effect
            else trick.info.name
            for trick in self.trainer_name.switched
        )
        bases = "".join(f"{trick.info.name}: " for trick in self.trainer_name.tricks if trick.info.base)
        name = self.trainer_name
        shared = ", with shared randomness" if name.shared else ""
        return f"{bases}{'; '.join(tricks) or 'no trick'}; {self.num_epochs} epochs; run {name.run}{shared}"


class LossTrainer(TrickTrainer):
    """A trainer with another loss; how deep supervision weighs its levels stays nnU-Net's."""

    @abstractmethod
    def make_loss(self) -> Loss:
        """The loss on one level of deep supervision."""

    @property
    def has_regions(self) -> bool:
        """Whether the network predicts overlapping regions and not the classes of a label map."""
        return bool(self.label_manager.has_regions)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the network's channels stand for: background and labels, or regions."""
        return class_names(self.dataset_json, regions=self.has_regions)

    def decision_weights(self, beta: float) -> DecisionWeights:
        """Class balance for losses on voxels, from the training fold.

        Args:
            beta: Beta of the effective number of samples; 0 weighs all alike, and nothing is counted.

        Returns:
            Weights with a mean of 1, among the classes or, region by region, between outside and inside.
        """
        if not beta:
            return ((1.0, 1.0),) * len(self.class_names) if self.has_regions else ((1.0,) * len(self.class_names),)
        counts = self.count_voxels()
        weights = class_balance.decision_weights(counts, beta)
        self._log_weights(counts.names, [row[1] for row in weights] if counts.regions else weights[0], weights)
        return weights

    def overlap_weights(self, beta: float) -> tuple[float, ...] | None:
        """Class balance for losses on overlap, from the training fold.

        Args:
            beta: Beta of the effective number of samples.

        Returns:
            Weights of the foreground classes or regions, with a mean of 1; ``None`` where ``beta`` is 0.
        """
        if not beta:
            return None
        counts = self.count_voxels()
        weights = class_balance.overlap_weights(counts, beta)
        self._log_weights(counts.names[-len(weights) :], weights, (weights,))
        return weights

    def count_voxels(self) -> VoxelCounts:
        """Voxels of each class or region in the preprocessed training cases of this fold; the log says what is missing.

        Raises:
            ValueError: If no class but the background occurs.
        """
        classes = self.label_manager.foreground_regions if self.has_regions else range(len(self.class_names))
        voxels, annotated = self.class_voxels(classes)
        counts = VoxelCounts(
            names=self.class_names, voxels=tuple(voxels), annotated=annotated, regions=self.has_regions
        )
        if not any(counts.foreground):
            raise ValueError(
                f"the training cases of fold {self.fold} of {self.plans_manager.dataset_name} have no voxel of "
                f"{', '.join(self.class_names)}: classes cannot be balanced; check the labels and splits_final.json"
            )
        missing = [name for name, voxels in zip(counts.names, counts.voxels, strict=True) if not voxels]
        if missing:
            self.print_to_log_file(
                f"{', '.join(missing)}: not in the training cases of this fold, so nothing is learned about it",
                add_timestamp=False,
            )
        return counts

    def _log_weights(self, names: Sequence[str], weights: Sequence[float], balanced: DecisionWeights) -> None:
        listed = ", ".join(f"{name} {weight:.4g}" for name, weight in zip(names, weights, strict=True))
        self.print_to_log_file(f"class balance weighs {listed}", add_timestamp=False)
        if len(balanced[0]) == 1:
            self.print_to_log_file("this balances nothing: there is one class only", add_timestamp=False)
        elif all(max(row) < 1.01 * min(row) for row in balanced):
            self.print_to_log_file(
                "this balances nothing: all classes have so many voxels that they weigh the same; a number nearer to "
                "1, such as cb0p9999999, or 1 itself tells them apart",
                add_timestamp=False,
            )

    def on_train_epoch_start(self) -> None:
        """Tell the loss how far the training is; what a continued one is told is the same."""
        super().on_train_epoch_start()
        self.criterion.progress = self.current_epoch / self.num_epochs

    def _build_loss(self) -> nn.Module:
        self.criterion = Criterion(
            self.make_loss(),
            regions=self.label_manager.has_regions,
            ignore_label=self.label_manager.ignore_label,
            ddp=self.is_ddp,
        )
        # nnU-Net weighs the levels inside this method, by rules that change with its version: keep its wrapper.
        built = super()._build_loss()
        if not isinstance(built, DeepSupervisionWrapper):
            return self.criterion
        built.loss = self.criterion
        return built
