"""Whatever happens in the sandbox, outside everything is as before."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import ModuleType
from typing import Any

import nnunetv2.paths
import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from nnunetv2.training.logging.nnunet_logger import LocalLogger

from nnunet_tricks.nnunet.sandbox import sandbox


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return {name: tmp_path / name for name in ("raw", "preprocessed", "results")}


def state() -> tuple[Any, ...]:
    return (
        dict(os.environ),
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        multiprocessing.get_context,
        LocalLogger.plot_progress_png,
        vars(GaussianBlurTransform)["_benchmark_wrapper"],
        sys.stdout,
        sys.stderr,
    )


@pytest.mark.parametrize("error", [None, RuntimeError])
def test_everything_is_put_back(folders: dict[str, Path], error: type[Exception] | None) -> None:
    before = state()
    try:
        with sandbox(**folders):
            assert all(now != then for now, then in zip(state()[:1], before[:1], strict=True))
            random.random(), np.random.rand(), torch.rand(1)
            if error:
                raise error
    except RuntimeError:
        assert error
    assert state() == before


def test_a_seed_gives_the_same_numbers(folders: dict[str, Path]) -> None:
    drawn = []
    for _ in range(2):
        with sandbox(**folders, seed=3):
            drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]


def test_nnunet_sees_the_folders(folders: dict[str, Path]) -> None:
    with sandbox(**folders):
        assert os.fspath(nnunetv2.paths.nnUNet_results) == str(folders["results"])


def test_where_paths_are_strings_modules_that_imported_them_follow(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is in nnU-Net 2.7."""
    early, late = ModuleType("imported_before"), ModuleType("imported_in_the_sandbox")
    for name, value in {"nnUNet_raw": "mine", "nnUNet_preprocessed": None, "nnUNet_results": "other"}.items():
        monkeypatch.setattr(nnunetv2.paths, name, value)
        setattr(early, name, value)
    monkeypatch.setitem(sys.modules, early.__name__, early)
    with sandbox(**folders):
        assert vars(early)["nnUNet_preprocessed"] == str(folders["preprocessed"])
        vars(late)["nnUNet_raw"] = nnunetv2.paths.nnUNet_raw
        monkeypatch.setitem(sys.modules, late.__name__, late)
    assert [vars(early)[name] for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")] == [
        "mine",
        None,
        "other",
    ]
    assert vars(late)["nnUNet_raw"] == "mine"


def test_spawned_pools_are_threads_and_other_contexts_are_not(folders: dict[str, Path]) -> None:
    with sandbox(**folders):
        with multiprocessing.get_context("spawn").Pool(8) as pool:
            assert isinstance(pool, ThreadPool)
            assert pool.starmap(os.getpid, [()]) == [os.getpid()]
        assert multiprocessing.get_context("spawn").get_start_method() == "spawn"


def test_what_is_printed_lands_in_the_log(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sandbox(**folders, log=tmp_path / "log.txt"):
        print("a word")
        print("a complaint", file=sys.stderr)
    assert (tmp_path / "log.txt").read_text() == "a word\na complaint\n"
    assert capsys.readouterr() == ("", "")
