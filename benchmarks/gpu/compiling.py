"""Training steps with torch.compile."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.gpu.settings import Settings
from benchmarks.gpu.steps import network_of, training_step
from benchmarks.gpu.timing import compared, free


def compiled(settings: Settings) -> dict[str, Any]:
    """Training steps of the planned network as it is and compiled, and how long compiling takes."""
    import torch

    results = {}
    for dimension in settings.shapes:
        if settings.budget.over(f"torch.compile in {dimension}"):
            continue
        network = network_of("nnUNetTrainer", dimension, settings)
        # On a CPU the code generator may have no compiler: the graph alone is enough to try the script.
        backend = "inductor" if settings.is_cuda else "aot_eager"
        runs = {"eager": training_step(network, dimension, settings)}
        fast = training_step(torch.compile(network, backend=backend), dimension, settings)
        began = time.perf_counter()
        fast()
        seconds = time.perf_counter() - began
        runs["compiled"] = fast
        results[dimension] = {
            "backend": backend,
            "seconds_to_compile": round(seconds, 1),
            "steps": compared(runs, settings, settings.steps),
        }
        free(settings)
    return results
