"""Predict a folder of images with any trained nnU-Net model, as ``nnUNetv2_predict`` does, with more choices."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from nnunet_tricks.door.lookup import find_trainer, findable
from nnunet_tricks.experiment.processes import memory_of_this_process
from nnunet_tricks.nnunet.model_folder import FINAL, find_model, load
from nnunet_tricks.nnunet.patches import writer_of_predictions
from nnunet_tricks.tricks.inference.doubt import doubts
from nnunet_tricks.tricks.inference.output_folder import OutputFolder, cases_in
from nnunet_tricks.tricks.inference.predictor import AUTO, ViewPredictor
from nnunet_tricks.tricks.inference.thresholds import logit_shifts
from nnunet_tricks.tricks.inference.uncertainty import DISAGREEMENT, ENTROPY
from nnunet_tricks.tricks.inference.writing import CaseWriter, write_cases
from nnunet_tricks.utilities.whole_images import check_whole


@dataclass(frozen=True, kw_only=True)
class PredictionSettings:
    """What decides what is predicted. Two predictions with equal settings may share a folder.

    Attributes:
        model: Model folder.
        folds: Whose models are averaged; empty for all.
        checkpoint: File in each fold.
        tta: Name of a set of views, or views joined by commas.
        average: ``logits`` or ``probabilities`` of the views; that of the set if empty.
        step: Step of the sliding window as a share of the patch, above 0 and at most 1.
        gaussian: Whether windows weigh less towards their border.
        thresholds: From a class or region to its threshold; ``""`` for all others.
        probabilities: Whether probabilities are written, too.
        uncertainty: Whether maps of uncertainty are written, too.
        previous_stage: Predictions of a cascade's first stage.
    """

    model: Path
    folds: tuple[str, ...] = ()
    checkpoint: str = FINAL
    tta: str = "mirror"
    average: str = ""
    step: float = 0.5
    gaussian: bool = True
    thresholds: Mapping[str, float] = field(default_factory=dict)
    probabilities: bool = False
    uncertainty: bool = False
    previous_stage: Path | None = None

    def as_data(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dict(json.loads(json.dumps(asdict(self), default=lambda path: str(path.absolute()))))


@dataclass(frozen=True, kw_only=True)
class PredictionWork:
    """How a prediction is carried out; the result does not depend on it.

    Attributes:
        device: Where the network runs.
        on_device: Whether logits stay on the device.
        batch: Views that the network gets at once, ``AUTO`` for as many as fit.
        preprocessing: Processes that preprocess; 0, with ``export`` 0 too, for none beside this one.
        export: Processes that resample and write.
        part: Number of this part of the cases, from 0.
        parts: Parts that the cases are divided into.
        resume: Whether cases that are there are kept.
        overwrite: Whether older results are deleted first.
        verbose: Whether nnU-Net says what it does.
        progress: Whether there are progress bars.
        trust: Whether checkpoints may hold more than data.
    """

    device: str = "cuda"
    on_device: bool = True
    batch: int = AUTO
    preprocessing: int = 3
    export: int = 3
    part: int = 0
    parts: int = 1
    resume: bool = False
    overwrite: bool = False
    verbose: bool = False
    progress: bool = True
    trust: bool = False


@dataclass(frozen=True)
class PredictionResult:
    """What was predicted.

    Attributes:
        cases: All cases of this part.
        seconds: Time of the cases that were predicted now, without reading and writing.
        views: Names of the views.
        notes: What the user should know.
        peak: Largest memory of this process in GiB, or of the GPU.
    """

    cases: tuple[str, ...]
    seconds: Mapping[str, float]
    views: tuple[str, ...]
    notes: tuple[str, ...]
    peak: float


def predict(
    images: Path, output: Path, settings: PredictionSettings, work: PredictionWork, *, dry_run: bool = False
) -> PredictionResult:
    """Predict all cases of a folder.

    Args:
        images: Files ``CASE_0000.ENDING``, one for each channel.
        output: Folder for segmentations ``CASE.ENDING``; made if it is not there.
        settings: What is predicted.
        work: How.
        dry_run: Whether everything is checked and nothing predicted.

    Raises:
        ValueError: If the model, the images or the settings do not fit, or ``output`` has results of other settings.
    """
    if images.resolve() == output.resolve():
        raise ValueError(f"{output} is the folder of the images: give another one for the segmentations")
    model = find_model(settings.model, settings.folds or _numbered_folds(settings.model), (settings.checkpoint,))
    # A fold that is trained later does not go on with what the others have begun.
    settings = replace(settings, folds=model.folds)
    # nnU-Net opens all of them so that they can run code, so each is opened as data before.
    checkpoints = [load(settings.model / file, trust=work.trust) for file in model.checkpoints]
    trainer = checkpoints[0]["trainer_name"]
    if not 0 < settings.step <= 1:
        raise ValueError(f"step is {settings.step:g}, and must be above 0 and at most 1")
    if not 0 <= work.part < work.parts:
        raise ValueError(f"part_id is {work.part}, and must be from 0 to {work.parts - 1} (num_parts - 1)")
    _set_threads(work.device)
    with findable(find_trainer(trainer)):
        predictor = ViewPredictor(
            tta=settings.tta,
            average=settings.average,
            batch=work.batch,
            uncertainty=settings.uncertainty,
            tile_step_size=settings.step,
            use_gaussian=settings.gaussian,
            perform_everything_on_device=work.on_device and work.device == "cuda",
            device=torch.device(work.device),
            verbose=work.verbose,
            verbose_preprocessing=work.verbose,
            allow_tqdm=work.progress,
        )
        folds = tuple(fold if fold == "all" else int(fold) for fold in model.folds)
        predictor.initialize_from_trained_model_folder(str(settings.model), folds, settings.checkpoint)
    names = _output_names(predictor)
    shifts = logit_shifts(settings.thresholds, names, regions=predictor.regions)
    ending = str(predictor.dataset_json["file_ending"])
    files = cases_in(images, ending, predictor.files_of_case)
    cases = list(files)[work.part :: work.parts]
    _check_previous_stage(predictor, settings.previous_stage, cases, ending)
    maps = _map_names(settings, len(model.folds))
    beside = (".npz", ".pkl") if settings.probabilities else ()
    folder = OutputFolder(output, settings.as_data(), ending, beside, maps, flag="--continue_prediction")
    weights = [settings.model / file for file in model.checkpoints]
    sources = {case: [*map(Path, files[case]), *weights] for case in cases}
    missing = folder.missing(sources, resume=work.resume, overwrite=work.overwrite, shared=work.parts > 1)
    views = predictor.view_set
    result = PredictionResult(tuple(cases), {}, tuple(view.name for view in views.views), views.notes, 0.0)
    if dry_run:
        return result
    folder.begin(overwrite=work.overwrite, only=cases if work.parts > 1 else None)
    if missing:
        with writer_of_predictions(CaseWriter(shifts, maps)):
            try:
                _predict_cases(predictor, {case: files[case] for case in missing}, output, settings, work)
            except Exception:  # nnU-Net raises what its readers raise, or that a process has died
                _name_broken_image(files[case] for case in missing)
                raise
    seconds = dict(zip(missing, predictor.seconds, strict=True))
    folder.end(seconds)
    if maps and work.parts == 1:
        write_cases(doubts(output, cases, maps, ending), output / "cases.csv")
    return replace(result, seconds=seconds, peak=_peak(work.device))


def _name_broken_image(files: Iterable[Sequence[str]]) -> None:
    """Say which image cannot be read, if one is the reason: nnU-Net names none, and has read none but the next ones.

    Raises:
        ValueError: If an image is damaged.
    """
    for image in chain.from_iterable(files):
        try:
            check_whole(Path(image))
        except (ValueError, OSError) as error:
            raise ValueError(
                f"{image} cannot be read: {error}. Replace or remove it, then go on with --continue_prediction"
            ) from error


def _numbered_folds(model: Path) -> tuple[str, ...]:
    """All folds of the cross-validation, as nnU-Net takes them: a model of all cases is only taken by name."""
    folds = (folder.name.removeprefix("fold_") for folder in model.glob("fold_*") if folder.is_dir())
    return tuple(sorted(fold for fold in folds if fold.isdecimal()))


def _set_threads(device: str) -> None:
    """As nnU-Net's command does."""
    if device not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device is '{device}', and must be cpu, cuda or mps")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no GPU that PyTorch can use: predict with -device cpu")
    torch.set_num_threads(multiprocessing.cpu_count() if device == "cpu" else 1)


def _output_names(predictor: ViewPredictor) -> list[str]:
    """Classes or regions in the order of the network's outputs."""
    labels = {name: value for name, value in predictor.dataset_json["labels"].items() if name != "ignore"}
    if predictor.regions:
        return [name for name, value in labels.items() if value not in (0, [0])]
    return sorted(labels, key=lambda name: int(labels[name]))


def _map_names(settings: PredictionSettings, folds: int) -> tuple[str, ...]:
    if not settings.uncertainty:
        return ()
    return (ENTROPY, DISAGREEMENT) if folds > 1 else (ENTROPY,)


def _check_previous_stage(predictor: ViewPredictor, folder: Path | None, cases: list[str], ending: str) -> None:
    stage = predictor.configuration_manager.previous_stage_name
    if not stage:
        return
    if folder is None:
        raise ValueError(
            f"this model is the second stage of a cascade: predict with {stage} first, and give that folder with "
            "-prev_stage_predictions"
        )
    missing = [case for case in cases if not (folder / f"{case}{ending}").is_file()]
    if missing:
        raise ValueError(f"{folder} has no {missing[0]}{ending}: {stage} must predict all cases first")


def _predict_cases(
    predictor: ViewPredictor,
    files: Mapping[str, list[str]],
    output: Path,
    settings: PredictionSettings,
    work: PredictionWork,
) -> None:
    targets = [str(output / case) for case in files]
    previous = str(settings.previous_stage) if settings.previous_stage else None
    arguments = (list(files.values()), targets, settings.probabilities)
    if work.preprocessing == 0 and work.export == 0:
        predictor.predict_from_files_sequential(*arguments, folder_with_segs_from_prev_stage=previous)
        return
    predictor.predict_from_files(
        *arguments,
        num_processes_preprocessing=max(work.preprocessing, 1),
        num_processes_segmentation_export=max(work.export, 1),
        folder_with_segs_from_prev_stage=previous,
    )


def _peak(device: str) -> float:
    """Largest memory in GiB: of the GPU where it predicts, else of this process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return memory_of_this_process() / 2**30
