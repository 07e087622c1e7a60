"""An existing nnU-Net raw data set, as the source of another one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_conversion.errors import ConversionError, Refused
from dataset_conversion.text_table import read_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OWN_FILES = ("dataset.json", "cases.csv", "conversion_report.json", "preview.png")


@dataclass(kw_only=True)
class RawDataSet:
    """A raw data set, by its own ``dataset.json`` and ``cases.csv``."""

    folder: Path
    name: str
    ending: str
    modality: str
    labels: dict[str, tuple[int, ...]]
    """Values of each label or region, without background and ignore label."""
    allowed: frozenset[int]
    """All values that a label may hold."""
    groups: dict[str, str]
    """Group of each case that ``cases.csv`` has a group for."""
    known: dict[Path, str] = field(default_factory=dict)
    """Meaning of files that belong to no case."""
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path, name: str) -> RawDataSet:
        """Read ``dataset.json``, and the groups in ``cases.csv`` if a converter wrote it.

        Args:
            folder: Folder such as ``nnUNet_raw/Dataset519_KiTS2019``.
            name: Beginning of its cases' names.

        Raises:
            ConversionError: If it is not a raw data set, or its table does not belong to it.
        """
        described = _described(folder)
        channels = {str(key): str(value) for key, value in described["channel_names"].items()}
        labels = {}
        for label, value in described["labels"].items():
            if label not in ("background", "ignore"):
                labels[str(label)] = tuple(value) if isinstance(value, list) else (int(value),)
        values = (value if isinstance(value, list) else [value] for value in described["labels"].values())
        allowed = frozenset(int(number) for numbers in values for number in numbers)
        channel = channels["0"]
        raw = cls(
            folder=folder,
            name=name,
            ending=str(described["file_ending"]),
            modality="CT" if channel.lower() == "ct" else channel,
            labels=labels,
            allowed=allowed | {0},
            groups={},
            known={folder / file: "belongs to the raw data set" for file in _OWN_FILES},
        )
        raw._read_groups()
        raw._look_at_channels(channels)
        if "ignore" in described["labels"]:
            raw.warnings.append(f"{folder.name} has an ignore label; in the slices it counts as background")
        return raw

    def pairs(self) -> Iterator[tuple[str, Path, Path]]:
        """Yield id, image of the first channel and label of each training case; the image may be missing."""
        for label in sorted((self.folder / "labelsTr").glob(f"*{self.ending}")):
            stem = label.name.removesuffix(self.ending)
            yield stem, self.folder / "imagesTr" / f"{stem}_0000{self.ending}", label

    def below(self, path: Path) -> str:
        """Path of a file below the folder, as the report shows it."""
        return path.relative_to(self.folder).as_posix()

    def check_values(self, voxels: NDArray[Any]) -> None:
        """Check that ``dataset.json`` knows all values, since others suggest that the labels have another meaning.

        Raises:
            Refused: If it does not know some of them.
        """
        import numpy as np

        unknown = sorted(set(np.unique(voxels).tolist()) - self.allowed)
        if unknown:
            raise Refused(
                f"has the value(s) {', '.join(map(str, unknown[:5]))}, dataset.json knows "
                f"{', '.join(map(str, sorted(self.allowed)))}"
            )

    def _read_groups(self) -> None:
        """Read the groups that converters write, so that cases of a group stay together."""
        path = self.folder / "cases.csv"
        if not path.is_file():
            return
        table = read_table(path)
        if "id" not in table.columns or "group" not in table.columns:
            self.warnings.append(f"{self.folder.name}/cases.csv has no columns id and group, so it was not used")
            return
        self.groups = {row.cells["id"]: row.cells["group"] for row in table.rows if row.cells["group"]}
        stems = [stem for stem, _, _ in self.pairs()]
        unnamed = [stem for stem in stems if stem not in self.groups]
        if stems and len(unnamed) == len(stems):
            raise ConversionError(
                f"{path} names none of the {len(stems)} training cases (such as {stems[0]!r}); correct it, or remove "
                f"it to take each case as its own group"
            )
        if unnamed:
            self.warnings.append(
                f"{self.folder.name}/cases.csv does not name {len(unnamed)} of {len(stems)} cases, such as "
                f"{unnamed[0]}; each of them is its own group"
            )

    def _look_at_channels(self, channels: dict[str, str]) -> None:
        others = sorted((self.folder / "imagesTr").glob(f"*_0001{self.ending}"))
        if others:
            self.warnings.append(
                f"{self.folder.name} has {len(channels)} channels; only the first, {channels['0']}, was taken"
            )


def _described(folder: Path) -> dict[str, Any]:
    """Content of a data set's ``dataset.json``."""
    try:
        content: dict[str, Any] = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        _ = content["file_ending"], content["channel_names"]["0"], content["labels"].items()
    except FileNotFoundError as error:
        raise ConversionError(
            f"{folder} has no dataset.json; give folders such as nnUNet_raw/Dataset519_KiTS2019"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConversionError(
            f"{folder}/dataset.json is not in the format of nnU-Net v2 (missing or malformed: {error})"
        ) from error
    return content
