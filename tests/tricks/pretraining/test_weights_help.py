"""Real weights help on real images, and weights that know nothing do not: short trainings on polyps."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, stdev

import pytest
import timm
import torch

from nnunet_tricks.tricks.pretraining.weights import adding
from nnunet_tricks.tricks.pretraining.weights.sources import known
from nnunet_tricks.tricks.pretraining.weights.store import VARIABLE, Store
from tests.tricks.pretraining import polyps

STEPS = 80
SEEDS = (0, 1, 2)
GAIN = 0.10
ARCHITECTURE = "tf_efficientnet_lite0"
SCRATCH = "EfficientNetLite0UNet_Adam_lr0p001"
PRETRAINED = "EfficientNetLite0UNet_PretrainedImageNet1k_Adam_lr0p001"
CONTROL = "EfficientNetLite0UNet_Pretrained_random_Adam_lr0p001"


@pytest.mark.slow
def test_weights_of_imagenet_help_on_polyps_and_random_ones_do_not(
    sample_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = known("PretrainedImageNet1k", ARCHITECTURE)
    assert source
    package, path = source.package
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "weights"))
    store = Store.usual()
    adding.fetch(store, name="PretrainedImageNet1k", architecture=ARCHITECTURE)
    # The control goes the same way, with a file that holds another initialisation.
    torch.save(timm.create_model(ARCHITECTURE).state_dict(), tmp_path / "random.pth")
    adding.add(store, tmp_path / "random.pth", name="random", architecture=ARCHITECTURE)
    # What the trick paper's code did, to load none of the weights, is no way to train here.
    with pytest.raises(ValueError, match="0 of 265 tensors of the encoder of resnet50, and at least 90% are needed"):
        adding.add(store, Path(str(files(package).joinpath(path))), name="wrong", architecture="resnet50")
    data = polyps.make(sample_data / "train2d" / "kvasir256" / "train", tmp_path / "polyps")
    # Nine trainings of half a minute of one CPU core.
    names = (SCRATCH, PRETRAINED, CONTROL)
    scores = {name: [data.dice(name, steps=STEPS, seed=seed) for seed in SEEDS] for name in names}
    scratch = fmean(scores[SCRATCH])
    assert fmean(scores[PRETRAINED]) >= scratch + GAIN, scores
    noise = max(stdev(scores[SCRATCH]), 0.02)
    assert abs(fmean(scores[CONTROL]) - scratch) <= 3 * noise, scores
