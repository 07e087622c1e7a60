"""The segments of a ``.seg.nrrd`` of 3D Slicer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_KEY = re.compile(r"Segment(\d+)_(Name|LabelValue|Layer)")


@dataclass(frozen=True)
class Segment:
    """A segment.

    Attributes:
        name: Name that the annotator gave it.
        layer: Layer in which it is stored: overlapping segments are in different layers.
        value: Value of its voxels in that layer.
    """

    name: str
    layer: int
    value: int


def segments_of(metadata: Mapping[str, str], layers: int) -> list[Segment]:
    """Read the segments of a file, in its own order; none if the file is not 3D Slicer's.

    Versions before 4.11 wrote no layers and values: each segment was a layer, and its voxels were 1.

    Args:
        metadata: Entries of the header.
        layers: Number of values per voxel.

    Raises:
        ValueError: If an entry is not a number, or names a layer that does not exist.

    Examples:
        >>> segments_of({"Segment0_Name": "kidney", "Segment1_Name": "tumour", "Segment1_Layer": "1"}, 2)
        [Segment(name='kidney', layer=0, value=1), Segment(name='tumour', layer=1, value=1)]
    """
    entries: dict[int, dict[str, str]] = {}
    for key, text in metadata.items():
        match = _KEY.fullmatch(key)
        if match:
            entries.setdefault(int(match[1]), {})[match[2]] = text
    segments = []
    for number, entry in sorted(entries.items()):
        name = entry.get("Name", f"Segment_{number + 1}")
        try:
            layer = int(entry.get("Layer", number if layers > 1 else 0))
            segment = Segment(name, layer, int(entry.get("LabelValue", 1)))
        except ValueError as error:
            raise ValueError(
                f"segment '{name}' has a layer or label value that is not a whole number ({error})"
            ) from error
        if not 0 <= segment.layer < layers:
            raise ValueError(f"segment '{name}' is in layer {segment.layer}, and the file has {layers}")
        segments.append(segment)
    return segments
