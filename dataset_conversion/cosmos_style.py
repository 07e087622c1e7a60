"""Make a set in the style of Cosmos55k from nnU-Net raw data sets: slices with one object each, grouped by volume.

The sources are ``nnUNet_raw/DatasetXXX_Name`` folders, in 3D (axial slices are taken) or 2D. For each volume and label,
some slices are chosen, evenly spread over those in which the object is large enough. Intensities become 8-bit RGB.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from dataset_conversion.cosmos55k import OBJECT
from dataset_conversion.errors import ConversionError
from dataset_conversion.model import (
    CaseRecord,
    ConversionPlan,
    ConversionSettings,
    DataSet,
    FileRecord,
    LabelTask,
    PlannedCase,
    Unused,
)
from dataset_conversion.picture_options import CHANNELS, ENDINGS, READER
from dataset_conversion.raw_data_set import RawDataSet
from dataset_conversion.schemes import FOLDS, MEDISEG
from dataset_conversion.staging import Workplace


class CosmosStyle(DataSet):
    """Slices of the user's own data sets."""

    name = "cosmos-style"
    title = "slices of nnU-Net raw data sets, in the style of Cosmos55k"
    number = 522
    folder_name = "CosmosStyle"
    channel_names: ClassVar[Mapping[str, str]] = CHANNELS
    reader = READER
    reference = (
        "after Liu et al., Instructive Feature Enhancement for Dichotomous Medical Image Segmentation, MICCAI 2023"
    )
    licence = "that of each source data set"
    file_endings = ENDINGS
    megabytes_per_second = 40.0
    tasks: ClassVar[tuple[LabelTask, ...]] = (OBJECT,)
    splits: ClassVar[Mapping[str, str]] = {"folds": FOLDS, "mediseg": MEDISEG}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the choice of slices, and how intensities become grey."""
        add = parser.add_argument
        add("--slices", type=int, default=10, metavar="N", help="slices of each object in each volume (default 10)")
        add(
            "--min-pixels", type=int, default=64, metavar="N", help="smallest object in a slice, in pixels (default 64)"
        )
        window = (
            "HU that become black and white in CT (default -160 240); other images use their 0.5 and 99.5 percentiles"
        )
        add("--window", type=float, nargs=2, default=[-160.0, 240.0], metavar=("LOW", "HIGH"), help=window)

    def plan(self, sources: Sequence[Path], settings: ConversionSettings) -> ConversionPlan:
        """Read every label and choose slices."""
        slices, smallest = int(settings.options["slices"]), int(settings.options["min_pixels"])
        low, high = settings.options["window"]
        if slices < 1 or smallest < 1 or low >= high:
            raise ConversionError("--slices and --min-pixels must be at least 1, and --window LOW below HIGH")
        cases: list[PlannedCase] = []
        unused: list[Unused] = []
        warnings = ["made from other data sets: do not test on their cases what was trained on these slices"]
        known: dict[Path, str] = {}
        named = _names(sources)
        for source in sources:
            raw = RawDataSet.open(source, named[source])
            for case in _cases(raw, slices, smallest):
                if isinstance(case, Unused):
                    unused.append(case)
                else:
                    cases.append(case)
            known |= raw.known
            warnings += raw.warnings
        if cases or not unused:
            return ConversionPlan(
                cases=cases, unused=unused, warnings=warnings, known=known, file_ending=settings.file_ending
            )
        raise ConversionError(
            f"no slice can be taken from {', '.join(str(source) for source in sources)}: {unused[0].path}: "
            f"{unused[0].reason}"
        )

    def convert(self, case: PlannedCase, record: CaseRecord, work: Workplace) -> None:
        """Write one slice and its object."""
        import numpy as np

        from dataset_conversion.encode import encode
        from dataset_conversion.errors import Refused
        from dataset_conversion.similarity import fingerprint
        from dataset_conversion.slices import read_image, read_label

        label_path = case.label or case.image
        window = tuple(work.settings.options["window"]) if case.modality == "CT" else None
        for role, path in (("image", case.image), ("label", label_path)):
            record.files.append(FileRecord(role=role, path=work.source_name(path), bytes=path.stat().st_size))
        image, record.files[0].sha256 = read_image(case.image, window)
        label, record.files[1].sha256 = read_label(label_path)
        if image.shape[:3] != label.shape:
            raise Refused(
                f"{case.image.name} has shape {image.shape[:3]}, its label {label.shape} (slice, row, column)"
            )
        if image.ndim == 3:
            for file in record.files:
                file.path += f"[{case.index}]"
        pixels, inside = image[case.index], np.isin(label[case.index], case.values)
        record.size = [pixels.shape[1], pixels.shape[0]]
        count = int(np.count_nonzero(inside))
        record.voxels = {"0": int(inside.size) - count, "1": count}
        if image.ndim == 4:
            # Single pictures may be copies of each other, even across data sets.
            record.fingerprint = fingerprint(pixels)
        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        # Several public sets contain the same scan, under other names and in other files.
        record.pixels_sha256 = hashlib.sha256(repr(rgb.shape).encode() + rgb.tobytes()).hexdigest()
        ending = work.settings.file_ending
        work.write(record, work.image_path(record), encode(rgb, ending))
        work.write(record, work.label_path(record), encode(inside.astype(np.uint8), ending))
        for file in record.files:
            file.action = f"slice written as {ending}"

    def output_bytes(self, plan: ConversionPlan, settings: ConversionSettings) -> int:
        """Estimate the written bytes: a slice of 512 x 512 has about 150 kB as PNG."""
        return len(plan.cases) * 200_000


def _names(sources: Sequence[Path]) -> dict[Path, str]:
    """How the cases of each source begin: with its folder's name, and a number if two folders have the same name."""
    names: dict[Path, str] = {}
    for source in sources:
        if source in names:
            raise ConversionError(f"{source} is given twice; give each data set once")
        name = re.sub(r"[^A-Za-z0-9]+", "-", source.resolve().name)
        namesakes = sum(other == name or other.startswith(f"{name}-s") for other in names.values())
        names[source] = f"{name}-s{namesakes + 1}" if namesakes else name
    return names


def _cases(raw: RawDataSet, slices: int, smallest: int) -> Iterator[PlannedCase | Unused]:
    from dataset_conversion.errors import Refused
    from dataset_conversion.slices import chosen_slices, read_label

    for stem, image, label in raw.pairs():
        path = raw.below(label)
        if not image.is_file():
            yield Unused(id=stem, path=path, status="orphan", reason=f"no image {image.name}")
            continue
        try:
            voxels, _ = read_label(label)
            raw.check_values(voxels)
        except Refused as refusal:
            yield Unused(id=stem, path=path, status="refused", reason=str(refusal))
            yield Unused(
                id=stem, path=raw.below(image), status="ignored", reason=f"belongs to {stem}, which is refused"
            )
            continue
        taken = 0
        for name, values in raw.labels.items():
            structure = re.sub(r"[^A-Za-z0-9]+", "-", name)
            for index in chosen_slices(voxels, values, slices, smallest):
                taken += 1
                yield PlannedCase(
                    id=f"{raw.name}_{structure}_{stem}_{index:04d}",
                    image=image,
                    label=label,
                    group=f"{raw.name}_{raw.groups.get(stem, stem)}",
                    modality=raw.modality,
                    structure=name,
                    site=raw.name,
                    index=index,
                    values=values,
                )
        if not taken:
            reason = f"no object has {smallest} pixels in a slice"
            yield Unused(id=stem, path=path, status="ignored", reason=reason)
            raw.known[image] = reason


DATA_SET = CosmosStyle()

if __name__ == "__main__":
    from dataset_conversion.command import main

    raise SystemExit(main("cosmos-style"))
