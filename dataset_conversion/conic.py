"""CoNIC 2022: 4,981 H&E patches of colon tissue, 256 x 256, with nuclei as instances in six classes.

Source: conic-challenge.grand-challenge.org. One folder with ``images.npy``, ``labels.npy`` and ``patch_info.csv``, rows
in one order. Patches were cut from the Lizard images with overlap at the edges: the same pixels occur in two patches,
so only whole Lizard images go into a fold. ``counts.csv`` counts the nuclei that touch the central 224 x 224 pixels;
where it is there, it is compared, since a map with classes in another order fails it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from dataset_conversion.errors import ConversionError
from dataset_conversion.find import walk
from dataset_conversion.model import Case, DataSet, Plan, Record, Settings
from dataset_conversion.nuclei_tasks import TASKS
from dataset_conversion.picture_options import CHANNELS, ENDINGS, READER
from dataset_conversion.schemes import FOLDS, MEDISEG, SOURCE

_NAMES = ("images.npy", "labels.npy", "patch_info.csv")
_CENTRE = 224


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

    def plan(self, sources: Sequence[Path], settings: Settings) -> Plan:
        """One case for each row; its group is the Lizard image it was cut from."""
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
        _counts(paths["images.npy"].with_name("counts.csv"))
        if len(patches) != len(images):
            raise ConversionError(f"patch_info.csv names {len(patches)} patches, images.npy holds {len(images)}")
        cases = [
            Case(
                id=f"conic_{number:05d}_{patch}",
                image=paths["images.npy"],
                label=paths["labels.npy"],
                group=patch.rpartition("-")[0],
                modality="H&E",
                structure="nuclei",
                site=patch.rpartition("-")[0].rpartition("_")[0],
                index=number,
            )
            for number, patch in enumerate(patches)
        ]
        return Plan(cases=cases, file_ending=settings.file_ending)

    def convert(self, case: Case, record: Record, work: Any) -> None:
        """Write one patch; the arrays stay on disk."""
        import numpy as np

        from dataset_conversion.array_rows import read_row, row_record
        from dataset_conversion.nuclei import as_instances, write_nuclei

        picture, picture_source = read_row(case.image, case.index)
        maps, maps_source = read_row(case.label or case.image, case.index)
        record.files += [row_record("image", picture_source), row_record("label", maps_source)]
        instances = as_instances(maps[..., 0])
        classes = np.clip(maps[..., 1], 0, 255).astype(np.uint8)
        expected = _counts(case.image.with_name("counts.csv"))
        if expected is not None and case.index < len(expected):
            found = _centre_counts(instances, classes)
            if found != expected[case.index]:
                record.warnings.append(
                    f"counts.csv says {list(expected[case.index])} nuclei of classes 1 to 6 in the centre, its "
                    f"map {list(found)}: "
                    f"are the classes in another order?"
                )
        write_nuclei(record, work, picture, instances, classes)

    def output_bytes(self, plan: Plan, settings: Settings) -> int:
        """H&E pictures hardly shrink."""
        return sum(image.stat().st_size for image in {case.image for case in plan.cases})


def _find(sources: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for one in walk(sources, _NAMES):
        if one.path.name in found:
            raise ConversionError(
                f"{found[one.path.name]} and {one.path} are both there; give the folder of one of them"
            )
        if one.path.name in _NAMES:
            found[one.path.name] = one.path
    missing = [name for name in _NAMES if name not in found]
    if missing == ["patch_info.csv"]:
        raise ConversionError(
            "patch_info.csv is missing: without it nobody knows which patches come from one image, and every "
            "split would leak; "
            "it comes with the download of the challenge"
        )
    if missing:
        raise ConversionError(f"{', '.join(missing)} not found in {', '.join(str(source) for source in sources)}")
    return found


def _patches(path: Path) -> list[str]:
    """The column of patch_info.csv."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if "patch_info" not in (reader.fieldnames or []):
            raise ConversionError(f"{path} has no column 'patch_info'; it has {', '.join(reader.fieldnames or [])}")
        return [row["patch_info"] for row in reader]


@lru_cache(maxsize=2)
def _counts(path: Path) -> list[tuple[int, ...]] | None:
    """The rows of counts.csv."""
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [tuple(int(float(value)) for value in row.values()) for row in csv.DictReader(file)]
    except (ValueError, TypeError) as error:
        raise ConversionError(f"{path} holds something else than counts ({error}); download it again") from error


def _centre_counts(instances: Any, classes: Any) -> tuple[int, ...]:
    """Nuclei of each class that touch the centre."""
    import numpy as np

    top, left = ((length - _CENTRE) // 2 for length in instances.shape)
    centre = (slice(max(top, 0), top + _CENTRE), slice(max(left, 0), left + _CENTRE))
    pairs = np.unique(instances[centre].astype(np.int64) * 256 + classes[centre]) % 256
    return tuple(int(np.count_nonzero(pairs == value)) for value in range(1, 7))


DATA_SET = Conic()

if __name__ == "__main__":
    from dataset_conversion.command import main

    raise SystemExit(main("conic"))
