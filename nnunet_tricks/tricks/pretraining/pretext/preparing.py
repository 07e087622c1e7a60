"""Preprocesses raw images without labels, in a folder beside nnU-Net's own, where pretext trainings find them.

Images are in ``imagesUn`` of the raw data set, with names as in ``imagesTr``. nnU-Net's own commands leave them alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from batchgenerators.utilities.file_and_folder_operations import load_pickle, write_pickle
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.nnunet import plans_file
from nnunet_tricks.nnunet.folders import Case, Folders
from nnunet_tricks.tricks.pretraining.pretext import prepared_with
from nnunet_tricks.tricks.pretraining.pretext.unlabelled import folder_beside, require_other_names
from nnunet_tricks.utilities.wording import some

PART = "Un"
"""End of the name of the raw folder."""


class Prepared(NamedTuple):
    """Images without labels that pretext trainings find.

    Attributes:
        folder: Folder of them.
        images: Number of images in it.
        new: Number of those that were preprocessed now.
        removed: Number of those that were taken away, since imagesUn has them no more.
    """

    folder: Path
    images: int
    new: int
    removed: int


def prepare(dataset: str, *, configuration: str, plans: str, overwrite: bool = False) -> Prepared:
    """Preprocess the images without labels of a data set, as nnU-Net preprocesses those with labels.

    What is there already stays, unless the plans have changed since.

    Args:
        dataset: Number or full name.
        configuration: Configuration of the plans.
        plans: Stem of the plans file.
        overwrite: Whether to preprocess those again that are there already.

    Raises:
        ValueError: If there are no such images, one is a labelled image, or has other channels, or the configuration is
            not in the plans.
    """
    folders = Folders.of_environment()
    name = folders.dataset(dataset)
    content = plans_file.read(plans_file.find(name, plans_name=plans, preprocessed=folders.preprocessed))
    if configuration not in content["configurations"]:
        raise ValueError(f"-c must be one of {', '.join(content['configurations'])}, got '{configuration}'")
    images = checked_images(folders, name)
    manager = PlansManager(content)
    settings = manager.get_configuration(configuration)
    target = folder_beside(folders.preprocessed / name / settings.data_identifier)
    present = prepared_with.settings_of(manager, settings)
    if target.is_dir() and (overwrite or prepared_with.differing(target, present)):
        shutil.rmtree(target)
    target.mkdir(exist_ok=True, parents=True)
    prepared_with.write(target, present)
    removed = _remove_others(target, images)
    preprocessor = settings.preprocessor_class(verbose=False)
    new = 0
    for case, image in images.items():
        if not (target / f"{case}.b2nd").is_file():
            files = [str(file) for file in image.images]
            description = folders.description(name)
            _require_channels(manager.image_reader_writer_class(), files, description)
            _preprocess(preprocessor, case, files, target, (manager, settings, description))
            new += 1
    return Prepared(target, len(images), new, removed)


def checked_images(folders: Folders, dataset: str) -> Mapping[str, Case]:
    """The raw images without labels of a data set.

    Args:
        folders: nnU-Net's folders.
        dataset: Full name.

    Raises:
        ValueError: If there are none, one has other channels than labelled images, or is one of these.
    """
    images, labelled = (folders.cases(dataset, part) for part in (PART, "Tr"))
    place, ending = folders.raw / dataset / f"images{PART}", folders.description(dataset)["file_ending"]
    if not images:
        raise ValueError(f"{place} has no images: put them there as CASE_0000{ending}, as in imagesTr")
    require_other_names([*labelled], [*images])
    channels = {len(case.images) for case in labelled.values()}
    if others := [case for case, image in images.items() if len(image.images) not in channels]:
        raise ValueError(
            f"{place}: {some(others)} must have as many files as a labelled image, {some([*map(str, channels)])}, got "
            f"{len(images[others[0]].images)}"
        )
    if copies := _copies(images, labelled):
        first, original = copies[0]
        raise ValueError(
            f"{place}: {first} is the labelled image {original} under another name ({len(copies)} such images). A "
            "training of another fold would learn from it, although it keeps it for validation: remove it"
        )
    return images


def _copies(images: Mapping[str, Case], labelled: Mapping[str, Case]) -> list[tuple[str, str]]:
    """Images without a label whose first file is that of a labelled image, each with that one."""
    sizes = {case.images[0].stat().st_size for case in images.values()}
    known = {_digest(case.images[0]): name for name, case in _of_size(labelled, sizes)}
    sizes = {case.images[0].stat().st_size for case in labelled.values()}
    return [
        (name, known[digest]) for name, case in _of_size(images, sizes) if (digest := _digest(case.images[0])) in known
    ]


def _of_size(cases: Mapping[str, Case], sizes: Iterable[int]) -> list[tuple[str, Case]]:
    return [(name, case) for name, case in cases.items() if case.images[0].stat().st_size in sizes]


def _digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def _remove_others(target: Path, images: Iterable[str]) -> int:
    """Remove images that are gone from imagesUn: one may have a label now, or be the copy of one that has."""
    there = {file.stem for file in target.glob("*.b2nd") if not file.stem.endswith("_seg")}
    gone = there - {*images}
    for case in gone:
        for ending in (".b2nd", "_seg.b2nd", ".pkl"):
            (target / f"{case}{ending}").unlink(missing_ok=True)
    return len(gone)


def _require_channels(reader: Any, files: Sequence[str], description: Mapping[str, Any]) -> None:
    """Refuse pictures with other colours; where each channel has a file, files were counted."""
    wanted = len(description.get("channel_names", description.get("modality", "")))
    if len(files) < wanted and (channels := len(reader.read_images(files)[0])) != wanted:
        raise ValueError(
            f"{files[0]} must have {wanted} channels as labelled images have, got {channels}: save it with "
            f"{wanted}, or remove it"
        )


def _preprocess(preprocessor: Any, case: str, files: list[str], target: Path, settings: tuple[Any, ...]) -> None:
    """Write an image's files; the one by which nnU-Net finds it comes last, so that a kill leaves no half image."""
    workshop = target / ".unfinished"
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir()
    preprocessor.run_case_save(str(workshop / case), files, None, *settings)
    properties = workshop / f"{case}.pkl"
    # Loaders ask for it, although nothing is drawn by labels.
    write_pickle({**load_pickle(str(properties)), "class_locations": {}}, str(properties))
    for file in sorted(workshop.iterdir(), key=lambda file: file.name == f"{case}.b2nd"):
        file.replace(target / file.name)
    workshop.rmdir()
