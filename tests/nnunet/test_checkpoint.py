"""Checkpoints of nnU-Net open without running anything; files that would run something do not."""

from __future__ import annotations

import argparse
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnunet_tricks.nnunet import checkpoint


class Harmful:
    """Unpickled, it makes a folder."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.made),)


def saved(folder: Path, content: Any) -> Path:
    file = folder / "checkpoint_final.pth"
    torch.save(content, file)
    return file


def test_what_nnunet_stores_is_read_as_it_was(tmp_path: Path) -> None:
    content = {
        "network_weights": {"conv.weight": torch.randn(2, 3), "half": torch.ones(2, dtype=torch.bfloat16)},
        "optimizer_state": {"state": {0: {"momentum_buffer": torch.randn(2)}}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": None,
        "logging": {
            "mean_fg_dice": [np.float64(0.5), np.float32(0.25), np.float16(2)],
            "epoch_start_timestamps": [1.5, np.int64(7), np.bool_(True), np.uint8(3)],
        },
        "_best_ema": np.float64(0.7),
        "init_args": {"fold": 0, "device": torch.device("cpu"), "plans": {"patch_size": [8, 8]}},
        "inference_allowed_mirroring_axes": (0, 1),
    }
    file = saved(tmp_path, content)
    for trust in (False, True):
        read = checkpoint.read(file, trust=trust)
        assert torch.equal(read["network_weights"].pop("conv.weight"), content["network_weights"]["conv.weight"])
        assert repr(read["logging"]) == repr(content["logging"])
        assert read["_best_ema"] == content["_best_ema"]
        assert read["init_args"] == content["init_args"]
        assert read["inference_allowed_mirroring_axes"] == (0, 1)


@pytest.mark.parametrize("old", [False, True], ids=["as_now", "before_torch_1.6"])
def test_numbers_of_numpy_1_and_2_are_read(tmp_path: Path, old: bool) -> None:
    here, other = (f"numpy.{core}.multiarray".encode() for core in ("_core", "core"))
    file = tmp_path / "checkpoint_final.pth"
    torch.save({"score": np.float64(0.5)}, file, _use_new_zipfile_serialization=not old)
    if not old:
        assert checkpoint.read(file)["score"] == 0.5
        return
    written = file.read_bytes()
    assert (here in written) != (other in written)
    for name in (here, other):
        # A pickle in protocol 2 names a function in a line of its own.
        file.write_bytes(written.replace(here, name) if here in written else written.replace(other, name))
        assert checkpoint.read(file)["score"] == 0.5


def test_a_file_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    file = saved(tmp_path, {"network_weights": {}, "extra": Harmful(made)})
    with pytest.raises(ValueError, match=r"checkpoint_final\.pth holds more than weights.*mkdir.*say --trust$"):
        checkpoint.read(file)
    assert not made.exists()
    with pytest.raises(ValueError, match=r"ask its author$"):
        checkpoint.read(file, advice="ask its author")
    assert not made.exists()
    checkpoint.read(file, trust=True)
    assert made.exists()


def test_a_bare_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    made, file = tmp_path / "made", tmp_path / "checkpoint_final.pth"
    file.write_bytes(pickle.dumps({"network_weights": Harmful(made)}, protocol=2))
    with pytest.raises(ValueError, match=r"checkpoint_final\.pth (holds more than|cannot be read)"):
        checkpoint.read(file)
    assert not made.exists()


def test_settings_of_other_libraries_need_trust(tmp_path: Path) -> None:
    file = saved(tmp_path, {"args": argparse.Namespace(lr=0.01)})
    with pytest.raises(ValueError, match=r"\(argparse\.Namespace\).*--trust"):
        checkpoint.read(file)
    assert checkpoint.read(file, trust=True)["args"].lr == 0.01


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x80\x02garbage", pickle.dumps([1])[:-1]], ids=["empty", "text", "garbage", "cut"]
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes, trust: bool) -> None:
    file = tmp_path / "checkpoint_final.pth"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"checkpoint_final\.pth cannot be read"):
        checkpoint.read(file, trust=trust)


def test_a_checkpoint_that_was_cut_off_is_damaged_and_needs_no_trust(tmp_path: Path) -> None:
    file = saved(tmp_path, {"network_weights": {"w": torch.ones(1000)}})
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(ValueError, match="cannot be read, it may be damaged"):
        checkpoint.read(file)


def test_another_object_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no checkpoint: it holds one object of type list"):
        checkpoint.read(saved(tmp_path, [torch.ones(2)]))
