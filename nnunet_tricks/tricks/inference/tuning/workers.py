"""The same work for many cases, in this process or in several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from rich.progress import track

from nnunet_tricks.experiment.processes import die_with_parent


def mapped(function: Callable[[Any], Any], work: Sequence[Any], workers: int, what: str, progress: bool) -> list[Any]:
    """Results of all pieces of work, in their order.

    Args:
        function: A function that can be pickled.
        work: One argument each.
        workers: Processes.
        what: Beside the progress bar.
        progress: Whether there is one.
    """
    if workers == 1:
        return [function(each) for each in track(work, what, disable=not progress)]
    with ProcessPoolExecutor(min(workers, len(work)), get_context("spawn"), die_with_parent) as pool:
        results = pool.map(function, work, chunksize=max(1, len(work) // (8 * workers)))
        return [next(results) for _ in track(work, what, disable=not progress)]
