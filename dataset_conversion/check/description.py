"""``dataset.json``: what it means to nnU-Net, and where it contradicts itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_conversion.check.finding import CheckFinding, fault

FILE = "dataset.json"
VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha", ".gipl")
PICTURES = (".png", ".bmp", ".tif", ".tiff")
READERS = {
    "NibabelIO": (".nii.gz", ".nii"),
    "NibabelIOWithReorient": (".nii.gz", ".nii"),
    "SimpleITKIO": VOLUMES,
    "SimpleITKIOWithReorient": VOLUMES,
    "NaturalImage2DIO": PICTURES,
    "Tiff3DIO": (".tif", ".tiff"),
}
"""File endings that each of nnU-Net's readers accepts."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """The content of ``dataset.json`` that the checks of files need.

    Attributes:
        ending: File ending of images and labels.
        channels: Number of channels.
        values: Names of the label values, with the background and the ignore label; empty if they are not clear.
        training: Number of training cases; None if it is missing or malformed.
        files: Image paths and label path of each case, if they are listed.
        reader: nnU-Net's reader that is named, or that nnU-Net finds; empty if neither.
    """

    ending: str
    channels: int
    values: Mapping[int, str]
    training: int | None
    files: Mapping[str, tuple[tuple[str, ...], str]]
    reader: str = ""

    @property
    def is_volumes(self) -> bool:
        """Whether the files have a geometry."""
        return self.ending in VOLUMES

    @property
    def is_tiff(self) -> bool:
        """Whether the files are TIFF pictures or stacks."""
        return self.ending in (".tif", ".tiff")

    @property
    def is_stack(self) -> bool:
        """Whether the files are TIFF stacks, which nnU-Net reads as volumes."""
        return self.reader == "Tiff3DIO"


def read(folder: Path) -> tuple[Description | None, list[CheckFinding]]:
    """Read the description of a raw data set.

    Returns:
        The description, or None if the files cannot be checked without it, and what is wrong with it.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None, [
            fault("description", FILE, "is missing; nnU-Net needs it to know labels, channels and file ending")
        ]
    except (OSError, ValueError) as error:
        return None, [fault("description", FILE, f"cannot be read as JSON ({error}); write it again")]
    if not isinstance(content, dict):
        return None, [fault("description", FILE, f"holds a {type(content).__name__}, where nnU-Net needs an object")]
    findings: list[CheckFinding] = []
    channels: Any = content.get("channel_names", content.get("modality"))
    for key, value in (("labels", content.get("labels")), ("channel_names", channels)):
        if not isinstance(value, dict) or not value:
            findings.append(fault("description", FILE, f"has no {key!r} with an entry for each"))
    ending = content.get("file_ending")
    if ending not in VOLUMES + PICTURES:
        allowed = ", ".join(VOLUMES + PICTURES)
        findings.append(fault("description", FILE, f"'file_ending' is {ending!r}; nnU-Net reads {allowed}"))
    if findings:
        return None, findings
    values = _values(content, findings)
    findings += _channels(channels) + _reader(content, str(ending))
    training = content.get("numTraining")
    if not isinstance(training, int) or isinstance(training, bool):
        findings.append(fault("description", FILE, f"'numTraining' must be a whole number, got {training!r}"))
        training = None
    description = Description(
        ending=str(ending),
        channels=len(channels),
        values=values,
        training=training,
        files=_files(content, findings),
        reader=str(content.get("overwrite_image_reader_writer") or ""),
    )
    return description, findings


def _values(content: Mapping[str, Any], findings: list[CheckFinding]) -> dict[int, str]:
    """Name of each label value; regions name the values that they consist of. Empty if that is not clear."""
    names: dict[int, str] = {}
    regions = False
    is_clear = True
    single: dict[int, str] = {}
    for name, value in content["labels"].items():
        numbers = value if isinstance(value, list) else [value]
        regions = regions or (isinstance(value, list) and len(value) > 1)
        for number in numbers:
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                says = f"label {name!r} has the value {number!r}; it must be a whole number, 0 or above"
                hint = ", and nnU-Net v2 wants the name first, then the value" if str(name).isdigit() else ""
                findings.append(fault("labels", FILE, says + hint))
                is_clear = False
                continue
            # A value may be part of several regions, but only one label may consist of it.
            if isinstance(value, int):
                other = single.setdefault(number, str(name))
                if other != name:
                    findings.append(fault("labels", FILE, f"labels {other!r} and {name!r} share the value {number}"))
            names.setdefault(number, str(name))
    if not is_clear:
        return {}
    if content["labels"].get("background") != 0:
        findings.append(fault("labels", FILE, "'labels' must say \"background\": 0"))
    missing = sorted(set(range(max(names, default=0) + 1)) - set(names))
    if missing:
        values = ", ".join(map(str, sorted(names)))
        findings.append(fault("labels", FILE, f"label values must be 0, 1, 2, ... without a gap; got {values}"))
    ignore = content["labels"].get("ignore")
    if isinstance(ignore, int) and ignore != max(names, default=0):
        findings.append(fault("labels", FILE, f"'ignore' must be the highest label value, got {ignore}"))
    order = content.get("regions_class_order")
    wanted = len(content["labels"]) - 1 - (ignore is not None)
    if regions and (not isinstance(order, list) or len(order) != wanted):
        findings.append(
            fault("labels", FILE, f"labels are regions, so 'regions_class_order' needs {wanted} values, got {order!r}")
        )
    elif regions and isinstance(order, list):
        findings += _overwritten(content["labels"], order)
    return names


def _overwritten(labels: Mapping[str, Any], order: Sequence[Any]) -> Iterator[CheckFinding]:
    """Regions that are lost in predictions: these are written region by region, and later ones cover earlier ones."""
    regions = [
        (name, set(value) if isinstance(value, list) else {value})
        for name, value in labels.items()
        if name not in ("background", "ignore")
    ]
    for number, ((name, values), value) in enumerate(zip(regions, order, strict=True)):
        if value not in values:
            says = f"'regions_class_order' writes {name!r} as {value!r}, which is none of its values {sorted(values)}"
            yield fault("labels", FILE, says)
        covering = [other for other, other_values in regions[number + 1 :] if values <= other_values]
        if covering:
            says = (
                f"region {covering[0]!r} holds all of {name!r} and comes after it, so nothing of {name!r} is left in "
                f"a prediction; list the larger region first, also in 'regions_class_order'"
            )
            yield fault("labels", FILE, says)


def _channels(channels: Mapping[str, Any]) -> list[CheckFinding]:
    if sorted(channels) == sorted(str(number) for number in range(len(channels))):
        return []
    names = ", ".join(map(repr, channels))
    return [fault("description", FILE, f'\'channel_names\' must be numbered "0", "1", ... without a gap; got {names}')]


def _reader(content: Mapping[str, Any], ending: str) -> list[CheckFinding]:
    reader = content.get("overwrite_image_reader_writer")
    if reader in (None, "None", ""):
        return []
    if reader not in READERS:
        known = ", ".join(READERS)
        return [fault("description", FILE, f"asks for the reader {reader!r}; nnU-Net has {known}")]
    if ending not in READERS[reader]:
        return [fault("description", FILE, f"asks for the reader {reader}, which does not read {ending}")]
    return []


def _files(content: Mapping[str, Any], findings: list[CheckFinding]) -> dict[str, tuple[tuple[str, ...], str]]:
    """The cases that ``dataset`` lists: nnU-Net's way of naming files in other places."""
    listed = content.get("dataset")
    if not isinstance(listed, dict):
        return {}
    files: dict[str, tuple[tuple[str, ...], str]] = {}
    for case, entry in listed.items():
        images = entry.get("images") if isinstance(entry, dict) else None
        label = entry.get("label") if isinstance(entry, dict) else None
        if isinstance(images, list) and images and all(isinstance(path, str) for path in (*images, label)):
            files[str(case)] = (tuple(images), str(label))
        else:
            says = f'\'dataset\' needs "images": [...] and "label": ... for {case!r}'
            findings.append(fault("description", FILE, says, str(case)))
    return files
