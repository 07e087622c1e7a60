"""Peak memory of a function."""

from __future__ import annotations

from collections.abc import Callable

import torch


def peak_memory(run: Callable[[], object], *, cuda: bool, forget: Callable[[], object] = lambda: None) -> int:
    """Largest number of bytes that ``run`` holds in addition to those held before, its result included.

    Args:
        run: Function to measure. It is called twice, the first time to warm up.
        cuda: Whether it runs on a GPU.
        forget: Function called in between, which drops what the first call left.
    """
    run()
    forget()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    held = most = 0
    # The profiler's public events are sums by operator. They hide memory that an operator holds only while it runs.
    recorded = profiler.profiler.kineto_results.events()
    changes = [event for event in recorded if event.name() == "[memory]"]
    for event in sorted(changes, key=lambda change: change.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most
