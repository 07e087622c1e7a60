"""How much memory something holds while it runs."""

from __future__ import annotations

from collections.abc import Callable

import torch


def peak_memory(run: Callable[[], object], *, cuda: bool, forget: Callable[[], object] = lambda: None) -> int:
    """Bytes that ``run`` holds at most beyond what was there before, its result included.

    Args:
        run: Called twice, the first time to warm up.
        cuda: Whether it runs on a GPU.
        forget: Called in between, to drop what the first call left.
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
    # The profiler's public events add up by operator, which hides what an operator holds only while it runs.
    recorded = profiler.profiler.kineto_results.events()
    for event in sorted((e for e in recorded if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most
