"""Lizard: the 238 whole images that CoNIC was cut from, H&E of colon tissue with nuclei in six classes.

Source: warwick.ac.uk/TIA/data/lizard. Layout: ``lizard_images1`` and ``lizard_images2`` with PNG files,
``lizard_labels`` with a ``.mat`` file for each (instance map, and the class of each instance number), and ``info.csv``
with the source and one of three splits. CoNIC and Lizard hold the same pixels: do not train on one and test on the
other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from dataset_conversion.find import FoundFile, orphan, pair, stem_of, walk
from dataset_conversion.lizard_info import info_notes, read_info
from dataset_conversion.model import CaseRecord, ConversionPlan, ConversionSettings, DataSet, FileRecord, PlannedCase
from dataset_conversion.nuclei_tasks import TASKS
from dataset_conversion.picture_options import CHANNELS, ENDINGS, READER
from dataset_conversion.schemes import FOLDS, MEDISEG, SOURCE, THIRDS
from dataset_conversion.staging import Workplace

_INFO = "source and split of each image"


class Lizard(DataSet):
    """The Lizard data set of 2021."""

    name = "lizard"
    title = "Lizard"
    number = 518
    folder_name = "Lizard"
    channel_names: ClassVar[Mapping[str, str]] = CHANNELS
    reader = READER
    reference = "Graham et al., Lizard: A Large-Scale Dataset for Colonic Nuclear Instance Segmentation, ICCVW 2021"
    licence = "CC BY-NC-SA 4.0"
    file_endings = ENDINGS
    megabytes_per_second = 20.0
    tasks = TASKS
    splits: ClassVar[Mapping[str, str]] = {"folds": FOLDS, "thirds": THIRDS, "mediseg": MEDISEG, "source": SOURCE}

    def plan(self, sources: Sequence[Path], settings: ConversionSettings) -> ConversionPlan:
        """Pair by file name; source and split come from info.csv if it exists."""
        pairs, unused = pair(walk(sources, (".png", ".mat")), _key)
        info, known = read_info(sources)
        cases = []
        for image_and_nuclei in pairs:
            key, image, label = image_and_nuclei.key, image_and_nuclei.image, image_and_nuclei.label
            if image is None or label is None:
                file = image or label
                if file is not None:
                    unused.append(orphan(key, file, "label" if image else "image"))
                continue
            row = info.get(key, {})
            cases.append(
                PlannedCase(
                    # A second download of a file may be called "consep_9 (1)".
                    id=f"lizard_{re.sub(r'[^A-Za-z0-9._+-]+', '-', key)}",
                    image=image.path,
                    label=label.path,
                    group=key,
                    fold_part=row.get("split", ""),
                    modality="H&E",
                    structure="nuclei",
                    site=row.get("source") or key.rpartition("_")[0],
                )
            )
        warnings = info_notes(info, {entry.key for entry in pairs if entry.image and entry.label})
        return ConversionPlan(
            cases=cases,
            unused=unused,
            warnings=warnings,
            known=dict.fromkeys(known, _INFO),
            file_ending=settings.file_ending,
        )

    def convert(self, case: PlannedCase, record: CaseRecord, work: Workplace) -> None:
        """Write one image with its nuclei."""
        from dataset_conversion.lizard_mat import read_mat
        from dataset_conversion.nuclei import as_instances, class_map, write_nuclei
        from dataset_conversion.picture import read_picture

        label = case.label or case.image
        image_record = FileRecord(role="image", path=work.source_name(case.image), bytes=case.image.stat().st_size)
        record.files.append(image_record)
        picture = read_picture(case.image)
        image_record.sha256, image_record.notes = picture.source.sha256, picture.notes
        label_record = FileRecord(role="label", path=work.source_name(label), bytes=label.stat().st_size)
        record.files.append(label_record)
        instances, classes, label_record.sha256 = read_mat(label)
        write_nuclei(record, work, picture.pixels, as_instances(instances), class_map(instances, classes))

    def output_bytes(self, plan: ConversionPlan, settings: ConversionSettings) -> int:
        """Estimate the written bytes: about twice those of the images."""
        return sum(2 * case.image.stat().st_size for case in plan.cases)


def _key(file: FoundFile) -> tuple[str, str] | None:
    """File name and role; pictures with drawn outlines are not images."""
    if any("overlay" in folder for folder in file.folders[1:]):
        return None
    return stem_of(file.path.name), "label" if file.path.suffix.lower() == ".mat" else "image"


DATA_SET = Lizard()

if __name__ == "__main__":
    from dataset_conversion.command import main

    raise SystemExit(main("lizard"))
