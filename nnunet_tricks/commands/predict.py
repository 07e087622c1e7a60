"""``nnunet-tricks predict``: nnUNetv2_predict with more choices of test-time augmentation."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_tricks.utilities.terminal import say

if TYPE_CHECKING:
    from nnunet_tricks.tricks.inference.predict import PredictionResult
    from nnunet_tricks.tricks.inference.tuning.settings import TunedSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; those with one dash are nnU-Net's own."""
    parser.description = (
        "Predict with any trained nnU-Net model. Flags with one dash are those of nnUNetv2_predict and "
        "nnUNetv2_predict_from_modelfolder: name the model by -d, -tr, -p and -c, or give its folder with -m."
    )
    add = parser.add_argument
    add("-i", dest="images", type=Path, required=True, help="folder of images CASE_0000.ENDING, one for each channel")
    add("-o", dest="output", type=Path, required=True, help="folder for the segmentations")
    add("-d", dest="dataset", help="data set whose model is used: its number or name")
    add("-p", dest="plans", default="nnUNetPlans", help="plans of the model (default: %(default)s)")
    add("-tr", dest="trainer", default="nnUNetTrainer", help="trainer of the model (default: %(default)s)")
    add("-c", dest="configuration", help="configuration of the model")
    add("-m", dest="model", type=Path, help="model folder, in place of -d, -tr, -p and -c")
    add(
        "-f",
        dest="folds",
        nargs="+",
        default=(),
        help="folds whose models are averaged (default: all of the cross-validation)",
    )
    add("-chk", dest="checkpoint", default="checkpoint_final.pth", help="checkpoint (default: %(default)s)")
    add(
        "-step_size",
        "--step",
        dest="step",
        type=float,
        default=0.5,
        help="step of the sliding window as a share of the patch (default: %(default)s)",
    )
    add("--disable_tta", action="store_true", help="the same as --tta none")
    add("--save_probabilities", action="store_true", help="write the probabilities, too, for ensembles")
    add("--continue_prediction", action="store_true", help="keep cases that are complete")
    add("-prev_stage_predictions", dest="previous_stage", type=Path, help="predictions of a cascade's first stage")
    add(
        "-npp",
        dest="preprocessing",
        metavar="N",
        type=int,
        default=3,
        help="processes that read and preprocess images (default: %(default)s)",
    )
    add(
        "-nps",
        dest="export",
        metavar="N",
        type=int,
        default=3,
        help="processes that resample and write results (default: %(default)s); with -npp 0 and -nps 0 a single "
        "process does everything",
    )
    add(
        "-num_parts",
        dest="parts",
        metavar="N",
        type=int,
        default=1,
        help="number of calls that share the cases, such as one for each GPU (default: %(default)s)",
    )
    add(
        "-part_id",
        dest="part",
        metavar="N",
        type=int,
        default=0,
        help="which of these calls this is, from 0 (default: %(default)s)",
    )
    add("-device", default="cuda", help="cuda, cpu or mps (default: %(default)s)")
    add("--not_on_device", action="store_true", help="keep logits in main memory, for very large images")
    add("--verbose", action="store_true", help="show nnU-Net's messages about each step")
    add("--disable_progress_bar", action="store_true", help="no progress bars")
    more = parser.add_argument_group("beyond nnU-Net")
    add = more.add_argument
    add(
        "--tta",
        metavar="SET",
        help="views that are averaged: none, mirror (nnU-Net's own), mediseg, rotate90, gtaug-a, gtaug-b, or your own "
        "such as identity,flip0,turn1,zoom0p9+flip1,gamma1p2 (default: mirror, or what --with says)",
    )
    add(
        "--average",
        choices=("logits", "probabilities"),
        default="",
        help="average the logits of the views, as nnU-Net does, or their probabilities (default: logits for none and "
        "mirror, else probabilities)",
    )
    add("--tta-batch", default="auto", metavar="N", help="views that a GPU gets at once (default: auto)")
    add(
        "--window",
        choices=("gaussian", "uniform"),
        default="gaussian",
        help="weight of a window's centre against its border (default: %(default)s)",
    )
    add(
        "--threshold",
        dest="thresholds",
        nargs="+",
        default=[],
        metavar="[CLASS=]T",
        help="predict a class where its probability is above T in place of 0.5; with several classes, T below 0.5 "
        "favours this class over the others",
    )
    add(
        "--with",
        dest="tuned",
        type=Path,
        metavar="FILE",
        help="use the thresholds and views in this file of 'nnunet-tricks tune'",
    )
    add("--uncertainty", action="store_true", help="write maps of entropy and disagreement, and cases.csv")
    add("--overwrite", action="store_true", help="delete older results in the output folder first")
    add("--trust", action="store_true", help="open checkpoints that hold more than data; they can run code")
    add("--dry-run", action="store_true", help="check everything, predict nothing")
    add("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Predict, and say what it took."""
    from nnunet_tricks.tricks.inference.predict import PredictionSettings, PredictionWork, predict
    from nnunet_tricks.tricks.inference.thresholds import thresholds_of

    model = _model(arguments)
    tuned = _tuned(arguments, model) if arguments.tuned else None
    settings = PredictionSettings(
        model=model,
        folds=tuple(arguments.folds),
        checkpoint=arguments.checkpoint,
        tta="none" if arguments.disable_tta else arguments.tta or (tuned.tta if tuned else "") or "mirror",
        average=arguments.average,
        step=arguments.step,
        gaussian=arguments.window == "gaussian",
        thresholds=dict(tuned.thresholds) if tuned else thresholds_of(arguments.thresholds),
        probabilities=arguments.save_probabilities,
        uncertainty=arguments.uncertainty,
        previous_stage=arguments.previous_stage,
    )
    work = PredictionWork(
        device=arguments.device,
        on_device=not arguments.not_on_device,
        batch=_batch(arguments.tta_batch),
        preprocessing=arguments.preprocessing,
        export=arguments.export,
        part=arguments.part,
        parts=arguments.parts,
        resume=arguments.continue_prediction,
        overwrite=arguments.overwrite,
        verbose=arguments.verbose,
        progress=not arguments.disable_progress_bar,
        trust=arguments.trust,
    )
    # nnU-Net talks on stdout, and a script reads our JSON there.
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        result = predict(arguments.images, arguments.output, settings, work, dry_run=arguments.dry_run)
    if arguments.json:
        print(json.dumps(_as_data(result), indent=1))
    else:
        for sentence in _in_words(result, arguments):
            say(sentence)
    return 0


def _model(arguments: argparse.Namespace) -> Path:
    if arguments.model:
        if arguments.dataset or arguments.configuration:
            raise ValueError("-m is the model folder: leave out -d and -c")
        return Path(arguments.model)
    if not arguments.dataset or not arguments.configuration:
        raise ValueError("name the model: -d DATASET -c CONFIGURATION, with -tr and -p where they differ, or -m FOLDER")
    from nnunetv2.paths import nnUNet_results
    from nnunetv2.utilities.file_path_utilities import get_output_folder

    if not nnUNet_results:
        raise ValueError(
            "nnUNet_results is not set: set it to the folder of trained models, or give one with -m FOLDER"
        )
    try:
        return Path(get_output_folder(arguments.dataset, arguments.trainer, arguments.plans, arguments.configuration))
    except RuntimeError as error:
        raise ValueError(
            f"there is no data set {arguments.dataset} in {nnUNet_results}: give its number or full name with -d, or "
            "the model folder with -m"
        ) from error


def _tuned(arguments: argparse.Namespace, model: Path) -> TunedSettings:
    from nnunet_tricks.nnunet.folders import read_json
    from nnunet_tricks.tricks.inference.tuning.settings import read_tuned

    if arguments.thresholds:
        raise ValueError("--with and --threshold both give thresholds: give one of them")
    settings = read_tuned(arguments.tuned, read_json(model / "dataset.json")["labels"])
    if settings.steps and not arguments.json:
        say(f"Note: {arguments.tuned} has post-processing, too: 'nnunet-tricks postprocess --with' applies it.")
    return settings


def _batch(word: str) -> int:
    if word == "auto":
        return 0
    if not word.isdecimal() or int(word) < 1:
        raise ValueError(f"--tta-batch is '{word}', and must be auto or a number from 1")
    return int(word)


def _as_data(result: PredictionResult) -> dict[str, Any]:
    return {
        "cases": list(result.cases),
        "seconds": dict(result.seconds),
        "views": list(result.views),
        "notes": list(result.notes),
        "peak_gib": round(result.peak, 3),
    }


def _in_words(result: PredictionResult, arguments: argparse.Namespace) -> Iterator[str]:
    views = f"{len(result.views)} view{'s' if len(result.views) > 1 else ''} ({', '.join(result.views)})"
    yield from (f"Note: {note}." for note in result.notes)
    if arguments.dry_run:
        yield f"Would predict {len(result.cases)} cases with {views}."
    elif not result.seconds:
        yield f"All {len(result.cases)} cases were there already."
    else:
        mean = sum(result.seconds.values()) / len(result.seconds)
        kept = len(result.cases) - len(result.seconds)
        yield (
            f"{len(result.seconds)} cases with {views}: {mean:.1f} s per case, {result.peak:.2f} GiB at most"
            + (f"; {kept} were there already." if kept else ".")
        )
