"""Nuclei with instances and classes: what CoNIC and Lizard share."""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dataset_conversion.encode import encode
from dataset_conversion.errors import Refused
from dataset_conversion.labels import count_labels, map_labels
from dataset_conversion.model import CaseRecord
from dataset_conversion.nuclei_tasks import CLASSES
from dataset_conversion.staging import Workplace

Instances = NDArray[np.uint16]


def rim_map(instances: Instances) -> NDArray[np.uint8]:
    """Map of insides (1) and rims (2). A rim pixel has a neighbour, also diagonally, of another nucleus or of none.

    Examples:
        >>> rim_map(np.array([[1, 1, 1, 2, 2, 2]], dtype=np.uint16)).tolist()
        [[1, 1, 2, 2, 1, 1]]
    """
    # Nothing is known beyond the picture's edge, so the edge itself is not a rim.
    highest = ndimage.maximum_filter(instances, size=3, mode="nearest")
    lowest = ndimage.minimum_filter(instances, size=3, mode="nearest")
    return np.where(instances == 0, 0, np.where(highest == lowest, 1, 2)).astype(np.uint8)


def class_map(instances: NDArray[np.generic], classes: Mapping[int, int]) -> NDArray[np.uint8]:
    """Map of classes, from the class of each instance.

    Raises:
        Refused: If an instance of the map has no class.
    """
    present = [int(value) for value in np.unique(instances) if value]
    unclassed = [value for value in present if value not in classes]
    if unclassed:
        raise Refused(
            f"nuclei of the instance map without a class: {len(unclassed)}, the first has number {unclassed[0]}"
        )
    wrong = sorted({classes[value] for value in present if classes[value] not in CLASSES})
    if wrong:
        raise Refused(f"nuclei have the class(es) {', '.join(map(str, wrong[:5]))}; classes are 1 to 6")
    table = np.zeros(max(present, default=0) + 1, dtype=np.uint8)
    for value in present:
        table[value] = classes[value]
    return table[np.asarray(instances, dtype=np.int64)]


def as_instances(values: NDArray[np.generic]) -> Instances:
    """Instance numbers as uint16.

    Raises:
        Refused: If they are not whole numbers of that range.
    """
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "buif":
        raise Refused(
            f"the instance map is {' x '.join(map(str, values.shape)) or 'a single value'} of {values.dtype}; a "
            f"(height, width) map of numbers is needed"
        )
    numbers = np.asarray(values, dtype=np.float64) if values.dtype.kind == "f" else np.asarray(values)
    low, high = numbers.min(), numbers.max()
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 65535 or np.any(numbers != np.floor(numbers)):
        raise Refused(f"instance numbers run from {low} to {high}; they must be whole numbers from 0 to 65535")
    return numbers.astype(np.uint16)


def write_nuclei(
    record: CaseRecord,
    work: Workplace,
    picture: NDArray[np.uint8],
    instances: Instances,
    classes: NDArray[np.uint8],
) -> None:
    """Check and write one picture, the label of the task, and the instances.

    Raises:
        Refused: If the two maps contradict each other.
    """
    label_record = record.files[-1]
    if picture.shape[:2] != instances.shape:
        raise Refused(f"picture is {picture.shape[:2]}, its label {instances.shape} (height, width)")
    stray = int(np.count_nonzero((instances > 0) != (classes > 0)))
    if stray:
        raise Refused(f"{stray} pixels have an instance without a class or a class without an instance")
    # This refuses classes above 6, also for tasks that merge classes.
    mapped = map_labels(classes, work.settings.task.mapping, hint="classes are 1 to 6")
    # A table of the pairs that occur is faster than sorting all pixels.
    occurs = np.zeros((int(instances.max()) + 1, 256), dtype=np.bool_)
    occurs[instances, classes] = True
    mixed = int(np.count_nonzero(occurs) - np.count_nonzero(occurs.any(axis=1)))
    if 2 * mixed > np.count_nonzero(occurs[1:].any(axis=1)) > 0:
        raise Refused(f"{mixed} nuclei have pixels of more than one class: are instances and classes swapped?")
    if mixed:
        record.warnings.append(f"{mixed} nuclei have pixels of more than one class")
    label = rim_map(instances) if work.settings.task.name == "boundary" else mapped
    if work.settings.task.name == "boundary":
        lost = len(np.setdiff1d(instances[label == 2], instances[label == 1]))
        if lost:
            label_record.notes.append("nuclei too thin to have an inside")
    ending = work.settings.file_ending
    record.size = [picture.shape[1], picture.shape[0]]
    voxels = count_labels(label)
    record.voxels = {str(value): voxels.get(value, 0) for value in (0, *work.settings.task.value_names())}
    if set(voxels) == {0}:
        record.warnings.append("shows no nucleus")
    work.write(record, work.image_path(record), encode(picture, ending))
    work.write(record, work.label_path(record), encode(label, ending))
    # BMP has no 16-bit pixels.
    instances_ending = ".tif" if ending == ".tif" else ".png"
    relative = work.label_path(record, "instances").removesuffix(ending) + instances_ending
    work.write(record, relative, encode(instances, instances_ending))
    record.files[0].action = f"written as {ending}"
    label_record.action = f"written as {ending}, instances beside it"
