"""A raw data set of translated images: those of one data set with the look of another, and with their own labels.

Each image lies on the grid of the raw one that it was made from. Labels are links to the raw label maps, so they are
the same bit for bit. Only training cases of the fold are in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask

from nnunet_tricks.annotation.raw_data import RawData, sha256, target_name
from nnunet_tricks.nnunet import annotated_classes
from nnunet_tricks.nnunet.folders import Folders, read_json
from nnunet_tricks.tricks.synthesis.translation.grey_values import RawGreyValues, check_schemes
from nnunet_tricks.tricks.synthesis.translation.pair import DataSetPair
from nnunet_tricks.tricks.synthesis.translation.raw_cases import (
    Image,
    RawCases,
    channels_of,
    on_raw_grid,
    write_picture,
    write_volume,
)
from nnunet_tricks.tricks.synthesis.translation.translator import Translator

MANIFEST = "translation_manifest.json"


class TranslatedDataSet:
    """Writes the data set.

    Attributes:
        name: Its full name.
    """

    def __init__(self, folders: Folders, pair: DataSetPair, number: int, *, replace: bool) -> None:
        """Check what is needed, without reading an image.

        Args:
            folders: nnU-Net's folders.
            pair: Training cases of both data sets.
            number: Number of the new data set.
            replace: Whether a translated data set that is there is replaced.

        Raises:
            ValueError: If raw files are missing, they do not go together, or the number is taken.
        """
        self.folders, self.pair = folders, pair
        self.source = RawCases.of(folders, pair.source, labels=True)
        self.other = RawCases.of(folders, pair.other, labels=False)
        check_schemes(pair.other)
        if self.source.is_pictures != self.other.is_pictures:
            kinds = ["pictures" if raw.is_pictures else "volumes" for raw in (self.source, self.other)]
            raise ValueError(
                f"{self.source.dataset} has {kinds[0]}, and {self.other.dataset} has {kinds[1]}: images are translated "
                "between files of one kind"
            )
        own, look = (cases.place.dataset.partition("_")[2] for cases in pair.both)
        suffix = f"{own}_as_{look}"
        present = folders.raw / f"Dataset{number:03d}_{suffix}"
        if present.is_dir() and not replace:
            raise ValueError(f"{present} is there, and trainings may have used it: --replace writes it anew")
        if present.is_dir() and not (present / MANIFEST).is_file():
            raise ValueError(f"{present} was not made by 'ganaug translate': give another number with --to")
        self.replaced = present.is_dir()
        self.name = target_name(folders, number, suffix, replaced=self.replaced)

    def write(self, translator: Translator, grey: RawGreyValues) -> Iterator[str]:
        """Translate and write all cases; the data set gets its name after the last one.

        Args:
            translator: What gives images the other look.
            grey: Raw grey values of the other data set.

        Yields:
            Name of each case.
        """
        facts = translator.facts
        with RawData(self.folders, self.name, str(self.source.description["file_ending"]), self.replaced) as data:
            for case in self.pair.source.names:
                image, _, _, properties = self.pair.source.data.load_case(case)
                looks = translator(torch.from_numpy(np.asarray(image[:])).float())
                self._write_case(data, case, looks.numpy(), properties, grey)
                yield case
            settings = {name: value for name, value in asdict(facts).items() if name not in ("cases", "other_cases")}
            manifest = {
                "translated_from": facts.dataset,
                "look_of": facts.other,
                "gan_sha256": translator.weights,
                "settings": settings,
                "grey_values": {"slope_and_shift": grey.lines, "black": grey.black, "numbers": str(grey.numbers)},
                "other_cases": facts.other_cases,
            }
            data.finish(self.source.description, manifest, manifest=MANIFEST, beside=self._beside())

    def _write_case(
        self, data: RawData, case: str, looks: Image, properties: dict[str, Any], grey: RawGreyValues
    ) -> None:
        raw = grey.raw(on_raw_grid(looks, self.pair.source, properties))
        if grey.has_rim:
            raw[:, ~create_nonzero_mask(self.source.read(case))] = 0
        files, hashes, at = self.source.files[case].images, [], 0
        for number, file in enumerate(files):
            count = channels_of(file, picture=self.source.is_pictures, axes=raw.shape[1:])
            hashes.append(data.image_by(case, number, partial(self._write, raw[at : at + count], file, grey)))
            at += count
        data.entries[case] = {
            "image_sha256": hashes,
            "translated_from_sha256": [sha256(file) for file in files],
            "label_sha256": data.link_label(case, self.source.labels[case]),
        }

    def _write(self, channels: Image, like: Path, grey: RawGreyValues, file: Path) -> None:
        if self.source.is_pictures:
            write_picture(channels, like, file, grey.numbers)
        else:
            write_volume(channels, like, file)

    def _beside(self) -> dict[str, Any]:
        """Which classes the cases are annotated for, where the data set says so."""
        table = self.folders.raw / self.source.dataset / annotated_classes.FILE
        if not table.is_file():
            return {}
        known = read_json(table)
        return {annotated_classes.FILE: {case: known[case] for case in self.source.files if case in known}}
