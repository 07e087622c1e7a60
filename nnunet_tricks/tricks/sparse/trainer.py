"""nnU-Net on data with few annotated slices.

Zhang et al. 2025 ask how to spend a budget of slices: few slices of many volumes or many slices of few; at fixed
intervals, at random or by content; with the other slices ignored or interpolated. With ``density`` below 1 this
trainer answers that on a dense data set that nnU-Net has preprocessed. It blanks the labels of the other slices as
patches are read, and writes nothing. Without ``density`` it trains on data sets whose un-annotated voxels hold
nnU-Net's ignore label, or on dense ones, as the reference for the others. Either way:

- padding around the image is unknown; nnU-Net makes background of it (``padding.py``);
- patches are centred by a table, and shifted, with an annotated slice near the middle (``centres.py``);
- where the network sees slices, all annotated slices are drawn equally often;
- a loss that counts un-annotated voxels is refused;
- validation stays as it is, on all labels that validation cases have.

Only training cases are blanked. Intensity statistics and target spacing are those of the data set's plans.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_tricks.annotation import recorded, volumes
from nnunet_tricks.annotation.grid import SliceGrid, grid_of
from nnunet_tricks.training import voxel_sizes
from nnunet_tricks.training.trainer import MakeTransforms, TrickTrainer
from nnunet_tricks.tricks.sampling.loader import cases_of, read_from
from nnunet_tricks.tricks.sparse.cases import SparseCases
from nnunet_tricks.tricks.sparse.centres import PatchCentres
from nnunet_tricks.tricks.sparse.ignoring import refuse_if_it_counts_ignored
from nnunet_tricks.tricks.sparse.padding import WithIgnoredPadding
from nnunet_tricks.tricks.sparse.simulate import Annotation, annotate
from nnunet_tricks.tricks.sparse.survey import BACKGROUND
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer


class nnUNetTrainerSparseSlices(TrickTrainer):
    """nnU-Net on few annotated slices, simulated on dense data or as they are."""

    _annotated: SparseCases | None = None

    def training_labels(self, manager: LabelManager) -> LabelManager:
        """nnU-Net's labels, with an ignore label where the data set has none; the network predicts the same labels."""
        manager = super().training_labels(manager)
        if manager.has_ignore_label:
            return manager
        ignore = int(max(manager.all_labels)) + 1
        return type(manager)(
            {**manager.label_dict, "ignore": ignore},
            manager.regions_class_order,
            manager._force_use_labels,
            manager.inference_nonlin,
        )

    def do_split(self) -> tuple[list[str], list[str]]:
        """nnU-Net's split, with a share of the training cases where the name says so."""
        training, validation = super().do_split()
        share = self.parameters["SparseSlices"].volumes
        return volumes.chosen(training, share, seed=self._seed) if share < 1 else training, validation

    def training_transforms(self, make: MakeTransforms) -> MakeTransforms:
        """Transforms that give padding the ignore label."""
        return super().training_transforms(WithIgnoredPadding(make, self._ignore))

    def training_loader(self, loader: Any) -> Any:
        """nnU-Net's loader, which reads cases as they are annotated and centres patches by the table."""
        loader = super().training_loader(loader)
        read_from(loader, SparseCases(cases_of(loader), self._as_annotated().sparse, self._ignore))
        centres = PatchCentres(loader, self.parameters["SparseSlices"].centres, self._labels)
        centres.install()
        for line in centres.notes(self.num_iterations_per_epoch):
            self.print_to_log_file(line, add_timestamp=False)
        return loader

    def validation_loader(self, loader: Any) -> Any:
        """nnU-Net's loader; a data set without an ignore label has no list of annotated voxels either."""
        loader = super().validation_loader(loader)
        loader.has_ignore = "ignore" in self.dataset_json["labels"]
        if loader.has_ignore:
            labels_of = ((case, cases_of(loader).load_case(case)[1]) for case in loader.indices)
            partly = [case for case, labels in labels_of if (np.asarray(labels[:]) == self._ignore).any()]
            if partly:
                self.print_to_log_file(
                    f"WARNING: {len(partly)} of {len(loader.indices)} validation cases are not annotated everywhere, "
                    f"such as {partly[0]}: nnU-Net scores annotated voxels only, and elsewhere nobody knows",
                    add_timestamp=False,
                )
        return loader

    def training_voxels(self) -> dict[int, int]:
        """Number of annotated voxels of each label."""
        total = dict.fromkeys((0, *self._labels), 0)
        for case in self._as_annotated().sparse.values():
            for label in total:
                total[label] += case.survey.voxels.get(label or BACKGROUND, 0)
        return {label: number for label, number in total.items() if number}

    def initialize(self) -> None:
        """Build everything, and try the loss.

        Raises:
            ValueError: If voxels that nobody annotated change the loss.
        """
        super().initialize()
        dimensions = len(self.configuration_manager.patch_size)
        maps = self.maps_of_truth if isinstance(self, MappedLossTrainer) else None
        refuse_if_it_counts_ignored(self.loss, self.label_manager, dimensions, self.device, maps)
        self._counted = [0, 0]

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step; the annotated voxels of the batch are counted."""
        target = batch["target"][0] if isinstance(batch["target"], list) else batch["target"]
        if self.label_manager.has_regions:
            ignored = target[:, len(self.label_manager.foreground_regions)] > 0
        else:
            ignored = target[:, 0] == self._ignore
        self._counted[0] += ignored.numel() - int(ignored.count_nonzero())
        self._counted[1] += ignored.numel()
        return super().train_step(batch)

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Write into the log how much of the patches was annotated.

        Raises:
            RuntimeError: If no voxel was, so that nothing can have been learned.
        """
        super().on_train_epoch_end(train_outputs)
        annotated, voxels = self._counted
        if not annotated:
            raise RuntimeError("no patch of this epoch had an annotated voxel, so nothing was learned")
        self.print_to_log_file(f"annotated: {annotated / voxels:.1%} of the voxels of training patches")
        self._counted = [0, 0]

    @property
    def _ignore(self) -> int:
        return int(self.label_manager.ignore_label)

    @property
    def _labels(self) -> list[int]:
        """All labels but background and the ignore label; for regions the labels that they unite."""
        return [int(label) for label in self.label_manager.all_labels if label]

    @property
    def _seed(self) -> int:
        """Seed of all choices: the name's, or the run's number, so that repetitions differ."""
        return int(self.parameters["SparseSlices"].seed or self.trainer_name.run)

    def _as_annotated(self) -> SparseCases:
        """The training cases with their annotation, which is made once."""
        if self._annotated is None:
            settings = self.parameters["SparseSlices"]
            folder = self.preprocessed_dataset_folder
            cases = infer_dataset_class(folder)(folder, self.do_split()[0])
            z, y, x = [1.0, *self.configuration_manager.spacing][-3:]
            one_size = voxel_sizes.as_planned(self.configuration_manager)
            annotation = Annotation(
                density=settings.density,
                policy=settings.policy,
                seed=self._seed,
                interpolation=settings.method if settings.mi else "",
                ignore=self._ignore,
                axis=0 if len(self.configuration_manager.patch_size) == 2 else None,
                spacing=(z, y, x) if one_size else None,
                transposed=tuple(self.plans_manager.transpose_forward),
            )
            log = partial(self.print_to_log_file, add_timestamp=False)
            for line in recorded.lines_for_training(self.plans_manager.dataset_name):
                log(line)
            sparse = annotate(cases, self._grids(cases, annotation), annotation, log=log)
            self._annotated = SparseCases(cases, sparse, self._ignore)
            self._warn_of_missing_labels()
        return self._annotated

    def _grids(self, cases: Any, annotation: Annotation) -> dict[str, SliceGrid]:
        transposed = self.plans_manager.transpose_forward
        loaded = ((case, cases.load_case(case)) for case in cases.identifiers)
        grids = {case: grid_of(parts[-1], parts[0].shape[1:], transposed) for case, parts in loaded}
        across = [case for case, grid in grids.items() if grid.axis != 0 and annotation.axis is not None]
        if across and annotation.density < 1:
            raise ValueError(
                f"configuration '{self.configuration_name}' takes slices along another axis than the patient's in "
                f"{len(across)} of {len(grids)} volumes, such as {across[0]}, so it cannot be trained on some axial "
                "slices: take a 3D configuration, or plans whose transpose_forward puts the axial slices first"
            )
        if across:
            self.print_to_log_file(
                f"WARNING: {len(across)} volumes are not taken by axial slices; what is annotated in axial slices is "
                "seen as single rows of pixels",
                add_timestamp=False,
            )
        nameless = [case for case, grid in grids.items() if not grid.cosine and grid.raw > 1]
        if nameless:
            self.print_to_log_file(
                f"{len(nameless)} volumes do not say how they are oriented; their first axis counts as the patient's",
                add_timestamp=False,
            )
        return grids

    def _warn_of_missing_labels(self) -> None:
        voxels = self.training_voxels()
        missing = [str(label) for label in self._labels if label not in voxels]
        if missing:
            self.print_to_log_file(
                f"WARNING: no annotated slice of any training case shows label {', '.join(missing)}, so nothing is "
                "learned about it",
                add_timestamp=False,
            )
