"""nnU-Net on cases of which some are annotated for some classes only.

The table ``annotated.json`` beside ``dataset.json`` says which (``nnunet/annotated_classes.py``). Whatever the loss is,
it neither pushes nor pulls a class that a case is not annotated for (``merging.py``). This is the target adaptive loss
of Fang and Yan, "Multi-organ segmentation over partially labeled datasets with multi-scale feature abstraction", IEEE
TMI 2020, and the marginal loss of Shi et al. 2021. Regions are masked as in MultiTalent, Ulrich et al., MICCAI 2023.

Pseudo Dice, the summary of the validation and class balance leave such classes of such cases out, too. Patches are
drawn as ever: a class without voxels is never drawn. The ignore label is left out first. Where a data set has no table,
this is the training without the trick, and the log says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import nnunetv2.paths
from nnunetv2.evaluation.evaluate_predictions import load_summary_json, save_summary_json
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper

from nnunet_tricks.nnunet import annotated_classes
from nnunet_tricks.nnunet.annotated_classes import AnnotatedClasses
from nnunet_tricks.nnunet.folders import is_json, read_json
from nnunet_tricks.training import voxel_counts
from nnunet_tricks.training.planned import Planned, class_names
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.partial.merging import PartialLoss
from nnunet_tricks.tricks.partial.summary import of_annotated
from nnunet_tricks.tricks.partial.table import folders_of, table_of
from nnunet_tricks.utilities.files import write_atomically
from nnunet_tricks.utilities.wording import some

MIXING = ("MixUp", "CutMix", "CopyPaste", "GANAug")
"""Tricks that bring voxels of other cases into a patch, or of none."""


class nnUNetTrainerPartialLabels(TrickTrainer):
    """nnU-Net that learns each class from the cases that are annotated for it."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse a table that is wrong, regions with exclusion, and tricks that mix cases."""
        super().check_planned(planned)
        table = table_of(planned.plans.dataset_name, planned.dataset_json)
        if planned.labels.has_regions and cls.parameters["PartialLabels"].exclusion:
            raise ValueError(
                "exclusion of PartialLabels is for label maps, whose classes exclude each other, and this data set has "
                "regions: leave it out of the name"
            )
        mixing = [trick.info.name for trick in cls.trainer_name.switched if trick.info.name in MIXING]
        if table and mixing:
            raise ValueError(
                f"{mixing[0]} brings voxels of other cases into a patch, which may be annotated for different classes: "
                "take it or PartialLabels out of the name"
            )

    @classmethod
    def check_fresh(cls, planned: Planned) -> None:
        """Refuse label maps with voxels of a class that their case is not annotated for."""
        super().check_fresh(planned)
        table = table_of(planned.plans.dataset_name, planned.dataset_json)
        folder = Path(nnunetv2.paths.nnUNet_preprocessed) / planned.plans.dataset_name
        folder /= planned.configuration.data_identifier
        if table is None or not folder.is_dir():
            return
        kind = infer_dataset_class(str(folder))
        cases = [case for case in kind.get_identifiers(str(folder)) if table.lacking(case)]
        refuse_stray(table, voxel_counts.by_case(kind(str(folder), cases), cases))

    @cached_property
    def annotated_classes(self) -> AnnotatedClasses | None:
        """The table of the data set, if it has one."""
        return table_of(self.plans_manager.dataset_name, self.dataset_json)

    @property
    def annotated_sha256(self) -> str:
        """Hash of the table, for debug.json; empty where there is none."""
        return self.annotated_classes.sha256 if self.annotated_classes else ""

    @cached_property
    def _channels(self) -> tuple[str, ...]:
        return class_names(self.dataset_json, regions=bool(self.label_manager.has_regions))

    def initialize(self) -> None:
        """Build everything, with a loss that knows what each case is annotated for."""
        super().initialize()
        parent = self.loss if isinstance(self.loss, DeepSupervisionWrapper) else self
        parent.loss = self._partial = PartialLoss(
            parent.loss,
            regions=bool(self.label_manager.has_regions),
            ignore_label=self.label_manager.ignore_label,
            weight=self.parameters["PartialLabels"].exclusion,
        )

    def on_train_start(self) -> None:
        """Begin, unless a training is continued whose table has changed; preprocessed data get a copy of the table.

        Raises:
            ValueError: If it has.
        """
        before = Path(self.output_folder) / "debug.json"
        if self.current_epoch and before.is_file() and is_json(before):
            known = read_json(before).get("annotated_sha256", self.annotated_sha256)
            if known != self.annotated_sha256:
                raise ValueError(
                    f"{annotated_classes.FILE} of {self.plans_manager.dataset_name} is not as it was when this "
                    "training began: put it back, or train anew without --c"
                )
        super().on_train_start()
        if self.local_rank == 0:
            self._keep_copy()

    def _keep_copy(self) -> None:
        raw, preprocessed = folders_of(self.plans_manager.dataset_name)
        table = self.annotated_classes
        # Preprocessed data of somebody else may be read-only: then the raw data set is needed.
        with suppress(OSError):
            copy = preprocessed / annotated_classes.FILE
            if table is not None and table.file != copy:
                write_atomically(copy, table.file.read_text(encoding="utf-8"))
            elif table is None and raw is not None and raw.is_dir():
                copy.unlink(missing_ok=True)

    def class_voxels(self, classes: Sequence[Any]) -> tuple[list[int], int]:
        """Voxels of each class in the training cases, as if all of them were annotated for it.

        A class is counted where it is annotated, and has that share of the voxels of all cases. Background is the rest.
        """
        table, (training, _) = self.annotated_classes, self.do_split()
        if table is None or not any(table.lacking(case) for case in training):
            return super().class_voxels(classes)
        dataset = self.dataset_class(self.preprocessed_dataset_folder, training)
        counts = voxel_counts.by_case(dataset, training, log=self.print_to_log_file)
        for labels in counts.values():
            labels.pop(self.label_manager.ignore_label, None)
        whole = sum(sum(labels.values()) for labels in counts.values())
        voxels = []
        for name, values in zip(self._channels, classes, strict=True):
            cases = [counts[case] for case in training if name in table.annotated(case)]
            seen = sum(sum(labels.values()) for labels in cases)
            inside = sum(voxel_counts.of_classes(labels, [values])[0] for labels in cases)
            voxels.append(round(inside / seen * whole) if seen else 0)
        if not self.label_manager.has_regions:
            voxels[0] = max(whole - sum(voxels[1:]), 0)
        return voxels, whole

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step, with a loss that knows what the cases of the batch are annotated for."""
        return super().train_step(self._told(batch))

    def validation_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step; voxels predicted as a class that their case is not annotated for are no false positives."""
        batch = self._told(batch)
        lacking = self._partial.lacking
        if not any(lacking):
            return super().validation_step(batch)
        counted = self._counted(batch)
        self._partial.logits = None
        result = super().validation_step(batch)
        result["fp_hard"] = result["fp_hard"] - self._unknown(result["fp_hard"], counted)
        return result

    def _told(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch, after the loss was told of its cases. Regions are nowhere in samples that lack them."""
        table = self.annotated_classes
        self._partial.lacking = [
            [self._channels.index(name) for name in sorted(table.lacking(case))] if table else []
            for case in batch.get("keys", ())
        ]
        if not self.label_manager.has_regions or not any(self._partial.lacking):
            return batch
        levels = batch["target"] if isinstance(batch["target"], list) else [batch["target"]]
        known = [level.clone() for level in levels]
        for sample, channels in enumerate(self._partial.lacking):
            for level in known:
                level[sample, list(channels)] = 0
        return {**batch, "target": known if isinstance(batch["target"], list) else known[0]}

    def _counted(self, batch: dict[str, Any]) -> Any:
        """True where pseudo Dice counts, (B, *spatial), or ``None``: everywhere. nnU-Net's step overwrites it."""
        manager = self.label_manager
        if not manager.has_ignore_label:
            return None
        target = batch["target"][0] if isinstance(batch["target"], list) else batch["target"]
        ignored = target[:, len(self._channels)] > 0 if manager.has_regions else target[:, 0] == manager.ignore_label
        return ~ignored.to(self.device)

    def _unknown(self, like: Any, counted: Any) -> Any:
        """Voxels predicted as a class that their case is not annotated for, of each foreground class."""
        unknown, logits = like * 0, self._partial.logits
        if logits is None:
            return unknown
        regions = self.label_manager.has_regions
        predicted = None if regions else logits.argmax(1)
        for sample, channels in enumerate(self._partial.lacking):
            for channel in channels:
                mask = logits[sample, channel].sigmoid() > 0.5 if predicted is None else predicted[sample] == channel
                mask = mask if counted is None else mask & counted[sample]
                unknown[channel - (0 if regions else 1)] += int(mask.sum())
        return unknown

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """nnU-Net's validation, whose summary leaves out classes that a case is not annotated for."""
        super().perform_actual_validation(save_probabilities)
        file = Path(self.output_folder) / "validation" / "summary.json"
        if self.local_rank or self.annotated_classes is None or not file.is_file():
            return
        summary = of_annotated(load_summary_json(str(file)), self.annotated_classes, self.dataset_json["file_ending"])
        save_summary_json(summary, str(file))
        self.print_to_log_file("Mean Validation Dice of annotated classes: ", summary["foreground_mean"]["Dice"])

    def _notes(self) -> Iterator[str]:
        yield from super()._notes()
        table, (training, _) = self.annotated_classes, self.do_split()
        if table is None or not any(table.lacking(case) for case in training):
            where = "no training case lacks a class" if table else f"the data set has no {annotated_classes.FILE}"
            yield f"PartialLabels changes nothing: {where}"
            return
        names = list(table.classes.values)
        per_class = (f"{name} {sum(name in table.annotated(case) for case in training)}" for name in names)
        self._log_plainly(f"PartialLabels: of {len(training)} training cases are annotated for {', '.join(per_class)}")
        self._log_plainly(f"PartialLabels: {annotated_classes.FILE} has the hash {table.sha256[:16]}")
        absent = [name for name in names if not any(name in table.annotated(case) for case in training)]
        if absent:
            yield f"no training case of this fold is annotated for {some(absent)}, so nothing is learned about it"
        apart = [f"{a} and {b}" for a, b in table.never_together(training) if not {a, b} & set(absent)]
        if apart:
            pairs = some(apart, "; ")
            yield f"no training case is annotated for both {pairs}: where they touch, nothing tells them apart"


def refuse_stray(table: AnnotatedClasses, voxels: Mapping[str, Mapping[int, int]]) -> None:
    """Refuse label maps with voxels of a class that their case is not annotated for.

    Args:
        table: Table of the data set.
        voxels: Case -> label -> number of voxels.

    Raises:
        ValueError: If there is one; names the first case.
    """
    stray = {case: table.stray(case, labels) for case, labels in sorted(voxels.items())}
    wrong = [case for case, labels in stray.items() if labels]
    if not wrong:
        return
    first, label = wrong[0], stray[wrong[0]][0]
    besides = [name for name in sorted(table.lacking(first)) if label in table.classes.values[name]]
    others = f", and so do {len(wrong) - 1} more cases" if len(wrong) > 1 else ""
    raise ValueError(
        f"case '{first}' has {voxels[first][label]} voxels of {some(besides)}, which {table.file} does not list for "
        f"it{others}: add the class to the table, or set the voxels to another label"
    )
