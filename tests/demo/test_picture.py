from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnunet_tricks.demo.picture import draw
from nnunet_tricks.demo.results import Results, Slice
from nnunet_tricks.nnunet.classes import Classes

CLASSES = Classes.of({"labels": {"background": 0, "kidney": 1, "tumour": 2}})


def _slice(case: str, shape: tuple[int, ...], aspect: float = 1.0) -> Slice:
    labels = np.zeros(shape[:2], int)
    labels[2:6, 2:6], labels[3:5, 3:5] = 1, 2
    scores = {"kidney": {"Dice": 0.67}, "tumour": {"Dice": None}}
    maps = {"truth": labels, "nnUNetTrainer_6epochs": labels, "nnUNetTrainerTversky_6epochs": np.zeros_like(labels)}
    return Slice(case, np.full(shape, 0.5), maps, dict.fromkeys(list(maps)[1:], scores), aspect)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (60, 10)])
def test_it_shows_what_is_marked_and_what_is_not(tmp_path: Path, shape: tuple[int, ...]) -> None:
    file = tmp_path / "comparison.png"
    draw(Results(CLASSES, tuple(_slice(f"case {index}", shape) for index in range(5))), file)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    picture = np.asarray(Image.open(file).convert("RGB")).astype(int)
    # Grey has equal channels; only the truth and the first trainer have colours, in the middle two of four columns.
    coloured = np.ptp(picture, axis=-1) > 40
    height, width = coloured.shape
    quarters = [
        coloured[: int(0.85 * height), index * width // 4 : (index + 1) * width // 4].sum() for index in range(4)
    ]
    assert quarters[0] == quarters[3] == 0
    assert quarters[1] == pytest.approx(quarters[2], rel=0.2)
    assert quarters[1] > 0
