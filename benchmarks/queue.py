"""Idle time of a device between two cells of the local queue: ``python -m benchmarks.queue``.

Cells are real commands that do nothing, a given number of them on each of two devices. So the queue causes all time
between the end of one cell and the beginning of the next on the same device. The commands record both times themselves,
so the start of ``bash`` is included. There are two runs: on the machine as it is, and with a busy loop on each core,
because nnU-Net's loading and augmentation keep cores busy too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.measuring import save
from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.local import LocalQueue
from nnunet_tricks.experiment.record import Record

RESULT = Path(__file__).parent / "results" / "queue.json"
DEVICES = ("0", "1")
LIMIT = 2.0


@dataclass(frozen=True, kw_only=True)
class TimedCell(Cell):
    """A cell that only records when it begins and when it ends."""

    def words(self) -> list[str]:
        """The command, a line of bash."""
        return ["/bin/bash", "-c", f"date +%s.%N > {self.folder}/begun; sleep 0.2; date +%s.%N > {self.folder}/ended"]

    def is_made(self) -> bool:
        """Whether it has ended."""
        return (self.folder / "ended").exists()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=40, help="on each device (default: %(default)s)")
    cells = parser.parse_args(arguments).cells
    with _busy(0):
        idle = _idle_seconds(cells)
    with _busy(os.cpu_count() or 1):
        busy = _idle_seconds(cells)
    results = {"as it is": _summary(idle), "all cores busy": _summary(busy)}
    save(RESULT, {"unit": "seconds between two cells of a device", "limit": LIMIT, **results})
    print(results)
    return 0 if max(idle + busy) < LIMIT else 1


def _idle_seconds(count: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        cells = [TimedCell(key=f"c{n}", states=Path(folder), rank=(n,)) for n in range(count * len(DEVICES))]
        if not LocalQueue(cells, DEVICES, dict(os.environ)).run():
            raise RuntimeError("a cell failed")
        times: dict[str, list[tuple[float, float]]] = {}
        for cell in cells:
            begun, ended = (float((cell.folder / name).read_text()) for name in ("begun", "ended"))
            times.setdefault(Record.read(cell.folder).attempts[0].device, []).append((begun, ended))
    gaps = []
    for spans in times.values():
        spans.sort()
        gaps += [following[0] - before[1] for before, following in pairwise(spans)]
    return gaps


def _summary(gaps: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(gaps), 3), "largest": round(max(gaps), 3), "gaps": len(gaps)}


@contextmanager
def _busy(cores: int) -> Iterator[None]:
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
