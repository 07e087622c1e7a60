"""Which views pay for their time: the smallest set whose Dice lies within the noise of all of them.

Each view is predicted by itself, for the validation cases of each fold by the model of that fold. A set of views is the
mean of their probabilities, so all sets are measured without another prediction.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import median

import numpy as np

from nnunet_tricks.comparison.folders import Predictions
from nnunet_tricks.nnunet.classes import Classes
from nnunet_tricks.nnunet.folders import Folders, read_json
from nnunet_tricks.tricks.inference.output_folder import RECORD
from nnunet_tricks.tricks.inference.predict import PredictionSettings, PredictionWork, predict
from nnunet_tricks.tricks.inference.tuning.cases import ValidationCase, ValidationReader
from nnunet_tricks.tricks.inference.tuning.mixtures import mixture_dice
from nnunet_tricks.tricks.inference.tuning.nested import chance, check_folds
from nnunet_tricks.tricks.inference.tuning.overlap import Floats
from nnunet_tricks.tricks.inference.tuning.workers import mapped
from nnunet_tricks.tricks.inference.views import IDENTITY

MOST = 8
"""Largest number of views whose sets are all tried; nnU-Net mirrors a volume in as many."""


@dataclass(frozen=True, kw_only=True)
class ViewSearch:
    """Where views are looked for.

    Attributes:
        tta: Name of a set of views, or views joined by commas.
        folder: Where the predictions are kept, so that a killed search goes on.
        device: Where the network runs.
    """

    tta: str
    folder: Path
    device: str = "cuda"


@dataclass(frozen=True)
class RankedSet:
    """The best set of a number of views.

    Attributes:
        views: Names of the views.
        dice: Mean Dice on all cases, which chose it.
        seconds: Time per case.
    """

    views: tuple[str, ...]
    dice: float
    seconds: float


@dataclass(frozen=True)
class ViewChoice:
    """What the views are worth.

    Attributes:
        seconds: Median time per case of each view.
        ranked: The best set of each number of views.
        chosen: The smallest set within the noise of all views.
        by_fold: That of each fold, chosen by the others.
        dice: Mean Dice on folds that did not choose.
        dice_of_all: Mean Dice of all views.
        dice_of_image: Mean Dice of the image alone.
        p: Probability that any set is as clearly better than the image alone, if none is.
    """

    seconds: Mapping[str, float]
    ranked: tuple[RankedSet, ...]
    chosen: tuple[str, ...]
    by_fold: Mapping[str, tuple[str, ...]]
    dice: float
    dice_of_all: float
    dice_of_image: float
    p: float

    @property
    def tta(self) -> str:
        """As ``predict --tta`` takes it."""
        return "none" if self.chosen == (IDENTITY,) else ",".join(self.chosen)


def choose_views(
    predictions: Sequence[Predictions], search: ViewSearch, *, workers: int = 1, progress: bool = True
) -> ViewChoice:
    """Predict each view, and choose.

    Args:
        predictions: The validation of each fold of a model, at least two.
        search: Which views.
        workers: Processes.
        progress: Whether there are progress bars.

    Raises:
        ValueError: If there are too many views, none is the image itself, or raw images are missing.
    """
    images = _linked_images(predictions, search.folder / "images")
    processes = 0 if workers == 1 else workers
    work = PredictionWork(
        device=search.device, preprocessing=processes, export=processes, resume=True, progress=progress
    )
    first = predictions[0]
    settings = PredictionSettings(model=first.model, folds=(first.fold,), tta=search.tta)
    # nnU-Net talks on stdout, and a script reads our JSON there.
    with redirect_stdout(sys.stderr):
        views = predict(images[first.fold], search.folder / "none", settings, work, dry_run=True).views
    if IDENTITY not in views or len(views) > MOST or len(views) < 2:
        raise ValueError(
            f"--tta {search.tta} has {len(views)} views ({', '.join(views)}): choosing needs {IDENTITY} and 1 to "
            f"{MOST - 1} others"
        )
    views = (IDENTITY, *(view for view in views if view != IDENTITY))
    seconds: dict[str, list[float]] = {view: [] for view in views}
    for view in views:
        for part in predictions:
            folder = search.folder / view / f"fold_{part.fold}"
            settings = PredictionSettings(model=part.model, folds=(part.fold,), tta=view, probabilities=True)
            with redirect_stdout(sys.stderr):
                predict(images[part.fold], folder, settings, work)
                if not (times := read_json(folder / RECORD)["seconds"]):
                    # It was killed after the last case and before it could note the times.
                    predict(images[part.fold], folder, settings, replace(work, resume=False, overwrite=True))
                    times = read_json(folder / RECORD)["seconds"]
            seconds[view] += times.values()
    sets = _sets(len(views))
    reader = _SetReader(ValidationReader(first.description, first.plans), search.folder, views)
    cases = [(files.case, part.fold, files.truth) for part in predictions for files in part.files()]
    values = np.stack(mapped(reader, cases, workers, "measure sets of views", progress))
    return chosen_views(values, [fold for _, fold, _ in cases], views, sets, {v: median(s) for v, s in seconds.items()})


def chosen_views(
    values: Floats,
    folds: Sequence[str],
    views: Sequence[str],
    sets: Sequence[tuple[int, ...]],
    seconds: Mapping[str, float],
) -> ViewChoice:
    """Choose from measured sets.

    Args:
        values: Dice, (cases, sets).
        folds: The fold of each case, at least two.
        views: Names of the views, the image itself first.
        sets: Positions of the views in each set, smaller sets first: the image alone is the first, all views the last.
        seconds: Time per case of each view.

    Raises:
        ValueError: If there is only one fold.
    """
    names = check_folds(folds)
    of = np.array(folds)
    chosen = _smallest(values, sets)
    by_fold = {name: _smallest(values[of != name], sets) for name in names}
    honest = values[np.arange(len(values)), [by_fold[name] for name in folds]]

    def named(position: int) -> tuple[str, ...]:
        return tuple(views[view] for view in sets[position])

    ranked = tuple(
        RankedSet(named(position), float(values[:, position].mean()), sum(seconds[view] for view in named(position)))
        for position in _best_of_sizes(values, sets)
    )
    return ViewChoice(
        seconds,
        ranked,
        named(chosen),
        {name: named(position) for name, position in by_fold.items()},
        float(honest.mean()),
        float(values[:, -1].mean()),
        float(values[:, 0].mean()),
        chance(values - values[:, :1], chosen),
    )


def _sets(count: int) -> list[tuple[int, ...]]:
    """All sets of views that hold the first, smaller ones first."""
    return [(0, *others) for size in range(count) for others in combinations(range(1, count), size)]


def _best_of_sizes(values: Floats, sets: Sequence[tuple[int, ...]]) -> list[int]:
    means = values.mean(0)
    sizes = np.array([len(views) for views in sets])
    return [int(np.flatnonzero(sizes == size)[means[sizes == size].argmax()]) for size in sorted(set(sizes.tolist()))]


def _smallest(values: Floats, sets: Sequence[tuple[int, ...]]) -> int:
    """The smallest set that all views beat by no more than the standard error of the difference."""
    for position in _best_of_sizes(values, sets):
        lost = values[:, -1] - values[:, position]
        error = lost.std(ddof=1) / len(lost) ** 0.5 if len(lost) > 1 else 0.0
        if lost.mean() <= error + 1e-12:
            return position
    return len(sets) - 1


@dataclass(frozen=True)
class _SetReader:
    """Measures all sets of views of a case; travels to other processes."""

    reader: ValidationReader
    folder: Path
    views: tuple[str, ...]

    def __call__(self, work: tuple[str, str, Path]) -> Floats:
        """Mean Dice of the classes with each set."""
        case, fold, truth = work
        ending = self.reader.description["file_ending"]
        members = []
        for view in self.views:
            file = self.folder / view / f"fold_{fold}" / f"{case}{ending}"
            probabilities, _, labels, _ = self.reader.read(ValidationCase(case, fold, file, truth))
            members.append(probabilities)
        weights = np.zeros((2 ** (len(self.views) - 1), len(self.views)))
        for row, positions in enumerate(_sets(len(self.views))):
            weights[row, positions] = 1
        classes = Classes.of(self.reader.description)
        regions = bool(self.reader.description.get("regions_class_order"))
        values: Floats = mixture_dice(
            members, labels, weights, classes.values, regions=regions, ignore=classes.ignore
        ).mean(1)
        return values


def _linked_images(predictions: Sequence[Predictions], folder: Path) -> dict[str, Path]:
    """A folder for each fold with its validation images, as links where the system has them."""
    dataset, ending = predictions[0].dataset, predictions[0].description["file_ending"]
    raw = Folders.of_environment()
    if not (raw.raw / dataset).is_dir():
        raise ValueError(f"{raw.raw} has no {dataset}: --tta predicts its images again, so nnUNet_raw must hold them")
    cases = raw.cases(dataset, "Tr")
    images = {}
    for part in predictions:
        images[part.fold] = folder / f"fold_{part.fold}"
        images[part.fold].mkdir(parents=True, exist_ok=True)
        for files in part.files():
            if files.case not in cases:
                raise ValueError(f"{raw.raw / dataset} has no image of {files.case}, which --tta must predict again")
            for channel, image in enumerate(cases[files.case].images):
                link = images[part.fold] / f"{files.case}_{channel:04d}{ending}"
                if not link.exists():
                    _link(image.absolute(), link)
    return images


def _link(image: Path, link: Path) -> None:
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(image)
    except OSError:
        shutil.copyfile(image, link)
