"""A raw data set with labels for voxels that nobody annotated, where trained models are certain about them.

The new data set has all cases of the old one, as they are. Beside them it has, for each fold, the training cases of the
fold with labels that the fold's own models added (``protocol.py``), and images that had no label. The folds are the old
ones: a fold trains on what was made for it, and is scored on the old label maps of the same cases as before.

For a last training on all cases there is one label map of each case, made by all folds, and nothing is left to score.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from batchgenerators.utilities.file_and_folder_operations import load_pickle
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from numpy.typing import NDArray

from nnunet_tricks.annotation import labels as label_values
from nnunet_tricks.annotation import moved_plans
from nnunet_tricks.annotation.moved_plans import Preprocessed
from nnunet_tricks.annotation.raw_data import MANIFEST, RawData, read_manifest, sha256, target_name
from nnunet_tricks.nnunet.folders import Case, Folders, read_json
from nnunet_tricks.nnunet.model_folder import FINAL
from nnunet_tricks.tricks.inference.members import READER, TURNING, read_labels, read_probabilities
from nnunet_tricks.tricks.inference.output_folder import cases_in
from nnunet_tricks.tricks.inference.predict import PredictionSettings, PredictionWork, predict
from nnunet_tricks.tricks.semisupervised.certain import Outputs, certain_labels, grown
from nnunet_tricks.tricks.semisupervised.protocol import ALL, Labeller, check_model, labellers
from nnunet_tricks.utilities.progress import shown
from nnunet_tricks.utilities.wording import some

PREDICTIONS = "grow_predictions"
"""Folder of probabilities beside the preprocessed data, until the new data set is complete."""


@dataclass(frozen=True, kw_only=True)
class GrowSettings:
    """What decides the labels.

    Attributes:
        models: Model folders; their models of a fold are its ensemble.
        folds: Folds that get labels; all if empty. With ``final`` those whose models give them.
        final: Whether the labels are for one training on all cases.
        thresholds: From a class or region to its smallest mean probability; ``""`` for all others.
        images: Folder of images without labels, if there are any.
        keep_empty: Whether images without a label stay in where no class is certain anywhere.
        checkpoint: File in each fold.
        tta: Views, as ``nnunet-tricks predict`` takes them.
    """

    models: tuple[Path, ...]
    folds: tuple[int, ...] = ()
    final: bool = False
    thresholds: Mapping[str, float] = field(default_factory=lambda: {"": 0.95})
    images: Path | None = None
    keep_empty: bool = False
    checkpoint: str = FINAL
    tta: str = "mirror"


@dataclass
class GrowReport:
    """What was made, or would be.

    Attributes:
        name: Full name of the new data set.
        members: From each fold that got labels to its ensemble.
        labelled: From each fold to the number of label maps made for it.
        unlabelled: Number of images without a label.
        kept: From a class to the share that is kept of the voxels predicted as it, among those nobody annotated.
        empty: Label maps of partly annotated cases without any new label of a class.
        left_out: Images without a label in which no class is certain anywhere.
        configurations: Configurations of the first plans.
        notes: What the user should know.
    """

    name: str
    members: dict[str, list[str]]
    labelled: dict[str, int]
    unlabelled: int = 0
    kept: dict[str, float | None] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    configurations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class GrowSource:
    """The data set that labels are added to.

    Attributes:
        name: Full name.
        description: Content of ``dataset.json``, with an ignore label.
        cases: Training cases.
        unlabelled: Images without a label, by case.
        splits: Folds.
        partly: Training cases with voxels that nobody annotated, and the number of these.
        reader: nnU-Net's reader.
        preprocessed: Folder of preprocessed data.
    """

    name: str
    description: dict[str, Any]
    cases: dict[str, Case]
    unlabelled: dict[str, Case]
    splits: list[dict[str, list[str]]]
    partly: dict[str, int]
    reader: Any
    preprocessed: Path

    @classmethod
    def read(cls, folders: Folders, dataset: str, settings: GrowSettings) -> GrowSource:
        """Read a data set, and refuse what could not work.

        Raises:
            ValueError: With the reason.
        """
        name = folders.dataset(dataset)
        if not (folders.raw / name).is_dir():
            raise ValueError(f"{name} is not in {folders.raw}, and labels are added to raw data")
        description = folders.description(name)
        if label_values.IGNORE not in description["labels"] and settings.images is None:
            raise ValueError(
                f"{name} has no ignore label, so each voxel is annotated and there is nothing to add: give images "
                "without labels with --images"
            )
        description["labels"] = label_values.with_ignore(description["labels"])
        splits = folders.splits(name)
        if splits is None:
            raise ValueError(
                f"{name} has no splits_final.json, so nobody knows which cases the models were trained on: train the "
                "folds first"
            )
        if not settings.models:
            raise ValueError("no model is given: name model folders with -m, or -tr, -p and -c")
        repeated = [model for at, model in enumerate(settings.models) if model in settings.models[:at]]
        if repeated:
            raise ValueError(f"{repeated[0]} is given twice: it would agree with itself")
        for model in settings.models:
            check_model(model, settings.checkpoint, name, description, splits)
        plans = [read_json(model / "plans.json") for model in settings.models]
        readers = {str(content[READER]) for content in plans}
        if len(readers) > 1 and TURNING in readers:
            raise ValueError(
                f"the models read images differently ({', '.join(sorted(readers))}): give models of one kind"
            )
        cases = folders.cases(name, "Tr")
        without = [case for case, files in cases.items() if files.label is None]
        if without or not cases:
            raise ValueError(
                f"{name} has no label map of {some(without) or 'any case'}: move images without one to imagesUn"
            )
        reader = PlansManager(plans[0]).image_reader_writer_class()
        ignore = int(description["labels"][label_values.IGNORE])
        counted = {
            case: int((read_labels(reader, files.label)[0] == ignore).sum())
            for case, files in shown(cases.items(), "Looking for voxels without a label", len(cases))
            if files.label
        }
        partly = {case: count for case, count in counted.items() if count}
        unlabelled = _unlabelled(folders, name, description, cases, settings.images)
        if not partly and not unlabelled:
            raise ValueError(f"no voxel of {name} has the ignore label: there is nothing to add")
        return cls(name, description, cases, unlabelled, splits, partly, reader, folders.preprocessed / name)

    @property
    def ignore(self) -> int:
        """Value of voxels that nobody annotated."""
        return int(self.description["labels"][label_values.IGNORE])

    @property
    def ending(self) -> str:
        """Ending of its files."""
        return str(self.description["file_ending"])

    def files(self, case: str) -> Case:
        """The files of a case, with or without a label."""
        return self.cases.get(case) or self.unlabelled[case]

    def targets(self, fold: str) -> list[str]:
        """Cases that get labels for a fold: training cases that are annotated in part, and images without a label."""
        training = self.cases if fold == ALL else self.splits[int(fold)]["train"]
        return [*(case for case in sorted(training) if case in self.partly), *self.unlabelled]


def grow(
    folders: Folders, dataset: str, number: int, settings: GrowSettings, work: PredictionWork, **how: bool
) -> GrowReport:
    """Add labels where models are certain, in a new raw data set.

    Args:
        folders: nnU-Net's folders.
        dataset: Number or full name of the data set.
        number: Number of the new one.
        settings: What decides the labels.
        work: How images are predicted; ``resume`` and ``overwrite`` say what becomes of predictions that are there.
        how: ``dry_run`` to write nothing, ``keep_predictions`` to keep probabilities at the end.

    Raises:
        ValueError: If models, split, labels or images do not go together, or the number is taken.
    """
    source = GrowSource.read(folders, dataset, settings)
    name = target_name(folders, number, f"{source.name.partition('_')[2]}_grown")
    outputs = Outputs.of(source.description)
    thresholds = outputs.thresholds({"": 0.95, **settings.thresholds})
    members = labellers(source.splits, settings.models, settings.folds, settings.checkpoint, final=settings.final)
    plans = moved_plans.renamed(source.preprocessed, name)
    report = GrowReport(
        name=name,
        members={fold: [str(member) for member in group] for fold, group in members.items()},
        labelled={fold: len(source.targets(fold)) for fold in members},
        unlabelled=len(source.unlabelled),
        configurations=[*next(iter(plans.values()))["configurations"]] if plans else [],
        notes=[*_notes(members, settings, len(source.partly), len(source.cases))],
    )
    if how.get("dry_run"):
        return report
    place = source.preprocessed / PREDICTIONS
    predictions = {
        member: _predicted(source, member, [fold for fold in members if member in members[fold]], place, settings, work)
        for member in dict.fromkeys(member for group in members.values() for member in group)
    }
    make = partial(_labelled, source, outputs, thresholds)
    with RawData(folders, name, source.ending) as data:
        # What is known of the old cases stays known.
        manifest = folders.raw / source.name / MANIFEST
        known = read_manifest(folders, source.name)["cases"] if manifest.is_file() else {}
        _link(data, source, known, whole=settings.final)
        _write(data, source, members, predictions, make, settings, report)
        data.link_test(folders.cases(source.name, "Ts"))
        record = {
            "grown_from": source.name,
            "protocol": "all folds label, for one training on all cases" if settings.final else "a fold's own models",
            "thresholds": dict(zip(outputs.names, thresholds, strict=True)),
            "agreement": "all members",
            "tta": settings.tta,
            "members": {
                str(member): {"checkpoint_sha256": sha256(_checkpoint(member, settings))} for member in predictions
            },
            "folds": report.members,
            "kept": report.kept,
        }
        preprocessed = Preprocessed(plans, source.preprocessed / moved_plans.FINGERPRINT) if plans else None
        data.finish(source.description, record, _splits(source, members, data), preprocessed)
    if not how.get("keep_predictions"):
        shutil.rmtree(place)
    return report


def version_of(case: str, fold: str) -> str:
    """Name of a case with the labels that were made for a fold.

    Examples:
        >>> version_of("liver_1", "0"), version_of("liver_1", "all")
        ('liver_1_grown0', 'liver_1')
    """
    return case if fold == ALL else f"{case}_grown{fold}"


def _unlabelled(
    folders: Folders, name: str, description: Mapping[str, Any], cases: Mapping[str, Case], folder: Path | None
) -> dict[str, Case]:
    """Images without a label; none of them may be the image of a case, which could be one that is scored."""
    if folder is None:
        return {}
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: put images without labels there, or name another with --images")
    channels = len(description.get("channel_names", description.get("modality", {})))
    counts = (1, channels) if description["file_ending"] in (".png", ".bmp", ".tif") else (channels,)
    found = cases_in(folder, str(description["file_ending"]), counts)
    known = {**folders.cases(name, "Ts"), **cases}
    for case, files in found.items():
        if case in known:
            raise ValueError(f"{folder} has {case}, and so has {name}: give images another name than cases have")
        size = Path(files[0]).stat().st_size
        for other, its in known.items():
            same = its.images[0].stat().st_size == size and sha256(its.images[0]) == sha256(Path(files[0]))
            if same:
                raise ValueError(f"{files[0]} is the image of {other} in {name}, which may be scored on it: remove it")
    return {case: Case(tuple(map(Path, files)), None) for case, files in found.items()}


def _notes(members: Mapping[str, Sequence[Labeller]], settings: GrowSettings, partly: int, cases: int) -> Iterator[str]:
    alone = [fold for fold, group in members.items() if len(group) == 1]
    if alone:
        yield (
            f"fold {some(alone)} has one model, which agrees with itself: give a second model folder, such as another "
            "configuration or run"
        )
    if settings.final:
        yield "these labels hold what all folds learned: train with fold all, and score on cases of no fold"
    if settings.images is not None and partly < cases:
        yield f"{cases - partly} of {cases} cases are annotated everywhere and stay as they are"


def _checkpoint(member: Labeller, settings: GrowSettings) -> Path:
    return member.model / f"fold_{member.fold}" / settings.checkpoint


def _predicted(
    source: GrowSource,
    member: Labeller,
    folds: Sequence[str],
    place: Path,
    settings: GrowSettings,
    work: PredictionWork,
) -> Path:
    """Predict the targets of a member's folds, and no other case; return the folder of its probabilities."""
    folder = place / f"{member.model.name}__fold_{member.fold}"
    images = folder / "images"
    if images.is_dir():
        shutil.rmtree(images)
    images.mkdir(parents=True)
    for case in dict.fromkeys(case for fold in folds for case in source.targets(fold)):
        for channel, file in enumerate(source.files(case).images):
            (images / f"{case}_{channel:04d}{source.ending}").symlink_to(file.resolve())
    wanted = PredictionSettings(
        model=member.model,
        folds=(str(member.fold),),
        checkpoint=settings.checkpoint,
        tta=settings.tta,
        probabilities=True,
    )
    predict(images, folder / "probabilities", wanted, work)
    return folder / "probabilities"


@dataclass(frozen=True)
class GrownLabel:
    """A label map with added labels.

    Attributes:
        array: The label map.
        properties: Geometry, as nnU-Net's reader writes it.
        predicted: From each label to the voxels predicted as it where nobody annotated.
        kept: From each label to those of them that are certain.
    """

    array: NDArray[np.uint8]
    properties: Any
    predicted: dict[int, int]
    kept: dict[int, int]


def _labelled(
    source: GrowSource, outputs: Outputs, thresholds: Sequence[float], case: str, folders: Sequence[Path]
) -> GrownLabel:
    labels, certain = certain_labels(
        [read_probabilities(folder / f"{case}.npz") for folder in folders], thresholds, outputs
    )
    label = source.files(case).label
    known, properties = read_labels(source.reader, label) if label else (None, None)
    try:
        array, unknown = grown(known, labels, certain, source.ignore)
    except ValueError as error:
        raise ValueError(f"case {case}: {error}: predict again with --overwrite") from None
    values = range(source.ignore)
    return GrownLabel(
        array,
        properties or load_pickle(str(folders[0] / f"{case}.pkl")),
        {value: int((labels[unknown] == value).sum()) for value in values},
        {value: int((labels[unknown & certain] == value).sum()) for value in values},
    )


def _link(data: RawData, source: GrowSource, known: Mapping[str, Any], *, whole: bool) -> None:
    """Link cases as they are: all of them, or only those that are annotated everywhere."""
    for case, files in shown(source.cases.items(), "Linking cases", len(source.cases)):
        if files.label is not None and not (whole and case in source.partly):
            entry = known.get(case, {"annotation": "as it was"})
            images, label = data.link_images(case, files.images), data.link_label(case, files.label)
            data.entries[case] = {**entry, "images_sha256": images, "label_sha256": label}


def _write(
    data: RawData,
    source: GrowSource,
    members: Mapping[str, Sequence[Labeller]],
    predictions: Mapping[Labeller, Path],
    make: Callable[[str, Sequence[Path]], GrownLabel],
    settings: GrowSettings,
    report: GrowReport,
) -> None:
    predicted, kept = (dict.fromkeys(range(source.ignore), 0) for _ in range(2))
    for fold, group in members.items():
        targets = source.targets(fold)
        for case in shown(targets, f"Keeping what is certain, fold {fold}", len(targets)):
            made = make(case, [predictions[member] for member in group])
            version, shows = version_of(case, fold), any(made.kept[value] for value in made.kept if value)
            if not shows and case in source.unlabelled and not settings.keep_empty:
                report.left_out.append(version)
                continue
            if not shows:
                report.empty.append(version)
            for value in predicted:
                predicted[value] += made.predicted[value]
                kept[value] += made.kept[value]
            data.entries[version] = _entry(data, source, case, fold, group, made, version)
    report.kept = _shares(source, predicted, kept)


def _entry(
    data: RawData,
    source: GrowSource,
    case: str,
    fold: str,
    group: Sequence[Labeller],
    made: GrownLabel,
    version: str,
) -> dict[str, Any]:
    files = source.files(case)

    def write(target: Path) -> None:
        source.reader.write_seg(made.array, str(target), made.properties)
        if not np.array_equal(read_labels(source.reader, target)[0], made.array):
            raise OSError(f"{target} was read back differently. Is the disk full, or a quota reached?")

    return {
        "annotation": "grown",
        "grown_from": case,
        "fold": fold,
        "members": [str(member) for member in group],
        "images_sha256": data.link_images(version, files.images),
        **({"source_label_sha256": sha256(files.label)} if files.label else {}),
        "label_sha256": data.label_by(version, write),
        "voxels": int(made.array.size),
        "unknown": sum(made.predicted.values()),
        "still_unknown": int((made.array == source.ignore).sum()),
        "kept": _shares(source, made.predicted, made.kept),
    }


def _shares(source: GrowSource, predicted: Mapping[int, int], kept: Mapping[int, int]) -> dict[str, float | None]:
    """Share that is kept of the voxels predicted as each label; None where none was."""
    names = {
        value if not isinstance(value, (list, tuple)) else value[0]: name
        for name, value in source.description["labels"].items()
        if not isinstance(value, (list, tuple)) or len(value) == 1
    }
    return {
        names.get(value, f"label {value}"): round(kept[value] / predicted[value], 4) if predicted[value] else None
        for value in predicted
    }


def _splits(source: GrowSource, members: Mapping[str, Sequence[Labeller]], data: RawData) -> list[dict[str, list[str]]]:
    """The old folds, whose training cases are replaced by what was made for them.

    A fold of all cases has nothing left to be scored on, and says so.
    """
    if ALL in members:
        return [{"train": sorted(data.entries), "val": []} for _ in source.splits]
    folds = []
    for number, parts in enumerate(source.splits):
        fold = str(number)
        names = [version_of(case, fold) for case in (*parts["train"], *source.unlabelled)]
        training = [
            version if version in data.entries else case
            for version, case in zip(names, (*parts["train"], *source.unlabelled), strict=True)
        ]
        folds.append({"train": [case for case in training if case in data.entries], "val": list(parts["val"])})
    return folds
