"""A plan for annotators: which slices of which volumes, where viewers show them, and how much work it is."""

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
from nnunet_tricks.annotation.scans import VolumeFile
from nnunet_tricks.utilities.progress import shown
from nnunet_tricks.utilities.wording import some

FORMAT = 1
FEATURES = ("pixels", "autoencoder")

_PLACES = {"slice": "chosen", "itksnap": "itksnap", "slicer_mm": "slicer_mm"}
"""Names in the plan of the table's columns by which annotators find a slice."""


@dataclass(frozen=True)
class SelectionSettings:
    """How slices are chosen.

    Attributes:
        density: Share of slices of a volume.
        policy: See ``policies.chosen``.
        fraction: Share of volumes.
        seed: Seed of all random choices.
        objective: Objective of the policy ``ual``.
        features: Features that the policy ``ual`` compares, see ``FEATURES``.
    """

    density: float
    policy: str = "fixed"
    fraction: float = 1.0
    seed: int = 0
    objective: str = "cover"
    features: str = "pixels"

    def as_json(self) -> dict[str, Any]:
        """The settings that another run needs to choose the same slices."""
        settings = {
            "density": self.density,
            "policy": self.policy,
            "volumes": self.fraction,
            "seed": self.seed,
        }
        return settings | ({"objective": self.objective, "features": self.features} if self.policy == "ual" else {})


@dataclass(frozen=True)
class ChosenSlices:
    """The chosen slices of one volume, counted from 0, the most inferior one."""

    scan: VolumeFile
    slices: tuple[int, ...]

    @property
    def largest_gap(self) -> float:
        """Largest distance in mm from a slice to the nearest annotated one."""
        return max(self.distances(), default=0.0) * self.scan.axial.spacing

    def distances(self) -> list[int]:
        """Distance of each slice of the volume to the nearest annotated one, in slices."""
        return [min(abs(index - chosen) for chosen in self.slices) for index in range(self.scan.axial.slices)]


def select(
    scans: Mapping[str, VolumeFile], settings: SelectionSettings, known: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, ChosenSlices]:
    """Choose volumes and slices; only images are read, and only by ``ual``.

    Args:
        scans: All volumes by the name of their case.
        settings: Settings of the choice.
        known: Slices that can be chosen, for cases where not all can; density is a share of these.

    Returns:
        The chosen volumes by name.

    Raises:
        ValueError: If settings are out of range, or a volume cannot be used.
    """
    cases = volumes.chosen([*scans], settings.fraction, seed=settings.seed)
    policies.number(1, settings.density)
    rows = _features(scans, settings) if settings.policy == "ual" else {}
    chosen = {}
    for case in cases:
        available = (known or {}).get(case, tuple(range(scans[case].axial.slices)))
        places = policies.chosen(
            settings.policy,
            len(available),
            settings.density,
            seed=settings.seed,
            case=case,
            features=rows[case][list(available)] if case in rows else None,
            objective=settings.objective,
        )
        chosen[case] = ChosenSlices(scans[case], tuple(available[place] for place in places))
    return chosen


def _features(scans: Mapping[str, VolumeFile], settings: SelectionSettings) -> dict[str, features.Array]:
    """Features of all volumes, so that a choice of more volumes does not change the slices of those already chosen."""
    if settings.features not in FEATURES:
        raise ValueError(f"features must be one of {', '.join(FEATURES)}, got '{settings.features}'")
    readable = (scan.numbers() for scan in shown(scans.values(), "Looking at slices", len(scans)))
    if settings.features == "pixels":
        rows = features.pixels(readable)
    else:
        from nnunet_tricks.annotation.autoencoder import latents

        rows = latents(readable, seed=settings.seed)
    return dict(zip(scans, rows, strict=True))


def budget(chosen: Mapping[str, ChosenSlices], scans: Mapping[str, VolumeFile]) -> dict[str, Any]:
    """Count the chosen slices and volumes, and measure the distances between slices."""
    slices = sum(len(choice.slices) for choice in chosen.values())
    of_chosen = sum(choice.scan.axial.slices for choice in chosen.values())
    of_all = sum(scan.axial.slices for scan in scans.values())
    gaps = sorted(choice.largest_gap for choice in chosen.values())
    return {
        "volumes": len(chosen),
        "of_volumes": len(scans),
        "slices": slices,
        "of_slices": of_all,
        "share_of_slices": slices / of_all,
        "density": slices / of_chosen,
        "median_largest_distance_mm": round(gaps[len(gaps) // 2], 3),
        "largest_distance_mm": round(gaps[-1], 3),
    }


def warnings(chosen: Mapping[str, ChosenSlices], settings: SelectionSettings) -> Iterator[str]:
    """Warnings for people who will annotate these slices."""
    steep = [case for case, choice in chosen.items() if choice.scan.axial.angle > STEEP]
    if steep:
        worst = max(chosen[case].scan.axial.angle for case in steep)
        yield (
            f"slices of {len(steep)} volume(s), such as {steep[0]}, are tilted against axial ones by up to {worst:.0f} "
            "degrees: they are taken as stored, and offsets for 3D Slicer are those of their centres"
        )
    unstated = [case for case, choice in chosen.items() if not choice.scan.axial.stated]
    if unstated:
        yield (
            f"the header of {len(unstated)} volume(s), such as {unstated[0]}, does not say how they lie in the patient"
            ", so the last stored axis is assumed to run from inferior to superior"
        )
    single = [case for case, choice in chosen.items() if choice.scan.axial.slices == 1]
    if single:
        yield f"{len(single)} volume(s), such as {single[0]}, have only one slice, which is chosen"
    raised = [case for case, choice in chosen.items() if settings.density * choice.scan.axial.slices < 0.5]
    if raised:
        yield (
            f"density {settings.density:g} is less than half a slice of {len(raised)} volume(s), such as {raised[0]}: "
            "one slice of each is chosen"
        )


def document(
    chosen: Mapping[str, ChosenSlices], scans: Mapping[str, VolumeFile], settings: SelectionSettings
) -> dict[str, Any]:
    """Make the plan for JSON: settings, budget, and the chosen slices of each volume, counted from inferior."""
    return {
        "format": FORMAT,
        **settings.as_json(),
        "budget": budget(chosen, scans),
        "cases": {
            case: {
                "file": str(choice.scan.file),
                "slices": choice.scan.axial.slices,
                "chosen": list(choice.slices),
                "itksnap": [choice.scan.axial.itksnap(index) for index in choice.slices],
                "slicer_mm": [round(choice.scan.axial.superior(index), 3) for index in choice.slices],
                "axis": "ijk"[choice.scan.axial.axis],
                "spacing_mm": round(choice.scan.axial.spacing, 4),
                "largest_distance_mm": round(choice.largest_gap, 3),
                "tilt_degrees": round(choice.scan.axial.angle, 1),
            }
            for case, choice in chosen.items()
        },
    }


def table(chosen: Mapping[str, ChosenSlices]) -> str:
    """Write the plan as csv, a row for each slice."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("case", "file", "slice", "of", "axis", "itksnap", "slicer_mm"))
    for case, choice in chosen.items():
        volume = choice.scan.axial
        for index in choice.slices:
            mm = f"{volume.superior(index):.3f}"
            row = (case, choice.scan.file.name, index, volume.slices, "ijk"[volume.axis], volume.itksnap(index), mm)
            writer.writerow(row)
    return text.getvalue()


def differences_of_table(plan: Mapping[str, Any], file: Path) -> Iterator[str]:
    """Warn where the table beside a plan differs: people edit tables, but only the plan counts.

    Args:
        plan: The plan.
        file: File of the plan.
    """
    table_file = file.with_suffix(".csv")
    if not table_file.is_file():
        return
    try:
        table_cases = _columns_by_case(table_file.read_text(encoding="utf-8-sig"))
    except (ValueError, TypeError, csv.Error):
        yield f"{table_file} cannot be read as the table that 'annotate select' wrote; only {file.name} counts"
        return
    cases = plan["cases"]
    different = sorted({*cases} ^ {*table_cases})
    for case in sorted({*cases} & {*table_cases}):
        known = {column: cases[case].get(key, []) for column, key in _PLACES.items()}
        # In an edited plan only the chosen slices count, and their places may be outdated.
        known = {column: places for column, places in known.items() if len(places) == len(cases[case]["chosen"])}
        wanted = sorted(zip(*known.values(), strict=True))
        actual = sorted(zip(*(table_cases[case].get(column, []) for column in known), strict=True))
        if len(actual) != len(wanted) or not np.allclose(actual, wanted, atol=0.01):
            different.append(case)
    if different:
        yield (
            f"{table_file} has other slices of {some(different)} than {file.name}, which alone counts: changes of "
            f"the table are ignored. To annotate other slices, change 'chosen' in {file.name}"
        )


def _columns_by_case(text: str) -> dict[str, dict[str, list[float]]]:
    """Columns of a table for each case; spreadsheets in some countries write ; and decimal commas."""
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if ";" in text.partition("\n")[0] else ",")
    columns = [column for column in _PLACES if column in (rows.fieldnames or ())]
    if not {"case", "slice"} <= {*(rows.fieldnames or ())}:
        raise ValueError("the table needs columns case and slice")
    by_case: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["case"]:
            cells = by_case.setdefault(row["case"], {column: [] for column in columns})
            for column in columns:
                cells[column].append(float(str(row[column]).replace(",", ".")))
    return by_case


def read(file: Path) -> dict[str, Any]:
    """Read a plan from JSON.

    Raises:
        ValueError: If the file does not hold a plan.
    """
    if not file.is_file() and (written := file.with_name(f"{file.name}.json")).is_file():
        raise ValueError(f"{file} is not a file: give {written}, which 'annotate select' wrote")
    try:
        plan = json.loads(file.read_text(encoding="utf-8-sig"))  # editors on Windows write a byte order mark
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON ({error}): give the .json that 'annotate select' wrote") from error
    if not isinstance(plan, dict) or plan.get("format") != FORMAT or not isinstance(plan.get("cases"), dict):
        raise ValueError(f"{file} is not a plan that 'annotate select' wrote")
    for case, entry in plan["cases"].items():
        if not _is_entry(entry):
            raise ValueError(f"{file}: case {case} needs 'slices', and 'chosen' with indices below it, ascending")
    return plan


def _is_entry(entry: Any) -> bool:
    """Whether the entry of a case has the slices that were chosen."""
    if not isinstance(entry, dict) or not isinstance(entry.get("slices"), int):
        return False
    chosen: Sequence[Any] = entry.get("chosen", ())
    return (
        isinstance(chosen, list)
        and bool(chosen)
        and all(isinstance(index, int) and 0 <= index < entry["slices"] for index in chosen)
        and sorted(set(chosen)) == chosen
    )
