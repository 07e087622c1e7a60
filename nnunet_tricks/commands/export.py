"""``nnunet-tricks export``: a model that stock nnU-Net predicts with, where nnunet_tricks is not installed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnunet_tricks.export.onnx_model import OnnxExport
    from nnunet_tricks.export.write import Exported

OPSETS = (18, 19, 20, 21)
"""Versions of ONNX's operators that can be chosen."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Make a model folder whose checkpoints name nnU-Net's own nnUNetTrainer, so that colleagues who have nothing "
        "but nnU-Net can predict with it. The trainer's real name stays in each checkpoint, under "
        "nnunet_tricks_trainer_name. All files that nnUNetv2_export_model_to_zip takes are copied. It works for every "
        "trainer whose network is nnU-Net's, ours or not: losses, sampling, augmentation, deep supervision. Others are "
        "refused, with a note on what to send along. The source is not changed. With --onnx, networks are written for "
        "onnxruntime and the like instead, with a model.json that says all else that a prediction needs. This works "
        "for our networks too."
    )
    parser.usage = (
        "%(prog)s MODEL_FOLDER OUT [-f FOLD ...] [-chk FILE ...] [--onnx] [--opset N] [--trust] [--dry-run] [--json]"
    )
    parser.add_argument(
        "model", metavar="MODEL_FOLDER", type=Path, help="<trainer>__<plans>__<configuration> in nnUNet_results"
    )
    parser.add_argument(
        "out",
        metavar="OUT",
        type=Path,
        help="model folder to make; call it nnUNet_results/<data set>/nnUNetTrainer__<plans>__<configuration> where "
        "nnUNetv2_predict -d or nnUNetv2_export_model_to_zip is to find it",
    )
    parser.add_argument(
        "-f", dest="folds", metavar="FOLD", nargs="+", default=(), help="folds to export (default: all)"
    )
    parser.add_argument(
        "-chk",
        dest="checkpoints",
        metavar="FILE",
        nargs="+",
        default=["checkpoint_final.pth"],
        help="checkpoints to take from each fold (default: checkpoint_final.pth)",
    )
    parser.add_argument(
        "--onnx",
        action="store_true",
        help="write fold_X.onnx and model.json; each network is compared with torch in onnxruntime first",
    )
    parser.add_argument(
        "--opset", type=int, choices=OPSETS, help="with --onnx: version of ONNX's operators (default: 20)"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="also open checkpoints that hold more than data; opening one runs what its author put there",
    )
    parser.add_argument("--dry-run", action="store_true", help="check everything, write nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Export the model, and print how to predict with it."""
    if arguments.onnx:
        return _run_onnx(arguments)
    if arguments.opset is not None:
        raise ValueError("--opset has no effect without --onnx: leave it out, or say --onnx")
    from nnunet_tricks.export.write import export

    done = export(
        arguments.model,
        arguments.out,
        folds=arguments.folds,
        names=arguments.checkpoints,
        trust=arguments.trust,
        dry_run=arguments.dry_run,
    )
    print(_json(done, arguments) if arguments.json else _text(done, arguments))
    return 0


def _run_onnx(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.export.onnx_model import OPSET, export_onnx

    done = export_onnx(
        arguments.model,
        arguments.out,
        folds=arguments.folds,
        names=arguments.checkpoints,
        opset=arguments.opset or OPSET,
        trust=arguments.trust,
        dry_run=arguments.dry_run,
    )
    print(_onnx_json(done, arguments) if arguments.json else _onnx_text(done, arguments))
    return 0


def _onnx_json(done: OnnxExport, arguments: argparse.Namespace) -> str:
    report = {
        "outcome": "exported",
        "dry_run": arguments.dry_run,
        "model": str(done.model.folder),
        "out": str(arguments.out),
        "trainer": done.trainer,
        "folds": done.model.folds,
        "description": done.description,
    }
    return json.dumps(report, indent=2)


def _onnx_text(done: OnnxExport, arguments: argparse.Namespace) -> str:
    shape = "x".join(map(str, done.description["onnx"]["input"]["shape"]))
    difference = max(agreement.difference for agreement in done.agreements)
    same = min(agreement.same for agreement in done.agreements)
    lines = [
        f"{'Dry run: ' if arguments.dry_run else ''}{done.model.folder.name} exported to {arguments.out}",
        f"  {', '.join(done.files)}: ONNX with opset {done.opset}, input {shape}",
        f"  checked in onnxruntime: logits differ from torch's by at most {difference:.1e}, {same:.4%} of the voxels "
        "have the same label",
        "  model.json says how to prepare images, and how to put patches together",
    ]
    if previous := done.description["preprocessing"]["previous_stage"]:
        lines.append(f"  a cascade's second stage: its input also has the labels of {previous}, one channel each")
    return "\n".join(lines)


def _json(done: Exported, arguments: argparse.Namespace) -> str:
    report = {
        "outcome": done.outcome,
        "dry_run": arguments.dry_run,
        "model": str(done.model.folder),
        "out": str(arguments.out),
        "trainer": done.trainer,
        "folds": done.model.folds,
        "files": [str(file) for file in done.model.files],
        "previous_stage": done.stock.configuration.previous_stage_name,
    }
    return json.dumps(report, indent=2)


def _text(done: Exported, arguments: argparse.Namespace) -> str:
    model, previous = done.model, done.stock.configuration.previous_stage_name
    stock = done.stock.trainer.__name__
    says = {"exported": "exported to", "unchanged": "is already, unchanged, in"}[done.outcome]
    predict = (
        f"nnUNetv2_predict_from_modelfolder -i IMAGES -o PREDICTIONS -m {arguments.out} -f {' '.join(model.folds)}"
    )
    if arguments.checkpoints != ["checkpoint_final.pth"]:
        predict += f" -chk {arguments.checkpoints[0]}"
    lines = [
        f"{'Dry run: ' if arguments.dry_run else ''}{model.folder.name} {says} {arguments.out}",
        f"  {len(model.checkpoints)} checkpoints, {len(model.others)} other files, {model.size / 1e6:.1f} MB",
        f"  checked: all weights load into the network that {stock} builds from these plans",
        f"  trained by {done.trainer}; the checkpoints now say {stock}",
    ]
    if previous:
        predict += f" -prev_stage_predictions PREDICTIONS_OF_{previous}"
        lines.append(f"  a cascade's second stage: your colleague also needs the model of {previous}, so export it too")
    return "\n".join([*lines, f"Predict with it: {predict}"])
