"""Post-processing as it is written, such as ``tumor:RemoveSmall_voxels80``, and what it means for a data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_tricks.catalogue.entries.postprocessing import ENTRIES, PRESETS
from nnunet_tricks.catalogue.naming import PREFIX, IllegalName, Trick, combine
from nnunet_tricks.tricks.postprocessing import steps
from nnunet_tricks.tricks.postprocessing.components import Region, Segmentation

FUNCTIONS: Mapping[str, Callable[..., Segmentation]] = {
    "KeepLargest": steps.keep_largest,
    "RemoveSmall": steps.remove_small,
    "FillHoles": steps.fill_holes,
}
FOREGROUND = "foreground"
"""The union of all classes."""


@dataclass(frozen=True)
class PlannedStep:
    """A step, and what it is done to.

    Attributes:
        name: As it is written.
        function: One of ``steps``.
        regions: Labels or regions, each treated by itself.
        keywords: The function's other arguments.
        mm3: Smallest volume that stays, where it is given in mm^3; it takes the place of ``voxels``.
    """

    name: str
    function: Callable[..., Segmentation]
    regions: tuple[Region, ...]
    keywords: Mapping[str, Any]
    mm3: float = 0.0

    def arguments(self, voxel: float = 0.0) -> dict[str, Any]:
        """What the function takes, as nnU-Net stores it.

        Args:
            voxel: Volume of a voxel in mm^3; needed where the step has ``mm3``.
        """
        size = {"voxels": math.ceil(self.mm3 / voxel - 1e-9)} if self.mm3 else {}
        return {"labels_or_regions": list(self.regions), **self.keywords, **size}

    def __call__(self, segmentation: Segmentation, voxel: float = 0.0) -> Segmentation:
        """Do it to a label map."""
        return self.function(segmentation, **self.arguments(voxel))


def planned_steps(words: Sequence[str], description: Mapping[str, Any]) -> list[PlannedStep]:
    """Read steps.

    Args:
        words: ``STEP`` for each class of the data set, or ``CLASS:STEP``: a class or region of ``dataset.json``,
            labels such as ``1+2``, or ``foreground``.
        description: Content of ``dataset.json``.

    Returns:
        The steps, in this order.

    Raises:
        ValueError: If there is no such step or class.

    Examples:
        >>> description = {"labels": {"background": 0, "kidney": 1, "tumor": 2}}
        >>> steps = planned_steps(["1+2:KeepLargest_count2", "tumor:RemoveSmall_kits19tumor"], description)
        >>> [(step.regions, step.arguments()["count" if "Keep" in step.name else "voxels"]) for step in steps]
        [(((1, 2),), 2), ((2,), 80)]
    """
    return [_planned(word, description) for word in words]


def _planned(word: str, description: Mapping[str, Any]) -> PlannedStep:
    place, _, token = word.rpartition(":")
    try:
        setting = combine(token, catalogue=ENTRIES)
        problem = (
            "" if str(setting) == "".join((PREFIX, *map(str, setting.tricks[:1]))) else "it has more than one step"
        )
        problem = problem if setting.tricks else "it must name a step"
    except IllegalName as error:
        problem = error.reason
    if problem:
        raise ValueError(
            f"step '{word}' is none: {problem}. Steps are {', '.join(info.name for info in ENTRIES)}, with parameters "
            "as in KeepLargest_count2; 'nnunet-tricks show RemoveSmall' says more"
        )
    trick = setting.tricks[0]
    function = FUNCTIONS[trick.info.name]
    keywords, mm3 = _keywords(trick)
    return PlannedStep(word, function, _regions(place, word, description), keywords, mm3)


def _keywords(trick: Trick) -> tuple[dict[str, Any], float]:
    settings = dict(trick.settings)
    keywords: dict[str, Any] = {"background_label": settings["into"]} if settings.get("into") else {}
    if "connectivity" in settings:
        keywords["connectivity"] = settings["connectivity"]
    if trick.info.name == "KeepLargest":
        keywords["count"] = settings["count"]
    elif trick.info.name == "RemoveSmall":
        preset = str(settings["preset"])
        keywords["voxels"] = PRESETS.get(preset, settings["voxels"])
        return keywords, float(str(settings["volume"]))
    else:
        keywords["by_slice"] = settings["slices"]
    return keywords, 0.0


def _regions(place: str, word: str, description: Mapping[str, Any]) -> tuple[Region, ...]:
    classes = {name: _region(value) for name, value in description["labels"].items() if name != "ignore"}
    classes = {name: region for name, region in classes.items() if region not in (0, (0,))}
    if not place:
        return tuple(classes.values())
    if place in classes:
        return (classes[place],)
    values = sorted(
        {label for region in classes.values() for label in (region if isinstance(region, tuple) else (region,))}
    )
    if place == FOREGROUND:
        return (tuple(values),)
    labels = place.split("+")
    if all(label.isdecimal() and int(label) in values for label in labels):
        return (tuple(map(int, labels)) if len(labels) > 1 else int(labels[0]),)
    raise ValueError(
        f"step '{word}' is for '{place}', and the data set has {', '.join(classes)}, {FOREGROUND}, and the labels "
        f"{', '.join(map(str, values))}, joined as 1+2"
    )


def _region(value: object) -> Region:
    if isinstance(value, list | tuple):
        return tuple(int(label) for label in value)
    return int(str(value))
