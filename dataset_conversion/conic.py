"""CoNIC 2022: 4,981 H&E patches of colon tissue, 256 x 256, with nuclei as instances in six classes.

Source: conic-challenge.grand-challenge.org. One folder holds ``images.npy``, ``labels.npy`` and ``patch_info.csv``,
with rows in the same order. Patches were cut from the Lizard images and overlap at their edges. The same pixels can
occur in two patches, so only whole Lizard images go into a fold. If there is a ``counts.csv``, it is
compared (`conic_counts`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from dataset_conversion.conic_counts import centre_counts, check_channels, other_order, read_counts
from dataset_conversion.errors import ConversionError
from dataset_conversion.find import walk
from dataset_conversion.model import CaseRecord, ConversionPlan, ConversionSettings, DataSet, PlannedCase
from dataset_conversion.nuclei_tasks import TASKS
from dataset_conversion.picture_options import CHANNELS, ENDINGS, READER
from dataset_conversion.schemes import FOLDS, MEDISEG, SOURCE
from dataset_conversion.staging import Workplace
from dataset_conversion.text_table import read_table

_NAMES = ("images.npy", "labels.npy", "patch_info.csv")
_PATCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*-\d+")


class Conic(DataSet):
    """Colon Nuclei Identification and Counting challenge of 2022."""

    name = "conic"
    title = "CoNIC 2022"
    number = 517
    folder_name = "CoNIC2022"
    channel_names: ClassVar[Mapping[str, str]] = CHANNELS
    reader = READER
    reference = "Graham et al., CoNIC Challenge, Medical Image Analysis 92, 2024"
    licence = "CC BY-NC-SA 4.0"
    file_endings = ENDINGS
    megabytes_per_second = 30.0
    tasks = TASKS
    splits: ClassVar[Mapping[str, str]] = {
        "folds": f"{FOLDS} (all patches of a Lizard image)",
        "mediseg": MEDISEG,
        "source": SOURCE,
    }

    def plan(self, sources: Sequence[Path], settings: ConversionSettings) -> ConversionPlan:
        """Plan one case for each row; its group is the Lizard image it was cut from."""
        import numpy as np

        from dataset_conversion.array_rows import open_array

        paths = _find(sources)
        images, labels = open_array(paths["images.npy"]), open_array(paths["labels.npy"])
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise ConversionError(f"images.npy should be (n, height, width, 3) uint8, is {images.shape} {images.dtype}")
        if labels.shape != (*images.shape[:3], 2) or labels.dtype.kind not in "iu":
            expected = (*images.shape[:3], 2)
            raise ConversionError(
                f"labels.npy should be {expected} whole numbers (instance, class), is {labels.shape} {labels.dtype}"
            )
        patches = _patches(paths["patch_info.csv"])
        if len(patches) != len(images):
            raise ConversionError(f"patch_info.csv names {len(patches)} patches, images.npy holds {len(images)}")
        check_channels(labels)
        counts_path = paths["images.npy"].with_name("counts.csv")
        counts = read_counts(counts_path)
        if counts is not None and len(counts) != len(images):
            raise ConversionError(
                f"{counts_path} has {len(counts)} rows, images.npy {len(images)} patches; they belong to different "
                f"downloads, or one was cut off"
            )
        order = other_order(paths["labels.npy"], counts_path)
        if order and settings.task.name == "classes":
            raise ConversionError(
                f"{order}, so the names of the classes would be wrong; put labels.npy[..., 1] in the order of "
                f"neutrophil 1, epithelial 2, lymphocyte 3, plasma 4, eosinophil 5, connective 6, or take --task nuclei"
            )
        cases = [_case(paths, number, patch) for number, patch in enumerate(patches)]
        warnings = [f"{order}; this task does not tell classes apart"] if order else []
        if counts is None and settings.task.name == "classes":
            warnings.append("counts.csv is missing, so the order of the classes in labels.npy could not be checked")
        if len({case.group for case in cases}) == len(cases) > 1:
            warnings.append(
                f"by patch_info.csv each of the {len(cases)} patches comes from an image of its own, such as "
                f"{patches[0]}; patches of one image would leak"
            )
        return ConversionPlan(
            cases=cases,
            warnings=warnings,
            known={
                paths["patch_info.csv"]: "names the image that each patch was cut from",
                counts_path: "numbers of nuclei of each class, compared with the maps",
            },
            file_ending=settings.file_ending,
        )

    def convert(self, case: PlannedCase, record: CaseRecord, work: Workplace) -> None:
        """Write one patch; the arrays stay on disk."""
        import numpy as np

        from dataset_conversion.array_rows import read_row, row_record
        from dataset_conversion.nuclei import as_instances, write_nuclei

        picture, picture_source = read_row(case.image, case.index)
        maps, maps_source = read_row(case.label or case.image, case.index)
        record.files += [row_record("image", picture_source), row_record("label", maps_source)]
        instances = as_instances(maps[..., 0])
        classes = np.clip(maps[..., 1], 0, 255).astype(np.uint8)
        counts_path = case.image.with_name("counts.csv")
        expected = read_counts(counts_path)
        # Another order of all patches is reported once, in the plan.
        if expected is not None and not other_order(case.label or case.image, counts_path):
            counts = centre_counts(instances, classes)
            if counts != expected[case.index]:
                record.warnings.append(
                    f"counts.csv says {list(expected[case.index])} nuclei of classes 1 to 6 in the centre, its "
                    f"map {list(counts)}: does the row belong to another patch?"
                )
        write_nuclei(record, work, picture, instances, classes)

    def output_bytes(self, plan: ConversionPlan, settings: ConversionSettings) -> int:
        """Estimate the size of the pictures: H&E pictures hardly shrink."""
        return sum(image.stat().st_size for image in {case.image for case in plan.cases})


def _case(paths: Mapping[str, Path], number: int, patch: str) -> PlannedCase:
    """The case of one row; ``consep_1-0000`` is patch 0 of the Lizard image ``consep_1``."""
    image = patch.rpartition("-")[0]
    return PlannedCase(
        id=f"conic_{number:05d}_{patch}",
        image=paths["images.npy"],
        label=paths["labels.npy"],
        group=image,
        modality="H&E",
        structure="nuclei",
        site=image.rpartition("_")[0],
        index=number,
    )


def _find(sources: Sequence[Path]) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for file in walk(sources, _NAMES):
        name = file.path.name
        if name in paths:
            raise ConversionError(f"{paths[name]} and {file.path} both exist; give the folder of one of them")
        if name in _NAMES:
            paths[name] = file.path
    missing = [name for name in _NAMES if name not in paths]
    if missing == ["patch_info.csv"]:
        raise ConversionError(
            "patch_info.csv is missing: without it nobody knows which patches come from one image, and every split "
            "would leak; it comes with the download of the challenge"
        )
    if missing:
        raise ConversionError(f"{', '.join(missing)} not found in {', '.join(str(source) for source in sources)}")
    return paths


def _patches(path: Path) -> list[str]:
    """Names of the patches, from patch_info.csv.

    Raises:
        ConversionError: If a name does not say which image its patch was cut from.
    """
    table = read_table(path)
    if "patch_info" not in table.columns:
        raise ConversionError(f"{path} has no column 'patch_info'; it has {', '.join(table.columns)}")
    for row in table.rows:
        if not _PATCH.fullmatch(row.cells["patch_info"]):
            raise ConversionError(
                f"{path} line {row.line} names the patch {row.cells['patch_info']!r}; names must be "
                f"<image>-<number>, such as consep_1-0000, since patches of one image share pixels and must stay "
                f"together"
            )
    return [row.cells["patch_info"] for row in table.rows]


DATA_SET = Conic()

if __name__ == "__main__":
    from dataset_conversion.command import main

    raise SystemExit(main("conic"))
