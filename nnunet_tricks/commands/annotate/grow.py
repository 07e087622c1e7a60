"""``nnunet-tricks annotate grow``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_tricks.commands.annotate.shared import add_dataset, add_output, preferred, print_report, warn, written
from nnunet_tricks.utilities.wording import some

if TYPE_CHECKING:
    from nnunet_tricks.nnunet.folders import Folders
    from nnunet_tricks.tricks.semisupervised.growing.report import GrowReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-command's arguments."""
    parser.description = (
        "Self-training: make a raw data set in which voxels that nobody annotated have labels where trained models are "
        "certain; elsewhere they keep the ignore label. Labels for the training of a fold come from that fold's models "
        "only, which have seen no label that the fold is scored on. Several model folders are an ensemble. Cases that "
        "a fold is scored on keep their label maps. Predictions that are there are used when the command is given "
        "again."
    )
    add_dataset(parser, "number or full name of the data set that the models were trained on")
    models = parser.add_argument_group("the models of the ensemble")
    models.add_argument("-m", dest="models", type=Path, nargs="+", default=[], metavar="FOLDER", help="model folders")
    models.add_argument(
        "-tr", dest="trainers", nargs="+", default=["nnUNetTrainer"], metavar="TRAINER", help="default: %(default)s"
    )
    models.add_argument("-p", dest="plans", default="nnUNetPlans", help="default: %(default)s")
    models.add_argument(
        "-c", dest="configurations", nargs="+", default=[], metavar="CONFIGURATION", help="such as 2d 3d_fullres"
    )
    models.add_argument(
        "-f",
        dest="folds",
        type=int,
        nargs="+",
        default=[],
        metavar="FOLD",
        help="folds that get labels; with --final those that give them (default: all of the split)",
    )
    models.add_argument(
        "--final",
        action="store_true",
        help="all folds label together, for one training on all cases that is scored on cases of no fold",
    )
    models.add_argument("-chk", dest="checkpoint", default="checkpoint_final.pth", help="default: %(default)s")
    kept = parser.add_argument_group("what is kept")
    kept.add_argument(
        "--threshold",
        dest="thresholds",
        nargs="+",
        default=["0.95"],
        metavar="[CLASS=]T",
        help="smallest mean probability, such as 0.95 tumour=0.8; all members must agree, too (default: %(default)s)",
    )
    kept.add_argument(
        "--images",
        nargs="?",
        type=Path,
        const=Path(),
        metavar="FOLDER",
        help="images without labels are added, too; without FOLDER those in the data set's imagesUn",
    )
    kept.add_argument(
        "--keep-empty", action="store_true", help="keep images without labels in which no class is certain anywhere"
    )
    how = parser.add_argument_group("how images are predicted")
    how.add_argument("-device", default="cuda", help="cuda, cpu or mps (default: %(default)s)")
    how.add_argument("--tta", default="mirror", metavar="VIEWS", help="as in predict (default: %(default)s)")
    how.add_argument("-npp", dest="preprocessing", type=int, default=3, metavar="N", help="default: %(default)s")
    how.add_argument("-nps", dest="export", type=int, default=3, metavar="N", help="default: %(default)s")
    how.add_argument("--overwrite", action="store_true", help="predict again what is there")
    how.add_argument("--keep-predictions", action="store_true", help="keep the probabilities at the end")
    how.add_argument(
        "--trust", action="store_true", help="open checkpoints that hold more than data; they can run code"
    )
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the data set."""
    from nnunet_tricks.nnunet.folders import Folders
    from nnunet_tricks.tricks.inference.predict import PredictionWork
    from nnunet_tricks.tricks.inference.thresholds import thresholds_of
    from nnunet_tricks.tricks.semisupervised.growing.grow import grow
    from nnunet_tricks.tricks.semisupervised.growing.settings import GrowSettings

    folders = Folders.of_environment()
    dataset = folders.dataset(arguments.dataset)
    settings = GrowSettings(
        models=_models(arguments, folders, dataset),
        folds=tuple(dict.fromkeys(arguments.folds)),
        final=arguments.final,
        thresholds=thresholds_of(arguments.thresholds),
        images=folders.raw / dataset / "imagesUn" if arguments.images == Path() else arguments.images,
        keep_empty=arguments.keep_empty,
        checkpoint=arguments.checkpoint,
        tta=arguments.tta,
    )
    work = PredictionWork(
        device=arguments.device,
        preprocessing=arguments.preprocessing,
        export=arguments.export,
        resume=not arguments.overwrite,
        overwrite=arguments.overwrite,
        progress=not arguments.json,
        trust=arguments.trust,
    )
    # nnU-Net talks on stdout, and a script reads our JSON there.
    with redirect_stdout(sys.stderr) if arguments.json else nullcontext():
        report = grow(
            folders,
            dataset,
            arguments.to,
            settings,
            work,
            dry_run=arguments.dry_run,
            keep_predictions=arguments.keep_predictions,
        )
    warn(_warnings(report))
    if arguments.json:
        print_report(arguments, report)
        return 0
    for line in _in_words(arguments, report):
        print(line)
    return 0


def _models(arguments: argparse.Namespace, folders: Folders, dataset: str) -> tuple[Path, ...]:
    from nnunet_tricks.catalogue.naming import model_folder

    if arguments.models and arguments.configurations:
        raise ValueError("-m is a model folder: leave out -c")
    if arguments.models:
        return tuple(model.resolve() for model in arguments.models)
    if not arguments.configurations:
        raise ValueError("name the models: -c CONFIGURATION, with -tr and -p where they differ, or -m FOLDER")
    return tuple(
        folders.results / dataset / model_folder(trainer, arguments.plans, configuration)
        for configuration in arguments.configurations
        for trainer in arguments.trainers
    )


def _warnings(report: GrowReport) -> Iterator[str]:
    yield from report.notes
    if report.empty:
        yield f"{some(report.empty)} got no label of a class: no class is certain anywhere that nobody annotated"
    if report.left_out:
        yield f"{some(report.left_out)} left out, since no class is certain anywhere; --keep-empty keeps them"


def _in_words(arguments: argparse.Namespace, report: GrowReport) -> Iterator[str]:
    yield f"{written(arguments)} {report.name}"
    for fold, members in report.members.items():
        yield f"  fold {fold}: {report.labelled[fold]} label maps by {some(members)}"
    shares = [f"{name} {share:.1%}" for name, share in report.kept.items() if share is not None]
    if shares:
        yield f"  kept of what was predicted: {', '.join(shares)}"
    if not arguments.dry_run and report.configurations:
        fold = "all" if arguments.final else next(iter(report.members))
        configuration = preferred(report.configurations)
        yield f"Preprocess: nnUNetv2_preprocess -d {arguments.to} -c {configuration}"
        yield f"Train with it: nnUNetv2_train {arguments.to} {configuration} {fold}"
