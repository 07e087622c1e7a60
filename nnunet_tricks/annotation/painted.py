"""Labels that annotators painted on selected slices, as a raw data set of nnU-Net."""

# mypy: untyped-calls-exclude="nibabel"
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from nnunet_tricks import __version__
from nnunet_tricks.annotation import labels, scans
from nnunet_tricks.annotation.axes import Axial
from nnunet_tricks.annotation.progress import shown
from nnunet_tricks.annotation.raw_data import RawData, target_name
from nnunet_tricks.annotation.scans import Scan
from nnunet_tricks.experiment.folders import Folders
from nnunet_tricks.wording import some

_TOLERANCE = 0.05
"""Share of a voxel by which the corners of a label map may lie elsewhere than those of its image."""


@dataclass
class Report:
    """What was made.

    Attributes:
        name: Full name of the new data set.
        cases: How many.
        slices: Annotated, in all.
        values: Painted value and the one that it has now, for each class.
        empty: Slices that were selected and left empty, by case, as ITK-SNAP numbers them.
        unpainted: Cases on which nothing was painted at all.
        waiting: Selected cases that have no label map yet.
        ignore: Value of voxels that are not annotated.
    """

    name: str
    cases: int
    slices: int
    values: dict[int, int]
    empty: dict[str, list[int]]
    unpainted: list[str]
    waiting: list[str]
    ignore: int


@dataclass(frozen=True)
class Painted:
    """One case: its image's first channel, all channels, the label map and the slices that were to be painted."""

    image: Scan
    channels: tuple[Path, ...]
    label: Scan
    chosen: tuple[int, ...]

    def values(self) -> NDArray[np.integer]:
        """Label values with slices first, in the image's storage, from inferior to superior.

        Viewers may store a label map in another order than its image; voxels are matched by where they lie.

        Raises:
            ValueError: If the label map does not cover the image's voxels, or its values are not whole numbers.
        """
        same = self.image.axial
        array = SimpleITK.GetArrayFromImage(self.label.image())
        turned = turned_like(array, self.label.axial, same)
        if turned is None:
            raise ValueError(
                f"{self.label.file} does not have the voxels of its image {self.image.file}: save the labels on the "
                "image's own grid"
            )
        whole = turned.astype(np.int64)
        if not np.array_equal(whole, turned):
            raise ValueError(f"{self.label.file} is no label map: not all of its values are whole numbers")
        return same.slices_first(whole)


def turned_like(array: NDArray[Any], own: Axial, wanted: Axial) -> NDArray[Any] | None:
    """An array, indexed (k, j, i), with axes swapped and turned round so that it lies as another volume does.

    Args:
        array: Of the volume with slices ``own``.
        own: Where its voxels lie.
        wanted: Where they shall lie.

    Returns:
        The array, or ``None`` if the two volumes do not have the same voxels.
    """
    import nibabel

    change = nibabel.orientations.ornt_transform(
        nibabel.orientations.io_orientation(own.affine), nibabel.orientations.io_orientation(wanted.affine)
    )
    affine = own.affine @ nibabel.orientations.inv_ornt_aff(change, own.shape)
    turned: NDArray[Any] = nibabel.orientations.apply_orientation(array.transpose(2, 1, 0), change)
    if turned.shape != wanted.shape:
        return None
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], float)
    corners[:, :3] *= np.array(wanted.shape) - 1
    farthest = np.linalg.norm((corners @ (affine - wanted.affine).T)[:, :3], axis=1).max()
    if farthest > _TOLERANCE * np.linalg.norm(wanted.affine[:3, :3], axis=0).min():
        return None
    return turned.transpose(2, 1, 0)


def import_painted(
    folders: Folders,
    plan: Mapping[str, Any],
    images: Path,
    painted: Path,
    number: int,
    name: str,
    *,
    classes: Sequence[str],
    channels: Sequence[str],
    accept_unpainted: bool = False,
    dry_run: bool = False,
) -> Report:
    """Check what was painted, and write the data set.

    Args:
        folders: nnU-Net's.
        plan: What ``select`` wrote as JSON.
        images: Folder of the images.
        painted: Folder of the label maps, named as their cases.
        number: Of the new data set.
        name: Its name, without number.
        classes: Names of the painted values above 0, in ascending order.
        channels: Names of the channels; nnU-Net normalises by them.
        accept_unpainted: Take cases on which nothing was painted for background.
        dry_run: Write nothing.

    Raises:
        ValueError: If other slices were painted than those selected, a label map does not fit its image, or there are
            other values than names.
    """
    cases, waiting = _matched(plan, images, painted, len(channels))
    full = target_name(folders, number, name)
    found: set[int] = set()
    empty: dict[str, list[int]] = {}
    unpainted: list[str] = []
    wrong: list[str] = []
    for case, one in shown(cases.items(), "Checking painted slices", len(cases)):
        values = one.values()
        found.update(int(value) for value in np.unique(values))
        shows = {int(index) for index in np.flatnonzero(values.any(axis=(1, 2)))}
        volume = one.image.axial
        if beyond := sorted(shows - {*one.chosen}):
            wrong.append(f"{case} (ITK-SNAP {', '.join(str(volume.itksnap(index)) for index in beyond[:5])})")
        if missing := [volume.itksnap(index) for index in one.chosen if index not in shows]:
            empty[case] = missing
        if not shows:
            unpainted.append(case)
    if wrong:
        raise ValueError(
            f"slices were painted that were not selected, in {some(wrong, '; ')}: empty these, or select with the "
            "settings by which they were painted"
        )
    if unpainted and not accept_unpainted:
        raise ValueError(
            f"nothing was painted on {some(unpainted)}: remove label maps that are not done, or say "
            "--accept-unpainted if none of the selected slices shows a class"
        )
    numbered = _numbered(found, classes)
    described = labels.with_ignore({"background": 0} | {one: index for index, one in enumerate(classes, 1)})
    report = Report(
        name=full,
        cases=len(cases),
        slices=sum(len(one.chosen) for one in cases.values()),
        values=numbered,
        empty=empty,
        unpainted=unpainted,
        waiting=waiting,
        ignore=described[labels.IGNORE],
    )
    if not dry_run:
        _write(folders, plan, cases, report, described, channels)
    return report


def _matched(
    plan: Mapping[str, Any], images: Path, painted: Path, channels: int
) -> tuple[dict[str, Painted], list[str]]:
    there, done = scans.in_folder(images), scans.labels_in(painted)
    strange = [case for case in done if case not in plan["cases"]]
    if strange:
        raise ValueError(f"{painted} has label maps of {some(strange)}, which the plan does not name")
    gone = [case for case in done if case not in there]
    if gone:
        raise ValueError(f"{images} has no image of {some(gone)}")
    cases = {}
    for case, label in done.items():
        entry, image = plan["cases"][case], there[case]
        if entry["slices"] != image.axial.slices:
            raise ValueError(
                f"{image.file} has {image.axial.slices} slices, and had {entry['slices']} when slices were selected"
            )
        files = tuple(_channels(image.file, channels))
        cases[case] = Painted(image, files, label, tuple(entry["chosen"]))
    return cases, [case for case in plan["cases"] if case not in done]


def _channels(first: Path, count: int) -> Iterator[Path]:
    for channel in range(count):
        file = first if count == 1 else first.with_name(first.name.replace("_0000.", f"_{channel:04d}."))
        if not file.is_file() or (channel and file == first):
            raise ValueError(f"{first} has no channel {channel}: {count} were named, files end in _0000, _0001, ...")
        yield file


def _numbered(found: set[int], classes: Sequence[str]) -> dict[int, int]:
    painted = sorted(found - {0})
    if len(painted) != len(classes):
        raise ValueError(
            f"classes must name each painted value once, got {len(classes)} name(s) for the value(s) "
            f"{', '.join(map(str, painted)) or 'none'}"
        )
    return {value: index for index, value in enumerate(painted, 1)}


def _write(
    folders: Folders,
    plan: Mapping[str, Any],
    cases: Mapping[str, Painted],
    report: Report,
    described: Mapping[str, Any],
    channels: Sequence[str],
) -> None:
    endings = {
        next(ending for ending in scans.ENDINGS if one.image.file.name.endswith(ending)) for one in cases.values()
    }
    if len(endings) > 1:
        raise ValueError(f"images must all have one ending, got {', '.join(sorted(endings))}")
    (ending,) = endings
    data = RawData(folders, report.name, ending)
    entries = {}
    try:
        for case, one in shown(cases.items(), "Writing labels", len(cases)):
            image, volume, values = one.image.image(), one.image.axial, one.values()
            sparse = np.full(SimpleITK.GetArrayViewFromImage(image).shape, report.ignore, np.uint8)
            view = volume.slices_first(sparse)
            for index in one.chosen:
                view[index] = 0
                for value, now in report.values.items():
                    view[index][values[index] == value] = now
            entries[case] = {
                "annotation": "sparse",
                "slices": volume.slices,
                "chosen": list(one.chosen),
                "axis": "ijk"[volume.axis],
                "descending": volume.descending,
                "spacing_mm": volume.spacing,
                "shows_object": case not in report.unpainted,
                "images_sha256": data.link_images(case, one.channels),
                "label_sha256": data.write_label(case, sparse, image),
            }
        description = {
            "channel_names": {str(index): name for index, name in enumerate(channels)},
            "labels": described,
            "file_ending": ending,
        }
        settings = {key: plan[key] for key in ("density", "policy", "volumes", "seed") if key in plan}
        manifest = {"nnunet_tricks": __version__, "source": None, **settings, "ignore": report.ignore}
        painted_values = {str(value): now for value, now in report.values.items()}
        data.finish(description, {**manifest, "painted_values": painted_values, "cases": entries}, None)
    except BaseException:
        data.discard()
        raise
