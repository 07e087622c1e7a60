"""Make a data set whose un-annotated slices are interpolated, from a data set of sparse annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from nnunet_tricks.annotation import labels, moved_plans, recorded
from nnunet_tricks.annotation.interpolation import LEARNED, interpolate
from nnunet_tricks.annotation.learning import Learning, learned_on
from nnunet_tricks.annotation.moved_plans import Preprocessed
from nnunet_tricks.annotation.raw_data import RawData, read_manifest, sha256, target_name
from nnunet_tricks.annotation.scans import VolumeFile
from nnunet_tricks.nnunet import plans_file
from nnunet_tricks.nnunet.folders import Case, Folders
from nnunet_tricks.utilities.progress import shown

if TYPE_CHECKING:
    from nnunet_tricks.annotation.interpolation.network_file import TrainedCorrespondence


@dataclass
class FilledReport:
    """What was made.

    Attributes:
        name: Full name of the new data set.
        filled: Number of cases that were interpolated.
        linked: Number of other cases, whose labels are dense.
        plans: Names of the plans that were copied.
        configurations: Configurations of the first plans.
        empty: Cases without any label, which are background throughout.
        partly: Number of selected slices that are annotated only in part.
        linked_partly: Other cases with voxels that nobody annotated, which stay as they are.
    """

    name: str
    filled: int
    linked: int
    plans: list[str]
    configurations: list[str]
    empty: list[str] = field(default_factory=list)
    partly: int = 0
    linked_partly: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SparseSource:
    """A data set of sparse annotation.

    Attributes:
        name: Full name.
        description: Content of ``dataset.json``.
        manifest: Content of its manifest.
        cases: Its training cases.
        sparse: Names of the cases with sparse labels.
        preprocessed: Its folder of preprocessed data.
    """

    name: str
    description: dict[str, Any]
    manifest: dict[str, Any]
    cases: dict[str, Case]
    sparse: list[str]
    preprocessed: Path

    @classmethod
    def read(cls, folders: Folders, name: str) -> SparseSource:
        """Read a data set.

        Raises:
            ValueError: If it has no manifest, no sparse case, or files are missing.
        """
        manifest = read_manifest(folders, name)
        cases = folders.cases(name, "Tr")
        missing = [case for case in manifest["cases"] if case not in cases or cases[case].label is None]
        if missing:
            raise ValueError(f"{name}: files of {missing[0]} are gone")
        sparse = sorted(case for case, entry in manifest["cases"].items() if entry["annotation"] == "sparse")
        if not sparse:
            raise ValueError(f"{name}: no case has sparse annotation")
        return cls(name, folders.description(name), manifest, cases, sparse, folders.preprocessed / name)

    @property
    def ignore(self) -> int:
        """Value of voxels that nobody annotated."""
        return int(self.description["labels"][labels.IGNORE])

    def plans(self, name: str) -> dict[str, plans_file.Plans]:
        """Its plans, under the name of another data set."""
        return moved_plans.renamed(self.preprocessed, name)


@dataclass(frozen=True)
class Interpolation:
    """How masks between annotated slices are made.

    Attributes:
        method: See ``interpolate``.
        network: Network that ``learned`` and ``chain`` need.
    """

    method: str
    network: TrainedCorrespondence | None

    def as_json(self) -> dict[str, Any]:
        """What a manifest records of it."""
        network = self.network
        return {
            "method": self.method,
            **({"steps": network.step, "network_sha256": sha256(network.file)} if network else {}),
        }

    def filled(
        self, label: VolumeFile, stored: SimpleITK.Image, image: Path, chosen: Sequence[int], ignore: int
    ) -> tuple[NDArray[np.uint8], int]:
        """Fill one label map, indexed (k, j, i).

        Masks are made from the wholly annotated slices. Annotated voxels of other selected slices stay as they are.

        Args:
            label: File of the label map.
            stored: Its content.
            image: First channel of its image.
            chosen: Selected slices.
            ignore: Value of voxels that nobody annotated.

        Returns:
            The label map, and the number of selected slices that are annotated only in part.
        """
        array: NDArray[np.uint8] = SimpleITK.GetArrayFromImage(stored).astype(np.uint8)
        slices = label.axial.slices_first(array)
        whole, partly = _annotated(slices, chosen, ignore, label.file)
        made = interpolate(
            slices,
            whole,
            method=self.method,
            volume=VolumeFile(image).numbers() if self.network else None,
            spacing=label.axial.in_plane(),
            network=self.network,
        )
        made[partly] = np.where(slices[partly] == ignore, made[partly], slices[partly])
        slices[:] = made
        return array, len(partly)


def fill(
    folders: Folders,
    dataset: str,
    number: int,
    method: str,
    *,
    learning: Learning | None = None,
    accept_changed: bool = False,
    dry_run: bool = False,
) -> FilledReport:
    """Interpolate the labels of all sparse cases into a new raw data set.

    Interpolated labels have no ignored voxels, but ``dataset.json`` keeps the entry. With it nnU-Net draws patches as
    it does for sparse labels, so a comparison of the two differs by the labels only. Other cases stay as they are.

    Args:
        folders: nnU-Net's folders.
        dataset: Number or full name of a data set that ``sparsify`` or ``import`` made.
        number: Number of the new data set.
        method: See ``interpolate``.
        learning: Settings of the network that ``learned`` and ``chain`` train on the images of sparse cases.
        accept_changed: Accept labels that differ from those that the manifest recorded.
        dry_run: Write nothing.

    Raises:
        ValueError: If there is no such data set, its manifest is missing, the number is taken, labels have changed
            since they were recorded, or a case has no wholly annotated slice.
    """
    source = SparseSource.read(folders, folders.dataset(dataset))
    name = target_name(folders, number, f"{source.name.partition('_')[2]}_{method}")
    if not accept_changed:
        recorded.refuse_changed_labels(folders, source.name)
    plans = source.plans(name)
    report = FilledReport(
        name=name,
        filled=len(source.sparse),
        linked=len(source.cases) - len(source.sparse),
        plans=[*plans],
        configurations=[*next(iter(plans.values()))["configurations"]] if plans else [],
    )
    if dry_run:
        return report
    with RawData(folders, name, source.description["file_ending"]) as data:
        interpolation = Interpolation(method, _network(source, learning) if method in LEARNED else None)
        for case in shown(sorted(source.cases), f"Interpolating, {method}", len(source.cases)):
            _add_case(data, source, case, interpolation, report, accept_changed=accept_changed)
        data.link_test(folders.cases(source.name, "Ts"))
        settings = {key: value for key, value in source.manifest.items() if key not in ("cases", "format")}
        settings |= {"sparse_source": source.name, "interpolation": interpolation.as_json()}
        preprocessed = Preprocessed(plans, source.preprocessed / moved_plans.FINGERPRINT) if plans else None
        data.finish(source.description, settings, folders.splits(source.name), preprocessed)
    return report


def _network(source: SparseSource, learning: Learning | None) -> TrainedCorrespondence:
    learning = learning or Learning()
    learning.file = learning.file or source.preprocessed / "slice_correspondence.pt"
    return learned_on([VolumeFile(source.cases[case].images[0]) for case in source.sparse], learning)


def _add_case(
    data: RawData,
    source: SparseSource,
    case: str,
    interpolation: Interpolation,
    report: FilledReport,
    *,
    accept_changed: bool,
) -> None:
    """Link the images of one case, and interpolate its label or link it."""
    files, known = source.cases[case], source.manifest["cases"].get(case, {"annotation": "dense"})
    if files.label is None:
        raise ValueError(f"case {case} of {source.name} has no label")
    images = data.link_images(case, files.images)
    _check_images(images, known, files.images[0], source.name, accept_changed=accept_changed)
    label = VolumeFile(files.label)
    entry = {**known, "images_sha256": images}
    if case in source.sparse:
        stored = label.image()
        array, partly = interpolation.filled(label, stored, files.images[0], entry["chosen"], source.ignore)
        report.partly += partly
        if not array.any():
            report.empty.append(case)
        entry |= {"annotation": "interpolated", "label_sha256": data.write_label(case, array, stored)}
    else:
        if (label.slices() == source.ignore).any():
            report.linked_partly.append(case)
        entry["label_sha256"] = data.link_label(case, files.label)
    data.entries[case] = entry


def _check_images(
    hashes: list[str], known: Mapping[str, Any], first: Path, dataset: str, *, accept_changed: bool
) -> None:
    if not accept_changed and known.get("images_sha256", hashes) != hashes:
        raise ValueError(
            f"{first}, or another channel of it, has changed since it was recorded. Make {dataset} again, or say "
            "--accept-changed if the files are right"
        )


def _annotated(
    slices: NDArray[np.uint8], chosen: Sequence[int], ignore: int, file: Path
) -> tuple[list[int], list[int]]:
    """Selected slices that are wholly annotated, and those that are annotated in part."""
    ignored = slices[list(chosen)] == ignore
    whole = [index for index, voxels in zip(chosen, ignored, strict=True) if not voxels.any()]
    partly = [index for index, voxels in zip(chosen, ignored, strict=True) if voxels.any() and not voxels.all()]
    if not whole:
        raise ValueError(f"masks are made between wholly annotated slices, and {file} has none")
    return whole, partly
