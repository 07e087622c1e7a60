"""``nnunet-tricks show-ife``: which channels a trained model shows twice."""

from __future__ import annotations

import argparse
import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnunet_tricks.pictures.enhancement.counts import Frequency
    from nnunet_tricks.pictures.enhancement.model import Look


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Draw the most and the least instructive channels of a model that was trained with IFECurvature, IFEEntropy or "
        "IFERandom, with their scores, at each enhanced skip connection. A green frame marks channels that are shown "
        "twice. The model sees the middle of the preprocessed image, as large as a training patch. For a folder of "
        "images it also counts how often each channel is chosen; the picture shows the first image."
    )
    parser.add_argument(
        "model", metavar="MODEL_FOLDER", type=Path, help="<trainer>__<plans>__<configuration> in nnUNet_results"
    )
    parser.add_argument(
        "image", metavar="IMAGE", type=Path, help="CASE_0000 with the data set's ending, or a folder of such images"
    )
    parser.add_argument("-f", dest="fold", metavar="FOLD", help="fold (default: the first that exists)")
    parser.add_argument(
        "-chk", dest="checkpoint", metavar="FILE", default="checkpoint_final.pth", help="default: %(default)s"
    )
    parser.add_argument(
        "-o", dest="out", metavar="FILE", type=Path, default=Path("show_ife.png"), help="default: %(default)s"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="also open checkpoints that hold more than data; opening one runs what its author put there",
    )
    parser.add_argument("--json", action="store_true", help="print scores and counts as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Draw the picture, and print it in words."""
    from nnunet_tricks.pictures.enhancement.counts import frequencies
    from nnunet_tricks.pictures.enhancement.images import cases
    from nnunet_tricks.pictures.enhancement.model import EnhancedModel
    from nnunet_tricks.pictures.enhancement.picture import draw

    model = EnhancedModel(arguments.model, arguments.fold, arguments.checkpoint, trust=arguments.trust)
    looks = (model.look(case, files) for case, files in cases(arguments.image, model.ending).items())
    first = next(looks)
    counted = frequencies(chain([first], looks))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draw(first, counted, model.trainer, arguments.out)
    if arguments.json:
        print(json.dumps(_data(model.trainer, first, counted, arguments.out), indent=2))
    else:
        print("\n".join(_text(first, counted, arguments.out)))
    return 0


def _data(trainer: str, look: Look, counted: list[Frequency], out: Path) -> dict[str, object]:
    stages = [
        {
            "skip_connection": selection.stage,
            "scores": selection.scores.tolist(),
            "chosen": selection.chosen,
            "times_chosen": frequency.times,
        }
        for selection, frequency in zip(look.selections, counted, strict=True)
    ]
    return {"trainer": trainer, "case": look.case, "images": counted[0].images, "stages": stages, "picture": str(out)}


def _text(look: Look, counted: list[Frequency], out: Path) -> list[str]:
    lines = [f"{look.case}, drawn in {out}"]
    for selection, frequency in zip(look.selections, counted, strict=True):
        ranked = selection.ranked
        best, worst = ranked[0], ranked[-1]
        lines.append(
            f"  skip connection {selection.stage}: {frequency.count} of {len(ranked)} channels; scores from "
            f"{selection.scores[worst]:.4g} (channel {worst}) to {selection.scores[best]:.4g} (channel {best})"
        )
        if frequency.images > 1:
            sometimes = len(ranked) - frequency.always - frequency.never
            lines.append(
                f"    over {frequency.images} images {frequency.always} channels are always chosen, {sometimes} "
                f"sometimes, {frequency.never} never"
            )
    return lines
