"""A raw data set with labels for voxels that nobody annotated, where trained models are certain about them.

The new data set has all cases of the old one, as they are. Beside them it has, for each fold, the training cases of the
fold with labels that the fold's own models added (``protocol.py``), and images that had no label. The folds are the old
ones: a fold trains on what was made for it, and is scored on the old label maps of the same cases as before.

For a last training on all cases there is one label map of each case, made by all folds, and nothing is left to score.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from nnunet_tricks.annotation import moved_plans
from nnunet_tricks.annotation.moved_plans import Preprocessed
from nnunet_tricks.annotation.raw_data import MANIFEST, RawData, read_manifest, sha256, target_name
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.tricks.inference.predict import PredictionWork
from nnunet_tricks.tricks.semisupervised.growing.cases import link_cases, write_labels
from nnunet_tricks.tricks.semisupervised.growing.certain import Outputs
from nnunet_tricks.tricks.semisupervised.growing.folds import new_splits
from nnunet_tricks.tricks.semisupervised.growing.label_maps import label_map
from nnunet_tricks.tricks.semisupervised.growing.predictions import PREDICTIONS, checkpoint_of, predicted
from nnunet_tricks.tricks.semisupervised.growing.protocol import Labeller, labellers
from nnunet_tricks.tricks.semisupervised.growing.report import GrowReport
from nnunet_tricks.tricks.semisupervised.growing.settings import GrowSettings
from nnunet_tricks.tricks.semisupervised.growing.source import GrowSource
from nnunet_tricks.utilities.wording import some


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
        member: predicted(source, member, [fold for fold in members if member in members[fold]], place, settings, work)
        for member in dict.fromkeys(member for group in members.values() for member in group)
    }
    make = partial(label_map, source, outputs, thresholds)
    with RawData(folders, name, source.ending) as data:
        # What is known of the old cases stays known.
        manifest = folders.raw / source.name / MANIFEST
        known = read_manifest(folders, source.name)["cases"] if manifest.is_file() else {}
        link_cases(data, source, known, whole=settings.final)
        write_labels(data, source, members, predictions, make, settings, report)
        report.note_starved_classes()
        data.link_test(folders.cases(source.name, "Ts"))
        record = {
            "grown_from": source.name,
            "protocol": "all folds label, for one training on all cases" if settings.final else "a fold's own models",
            "thresholds": dict(zip(outputs.names, thresholds, strict=True)),
            "agreement": "all members",
            "tta": settings.tta,
            "members": {
                str(member): {"checkpoint_sha256": sha256(checkpoint_of(member, settings))} for member in predictions
            },
            "folds": report.members,
            "kept": report.kept,
        }
        preprocessed = Preprocessed(plans, source.preprocessed / moved_plans.FINGERPRINT) if plans else None
        data.finish(source.description, record, new_splits(source, members, data), preprocessed)
    if not how.get("keep_predictions"):
        shutil.rmtree(place)
    return report


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
