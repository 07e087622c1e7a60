"""nnU-Net in folders and threads of our own; afterwards everything is restored."""

from __future__ import annotations

import io
import os
import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import torch

from nnunet_tricks.nnunet import patches
from nnunet_tricks.nnunet.patches import Replacement

_PATHS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


@contextmanager
def sandbox(
    *,
    raw: Path,
    preprocessed: Path,
    results: Path,
    seed: int = 0,
    log: Path | None = None,
    more: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Let nnU-Net work in the given folders, in this process, reproducibly and without output.

    What this changes is put back on leaving: environment variables, nnU-Net's paths, the states of the random
    generators, torch's thread count, standard output, and some functions: spawned process pools become threads
    (starting an interpreter that imports torch costs 5 s), the progress plot is not drawn (1 s per epoch), and Gaussian
    blur does not measure which of two ways to compute is faster, since the answer differs from run to run and the two
    differ in the last digits.

    Args:
        raw: Takes the place of ``nnUNet_raw``.
        preprocessed: Takes the place of ``nnUNet_preprocessed``.
        results: Takes the place of ``nnUNet_results``.
        seed: Start of Python's, NumPy's and torch's generators.
        log: File to append what is printed to; dropped if not given.
        more: Other variables of the environment.

    Yields:
        Nothing.
    """
    paths = dict(zip(_PATHS, map(str, (raw, preprocessed, results)), strict=True))
    settings = {
        **paths,
        "nnUNet_n_proc_DA": "0",  # augment in this process
        "nnUNet_compile": "f",
        "nnUNet_wandb_enabled": "0",  # a user who logs trainings to W&B does not want these there
        **(more or {}),
    }
    with ExitStack() as stack:
        out = stack.enter_context(log.open("a", encoding="utf-8") if log else io.StringIO())
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(out))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_environment(settings))
        stack.enter_context(patches.folders(paths))
        stack.enter_context(_random_state(seed))
        stack.enter_context(_one_thread())
        stack.enter_context(patches.threads_for_spawned_processes())
        stack.enter_context(patches.no_progress_plot())
        stack.enter_context(patches.unmeasured_blur())
        yield


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _random_state(seed: int) -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        seed_everything(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def seed_everything(seed: int) -> None:
    """Start Python's, NumPy's and torch's generators from ``seed``."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def _one_thread() -> Iterator[None]:
    """On arrays this small, threads only wait for each other; nnU-Net would start eight of them to export a case."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with Replacement(torch, "set_num_threads", lambda number: None):
            yield
    finally:
        torch.set_num_threads(before)
