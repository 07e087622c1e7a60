"""``nnunet-tricks show-attention``: where the blocks of a trained model look."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnunet_tricks.pictures.attention.model import AttentionLook


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Draw what the blocks of a trained model attend to in an image: maps of attention gates, spatial attention, "
        "non-local blocks and the shape stream over the image, and the weights that squeeze-and-excitation gives to "
        "channels. The model sees the middle of the preprocessed image, as large as a training patch; of a volume the "
        "picture shows the middle slice. For models with IFE there is show-ife."
    )
    parser.add_argument(
        "model", metavar="MODEL_FOLDER", type=Path, help="<trainer>__<plans>__<configuration> in nnUNet_results"
    )
    parser.add_argument("image", metavar="IMAGE", type=Path, help="CASE_0000 with the data set's ending")
    parser.add_argument("-f", dest="fold", metavar="FOLD", help="fold (default: the first that exists)")
    parser.add_argument(
        "-chk", dest="checkpoint", metavar="FILE", default="checkpoint_final.pth", help="default: %(default)s"
    )
    parser.add_argument(
        "-o", dest="out", metavar="FILE", type=Path, default=Path("show_attention.png"), help="default: %(default)s"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="also open checkpoints that hold more than data; opening one runs what its author put there",
    )
    parser.add_argument("--json", action="store_true", help="print ranges of maps and all weights as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Draw the picture, and print it in words."""
    from nnunet_tricks.pictures.attention.model import AttentiveModel
    from nnunet_tricks.pictures.attention.picture import draw
    from nnunet_tricks.pictures.enhancement.images import cases

    if arguments.image.is_dir():
        raise ValueError(f"IMAGE must be one file, got the folder {arguments.image}")
    model = AttentiveModel(arguments.model, arguments.fold, arguments.checkpoint, trust=arguments.trust)
    ((case, files),) = cases(arguments.image, model.ending).items()
    look = model.look(case, files)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draw(look, model.trainer, arguments.out)
    if arguments.json:
        print(json.dumps(_data(model.trainer, look, arguments.out), indent=2))
    else:
        print("\n".join(_text(look, arguments.out)))
    return 0


def _data(trainer: str, look: AttentionLook, out: Path) -> dict[str, object]:
    views = [
        {
            "name": view.name,
            "kind": "map" if view.is_map else "weights",
            "shape": list(view.values.shape),
            "least": float(view.values.min()),
            "mean": float(view.values.mean()),
            "most": float(view.values.max()),
            **({} if view.is_map else {"weights": view.values.tolist()}),
        }
        for view in look.views
    ]
    return {"trainer": trainer, "case": look.case, "views": views, "picture": str(out)}


def _text(look: AttentionLook, out: Path) -> Iterator[str]:
    yield f"{look.case}, drawn in {out}"
    for view in look.views:
        size = "x".join(map(str, view.values.shape))
        what = f"map of {size}" if view.is_map else f"{size} channels"
        values = view.values
        yield f"  {view.name}: {what}, from {values.min():.3g} to {values.max():.3g}, mean {values.mean():.3g}"
