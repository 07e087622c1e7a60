"""Make a data set in which few training cases have labels: the images of all others go into ``imagesUn``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from nnunet_tricks import __version__
from nnunet_tricks.annotation import moved_plans
from nnunet_tricks.annotation.moved_plans import Preprocessed
from nnunet_tricks.annotation.raw_data import RawData, target_name
from nnunet_tricks.annotation.split import labelled_fold
from nnunet_tricks.nnunet.folders import Case, Folders
from nnunet_tricks.utilities.progress import shown

PART = "Un"
"""End of the name of the folder of images without labels."""


@dataclass(frozen=True)
class FewerLabelsReport:
    """What was made.

    Attributes:
        name: Full name of the new data set.
        labelled: Training cases that keep their labels.
        unlabelled: Number of training cases whose image is in ``imagesUn``.
        validation: Number of validation cases, which keep their labels.
        test: Number of cases in ``imagesTs``.
        plans: Names of the plans that were copied.
        configurations: Configurations of the first plans.
    """

    name: str
    labelled: list[str]
    unlabelled: int
    validation: int
    test: int
    plans: list[str]
    configurations: list[str]


def fewer_labels(
    folders: Folders, dataset: str, number: int, share: float, *, fold: int = 0, seed: int = 0, dry_run: bool = False
) -> FewerLabelsReport:
    """Write the raw data set, and copy split and plans to it.

    Images and labels are linked. Validation cases of the fold, and test cases, keep their labels, so that trainings
    with more and with fewer labels are scored on the same cases. The new data set has this fold only.

    Args:
        folders: nnU-Net's folders.
        dataset: Number or full name of the data set with all labels, which must be planned.
        number: Number of the new data set.
        share: Share of the fold's training cases that keep their labels, above 0 and below 1.
        fold: Fold whose training cases lose labels. In the new data set it is fold 0.
        seed: Which cases keep them. With one seed a larger share contains each smaller one.
        dry_run: Write nothing.

    Raises:
        ValueError: If there is no such data set, fold or plan, the share leaves all cases or none, a case has no files,
            or the number is taken.
    """
    if not 0 < share < 1:
        raise ValueError(f"--share must be above 0 and below 1, got {share:g}")
    source = folders.dataset(dataset)
    cases = folders.cases(source, "Tr")
    split = labelled_fold(folders, source, cases, fold)
    labelled = _chosen(split["train"], share, seed)
    unlabelled = sorted({*split["train"]} - {*labelled})
    if not unlabelled:
        raise ValueError(f"--share {share:g} of {len(split['train'])} training cases leaves no image without a label")
    name = target_name(folders, number, f"{source.partition('_')[2]}_{_spelled(share, seed)}")
    place = folders.preprocessed / source
    plans = {stem: {**content, "dataset_name": name} for stem, content in moved_plans.required(place).items()}
    test = folders.cases(source, "Ts")
    first = plans.get("nnUNetPlans", next(iter(plans.values())))
    report = FewerLabelsReport(
        name=name,
        labelled=labelled,
        unlabelled=len(unlabelled),
        validation=len(split["val"]),
        test=len(test),
        plans=list(plans),
        configurations=list(first["configurations"]),
    )
    if dry_run:
        return report
    description = folders.description(source)
    with RawData(folders, name, description["file_ending"]) as data:
        for case in shown([*labelled, *split["val"]], "Linking cases", len(labelled) + len(split["val"])):
            _link(data, case, cases[case])
        images = {case: data.link_images(case, cases[case].images, PART) for case in unlabelled}
        data.link_test(test)
        recorded = {
            "nnunet_tricks": __version__,
            "source": source,
            "fold": fold,
            "share": share,
            "seed": seed,
            "unlabelled": {case: {"images_sha256": hashes} for case, hashes in images.items()},
        }
        splits = [{"train": labelled, "val": sorted(split["val"])}]
        data.finish(description, recorded, splits, Preprocessed(plans, place / moved_plans.FINGERPRINT))
    return report


def _link(data: RawData, case: str, files: Case) -> None:
    if files.label is not None:
        data.add_dense(case, files.images, files.label)


def _chosen(cases: Sequence[str], share: float, seed: int) -> list[str]:
    """At least one case; those of a smaller share are among those of a larger one."""
    order = Random(seed).sample(sorted(cases), len(cases))
    return sorted(order[: max(1, round(share * len(cases)))])


def _spelled(share: float, seed: int) -> str:
    return f"labels{share:g}".replace(".", "p") + (f"_seed{seed}" if seed else "")
