"""A plan for annotators: which slices of which volumes, where viewers show them, and what it amounts to."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_tricks.annotation import features, policies, volumes
from nnunet_tricks.annotation.axes import STEEP
from nnunet_tricks.annotation.progress import shown
from nnunet_tricks.annotation.scans import Scan
from nnunet_tricks.utilities.wording import some

FORMAT = 1
FEATURES = ("pixels", "autoencoder")

_PLACES = {"slice": "chosen", "itksnap": "itksnap", "slicer_mm": "slicer_mm"}
"""Columns of the table by which annotators find a slice, and their names in the plan."""


@dataclass(frozen=True)
class Settings:
    """How slices are chosen.

    Attributes:
        density: Share of slices of a volume.
        policy: See ``policies.chosen``.
        fraction: Share of volumes.
        seed: Of all that is random.
        objective: Of the policy ``ual``.
        features: What the policy ``ual`` looks at, see ``FEATURES``.
    """

    density: float
    policy: str = "fixed"
    fraction: float = 1.0
    seed: int = 0
    objective: str = "cover"
    features: str = "pixels"

    def as_json(self) -> dict[str, Any]:
        """What another run needs to choose the same."""
        found = {
            "density": self.density,
            "policy": self.policy,
            "volumes": self.fraction,
            "seed": self.seed,
        }
        return found | ({"objective": self.objective, "features": self.features} if self.policy == "ual" else {})


@dataclass(frozen=True)
class Chosen:
    """Slices of one volume, from 0, the most inferior one."""

    scan: Scan
    slices: tuple[int, ...]

    @property
    def largest_gap(self) -> float:
        """The most mm from a slice that is not annotated to the nearest one that is."""
        return max(self.distances(), default=0.0) * self.scan.axial.spacing

    def distances(self) -> list[int]:
        """For each slice of the volume the nearest annotated one, in slices."""
        return [min(abs(index - one) for one in self.slices) for index in range(self.scan.axial.slices)]


def select(
    scans: Mapping[str, Scan], settings: Settings, known: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, Chosen]:
    """Choose volumes and slices; only images are looked at, and only by ``ual``.

    Args:
        scans: All volumes by the name of their case.
        settings: How.
        known: Slices among which they are chosen, of cases where not all can be; density is a share of these.

    Returns:
        The chosen volumes by name.

    Raises:
        ValueError: If settings are out of range, or a volume cannot be used.
    """
    cases = volumes.chosen([*scans], settings.fraction, seed=settings.seed)
    policies.number(1, settings.density)
    rows = _features(scans, settings) if settings.policy == "ual" else {}
    found = {}
    for case in cases:
        among = (known or {}).get(case, tuple(range(scans[case].axial.slices)))
        own = rows[case][list(among)] if case in rows else None
        places = policies.chosen(
            settings.policy,
            len(among),
            settings.density,
            seed=settings.seed,
            case=case,
            features=own,
            objective=settings.objective,
        )
        found[case] = Chosen(scans[case], tuple(among[place] for place in places))
    return found


def _features(scans: Mapping[str, Scan], settings: Settings) -> dict[str, features.Array]:
    """Of all volumes, so that a choice of more volumes changes nothing in those that are chosen already."""
    if settings.features not in FEATURES:
        raise ValueError(f"features must be one of {', '.join(FEATURES)}, got '{settings.features}'")
    readable = (scan.numbers() for scan in shown(scans.values(), "Looking at slices", len(scans)))
    if settings.features == "pixels":
        rows = features.pixels(readable)
    else:
        from nnunet_tricks.annotation.autoencoder import latents

        rows = latents(readable, seed=settings.seed)
    return dict(zip(scans, rows, strict=True))


def budget(chosen: Mapping[str, Chosen], scans: Mapping[str, Scan]) -> dict[str, Any]:
    """What there is to do, and how far apart it is."""
    slices = sum(len(one.slices) for one in chosen.values())
    among = sum(one.scan.axial.slices for one in chosen.values())
    of_all = sum(scan.axial.slices for scan in scans.values())
    gaps = sorted(one.largest_gap for one in chosen.values())
    return {
        "volumes": len(chosen),
        "of_volumes": len(scans),
        "slices": slices,
        "of_slices": of_all,
        "share_of_slices": slices / of_all,
        "density": slices / among,
        "median_largest_distance_mm": round(gaps[len(gaps) // 2], 3),
        "largest_distance_mm": round(gaps[-1], 3),
    }


def warnings(chosen: Mapping[str, Chosen], settings: Settings) -> Iterator[str]:
    """What somebody should know who will annotate these slices."""
    steep = [case for case, one in chosen.items() if one.scan.axial.angle > STEEP]
    if steep:
        worst = max(chosen[case].scan.axial.angle for case in steep)
        yield (
            f"slices of {len(steep)} volume(s), such as {steep[0]}, are tilted against axial ones by up to {worst:.0f} "
            "degrees: they are taken as stored; offsets for 3D Slicer are those of their centres"
        )
    unstated = [case for case, one in chosen.items() if not one.scan.axial.stated]
    if unstated:
        yield (
            f"the header of {len(unstated)} volume(s), such as {unstated[0]}, does not say how they lie in the patient"
            ", so the last stored axis is taken to run from inferior to superior"
        )
    single = [case for case, one in chosen.items() if one.scan.axial.slices == 1]
    if single:
        yield f"{len(single)} volume(s), such as {single[0]}, have one slice only, which is chosen"
    raised = [case for case, one in chosen.items() if settings.density * one.scan.axial.slices < 0.5]
    if raised:
        yield (
            f"density {settings.density:g} is less than half a slice of {len(raised)} volume(s), such as {raised[0]}: "
            "one slice is chosen of each"
        )


def document(chosen: Mapping[str, Chosen], scans: Mapping[str, Scan], settings: Settings) -> dict[str, Any]:
    """The plan as JSON: settings, budget, and for each volume its chosen slices, counted from inferior."""
    return {
        "format": FORMAT,
        **settings.as_json(),
        "budget": budget(chosen, scans),
        "cases": {
            case: {
                "file": str(one.scan.file),
                "slices": one.scan.axial.slices,
                "chosen": list(one.slices),
                "itksnap": [one.scan.axial.itksnap(index) for index in one.slices],
                "slicer_mm": [round(one.scan.axial.superior(index), 3) for index in one.slices],
                "axis": "ijk"[one.scan.axial.axis],
                "spacing_mm": round(one.scan.axial.spacing, 4),
                "largest_distance_mm": round(one.largest_gap, 3),
                "tilt_degrees": round(one.scan.axial.angle, 1),
            }
            for case, one in chosen.items()
        },
    }


def table(chosen: Mapping[str, Chosen]) -> str:
    """The plan as csv, a row for each slice."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("case", "file", "slice", "of", "axis", "itksnap", "slicer_mm"))
    for case, one in chosen.items():
        volume = one.scan.axial
        for index in one.slices:
            mm = f"{volume.superior(index):.3f}"
            row = (case, one.scan.file.name, index, volume.slices, "ijk"[volume.axis], volume.itksnap(index), mm)
            writer.writerow(row)
    return text.getvalue()


def differences_of_table(plan: Mapping[str, Any], file: Path) -> Iterator[str]:
    """What the table beside a plan says otherwise, since people edit tables, and the plan alone counts.

    Args:
        plan: As it was read.
        file: It was read from.
    """
    beside = file.with_suffix(".csv")
    if not beside.is_file():
        return
    try:
        told = _told(beside.read_text(encoding="utf-8-sig"))
    except (ValueError, TypeError, csv.Error):
        yield f"{beside} cannot be read as the table that 'annotate select' wrote; only {file.name} counts"
        return
    cases = plan["cases"]
    other = sorted({*cases} ^ {*told})
    for case in sorted({*cases} & {*told}):
        known = {column: cases[case].get(key, []) for column, key in _PLACES.items()}
        # Of an edited plan only what was chosen counts, and places may be those of before.
        known = {column: places for column, places in known.items() if len(places) == len(cases[case]["chosen"])}
        wanted = sorted(zip(*known.values(), strict=True))
        given = sorted(zip(*(told[case].get(column, []) for column in known), strict=True))
        if len(given) != len(wanted) or not np.allclose(given, wanted, atol=0.01):
            other.append(case)
    if other:
        yield (
            f"{beside} has other slices of {some(other)} than {file.name}, which alone counts: what was changed in the "
            f"table is ignored. To annotate other slices, change 'chosen' in {file.name}"
        )


def _told(text: str) -> dict[str, dict[str, list[float]]]:
    """What a table says of each case, by column; programs of other countries write ; and decimal commas."""
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if ";" in text.partition("\n")[0] else ",")
    columns = [column for column in _PLACES if column in (rows.fieldnames or ())]
    if not {"case", "slice"} <= {*(rows.fieldnames or ())}:
        raise ValueError("no table of slices")
    told: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["case"]:
            own = told.setdefault(row["case"], {column: [] for column in columns})
            for column in columns:
                own[column].append(float(str(row[column]).replace(",", ".")))
    return told


def read(file: Path) -> dict[str, Any]:
    """A plan that was written as JSON.

    Raises:
        ValueError: If it is none.
    """
    if not file.is_file() and (written := file.with_name(f"{file.name}.json")).is_file():
        raise ValueError(f"{file} is no file: give {written}, which 'annotate select' wrote")
    try:
        plan = json.loads(file.read_text(encoding="utf-8-sig"))  # editors on Windows put a mark of bytes in front
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON ({error}): give the .json that 'annotate select' wrote") from error
    if not isinstance(plan, dict) or plan.get("format") != FORMAT or not isinstance(plan.get("cases"), dict):
        raise ValueError(f"{file} is not a plan that 'annotate select' wrote")
    for case, one in plan["cases"].items():
        if not _whole(one):
            raise ValueError(f"{file}: case {case} needs 'slices', and 'chosen' with indices below it, ascending")
    return plan


def _whole(one: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(one.get("slices"), int):
        return False
    chosen: Sequence[Any] = one.get("chosen", ())
    return (
        isinstance(chosen, list)
        and bool(chosen)
        and all(isinstance(index, int) and 0 <= index < one["slices"] for index in chosen)
        and sorted(set(chosen)) == chosen
    )
