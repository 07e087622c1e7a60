"""The result of reading one case: findings, and hashes for comparisons with other cases."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.check.finding import CheckFinding, fault, note

_AT_ONCE = 2**20
_MANY = 64


@dataclass(kw_only=True)
class CaseReport:
    """One case after all of its files were read.

    Attributes:
        id: Case id.
        part: ``train`` or ``test``.
        file: Path of its first image below the data set's folder.
        findings: Faults and notes.
        digest: Hash of the voxels of all channels, in any file format; empty if one of them could not be read.
        fingerprint: Thumbnail for the search for near-identical pictures; empty for volumes.
        kind: Type of the voxels, such as ``uint8``.
    """

    id: str
    part: str
    file: str
    findings: list[CheckFinding] = field(default_factory=list)
    digest: str = ""
    fingerprint: str = ""
    kind: str = ""


def digest_of(voxels: NDArray[Any], scaling: tuple[float, float] | None = None) -> str:
    """Hash shape and values, independently of the type and byte order in which they are stored.

    Args:
        voxels: Stored voxels.
        scaling: Slope and intercept that turn them into values.
    """
    hashed = hashlib.blake2b(repr(voxels.shape).encode(), digest_size=16)
    slope, intercept = scaling or (1.0, 0.0)
    ordered = voxels.T if voxels.flags.f_contiguous else voxels
    step = max(_AT_ONCE * len(ordered) // max(ordered.size, 1), 1)
    for start in range(0, len(ordered), step):
        part = ordered[start : start + step]
        hashed.update(np.ascontiguousarray(_one_type(part if scaling is None else part * slope + intercept)).data)
    return hashed.hexdigest()


def _one_type(values: NDArray[Any]) -> NDArray[Any]:
    """Values in a type that depends only on the values: 16 bits if that loses nothing, as in most scans."""
    low, high = np.iinfo(np.int16).min, np.iinfo(np.int16).max
    if np.can_cast(values.dtype, np.int16):
        return values.astype("<i2", copy=False)
    if values.min() >= low and values.max() <= high:
        whole = values.astype("<i2")
        if (whole == values).all():
            return whole
    # nnU-Net computes with 32-bit floats.
    return values.astype("<f4")


def label_findings(values: NDArray[Any], names: Mapping[int, str], file: str, case: str) -> list[CheckFinding]:
    """Label values that ``dataset.json`` does not know, and label maps with nothing in them.

    Args:
        values: Whole numbers of the label map.
        names: Name of each known value; empty if no value is known.
        file: Path of the label map.
        case: Case id.
    """
    if not names:
        return []
    present = [int(value) for value in np.unique(values)]
    unknown = [value for value in present if value not in names]
    if set(present) == {0, 255} and unknown:
        return [fault("labels", file, "holds 0 and 255; write the label's own value in place of 255", case)]
    if len(unknown) > _MANY:
        says = f"has {len(present)} values from {present[0]} to {present[-1]}: that is an image, not a label map"
        return [fault("labels", file, says, case)]
    if unknown:
        shown = ", ".join(map(str, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        known = ", ".join(f"{value} ({name})" for value, name in sorted(names.items())[:8])
        return [fault("labels", file, f"holds {shown}; dataset.json knows {known}", case)]
    ignored = [value for value in present if names[value] == "ignore"]
    if present == ignored:
        return [fault("labels", file, "holds only the ignore label: nothing in it is annotated", case)]
    if set(present) - set(ignored) == {0}:
        return [note("labels", file, "is empty: it holds only the background", case)]
    return []
