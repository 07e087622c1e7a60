"""Training steps with torch.compile."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks.gpu.failures import noted
from benchmarks.gpu.settings import Measurements, Settings
from benchmarks.gpu.steps import network_of, training_step
from benchmarks.gpu.timing import compared


def compiled(settings: Settings) -> Measurements:
    """Training steps of the planned network as it is and compiled, and how long compiling takes."""
    for dimension in settings.shapes:
        if not settings.budget.over(f"torch.compile in {dimension}"):
            yield dimension, partial(compiled_step, dimension, settings)


def compiled_step(dimension: str, settings: Settings) -> dict[str, Any]:
    """The two steps of one dimension."""
    import torch

    print(f" {dimension}", flush=True)
    network = network_of("nnUNetTrainer", dimension, settings)
    # On a CPU the code generator may have no compiler: the graph alone is enough to try the script.
    backend = "inductor" if settings.is_cuda else "aot_eager"
    runs = {"eager": training_step(network, dimension, settings)}
    fast = training_step(torch.compile(network, backend=backend), dimension, settings)
    row: dict[str, Any] = {"backend": backend}
    failed: dict[str, Any] = {}
    with noted(failed, "compiled"):
        began = time.perf_counter()
        fast()
        row["seconds_to_compile"] = round(time.perf_counter() - began, 1)
        runs["compiled"] = fast
    steps = compared(runs, "eager", settings, settings.steps, f"torch.compile in {dimension}")
    return {**row, "steps": steps | failed}
