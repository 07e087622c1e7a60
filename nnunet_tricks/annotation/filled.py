"""Of a data set of sparse annotation one whose other slices are interpolated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from nnunet_tricks.annotation import labels, moved_plans, recorded
from nnunet_tricks.annotation.interpolation import LEARNED, interpolate
from nnunet_tricks.annotation.learning import Learning, learned_on
from nnunet_tricks.annotation.moved_plans import Preprocessed
from nnunet_tricks.annotation.progress import shown
from nnunet_tricks.annotation.raw_data import RawData, read_manifest, sha256, target_name
from nnunet_tricks.annotation.scans import Scan
from nnunet_tricks.nnunet import plans_file
from nnunet_tricks.nnunet.folders import Folders


@dataclass
class Report:
    """What was made.

    Attributes:
        name: Full name of the new data set.
        filled: Number of cases that were interpolated.
        linked: Number of other cases, whose labels are dense.
        plans: Names of the plans that were moved.
        configurations: Of the first plans.
        empty: Cases without any label, which are background throughout.
        partly: Number of selected slices that are annotated in part only.
        linked_partly: Other cases with voxels that nobody annotated, which stay as they are.
    """

    name: str
    filled: int
    linked: int
    plans: list[str]
    configurations: list[str]
    empty: list[str]
    partly: int = 0
    linked_partly: list[str] = field(default_factory=list)


def fill(
    folders: Folders,
    dataset: str,
    number: int,
    method: str,
    *,
    learning: Learning | None = None,
    accept_changed: bool = False,
    dry_run: bool = False,
) -> Report:
    """Interpolate the labels of all sparse cases into a new raw data set.

    Masks are made of the wholly annotated slices; annotated voxels of other selected slices stay as they are.
    Interpolated labels have no ignored voxels, but ``dataset.json`` keeps the entry: with it nnU-Net draws patches as
    it does for sparse labels, so that a comparison of the two differs by the labels only. Other cases stay as they are.

    Args:
        folders: nnU-Net's.
        dataset: Number or full name of a data set that ``sparsify`` or ``import`` made.
        number: Of the new one.
        method: See ``interpolate``.
        learning: How ``learned`` and ``chain`` learn, from the images of sparse cases; as by default if not given.
        accept_changed: Take labels that are not those that the manifest recorded.
        dry_run: Write nothing.

    Raises:
        ValueError: If there is no such data set, its manifest is missing, the number is taken, labels have changed
            since they were recorded, or a case has no wholly annotated slice.
    """
    source = folders.dataset(dataset)
    manifest = read_manifest(folders, source)
    description = folders.description(source)
    name = target_name(folders, number, f"{source.partition('_')[2]}_{method}")
    cases = folders.cases(source, "Tr")
    sparse = {case: entry for case, entry in manifest["cases"].items() if entry["annotation"] == "sparse"}
    gone = [case for case in manifest["cases"] if case not in cases or cases[case].label is None]
    if gone or not sparse:
        raise ValueError(f"{source}: " + (f"files of {gone[0]} are gone" if gone else "no case has sparse annotation"))
    if not accept_changed:
        recorded.refuse_changed_labels(folders, source)
    ignore = int(description["labels"][labels.IGNORE])
    place = folders.preprocessed / source
    plans = {
        file.stem: {**plans_file.read(file), "dataset_name": name}
        for file in sorted(place.glob("*.json"))
        if plans_file.is_plans(file)
    }
    configurations = [*next(iter(plans.values()))["configurations"]] if plans else []
    report = Report(name, len(sparse), len(cases) - len(sparse), [*plans], configurations, [])
    if dry_run:
        return report
    entries: dict[str, Any] = {}
    with RawData(folders, name, description["file_ending"]) as data:
        network = None
        if method in LEARNED:
            learning = learning or Learning()
            learning.file = learning.file or place / "slice_correspondence.pt"
            network = learned_on([Scan(cases[case].images[0]) for case in sorted(sparse)], learning)
        for case in shown(sorted(cases), f"Interpolating, {method}", len(cases)):
            files, entry = cases[case], dict(manifest["cases"].get(case, {"annotation": "dense"}))
            if files.label is None:
                raise ValueError(f"case {case} of {source} has no label")
            images = data.link_images(case, files.images)
            if not accept_changed and entry.get("images_sha256", images) != images:
                raise ValueError(
                    f"{files.images[0]}, or another channel of it, has changed since it was recorded. Make {source} "
                    "again, or say --accept-changed if the files are right"
                )
            entry["images_sha256"] = images
            if case in sparse:
                scan = Scan(files.label)
                image = scan.image()
                label = SimpleITK.GetArrayFromImage(image).astype(np.uint8)
                view = scan.axial.slices_first(label)
                volume = Scan(files.images[0]).numbers() if network else None
                known, partly = _known(view, entry["chosen"], ignore, files.label)
                report.partly += len(partly)
                made = interpolate(
                    view, known, method=method, volume=volume, spacing=scan.axial.in_plane(), network=network
                )
                made[partly] = np.where(view[partly] == ignore, made[partly], view[partly])
                view[:] = made
                if not label.any():
                    report.empty.append(case)
                entry |= {"annotation": "interpolated", "label_sha256": data.write_label(case, label, image)}
            else:
                if (Scan(files.label).slices() == ignore).any():
                    report.linked_partly.append(case)
                entry["label_sha256"] = data.link_label(case, files.label)
            entries[case] = entry
        data.link_test(folders.cases(source, "Ts"))
        splits = folders.splits(source)
        kept = {key: value for key, value in manifest.items() if key not in ("cases", "format")}
        learnt = {"steps": network.step, "network_sha256": sha256(network.file)} if network else {}
        kept |= {"sparse_source": source, "interpolation": {"method": method, **learnt}}
        preprocessed = Preprocessed(plans, place / moved_plans.FINGERPRINT) if plans else None
        data.finish(description, {**kept, "cases": entries}, splits, preprocessed)
    return report


def _known(view: NDArray[np.uint8], chosen: Sequence[int], ignore: int, file: Path) -> tuple[list[int], list[int]]:
    """Selected slices that are wholly annotated, and those that are in part."""
    ignored = view[list(chosen)] == ignore
    known = [index for index, own in zip(chosen, ignored, strict=True) if not own.any()]
    partly = [index for index, own in zip(chosen, ignored, strict=True) if own.any() and not own.all()]
    if not known:
        raise ValueError(f"masks are made between wholly annotated slices, and {file} has none")
    return known, partly
